"""From facts to a cause: every rule in one table, each a function that looks at one thing.

A rule that applies says how sure it is and one sentence. The surest one names the cause; of equally sure ones the one
that stands first in `RULES`. The order and the numbers say the same: what was refused to our own visit outweighs what
follows from a pattern, and that what merely stands beside the trouble. ``docs/causes.md`` has the rules in prose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from quaywatch.contract import Reason, Trouble
from quaywatch.runtime.probing import Cause, Evidence, Trigger

from .facts import Cache, Database, Facts, Queue, State, answered, cut, gateway, hangs, refused, swallowed, took
from .matching import Root, Served, is_odoo, root_of, serving

_LONG: Final = 1.0
"""Seconds past which a light page, or reading the database, is slow."""
_SHORT: Final = 0.2
"""Seconds below which no statement is slow, however impatient the probe is."""
_NAMEABLE: Final = 0.4
"""A session that is less surely the step's is not spoken of."""
_STALE_JOB: Final = 300.0
_OLD_TRANSACTION: Final = 60.0
_BEHIND: Final = 10.0
_FULL_SHARE: Final = 0.98
_PRINTING: Final = frozenset({"slip", "label"})
"""The steps that have a PDF made."""
_SENTENCES: Final = 5
_NOT_FOUND: Final = 404
_SERVER_ERROR: Final = 500
_ROUTER_MISSING: Final = b"404 page not found"
"""What Traefik says of an address that no router of it takes."""

_DOWN_WORDS: Final = ("could not connect to server", "connection refused", "database system is", "server closed the")
_FULL_WORDS: Final = ("too many clients", "too many connections", "connection slots", "connection pool is full")
_LOCK_WORDS: Final = ("could not obtain lock", "lock timeout", "deadlock detected", "could not serialize")
_SLOW_WORDS: Final = ("statement timeout",)
_NO_TLS: Final = "no trusted connection by TLS can be made to"
_CUT: Final = "the connection was cut"
_REFUSED: Final = "nobody listens there"
_PROXY: Final = "the proxy in front says"
_UNREACHED: Final = ("the host cannot be reached", "the network cannot be reached", "the host does not answer")
_NO_DATABASE: Final = "there is no database"
_PRINT_WORDS: Final = ("wkhtmltopdf",)
_BAD_PRINTS: Final = ("the report", "the PDF is blank", "cannot be read as one")
"""What a step says of a report that was refused, or came and is none: Odoo 14 hands on the nothing that it got."""
_SUBJECTS: Final = (
    ("order", "orders"),
    ("reserve", "reservations"),
    ("label", "labels"),
    ("shipment", "shipments"),
    ("portal", "the portal's pages"),
    ("login", "log-ins"),
)


@dataclass(frozen=True, slots=True)
class Judged:
    """What a rule says: how sure it is, from 0 to 1, and why, in words that follow "orders stall: "."""

    confidence: float
    sentence: str


Rule = Callable[[Facts], Judged | None]


def classify(facts: Facts) -> Evidence:
    """The likeliest cause, with what else speaks for it or stands beside it; unknown when nothing applies."""
    judged = [(cause, found) for cause, rule in RULES if (found := rule(facts)) is not None]
    judged.sort(key=lambda one: -one[1].confidence)
    around = list(_beside(facts))
    if not judged:
        what = f"{_subject(facts)}: nothing was found that explains it"
        return Evidence(Cause.UNKNOWN, 0.0, (what, *around[: _SENTENCES - 1]))
    (cause, first), others = judged[0], [found for other, found in judged[1:] if other is not judged[0][0]]
    also = [f"also: {found.sentence}" for found in others]
    sentences = (f"{_subject(facts)}: {first.sentence}", *also, *around)
    return Evidence(cause, round(first.confidence, 2), sentences[:_SENTENCES])


def _subject(facts: Facts) -> str:
    """Such as "orders stall"."""
    probe = facts.suspicion.case.probe
    subject = next((name for word, name in _SUBJECTS if word in probe), f"steps of {probe}")
    return f"{subject} {'stall' if facts.suspicion.trigger is Trigger.SLOW else 'fail'}"


# --- log-in and rights ------------------------------------------------------------------------------------------------


