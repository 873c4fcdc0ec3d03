"""What restoring takes in truth: the recovery time and the recovery point that the last successful test achieved.

A restore job tells of its test in a file, or posts it to the agent, which keeps it in that file; see docs/recovery.md.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from quaywatch.contract import Backups, Exporter, Kind, Metric, RestoreTest, Sample, TargetKind

_WHAT = ("backup",)

KNOWN = Metric(
    "quaywatch.restore_test.known",
    Kind.GAUGE,
    "{test}",
    "Things of which a restore test was ever told; 0 before the first.",
)
OK = Metric(
    "quaywatch.restore_test.ok", Kind.GAUGE, "", "1 if the last restore test succeeded, else 0.", _WHAT, budget=200
)
AGE = Metric(
    "quaywatch.restore_test.age",
    Kind.GAUGE,
    "s",
    "Time since the last successful restore test ended. Absent when none ever succeeded.",
    _WHAT,
    budget=200,
)
DURATION = Metric(
    "quaywatch.restore_test.duration",
    Kind.GAUGE,
    "s",
    "How long the last successful restore test took: the recovery time that is achieved (RTO).",
    _WHAT,
    budget=200,
)
LOSS = Metric(
    "quaywatch.restore_test.data_loss",
    Kind.GAUGE,
    "s",
    "How much older than the assumed loss the newest restored datum was: the recovery point that is achieved (RPO).",
    _WHAT,
    budget=200,
)
SIZE = Metric(
    "quaywatch.restore_test.size",
    Kind.GAUGE,
    "By",
    "What the last successful test restored.",
    _WHAT,
    budget=200,
)


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(place: Backups, _options: Options, clock: Callable[[], float]) -> AsyncIterator[Sample]:
    """The last test of each thing, and the last successful one."""
    tests = await place.restore_tests()
    if tests is None:
        return
    last = {test.name: test for test in sorted(tests, key=_ended)}
    yield KNOWN(len(last))
    for test in last.values():
        yield OK(int(test.ok), test.name)
    for test in {test.name: test for test in sorted(tests, key=_ended) if test.ok}.values():
        for sample in _of_success(test, clock()):
            yield sample


def _ended(test: RestoreTest) -> float:
    return test.ended


def _of_success(test: RestoreTest, now: float) -> Iterator[Sample]:
    yield AGE(max(0.0, now - test.ended), test.name)
    yield DURATION(test.ended - test.began, test.name)
    if test.recovery_point is not None:
        yield LOSS(max(0.0, test.began - test.recovery_point), test.name)
    if test.size is not None:
        yield SIZE(test.size, test.name)


EXPORTER: Exporter[Backups, Options, Callable[[], float]] = Exporter(
    name="backup_restore_tests",
    reads=TargetKind.BACKUP,
    metrics=(KNOWN, OK, AGE, DURATION, LOSS, SIZE),
    options=Options,
    collect=collect,
    state=lambda: time.time,
    every=60.0,
    deadline=10.0,
)
