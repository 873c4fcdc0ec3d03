"""Cases for an Alertmanager: what happens, and who is then told of what. The records behind a file of cases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .faults import FaultyKeysError, Key

Named = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Event:
    """Alerts begin to fire, or are resolved, ``after`` seconds from the event before."""

    fires: tuple[str, ...] = ()
    resolves: tuple[str, ...] = ()
    after: float = 0

    def __post_init__(self) -> None:
        if not self.fires and not self.resolves:
            raise ValueError("nothing happens; fires or resolves is expected")
        if self.after < 0:
            raise ValueError(f"after: {self.after:g} is out of range; at least 0 is expected")


@dataclass(frozen=True, slots=True)
class Case:
    """What happens, and what is expected. Alerts are named as in the file.

    Args:
        happens: in the order of time.
        told: the receivers, and what they are told of; all others are told of nothing.
        alone: likewise, what they are told of in a message of its own, of all that they are told.
        resolved: likewise, what they are told is over; not looked at if unset.
        times: the receivers, and how often they are told of something at least.
        inhibited: the alerts that are inhibited at the end, and by which; all others are not.
        muted: the alerts that are muted at the end, and by which time intervals; all others are not.
        open: the time intervals that it is meant to be in; it is in no other one.
        by_clock: the time intervals are those of the configuration, and the case depends on when it is played.
        until: seconds from the beginning to the end; as long as the longest `group_wait` after the last event, and a
            minute, if unset.
    """

    happens: tuple[Event, ...]
    told: Named = field(default_factory=dict)
    alone: Named = field(default_factory=dict)
    resolved: Named | None = None
    times: Mapping[str, int] = field(default_factory=dict)
    inhibited: Named = field(default_factory=dict)
    muted: Named = field(default_factory=dict)
    open: tuple[str, ...] = ()
    by_clock: bool = False
    until: float | None = None

    def __post_init__(self) -> None:
        if self.until is not None and self.until < self.lasts:
            raise ValueError(f"until: {self.until:g} is out of range; at least {self.lasts:g} is expected")

    @property
    def lasts(self) -> float:
        """Seconds from the beginning to the last event."""
        return sum(event.after for event in self.happens)

    @property
    def alerts(self) -> Iterator[tuple[Key, str]]:
        """Every alert that is named, with its key."""
        for number, event in enumerate(self.happens):
            yield from (((("happens", number), name)) for name in (*event.fires, *event.resolves))
        named = {"told": self.told, "alone": self.alone, "resolved": self.resolved or {}, "inhibited": self.inhibited}
        for key, table in named.items():
            yield from (((key, place), name) for place, names in table.items() for name in names)
        for key, table in (("inhibited", self.inhibited), ("muted", self.muted)):
            yield from (((key, name), name) for name in table)


@dataclass(frozen=True, slots=True)
class Cases:
    """A file of cases: the labels of the alerts by the names they have in it, and the cases by their titles."""

    alerts: Mapping[str, Mapping[str, str]]
    cases: Mapping[str, Case]

    def __post_init__(self) -> None:
        names: dict[frozenset[tuple[str, str]], str] = {}
        for name, labels in self.alerts.items():
            first = names.setdefault(frozenset(labels.items()), name)
            if first != name:
                raise ValueError(f"alerts: {name}: it has the labels of {first}; others are expected")


def check(cases: Cases, configuration: Mapping[str, Any]) -> None:
    """See that every alert, receiver and time interval that is named exists.

    Raises:
        FaultyKeysError: with an entry for each that does not.
    """
    receivers = [receiver["name"] for receiver in configuration["receivers"]]
    faults = [
        (("cases", title, *key), f"there is no {what} {name}; {_one_of(known)} is expected")
        for title, case in cases.cases.items()
        for what, known, named in (
            ("alert", cases.alerts, case.alerts),
            ("receiver", receivers, _receivers(case)),
            ("time interval", interval_names(configuration), _intervals(case)),
        )
        for key, name in named
        if name not in known
    ]
    if faults:
        raise FaultyKeysError(faults)


def interval_names(configuration: Mapping[str, Any]) -> list[str]:
    """The time intervals of a configuration, by their newer key and by their older one."""
    keys = ("time_intervals", "mute_time_intervals")
    return [interval["name"] for key in keys for interval in configuration.get(key) or ()]


def _receivers(case: Case) -> Iterator[tuple[Key, str]]:
    named = {"told": case.told, "alone": case.alone, "resolved": case.resolved or {}, "times": case.times}
    for key, table in named.items():
        yield from (((key, name), name) for name in table)


def _intervals(case: Case) -> Iterator[tuple[Key, str]]:
    yield from ((("open",), name) for name in case.open)
    yield from ((("muted", alert), name) for alert, names in case.muted.items() for name in names)


def _one_of(known: Iterable[str]) -> str:
    return f"one of {', '.join(known)}" if known else "none"