def login_refused(facts: Facts) -> Judged | None:
    """Odoo refused the credentials, or the user lacks a right."""
    match facts.suspicion.reason:
        case Reason.AUTH:
            return Judged(0.96, "Odoo refuses the probe's login")
        case Reason.PERMISSION:
            return Judged(0.9, "the probe's user may not do this in Odoo")
    return None


# --- database ---------------------------------------------------------------------------------------------------------


def database_down(facts: Facts) -> Judged | None:
    """The server refuses or swallows us, or the database is gone; a dark network takes Odoo's address along."""
    told = _told(facts, *_DOWN_WORDS)
    match facts.database:
        case Database(state=State.DOWN):
            return Judged(0.97, "the database server takes no connections")
        case Database(state=State.MISSING, name=name):
            return Judged(0.95, f"the database server has no database {name}")
        case Database(state=State.SILENT) if not swallowed(facts.front):
            return Judged(0.9, "the database server does not answer")
    return Judged(0.75, "Odoo says that it cannot reach its database") if told else None


def connections_used_up(facts: Facts) -> Judged | None:
    """No connection is left: in the server, for Odoo's role, for the database, or in Odoo's own pool."""
    told = _told(facts, *_FULL_WORDS)
    match facts.database:
        case Database(state=State.FULL):
            return Judged(0.95, f"the database server has no connection left{_held_by(facts)}")
        case Database(exhausted=exhausted) if exhausted:
            return Judged(0.92, f"the connection limit of {' and '.join(exhausted)} is used up")
        case Database(used=used, usable=usable) if usable and used >= usable:
            return Judged(0.92, f"all {usable} connections of the database server are taken{_held_by(facts)}")
    return Judged(0.85, "Odoo says that it gets no database connection") if told else None


def _held_by(facts: Facts) -> str:
    holders = facts.database.holders if facts.database else ()
    return f": {', '.join(f'{held} by {who}' for who, held in holders)}" if holders else ""


def behind_a_lock(facts: Facts) -> Judged | None:
    """The session that serves the step waits for somebody's lock."""
    if facts.database is None:
        return None
    waiting = [(one, root_of(one.session, facts.database)) for one in _serving(facts) if one.session.blockers]
    if not waiting:
        return Judged(0.8, "Odoo says that it did not get a lock in time") if _told(facts, *_LOCK_WORDS) else None
    served, root = waiting[0]
    alike = {other.session.pid for one, other in waiting if other and one.confidence == served.confidence}
    confidence = served.confidence / max(len(alike), 1)
    if confidence < _NAMEABLE:
        return None
    return Judged(confidence, _behind(root))


def _behind(root: Root | None) -> str:
    if root is None:
        return "lock wait behind a session that is gone by now"
    one = root.session
    who = "a prepared transaction" if one.state == "prepared" else f"pid {one.pid}"
    held = "" if one.state == "prepared" else f", {one.state}"
    age = "" if root.age is None else f" {root.age:.0f} s"
    name = f", application {one.application_name}" if one.application_name else ""
    others = f", {root.held_up} sessions wait behind it" if root.held_up > 1 else ""
    return f"lock wait behind {who}{held}{age}, database {one.database}{name}{others}"


def statement_is_slow(facts: Facts) -> Judged | None:
    """The session that serves the step has been at one statement for most of it, and waits for no lock."""
    if facts.database is None:
        return None
    long = max(_SHORT, facts.suspicion.elapsed / 2)
    slow = [one for one in _serving(facts) if _works(one) and (one.session.statement_age or 0) >= long]
    if slow and slow[0].confidence >= _NAMEABLE:
        one = slow[0].session
        waits = f", waits for {one.wait_type} {one.wait_event}" if one.wait_type else ""
        what = f"the database is at one statement for {one.statement_age:.1f} s, pid {one.pid}{waits}"
        return Judged(slow[0].confidence * 0.95, what)
    if facts.database.state is State.ANSWERS and facts.database.seconds >= _LONG:
        return Judged(0.55, f"the database server took {facts.database.seconds:.1f} s for a light reading")
    return Judged(0.75, "Odoo says that a statement ran past its time limit") if _told(facts, *_SLOW_WORDS) else None


def _works(one: Served) -> bool:
    return one.session.state == "active" and not one.session.blockers


