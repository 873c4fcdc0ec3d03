"""What the agent remembers for people: the last runs of each flow, and since when each target is as it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from quaywatch.clock import Clock
from quaywatch.contract import Metric, Reason, Series
from quaywatch.runtime import catalogue
from quaywatch.runtime.probing import RunRecord

RUNS_KEPT: Final = 60
"""Runs of each flow on each target that are remembered."""


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """One target. ``up`` is None before its first ping, ``since`` the Unix time of the last change.

    ``held`` says whether this agent holds the target's lease; None where there is none to hold.
    """

    name: str
    kind: str
    up: bool | None
    reason: Reason | None
    message: str
    since: float | None
    held: bool | None

    @property
    def elsewhere(self) -> bool:
        """Whether nothing is known of it here, since another agent acts on it.

        An agent that cannot reach the leases goes on acting without one.
        """
        return self.held is False and self.up is None


@dataclass(frozen=True, slots=True)
class FlowStatus:
    """One probe on one target: its last runs, oldest first, and what the last sweep found (None before it)."""

    target: str
    probe: str
    every: float | None
    runs: tuple[RunRecord, ...]
    residue: int | None
    permanent: int | None


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """One exporter's reading. ``age`` is in seconds, None when there is none; ``ok`` tells of the last attempt."""

    target: str
    exporter: str
    database: str
    age: float | None
    ok: bool


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that the status page shows, as of ``now`` (Unix seconds)."""

    now: float
    version: str
    config_ok: bool
    leases_reachable: bool
    targets: tuple[TargetStatus, ...]
    flows: tuple[FlowStatus, ...]
    sources: tuple[SourceStatus, ...]

    def elsewhere(self) -> frozenset[str]:
        """The targets of which nothing is known here, since another agent acts on them."""
        return frozenset(target.name for target in self.targets if target.elsewhere)


@dataclass(frozen=True, slots=True)
class _State:
    up: bool
    reason: Reason | None
    message: str
    since: float


class History:
    """Keeps runs and states, bounded, and joins them with the numbers of a snapshot."""

    def __init__(self, clock: Clock, *, version: str) -> None:
        self._clock = clock
        self._version = version
        self._runs: dict[tuple[str, str], deque[RunRecord]] = {}
        self._states: dict[str, _State] = {}

    def note_run(self, record: RunRecord) -> None:
        """Remember a run; the oldest of its flow goes when there are too many."""
        self._runs.setdefault((record.target, record.probe), deque(maxlen=RUNS_KEPT)).append(record)

    def note_state(self, target: str, up: bool, reason: Reason | None, message: str) -> None:  # noqa: FBT001 - what it is about
        """Remember how a target's last ping went; ``since`` moves when it or its reason changes."""
        before = self._states.get(target)
        same = before is not None and (before.up, before.reason) == (up, reason)
        since = before.since if before is not None and same else self._clock.time()
        self._states[target] = _State(up, reason, message, since)

    def forget(self, target: str) -> None:
        """Forget a target that is no longer configured."""
        self._states.pop(target, None)
        for flow in [flow for flow in self._runs if flow[0] == target]:
            del self._runs[flow]

    def runs(self, target: str, probe: str) -> tuple[RunRecord, ...]:
        """The last runs of a flow, oldest first."""
        return tuple(self._runs.get((target, probe), ()))

    def status(self, series: Iterable[Series]) -> Status:
        """What is known now, by what was noted and by the numbers of a snapshot; in time linear in both."""
        numbers = _Numbers(series)
        kinds = dict(numbers.keys(catalogue.TARGET_UP))
        announced = numbers.keys(catalogue.PROBE_INTERVAL)
        seen = {*kinds, *self._states, *(name for (name,) in numbers.keys(catalogue.LEASE_HELD))}
        return Status(
            now=self._clock.time(),
            version=self._version,
            config_ok=numbers.of(catalogue.CONFIG_RELOAD_SUCCESS) != 0,
            leases_reachable=numbers.of(catalogue.LEASE_UNREACHABLE) != 1,
            targets=tuple(self._target(name, kinds.get(name, ""), numbers) for name in sorted(seen)),
            flows=tuple(self._flow(target, probe, numbers) for target, probe in sorted({*announced, *self._runs})),
            sources=numbers.sources(),
        )

    def _target(self, name: str, kind: str, numbers: _Numbers) -> TargetStatus:
        state = self._states.get(name)
        held = numbers.of(catalogue.LEASE_HELD, name)
        return TargetStatus(
            name=name,
            kind=kind,
            up=state.up if state else None,
            reason=state.reason if state else None,
            message=state.message if state else "",
            since=state.since if state else None,
            held=None if held is None else held == 1,
        )

    def _flow(self, target: str, probe: str, numbers: _Numbers) -> FlowStatus:
        residue = numbers.of(catalogue.PROBE_RESIDUE, target, probe)
        permanent = numbers.of(catalogue.PROBE_PERMANENT, target, probe)
        return FlowStatus(
            target=target,
            probe=probe,
            every=numbers.of(catalogue.PROBE_INTERVAL, target, probe),
            runs=self.runs(target, probe),
            residue=None if residue is None else int(residue),
            permanent=None if permanent is None else int(permanent),
        )


_OF_FLOW: Final = ("target", "probe")
_OF_READING: Final = ("target", "exporter", "database")


class _Numbers:
    """The few metrics of a snapshot that the page needs: each one's values, by those attributes of it."""

    _KEYS: Final[Mapping[str, tuple[str, ...]]] = {
        catalogue.TARGET_UP.name: ("target", "kind"),
        catalogue.LEASE_HELD.name: ("target",),
        catalogue.LEASE_UNREACHABLE.name: (),
        catalogue.CONFIG_RELOAD_SUCCESS.name: (),
        catalogue.SNAPSHOT_AGE.name: _OF_READING,
        catalogue.SCRAPE_SUCCESS.name: _OF_READING,
        catalogue.PROBE_INTERVAL.name: _OF_FLOW,
        catalogue.PROBE_RESIDUE.name: _OF_FLOW,
        catalogue.PROBE_PERMANENT.name: _OF_FLOW,
    }

    def __init__(self, series: Iterable[Series]) -> None:
        self._found: dict[str, dict[tuple[str, ...], float]] = {name: {} for name in self._KEYS}
        for one in series:
            wanted = self._KEYS.get(one.metric.name)
            if wanted is not None and isinstance(one.value, int | float):
                have = dict(one.attributes)
                self._found[one.metric.name][tuple(have.get(name, "") for name in wanted)] = float(one.value)

    def of(self, metric: Metric, *key: str) -> float | None:
        """The value that a metric has for these attributes."""
        return self._found[metric.name].get(key)

    def keys(self, metric: Metric) -> Iterable[Any]:
        """The attributes for which a metric has a value."""
        return self._found[metric.name].keys()

    def sources(self) -> tuple[SourceStatus, ...]:
        """Every exporter's reading."""
        ages, successes = (self._found[m.name] for m in (catalogue.SNAPSHOT_AGE, catalogue.SCRAPE_SUCCESS))
        found = []
        for who in sorted(ages.keys() | successes.keys()):
            target, exporter, database = who
            ok = successes.get(who, 1.0) == 1.0
            found.append(SourceStatus(target, exporter, database, age=ages.get(who), ok=ok))
        return tuple(found)
