"""``quaywatch once``: one cycle of every exporter, printed."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from otel_config.prometheus import Exposition
from otel_config.structured import configure_logging
from quaywatch.clock import SystemClock
from quaywatch.config import Settings
from quaywatch.contract import Distribution, Per, Series, Watched
from quaywatch.errors import ConfigError
from quaywatch.runtime.catalogue import TARGET_UP
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.readings import Collection, Source, Store, Tour
from quaywatch.runtime.view import Everything
from quaywatch.runtime.watch import PING_WITHIN

from .discovering import look
from .loop import run
from .session import chosen, settings_of
from .terminal import Cell, Console


def execute(arguments: Namespace, console: Console, environ: Mapping[str, str]) -> int:
    """Read everything once and print it; 1 when a target is down.

    Raises:
        ConfigError: when the configuration is wrong, or an exporter that is asked for runs nowhere.
    """
    configure_logging("warning", "console", console.err)
    settings = run(look(settings_of(arguments.config, environ))).settings
    targets = chosen(settings, arguments)
    _refuse_idle(targets, arguments.exporter)
    cycle = Cycle(settings)
    run(cycle.run([_only(watched, arguments.exporter) for watched in targets]))
    cycle.show(arguments.format, console)
    return 0 if cycle.all_up else 1


def _only(watched: Watched, names: Sequence[str]) -> Watched:
    tasks = tuple(task for task in watched.exporters if not names or task.exporter.name in names)
    return replace(watched, exporters=tasks)


def _refuse_idle(targets: Sequence[Watched], names: Sequence[str]) -> None:
    at_work = {task.exporter.name for watched in targets for task in watched.exporters}
    idle = [name for name in names if name not in at_work]
    if idle:
        raise ConfigError(
            f"{', '.join(idle)} runs on none of these targets", remedy=f"allowed: {', '.join(sorted(at_work))}"
        )


class Cycle:
    """One reading of everything, into a store of its own."""

    def __init__(self, settings: Settings) -> None:
        self._clock = SystemClock()
        self._store = Store(settings.environment, self._clock)
        self._meter = Instruments(settings.environment, self._clock)
        self._collection = Collection(self._store, self._meter, self._clock)

    @property
    def all_up(self) -> bool:
        """Whether every target answered."""
        return all(series.value == 1 for series in self._meter.series() if series.metric is TARGET_UP)

    async def run(self, targets: Sequence[Watched]) -> None:
        """Read every target, all at once."""
        await asyncio.gather(*(self._read(watched) for watched in targets))

    def show(self, form: str, console: Console) -> None:
        """Print what was read: as table, json or prometheus."""
        if form == "prometheus":
            page, _ = Exposition(Everything(self._store, self._meter), {}, self._meter)()
            console.say(page.decode().rstrip())
        elif form == "json":
            console.json([_record(series) for series in self._series()])
        else:
            rows: list[list[str | Cell]] = [_row(series) for series in self._series()]
            console.table(["metric", "value", "unit", "attributes"], rows)

    def _series(self) -> list[Series]:
        """The targets' states and what was read, without the numbers about the reading itself."""
        states = [series for series in self._meter.series() if series.metric is TARGET_UP]
        read = [series for series in self._store.series() if not series.metric.name.startswith("quaywatch.")]
        return [*states, *sorted(read, key=lambda series: series.key)]

    async def _read(self, watched: Watched) -> None:
        driver = watched.open()
        try:
            await self._collection.ping(watched.target, driver, PING_WITHIN)
            for task in watched.exporters:
                if task.exporter.per is Per.TARGET:
                    source = Source(watched.target.name, task.exporter.name)
                    await self._collection.read(task, driver, source, task.exporter.state())
            await self._tour(watched, driver)
        finally:
            await driver.close()

    async def _tour(self, watched: Watched, driver: Any) -> None:
        tasks = [task for task in watched.exporters if task.exporter.per is Per.DATABASE]
        if tasks:
            tour = Tour(
                watched.target.name,
                tasks,
                cluster=driver,
                tenants=watched.tenants,
                visits=asyncio.Semaphore(watched.visits),
                collection=self._collection,
                meter=self._meter,
                clock=self._clock,
            )
            await tour.go()


def _record(series: Series) -> dict[str, Any]:
    value = series.value
    number = {"counts": value.counts, "sum": value.sum} if isinstance(value, Distribution) else value
    return {
        "metric": series.metric.name,
        "kind": str(series.metric.kind),
        "unit": series.metric.unit,
        "attributes": dict(series.attributes),
        "value": number,
    }


def _row(series: Series) -> list[str | Cell]:
    down = series.metric is TARGET_UP and series.value != 1
    attributes = " ".join(f"{name}={value}" for name, value in series.attributes if name != "environment")
    return [series.metric.name, Cell(_number(series), "bad" if down else "strong"), series.metric.unit, attributes]


def _number(series: Series) -> str:
    if isinstance(series.value, Distribution):
        return f"{series.value.count} values"
    return f"{series.value:.3f}".rstrip("0").rstrip(".") if isinstance(series.value, float) else str(series.value)