def _serving(facts: Facts) -> list[Served]:
    return [] if facts.database is None else serving(facts.suspicion, facts.database)


# --- the way to Odoo, and Odoo ----------------------------------------------------------------------------------------


def network_is_dark(facts: Facts) -> Judged | None:
    """Nobody so much as refuses the connection, or no way or no name leads there."""
    front = facts.front
    if _failed_with(facts, *_UNREACHED):
        return Judged(0.95, "no way leads to the host of Odoo's address")
    if front is not None and front.trouble is Trouble.DNS:
        return Judged(0.9, "the name in Odoo's address leads nowhere")
    if front is not None and front.trouble is Trouble.TLS and not facts.fronted:
        return Judged(0.85, f"{_NO_TLS} Odoo's address")
    if swallowed(front):
        others = _others_answer(facts)
        beside = ", while others answer" if others else ""
        return Judged(0.88 if others else 0.7, f"nobody takes or refuses a connection at Odoo's address{beside}")
    return None


def _others_answer(facts: Facts) -> bool:
    database = facts.database is not None and facts.database.state in {State.ANSWERS, State.FULL}
    cache = facts.cache is not None and facts.cache.state is State.ANSWERS
    return database or cache or answered(facts.edge)


def edge_is_away(facts: Facts) -> Judged | None:
    """The proxy takes no connection, or none that can be trusted, or knows no way to Odoo."""
    front = facts.front
    if not facts.fronted or front is None:
        return None
    if refused(front):
        confidence = 0.95 if answered(facts.direct) else 0.9 if facts.edge is None or facts.edge.trouble else 0.7
        return Judged(confidence, f"the edge takes no connections{_while_odoo_answers(facts)}")
    if front.trouble is Trouble.TLS:
        return Judged(0.9, f"{_NO_TLS} the edge{_while_odoo_answers(facts)}")
    if front.status == _NOT_FOUND and front.body.startswith(_ROUTER_MISSING):
        return Judged(0.9, f"the edge knows no way to Odoo{_while_odoo_answers(facts)}")
    return None


def edge_is_astray(facts: Facts) -> Judged | None:
    """The proxy says that it cannot reach Odoo, which answers directly, as far as that is known."""
    if not facts.fronted or facts.front is None or not gateway(facts.front):
        return None
    says = f"the edge says {facts.front.status}"
    if facts.direct is None:
        return Judged(0.55, says)
    return Judged(0.93, says + _while_odoo_answers(facts)) if answered(facts.direct) else None


def _while_odoo_answers(facts: Facts) -> str:
    return ", while Odoo itself answers" if answered(facts.direct) else ""


def odoo_is_down(facts: Facts) -> Judged | None:
    """Nobody listens where Odoo should, or hangs up: as seen directly, by the proxy in front or by the step."""
    if refused(facts.direct):
        return Judged(0.96, "Odoo takes no connections")
    if refused(facts.front) and not facts.fronted:
        return Judged(0.93, "Odoo takes no connections")
    if cut(facts.direct) or (cut(facts.front) and not facts.fronted):
        return Judged(0.85, "Odoo takes connections and cuts them")
    if gateway(facts.front) and facts.front is not None and not took(facts.direct):
        return Judged(0.65, f"the proxy in front of Odoo says {facts.front.status}")
    return None if swallowed(facts.front) else _odoo_was_down(facts) or _odoo_is_starting(facts)


def _odoo_was_down(facts: Facts) -> Judged | None:
    """What the step met a moment ago: a server that is started again looks different at each look."""
    back = answered(facts.front)
    if _failed_with(facts, _REFUSED) and not facts.fronted:
        return Judged(0.85, f"nobody listened at Odoo's address, which {_SINCE[back]}")
    if _failed_with(facts, _CUT) and (back or not facts.fronted):
        why = ": a worker died or ran past its time limit" if back else ""
        return Judged(0.6 if back else 0.8, f"Odoo cut the connection and {_SINCE[back]}{why}")
    if _failed_with(facts, _PROXY) and back:
        return Judged(0.5, "the proxy in front did not reach Odoo, which answers again")
    return None


def _odoo_is_starting(facts: Facts) -> Judged | None:
    if not hangs(facts.direct or facts.front) or not _odoo_is_absent(facts):
        return None
    return Judged(0.7, "Odoo takes connections and answers none, and uses no database: it is starting, or is not Odoo")


