"""Pictures of the dashboards: their layout as the JSON has it, with what a store holds in each panel.

python -m sandbox.pictures               draws what the Prometheus of the sandbox that runs has, into docs/pictures
python -m sandbox.pictures URL DIRECTORY draws what the store at URL has
"""

from __future__ import annotations

import asyncio
import html
import json
import re
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.async_api import async_playwright

from .host import require
from .parts.api import get
from .world import World

Json = dict[str, Any]
Line = tuple[str, list[tuple[float, float]]]

CHROMIUM = Path("/usr/bin/chromium")
MINUTES = 3
GAP = 21
"""Seconds without a point that break a line."""
MOST = 6
"""Lines in a panel."""
CELL = (42, 23)
"""Pixels of one cell of Grafana's grid."""
COLOURS = ("#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#b877d9", "#37872d", "#fade2a")
NAMED = {
    "green": "#37872d",
    "yellow": "#e0b400",
    "orange": "#fa6400",
    "red": "#c4162a",
    "purple": "#8f3bb8",
    "blue": "#1f60c4",
}
"""Grafana's colours."""
CHOSEN = {"$__rate_interval": "1m", "$__range": f"{MINUTES}m"}
STYLE = """
path, rect {shape-rendering: crispEdges}
body {margin: 0; background: #111217; color: #ccccdc; font: 12px sans-serif; position: relative}
.panel {position: absolute; box-sizing: border-box; background: #181b1f; border: 1px solid #2c2f36; padding: 5px 7px;
        overflow: hidden}
.row {position: absolute; font-weight: bold; padding: 6px}
.title {font-weight: bold; white-space: nowrap; margin-bottom: 4px}
.values {display: flex; flex-wrap: wrap; gap: 4px}
.value {padding: 3px 7px; color: #fff; font-size: 13px}
.value small, .legend {font-size: 10px; color: #d8d9e3}
td {padding: 1px 10px 1px 0; font-size: 11px}
.empty {color: #8e8e99; padding: 15px}
"""


def asked(url: str, target: Json, now: float) -> list[Line]:
    """What the store has for a query: a line for each series, of one point if the query is about this moment."""
    expression = target["expr"].replace("$environment", environment_of(url))
    for variable, value in CHOSEN.items():
        expression = expression.replace(variable, value)
    for name in ("job", "target", "database", "probe"):
        expression = expression.replace(f"${name}", ".*")
    times = {"time": now} if target["instant"] else {"start": now - 60 * MINUTES, "end": now, "step": 5}
    path = "query" if target["instant"] else "query_range"
    answer: Json = json.loads(get(f"{url}/api/v1/{path}?{urlencode({'query': expression, **times})}"))
    return [
        (legend(target["legendFormat"], one["metric"]), points(one.get("values") or [one["value"]]))
        for one in answer["data"]["result"]
    ]


@cache
def environment_of(url: str) -> str:
    """The first environment of which the store has anything now, which is what a dashboard opens at."""
    known = urlencode({"query": "group by (environment) (quaywatch_target_up)"})
    answer: Json = json.loads(get(f"{url}/api/v1/query?{known}"))
    return min(str(one["metric"]["environment"]) for one in answer["data"]["result"])


def points(values: list[list[Any]]) -> list[tuple[float, float]]:
    """Times and finite values."""
    return [(float(at), float(value)) for at, value in values if value not in {"NaN", "+Inf", "-Inf"}]


def legend(form: str, labels: dict[str, str]) -> str:
    """The words that Grafana would put beside a series."""
    for name, value in labels.items():
        form = form.replace(f"{{{{{name}}}}}", value)
    return form or " ".join(value for name, value in labels.items() if name != "__name__")


def page(dashboard: Json, url: str, now: float) -> str:
    """The dashboard as HTML."""
    parts = [drawn(panel, url, now) for panel in dashboard["panels"]]
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><body>{''.join(parts)}"


def drawn(panel: Json, url: str, now: float) -> str:
    """A panel, or the heading of a row, at its place of the grid."""
    grid = panel["gridPos"]
    box = (grid["x"] * CELL[0], grid["y"] * CELL[1], grid["w"] * CELL[0] - 4, grid["h"] * CELL[1] - 4)
    place = "left:{}px;top:{}px;width:{}px;height:{}px".format(*box)
    title = html.escape(panel["title"])
    if panel["type"] == "row":
        return f'<div class=row style="{place}">{title}</div>'
    lines = [line for target in panel["targets"] for line in asked(url, target, now)]
    field = panel["fieldConfig"]["defaults"] | {"overrides": panel["fieldConfig"]["overrides"]}
    shape = SHAPES.get(panel["options"].get("textMode", panel["type"]), values)
    inside = shape(lines, field, box[2:]) if lines else f"<div class=empty>{html.escape(field['noValue'])}</div>"
    return f'<div class=panel style="{place}"><div class=title>{title}</div>{inside}</div>'


def values(lines: list[Line], field: Json, _size: tuple[int, int]) -> str:
    """The last value of each series on the colour of its threshold."""
    shown = (
        f'<div class=value style="background:{colour(found[-1][1], field, name)}">{said(found[-1][1], field)}'
        f" <small>{html.escape(name)}</small></div>"
        for name, found in lines
        if found
    )
    return f"<div class=values>{''.join(shown)}</div>"


