"""What there is to recover from: age, size and result of the newest backups, by set and type.

A backup that its tool found wanting makes no age younger. pgBackRest, WAL-G and object stores list finished backups
only, so one that failed shows by the age that goes on growing. Where a job leaves its report in a file,
``quaywatch.backup.report.age`` tells how old that is.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from quaywatch.contract import Backup, Backups, BackupSet, Exporter, Kind, Metric, Sample, TargetKind

_SET = ("backup", "repository")
_TYPE = (*_SET, "type")

OK = Metric(
    "quaywatch.backup.ok",
    Kind.GAUGE,
    "",
    "1 if there is a newest backup and its tool finds nothing wrong with it, nor with the set as a whole; else 0.",
    _SET,
    budget=200,
)
RUNNING = Metric(
    "quaywatch.backup.running",
    Kind.GAUGE,
    "",
    "1 while a backup is being made, else 0. Absent where the tool does not tell.",
    _SET,
    budget=200,
)
KEPT = Metric("quaywatch.backup.kept", Kind.UPDOWN, "{backup}", "Backups that are there.", _TYPE, budget=500)
AGE = Metric(
    "quaywatch.backup.age",
    Kind.GAUGE,
    "s",
    "Time since the newest sound backup was complete. Absent without one.",
    _TYPE,
    budget=500,
)
DURATION = Metric(
    "quaywatch.backup.duration", Kind.GAUGE, "s", "How long the newest sound backup took.", _TYPE, budget=500
)
SIZE = Metric(
    "quaywatch.backup.size", Kind.GAUGE, "By", "What the newest sound backup holds, restored.", _TYPE, budget=500
)
STORED = Metric(
    "quaywatch.backup.stored.size",
    Kind.GAUGE,
    "By",
    "What the newest sound backup takes where it is kept, without those that it builds on.",
    _TYPE,
    budget=500,
)
REPORT_AGE = Metric(
    "quaywatch.backup.report.age",
    Kind.GAUGE,
    "s",
    "Age of the report that all this is read from; 0 where it is asked for anew each time.",
)


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(place: Backups, _options: Options, clock: Callable[[], float]) -> AsyncIterator[Sample]:
    """Every set that is reported."""
    report = await place.report()
    if report is None:
        return
    yield REPORT_AGE(report.age)
    for one in report.sets:
        for sample in _of_set(one, clock()):
            yield sample


def _of_set(one: BackupSet, now: float) -> Iterator[Sample]:
    who = (one.name, one.repository)
    last = max(one.backups, key=lambda backup: backup.ended, default=None)
    yield OK(int(one.ok and last is not None and last.ok), *who)
    if one.running is not None:
        yield RUNNING(int(one.running), *who)
    for kind, count in Counter(backup.type for backup in one.backups).items():
        yield KEPT(count, *who, kind)
        sound = [backup for backup in one.backups if backup.type == kind and backup.ok]
        if sound:
            yield from _of_newest(max(sound, key=lambda backup: backup.ended), (*who, kind), now)


def _of_newest(backup: Backup, who: tuple[str, str, str], now: float) -> Iterator[Sample]:
    yield AGE(max(0.0, now - backup.ended), *who)
    if backup.began is not None:
        yield DURATION(max(0.0, backup.ended - backup.began), *who)
    if backup.size is not None:
        yield SIZE(backup.size, *who)
    if backup.stored is not None:
        yield STORED(backup.stored, *who)


EXPORTER: Exporter[Backups, Options, Callable[[], float]] = Exporter(
    name="backup_sets",
    reads=TargetKind.BACKUP,
    metrics=(OK, RUNNING, KEPT, AGE, DURATION, SIZE, STORED, REPORT_AGE),
    options=Options,
    collect=collect,
    state=lambda: time.time,
    every=300.0,
    deadline=60.0,
)
