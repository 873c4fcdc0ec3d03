"""What is promised of which flows: the patterns of the objectives, and the flows that each decides upon."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .objectives import FlowObjective
from .patterns import regex

DEFAULT_INTERVALS = (30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 21600.0)
"""Seconds between a flow's runs for which rules are made when no configuration is known."""
LATE_AFTER = 3
"""Intervals without a run after which nobody knows any more whether a flow works."""
BY = "environment, target, probe"
"""The labels of a flow."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow that a configuration runs: whether it is measured at all can then be told. ``every`` is in seconds."""

    environment: str
    target: str
    probe: str
    every: float


@dataclass(frozen=True, slots=True)
class Promise:
    """What is promised of the flows that a pattern of the objectives decides upon.

    Args:
        pattern: the pattern.
        objective: what is promised.
        matchers: PromQL's for these flows, without braces; empty for all flows.
        intervals: seconds between two runs of theirs, ascending.
        flows: those of a configuration.
    """

    pattern: str
    objective: FlowObjective
    matchers: str
    intervals: tuple[float, ...]
    flows: tuple[Flow, ...]

    @property
    def labels(self) -> dict[str, str]:
        """What tells its rules and recordings from those of other promises."""
        return {"slo": self.pattern}

    def select(self, *more: str) -> str:
        """The matchers with more of them, in braces; nothing when there is none."""
        inside = ", ".join(part for part in (*more, self.matchers) if part)
        return f"{{{inside}}}" if inside else ""


def promises(objectives: Mapping[str, FlowObjective], flows: Sequence[Flow]) -> Iterator[Promise]:
    """One for each pattern; only those that decide upon a flow, when flows are known."""
    earlier: list[str] = []
    for pattern, objective in objectives.items():
        decided = tuple(flow for flow in flows if decides(objectives, flow.probe) == pattern)
        if decided or not flows:
            intervals = tuple(sorted({flow.every for flow in decided})) or DEFAULT_INTERVALS
            yield Promise(pattern, objective, _matchers(pattern, earlier), intervals, decided)
        earlier.append(pattern)


def decides(objectives: Mapping[str, FlowObjective], probe: str) -> str | None:
    """The pattern that decides upon a flow: the first that fits; None when none does."""
    return next((pattern for pattern in objectives if fnmatchcase(probe, pattern)), None)


def _matchers(pattern: str, earlier: Iterable[str]) -> str:
    wanted = [] if pattern == "*" else [f'probe=~"{regex([pattern])}"']
    others = [f'probe!~"{regex([other])}"' for other in earlier]
    return ", ".join(wanted + others)