def _odoo_is_absent(facts: Facts) -> bool:
    """Whether no Odoo has a session in the database: one that a broken network hides from us would keep its own."""
    database = facts.database
    return database is not None and database.state is State.ANSWERS and database.odoo_sessions == 0


_SINCE: Final = {True: "answers again", False: "has not answered since"}


def workers_are_busy(facts: Facts) -> Judged | None:
    """Connections to Odoo are taken and a light page is not answered in time, while the database answers."""
    page = facts.direct or facts.front
    if page is None or (facts.database is not None and facts.database.state is State.SILENT):
        return None
    if (hangs(page) or (gateway(facts.front) and hangs(facts.direct))) and not _odoo_is_absent(facts):
        return Judged(0.75, "Odoo takes connections and answers none: all its workers are busy, or it is frozen")
    if answered(page) and page.seconds >= _LONG:
        return Judged(0.6, f"Odoo takes {page.seconds:.1f} s for its lightest page: its workers are busy")
    return None


def label_engine_fails(facts: Facts) -> Judged | None:
    """A report cannot be printed, or is at it for long while the database has nothing to do for it."""
    suspicion = facts.suspicion
    if _told(facts, *_PRINT_WORDS):
        return Judged(0.95, "Odoo says that wkhtmltopdf failed")
    if suspicion.reason in {Reason.FAULT, Reason.WRONG} and any(map(suspicion.message.__contains__, _BAD_PRINTS)):
        return Judged(0.8, "Odoo answers, and a report cannot be printed")
    stuck = suspicion.reason in {None, Reason.TIMEOUT} and suspicion.step in _PRINTING
    if stuck and answered(facts.front) and not any(map(_works, _serving(facts))):
        return Judged(0.65, "printing takes long while the database has nothing to do for it: wkhtmltopdf hangs")
    return None


def queue_stands(facts: Facts) -> Judged | None:
    """Jobs are due that nobody takes up, and a step waited for what one was to do, or failed, perhaps so."""
    queue = facts.database.queue if facts.database else None
    if queue is None or queue.oldest < _STALE_JOB:
        return None
    suspicion = facts.suspicion
    if suspicion.waits and suspicion.reason in {Reason.WRONG, Reason.TIMEOUT}:
        return Judged(0.85, f"what the step waited for has not come: {_jobs(queue)}")
    return Judged(_MAYBE_JOBS[suspicion.reason], _jobs(queue)) if suspicion.reason in _MAYBE_JOBS else None


_MAYBE_JOBS: Final = {Reason.WRONG: 0.5, Reason.TIMEOUT: 0.4}
"""How sure it is that a step which waits for nobody fails for a job that was not done: less than that Odoo errs."""


def _jobs(queue: Queue) -> str:
    return f"{queue.due} jobs are due and not taken up, the oldest for {queue.oldest:.0f} s"


def odoo_says_no(facts: Facts) -> Judged | None:
    """Odoo answered with an error of its own, or said yes without doing it."""
    match facts.suspicion.reason:
        case Reason.FAULT:
            return Judged(0.7, "Odoo answers with an error of its own")
        case Reason.CONNECT if _NO_DATABASE in facts.suspicion.message:
            return Judged(0.65, "Odoo says that it has no such database")
        case Reason.WRONG:
            return Judged(0.6, "Odoo reports no error, and the result is not there or not right")
        case Reason.PARSE | Reason.VERSION if answered(facts.front):
            return Judged(0.5, "Odoo answers with something else than was asked for")
    return None


def cache_is_in_trouble(facts: Facts) -> Judged | None:
    """Redis is away, at work or full: what an Odoo with its sessions there cannot do without.

    By itself it counts only where nothing else does, since not every Odoo uses its Redis for that.
    """
    cache = facts.cache
    if cache is None:
        return None
    words = _CACHE_WORDS.get(cache.state)
    full = _is_full(cache) and not cache.policy.startswith("allkeys")
    if words is None and not full:
        return None
    what = words or f"Redis is full and may refuse to write: {_memory(cache)}"
    if "redis" in facts.suspicion.message.lower():
        return Judged(0.95, f"{what}, and Odoo's error names it")
    pages = _pages_fail(facts)
    if pages:
        return Judged(0.9, f"{what}, and {pages} while the database answers")
    return Judged(0.5, f"{what}, and nothing else is wrong that could be seen") if words else Judged(0.45, what)


