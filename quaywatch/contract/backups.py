"""Backups: what there is to recover from, and what tests of it showed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .targets import Driver


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """One backup that was finished. Times are Unix seconds, sizes bytes; what its tool does not tell is None.

    Args:
        type: what kind of one, such as full or incr.
        ended: when it was complete.
        began: when it was begun.
        size: what it holds, restored.
        stored: what it takes where it is kept.
        ok: whether its tool found nothing wrong with it.
    """

    type: str
    ended: float
    began: float | None = None
    size: int | None = None
    stored: int | None = None
    ok: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSet:
    """All backups of one thing in one place.

    Args:
        name: what is backed up, such as a stanza; empty when the target alone says it.
        repository: where it is kept, when there are several places.
        ok: whether its tool says nothing against the set as a whole.
        running: whether a backup is being made; None when its tool does not tell.
        backups: those that are there.
    """

    name: str = ""
    repository: str = ""
    ok: bool = True
    running: bool | None = None
    backups: tuple[Backup, ...] = ()


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What is known of backups, and since how many seconds."""

    age: float
    sets: tuple[BackupSet, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTest:
    """One try to restore a backup. Times are Unix seconds, sizes bytes.

    Args:
        name: what was restored.
        ok: whether it could be, and was found to be right.
        began: the moment of the assumed loss: when restoring began.
        ended: when it was of use again.
        recovery_point: the time of the newest datum that came back, if it was looked for.
        size: what was restored.
    """

    name: str
    ok: bool
    began: float
    ended: float
    recovery_point: float | None = None
    size: int | None = None


class Backups(Driver, Protocol):
    """Where backups are kept, or where it is told of them."""

    async def report(self) -> BackupReport | None:
        """The backups; None where nothing but tests of them is told."""
        ...

    async def restore_tests(self) -> Sequence[RestoreTest] | None:
        """The newest tests of each thing, failed and successful ones; None where nobody tells of any."""
        ...
