"""Which database session serves a step, how sure that is, and behind whom it waits.

Odoo does not say: ``application_name`` is empty on Odoo 14 and a process id later. So a session is known by what it
does: it is in the tenant's database, its transaction is no older than the step, and it writes, or wants to lock, the
flow's tables, or even names the run's mark. Sessions that have not so much as read these are never taken for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from quaywatch.contract import Reason
from quaywatch.runtime.probing import Suspicion, Trigger

from .facts import Database, Session

_SLACK: Final = 0.5
"""Seconds that a transaction may seem older than the step that made it."""
_STILL_SERVED: Final = frozenset({Reason.TIMEOUT, Reason.CONNECT})
"""How steps fail whose call may still go on in the server: any other answer ended it."""
_PREPARED: Final = 0
"""The pid that PostgreSQL gives a prepared transaction."""

_NAMES_THE_RUN, _WRITES, _READS, _IS_A_STRANGER = 0.98, 0.9, 0.6, 0.3
_EXPLAINS_LITTLE: Final = 0.8
"""Times this, when its statement began in the second half of the step."""


@dataclass(frozen=True, slots=True)
class Served:
    """The session that serves the step, and how sure that is, from 0 to 1."""

    session: Session
    confidence: float


@dataclass(frozen=True, slots=True)
class Root:
    """A session that holds others up and waits for nobody; ``state`` prepared is a transaction left prepared."""

    session: Session
    held_up: int

    @property
    def age(self) -> float | None:
        """Seconds since its transaction began."""
        return self.session.transaction_age


def serving(suspicion: Suspicion, database: Database) -> list[Served]:
    """The sessions that may serve the step, the surest first; none when the step's call was answered."""
    if suspicion.trigger is Trigger.FAILED and suspicion.reason not in _STILL_SERVED:
        return []
    elapsed = suspicion.elapsed + database.seconds
    able = [one for one in database.sessions if _is_of_the_step(one, database, elapsed)]
    judged = [Served(one, _confidence(one, elapsed)) for one in able]
    return sorted((one for one in judged if one.confidence), key=lambda one: -one.confidence)


def _is_of_the_step(session: Session, database: Database, elapsed: float) -> bool:
    age = session.transaction_age
    return session.database == database.name and age is not None and age <= elapsed + _SLACK


def _confidence(session: Session, elapsed: float) -> float:
    if session.bears_mark:
        return _NAMES_THE_RUN
    explains = (session.statement_age or 0.0) >= elapsed / 2
    return _likeness(session) * (1.0 if explains else _EXPLAINS_LITTLE)


def _likeness(session: Session) -> float:
    if not is_odoo(session):
        return _IS_A_STRANGER if session.written else 0.0
    if session.written:
        return _WRITES
    return _READS if session.read else 0.0


def is_odoo(session: Session) -> bool:
    """Whether a session calls itself as Odoo's do."""
    return session.application_name == "" or session.application_name.startswith("odoo")


def root_of(session: Session, database: Database) -> Root | None:
    """Whom a session waits behind in the end, of several the oldest; None when it waits for nobody who is still there.

    That two wait for each other is sorted out by PostgreSQL itself within a second.
    """
    by_pid = {one.pid: one for one in database.sessions}
    found: dict[int, Session] = {}
    seen: set[int] = set()
    edge = [session]
    while edge:
        waiter = edge.pop()
        for pid in waiter.blockers:
            blocker = _blocker(pid, by_pid, waiter)
            if blocker is None or (pid in seen and pid != _PREPARED):
                continue
            seen.add(pid)
            if blocker.blockers:
                edge.append(blocker)
            else:
                found[pid] = blocker
    if not found:
        return None
    oldest = max(found.values(), key=lambda one: one.transaction_age or 0.0)
    return Root(oldest, _held_up(oldest.pid, by_pid))


def _blocker(pid: int, by_pid: Mapping[int, Session], waiter: Session) -> Session | None:
    if pid != _PREPARED:
        return by_pid.get(pid)
    return replace(waiter, pid=_PREPARED, state="prepared", transaction_age=waiter.prepared_age, blockers=())


def _held_up(root: int, by_pid: Mapping[int, Session]) -> int:
    """How many sessions wait behind ``root``, directly or not."""
    behind: set[int] = set()
    edge = {root}
    while edge:
        edge = {one.pid for one in by_pid.values() if edge & set(one.blockers)} - behind
        behind |= edge
    return len(behind)