def names(lines: list[Line], field: Json, _size: tuple[int, int]) -> str:
    """The name alone of each series, likewise."""
    shown = (
        f'<div class=value style="background:{colour(found[-1][1], field, name)}">{html.escape(name)}</div>'
        for name, found in lines
        if found
    )
    return f"<div class=values>{''.join(shown)}</div>"


def table(lines: list[Line], field: Json, _size: tuple[int, int]) -> str:
    """A row for each series, the largest first."""
    ranked = sorted(lines, key=lambda line: -line[1][-1][1])[:8]
    rows = (f"<tr><td>{html.escape(name)}<td>{said(found[-1][1], field)}" for name, found in ranked)
    return f"<table>{''.join(rows)}</table>"


def plot(lines: list[Line], field: Json, size: tuple[int, int]) -> str:
    """The highest lines over time, from 0 to the largest value, and what they are."""
    width, height = size[0] - 16, size[1] - 52
    lines = sorted(lines, key=lambda line: -max((value for _, value in line[1]), default=0.0))[:MOST]
    top = max((value for _, found in lines for _, value in found), default=0.0) or 1.0
    paths = "".join(curve(found, top, (width, height), tint) for (_, found), tint in zip(lines, tints(), strict=False))
    names = " ".join(
        f'<span style="color:{tint}">■</span> {html.escape(name)}'
        for (name, _), tint in zip(lines[:6], tints(), strict=False)
    )
    scale = f'<text x=2 y=10 fill="#8e8e99" font-size=10>{said(top, field)}</text>'
    return f"<svg width={width} height={height}>{paths}{scale}</svg><div class=legend>{names}</div>"


def curve(found: list[tuple[float, float]], top: float, size: tuple[int, int], tint: str) -> str:
    """One line; time ends at the right, and the line is broken where nothing was stored."""
    end, before, path = (found[-1][0] if found else 0.0), 0.0, ""
    for moment, value in found:
        x, y = size[0] * (1 - (end - moment) / (60 * MINUTES)), size[1] * (1 - max(0.0, value) / top * 0.9) - 1
        path += f"{'M' if moment - before > GAP else 'L'}{x:.0f} {y:.0f}"
        before = moment
    return f'<path fill=none stroke="{tint}" stroke-width=1 d="{path}" />'


def bands(lines: list[Line], field: Json, size: tuple[int, int]) -> str:
    """A band for each series, in the colours that its values had."""
    width, height = size[0] - 170, min(18, (size[1] - 30) // len(lines))
    end = max(found[-1][0] for _, found in lines)
    drawn_bands = "".join(
        f"<text x=0 y={number * height + 11} fill=#ccccdc font-size=10>{html.escape(name)}</text>"
        + "".join(
            f"<rect x={150 + width * (1 - (end - at) / (60 * MINUTES)):.0f} y={number * height} width={width / 55:.0f}"
            f' height={height - 4} fill="{colour(value, field)}" />'
            for at, value in found
        )
        for number, (name, found) in enumerate(lines)
    )
    return f"<svg width={size[0] - 16} height={size[1] - 30}>{drawn_bands}</svg>"


SHAPES = {"timeseries": plot, "table": table, "state-timeline": bands, "name": names}
"""Who draws a panel, by its type, or by what a stat shows; `values` all others."""


def tints() -> Iterator[str]:
    """Colours, over and over."""
    while True:
        yield from COLOURS


def colour(value: float, field: Json, name: str = "") -> str:
    """The colour that the mappings or the thresholds give a value of a series."""
    for mapping in field["mappings"]:
        if f"{value:g}" in mapping["options"]:
            return NAMED[mapping["options"][f"{value:g}"]["color"]]
    reached = [
        step["color"] for step in thresholds(field, name)["steps"] if step["value"] is None or value >= step["value"]
    ]
    return NAMED.get(reached[-1], "#3d3f46")


def thresholds(field: Json, name: str) -> Json:
    """The thresholds for a series: those of the last override that fits its name, else the panel's."""
    found: Json = field["thresholds"]
    for one in field["overrides"]:
        if re.search(one["matcher"]["options"].strip("/"), name):
            found = one["properties"][0]["value"]
    return found


def said(value: float, field: Json) -> str:
    """The value with its unit, or the words that it is mapped to."""
    for mapping in field["mappings"]:
        if f"{value:g}" in mapping["options"]:
            return str(mapping["options"][f"{value:g}"]["text"])
    match field["unit"]:
        case "percentunit":
            return f"{value:.1%}"
        case "bytes" | "Bps":
            return f"{value / 2**20:.1f} MiB"
        case "s":
            return f"{value:.3g} s" if value < 120 else f"{value / 60:.0f} min"  # noqa: PLR2004
        case unit:
            return f"{value:.3g}" + (f" {unit.removeprefix('suffix:')}" if unit.startswith("suffix:") else "")


async def draw(url: str, directory: Path) -> None:
    """Write one picture for each dashboard."""
    require("chromium")
    now = time.time()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = await browser.new_page()
        for path in sorted((Path(__file__).parents[1] / "dashboards" / "json").glob("*.json")):
            dashboard = json.loads(path.read_text())
            bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
            await tab.set_viewport_size({"width": 24 * CELL[0], "height": bottom * CELL[1]})
            await tab.set_content(page(dashboard, url, now))
            await tab.screenshot(path=directory / f"{path.stem}.png")
        await browser.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(draw(sys.argv[1], Path(sys.argv[2])))
    else:
        asyncio.run(draw(World.load().prometheus.url, Path(__file__).parents[1] / "docs" / "pictures"))
