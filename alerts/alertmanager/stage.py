"""An Alertmanager's configuration made fit for a trial: its receivers replaced, its waits made short."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_UNITS: Final = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "w": 604_800.0,
    "y": 31_536_000.0,
}
_DURATION: Final = re.compile(r"(?:\d+(?:ms|[smhdwy]))+|0")
_PART: Final = re.compile(r"(\d+)(ms|[smhdwy])")
_WAITS: Final = {"group_wait": "30s", "group_interval": "5m", "repeat_interval": "4h"}
"""Alertmanager's defaults of the root."""
_QUIET: Final = ("email_configs", "slack_configs", "wechat_configs", "rocketchat_configs")
"""What is not told of an end unless `send_resolved` says so."""
_ALWAYS: Final[list[dict[str, Any]]] = [{"times": [{"start_time": "00:00", "end_time": "24:00"}]}]
_NEVER: Final[list[dict[str, Any]]] = [{"years": ["1970"]}]


def staged(
    configuration: Mapping[str, Any], *, address: str, speed: float, opened: Sequence[str] | None
) -> dict[str, Any]:
    """The configuration to try.

    Routes and inhibition stay as they are, at ``speed`` times the pace. Each receiver posts to ``address/NUMBER``, its
    place in the list. ``opened`` are the time intervals that it is always in, and in no other one; those of the
    configuration if it is None.
    """
    route = {**_WAITS, **configuration["route"]}
    parts: dict[str, Any] = {"route": _hurried(route, speed)}
    for key in ("inhibit_rules", "time_intervals", "mute_time_intervals"):
        if configuration.get(key):
            parts[key] = configuration[key]
    if opened is not None:
        parts |= {key: _decided(parts[key], opened) for key in parts if key.endswith("time_intervals")}
    receivers = [_told_here(receiver, f"{address}/{n}") for n, receiver in enumerate(configuration["receivers"])]
    return {**parts, "receivers": receivers}


def longest_wait(configuration: Mapping[str, Any]) -> float:
    """The longest `group_wait` of all routes, in seconds."""
    routes = _routes({**_WAITS, **configuration["route"]})
    return max(seconds(route["group_wait"]) for route in routes if "group_wait" in route)


def seconds(duration: str) -> float:
    """A duration as Prometheus writes it, in seconds.

    Raises:
        ValueError: when it is none.
    """
    if not _DURATION.fullmatch(str(duration)):
        raise ValueError(f"{duration!r} is no duration; one such as 5m is expected")
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(str(duration)))


def _routes(route: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield route
    for below in route.get("routes") or ():
        yield from _routes(below)


def _hurried(route: Mapping[str, Any], speed: float) -> dict[str, Any]:
    waits = {key: f"{round(seconds(route[key]) / speed * 1000)}ms" for key in _WAITS if key in route}
    return {**route, **waits, "routes": [_hurried(below, speed) for below in route.get("routes") or ()]}


def _decided(intervals: Sequence[Mapping[str, Any]], opened: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"name": interval["name"], "time_intervals": _ALWAYS if interval["name"] in opened else _NEVER}
        for interval in intervals
    ]


def _told_here(receiver: Mapping[str, Any], url: str) -> dict[str, Any]:
    """The receiver as a webhook; one that tells nobody goes on telling nobody."""
    ends = [
        bool(one.get("send_resolved", kind not in _QUIET))
        for kind, several in receiver.items()
        if kind.endswith("_configs")
        for one in several
    ]
    hooks = [{"url": url, "send_resolved": any(ends)}] if ends else []
    return {"name": receiver["name"], "webhook_configs": hooks}
