"""What the agent remembers for people: the last runs of each flow, and since when each target is as it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from quaywatch.clock import Clock
from quaywatch.contract import Reason, Series
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
        """What is known now, by what was noted and by the numbers of a snapshot."""
        numbers = _Numbers(series)
        return Status(
            now=self._clock.time(),
            version=self._version,
            config_ok=numbers.of(catalogue.CONFIG_RELOAD_SUCCESS.name) != 0,
            leases_reachable=numbers.of(catalogue.LEASE_UNREACHABLE.name) != 1,
            targets=tuple(self._target(name, numbers) for name in self._target_names(numbers)),
            flows=tuple(self._flow(target, probe, numbers) for target, probe in self._flow_names(numbers)),
            sources=numbers.sources(),
        )

    def _target_names(self, numbers: _Numbers) -> Sequence[str]:
        seen = numbers.pairs(catalogue.TARGET_UP.name, "target") | numbers.pairs(catalogue.LEASE_HELD.name, "target")
        return sorted({name for (name,) in seen} | set(self._states))

    def _target(self, name: str, numbers: _Numbers) -> TargetStatus:
        state = self._states.get(name)
        kinds = [kind for target, kind in numbers.pairs(catalogue.TARGET_UP.name, "target", "kind") if target == name]
        held = numbers.of(catalogue.LEASE_HELD.name, target=name)
        return TargetStatus(
            name=name,
            kind=kinds[0] if kinds else "",
            up=state.up if state else None,
            reason=state.reason if state else None,
            message=state.message if state else "",
            since=state.since if state else None,
            held=None if held is None else held == 1,
        )

    def _flow_names(self, numbers: _Numbers) -> Sequence[tuple[str, str]]:
        announced = {
            (target, probe) for target, probe in numbers.pairs(catalogue.PROBE_INTERVAL.name, "target", "probe")
        }
        return sorted(announced | set(self._runs))

    def _flow(self, target: str, probe: str, numbers: _Numbers) -> FlowStatus:
        residue = numbers.of(catalogue.PROBE_RESIDUE.name, target=target, probe=probe)
        permanent = numbers.of(catalogue.PROBE_PERMANENT.name, target=target, probe=probe)
        return FlowStatus(
            target=target,
            probe=probe,
            every=numbers.of(catalogue.PROBE_INTERVAL.name, target=target, probe=probe),
            runs=self.runs(target, probe),
            residue=None if residue is None else int(residue),
            permanent=None if permanent is None else int(permanent),
        )


class _Numbers:
    """The few series of a snapshot that the page needs, by name."""

    _NAMES: Final = frozenset(
        metric.name
        for metric in (
            catalogue.TARGET_UP,
            catalogue.LEASE_HELD,
            catalogue.LEASE_UNREACHABLE,
            catalogue.CONFIG_RELOAD_SUCCESS,
            catalogue.SNAPSHOT_AGE,
            catalogue.SCRAPE_SUCCESS,
            catalogue.PROBE_INTERVAL,
            catalogue.PROBE_RESIDUE,
            catalogue.PROBE_PERMANENT,
        )
    )

    def __init__(self, series: Iterable[Series]) -> None:
        self._found: dict[str, list[tuple[dict[str, str], float]]] = {}
        for one in series:
            if one.metric.name in self._NAMES and isinstance(one.value, int | float):
                self._found.setdefault(one.metric.name, []).append((dict(one.attributes), float(one.value)))

    def of(self, name: str, **attributes: str) -> float | None:
        """The value of the series with these attributes."""
        wanted = attributes.items()
        return next((value for have, value in self._found.get(name, ()) if wanted <= have.items()), None)

    def pairs(self, name: str, *attributes: str) -> set[tuple[str, ...]]:
        """The values that these attributes have together."""
        return {tuple(have.get(one, "") for one in attributes) for have, _ in self._found.get(name, ())}

    def sources(self) -> tuple[SourceStatus, ...]:
        """Every exporter's reading."""
        ages, successes = (self._by_source(m.name) for m in (catalogue.SNAPSHOT_AGE, catalogue.SCRAPE_SUCCESS))
        return tuple(
            SourceStatus(*who, age=ages.get(who), ok=successes.get(who, 1.0) == 1.0)
            for who in sorted(ages.keys() | successes.keys())
        )

    def _by_source(self, name: str) -> dict[tuple[str, str, str], float]:
        return {
            (have.get("target", ""), have.get("exporter", ""), have.get("database", "")): value
            for have, value in self._found.get(name, ())
        }