def _pages_fail(facts: Facts) -> str:
    """How Odoo's lightest page goes wrong, as all do that find no session; empty where it does not."""
    page = facts.direct or facts.front
    if page is None or facts.database is None or facts.database.state is not State.ANSWERS:
        return ""
    if hangs(page):
        return "no page of Odoo is answered"
    return "every page of Odoo is an error" if answered(page) and page.status == _SERVER_ERROR else ""


def _is_full(cache: Cache) -> bool:
    return cache.limit > 0 and cache.used >= cache.limit * _FULL_SHARE


def _memory(cache: Cache) -> str:
    return f"{cache.used} of {cache.limit} bytes, policy {cache.policy}, {cache.evicted} keys evicted since its start"


_CACHE_WORDS: Final = {
    State.DOWN: "Redis takes no connections",
    State.SILENT: "Redis does not answer",
    State.LOADING: "Redis is loading its data",
    State.BUSY: "Redis is at work on a script",
}


def _told(facts: Facts, *words: str) -> bool:
    """Whether Odoo's own error says one of these."""
    message = facts.suspicion.message.lower()
    return facts.suspicion.reason is Reason.FAULT and any(word in message for word in words)


def _failed_with(facts: Facts, *words: str) -> bool:
    """Whether the step failed on its way to Odoo, with one of these words."""
    suspicion = facts.suspicion
    return suspicion.reason is Reason.CONNECT and any(word in suspicion.message for word in words)


RULES: Final[tuple[tuple[Cause, Rule], ...]] = (
    (Cause.DB_DOWN, database_down),
    (Cause.DB_SATURATED, connections_used_up),
    (Cause.AUTH, login_refused),
    (Cause.EDGE, edge_is_away),
    (Cause.EDGE, edge_is_astray),
    (Cause.ODOO_DOWN, odoo_is_down),
    (Cause.NETWORK, network_is_dark),
    (Cause.LOCK_WAIT, behind_a_lock),
    (Cause.DB_SLOW, statement_is_slow),
    (Cause.LABEL_ENGINE, label_engine_fails),
    (Cause.ODOO_WORKERS_BUSY, workers_are_busy),
    (Cause.QUEUE_STALLED, queue_stands),
    (Cause.ODOO_ERROR, odoo_says_no),
    (Cause.REDIS, cache_is_in_trouble),
)
"""Every rule with the cause it speaks for, in the order that decides between equally sure ones."""


# --- what stands beside -----------------------------------------------------------------------------------------------


def _beside(facts: Facts) -> Iterator[str]:
    """Conspicuous things that are no cause by themselves."""
    if facts.database is not None:
        yield from _beside_in(facts.database)
    if facts.cache is not None and _is_full(facts.cache) and facts.cache.policy.startswith("allkeys"):
        yield f"Redis is full and evicts: {_memory(facts.cache)}"
    standby = facts.standby
    if standby is not None and standby.state is not State.ANSWERS:
        yield f"the standby is not to be read: {standby.state.value}"
    elif standby is not None and standby.behind >= _BEHIND:
        yield f"the standby is {standby.behind:.0f} s and {standby.backlog} bytes behind in replaying"


def _beside_in(database: Database) -> Iterator[str]:
    waiting = sum(bool(one.blockers) and is_odoo(one) for one in database.sessions)
    if waiting > 1:
        yield f"{waiting} sessions of Odoo wait for locks"
    oldest = max(database.sessions, key=lambda one: one.transaction_age or 0.0, default=None)
    if oldest is not None and (oldest.transaction_age or 0.0) >= _OLD_TRANSACTION:
        yield f"the oldest transaction is open for {oldest.transaction_age:.0f} s, pid {oldest.pid}, {oldest.state}"
    if database.usable and database.used >= 0.9 * database.usable:
        yield f"{database.used} of {database.usable} database connections are taken"
    if database.queue is not None and database.queue.oldest >= _STALE_JOB:
        yield _jobs(database.queue)
    if database.late_crons:
        yield f"{database.late_crons} scheduled actions are late by more than 10 minutes"
