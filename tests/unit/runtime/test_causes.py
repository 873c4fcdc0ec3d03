"""The rules from facts to causes, one after the other, and who goes before whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quaywatch.contract import Reason
from quaywatch.runtime.evidence.facts import Cache, Database, Facts, Queue, Session, Standby, State
from quaywatch.runtime.evidence.matching import root_of, serving
from quaywatch.runtime.evidence.rules import RULES, classify
from quaywatch.runtime.probing import Cause
from tests.unit.runtime.evidence_facts import (
    ANSWER,
    BAD_GATEWAY,
    CUT,
    HANGS,
    HOLDER,
    NO_NAME,
    NO_TLS,
    REFUSED,
    SERVING,
    SLOW,
    SWALLOWED,
    WELL,
    database,
    facts,
    failed,
)

BEHIND = replace(SERVING, blockers=(4312,))
LOST = Database(state=State.DOWN)
STALLED = replace(WELL, queue=Queue(due=25, oldest=1800.0))
ALONE = replace(WELL, odoo_sessions=0)
NO_WAY = replace(ANSWER, status=404, body=b"404 page not found\n")

CASES: dict[str, tuple[Facts, Cause, str]] = {
    "password": (facts(failed(Reason.AUTH)), Cause.AUTH, "orders fail: Odoo refuses the probe's login"),
    "right": (facts(failed(Reason.PERMISSION)), Cause.AUTH, "may not do this"),
    "database refused": (facts(database=LOST), Cause.DB_DOWN, "orders stall: the database server takes no connections"),
    "database silent": (facts(database=Database(state=State.SILENT)), Cause.DB_DOWN, "does not answer"),
    "database missing": (facts(database=Database(state=State.MISSING, name="acme")), Cause.DB_DOWN, "no database acme"),
    "database told": (
        facts(failed(Reason.FAULT, "OperationalError: could not connect to server"), database=None),
        Cause.DB_DOWN,
        "cannot reach its database",
    ),
    "no slot": (facts(database=Database(state=State.FULL)), Cause.DB_SATURATED, "no connection left"),
    "no slot for the role": (
        facts(database=database(exhausted=("role odoo",))),
        Cause.DB_SATURATED,
        "limit of role odoo",
    ),
    "all slots": (facts(database=database(used=197)), Cause.DB_SATURATED, "all 197 connections"),
    "no slot told": (
        facts(failed(Reason.FAULT, "PoolError: The Connection Pool Is Full")),
        Cause.DB_SATURATED,
        "gets no database connection",
    ),
    "lock": (
        facts(database=database(BEHIND, HOLDER)),
        Cause.LOCK_WAIT,
        "orders stall: lock wait behind pid 4312, idle in transaction 74 s, database acme, application import",
    ),
    "lock that is gone": (facts(database=database(BEHIND)), Cause.LOCK_WAIT, "that is gone by now"),
    "lock told": (
        facts(failed(Reason.FAULT, "could not obtain lock on row in relation")),
        Cause.LOCK_WAIT,
        "did not get a lock in time",
    ),
    "statement": (
        facts(database=database(replace(SERVING, wait_type="IO", wait_event="DataFileRead"))),
        Cause.DB_SLOW,
        "at one statement for 9.7 s, pid 77, waits for IO DataFileRead",
    ),
    "reading": (facts(database=database(seconds=1.6)), Cause.DB_SLOW, "took 1.6 s for a light reading"),
    "statement told": (
        facts(failed(Reason.FAULT, "canceling statement due to statement timeout")),
        Cause.DB_SLOW,
        "past its time limit",
    ),
    "name": (facts(front=NO_NAME), Cause.NETWORK, "leads nowhere"),
    "swallowed": (facts(front=SWALLOWED), Cause.NETWORK, "at Odoo's address, while others answer"),
    "all swallowed": (
        facts(front=SWALLOWED, database=Database(state=State.SILENT), cache=Cache(state=State.SILENT)),
        Cause.NETWORK,
        "nobody takes or refuses a connection",
    ),
    "odoo starting": (facts(front=HANGS, database=ALONE), Cause.ODOO_DOWN, "uses no database: it is starting"),
    "edge away": (facts(front=REFUSED, edge=REFUSED, fronted=True), Cause.EDGE, "the edge takes no connections"),
    "edge astray": (
        facts(front=BAD_GATEWAY, edge=ANSWER, direct=ANSWER, fronted=True),
        Cause.EDGE,
        "the edge says 502, while Odoo itself answers",
    ),
    "edge without a way": (facts(front=NO_WAY, edge=ANSWER, fronted=True), Cause.EDGE, "knows no way to Odoo"),
    "odoo refused": (facts(front=REFUSED), Cause.ODOO_DOWN, "Odoo takes no connections"),
    "odoo refused behind": (
        facts(front=BAD_GATEWAY, direct=REFUSED, edge=ANSWER, fronted=True),
        Cause.ODOO_DOWN,
        "Odoo takes no connections",
    ),
    "gateway": (facts(front=BAD_GATEWAY), Cause.ODOO_DOWN, "the proxy in front of Odoo says 502"),
    "odoo hangs up": (facts(front=CUT), Cause.ODOO_DOWN, "takes connections and cuts them"),
    "odoo hangs up behind": (
        facts(front=replace(BAD_GATEWAY, status=504), direct=CUT, fronted=True),
        Cause.ODOO_DOWN,
        "takes connections and cuts them",
    ),
    "odoo restarted: refused, then not answered": (
        facts(failed(Reason.CONNECT, "erp: nobody listens there"), front=HANGS, database=ALONE),
        Cause.ODOO_DOWN,
        "nobody listened at Odoo's address, which has not answered since",
    ),
    "odoo restarted: cut, then not answered": (
        facts(failed(Reason.CONNECT, "erp: the connection was cut"), front=HANGS, database=ALONE),
        Cause.ODOO_DOWN,
        "cut the connection and has not answered since",
    ),
    "odoo restarted: refused, then answered": (
        facts(failed(Reason.CONNECT, "erp: nobody listens there")),
        Cause.ODOO_DOWN,
        "nobody listened at Odoo's address, which answers again",
    ),
    "odoo restarted behind": (
        facts(failed(Reason.CONNECT, "erp: the proxy in front says 502"), fronted=True),
        Cause.ODOO_DOWN,
        "did not reach Odoo, which answers again",
    ),
    "no way": (
        facts(failed(Reason.CONNECT, "erp: the host cannot be reached"), front=REFUSED),
        Cause.NETWORK,
        "no way leads to the host",
    ),
    "worker died": (facts(failed(Reason.CONNECT, "erp: the connection was cut")), Cause.ODOO_DOWN, "a worker died"),
    "unknown database": (facts(failed(Reason.CONNECT, "there is no database a")), Cause.ODOO_ERROR, "no such database"),
    "certificate": (facts(front=NO_TLS), Cause.NETWORK, "no trusted connection by TLS can be made to Odoo's address"),
    "edge's certificate": (facts(front=NO_TLS, fronted=True), Cause.EDGE, "can be made to the edge"),
    "busy": (facts(front=HANGS), Cause.ODOO_WORKERS_BUSY, "all its workers are busy"),
    "busy behind": (
        facts(front=replace(BAD_GATEWAY, status=504), direct=HANGS, edge=ANSWER, fronted=True),
        Cause.ODOO_WORKERS_BUSY,
        "all its workers are busy",
    ),
    "sluggish": (facts(front=replace(ANSWER, seconds=1.3)), Cause.ODOO_WORKERS_BUSY, "1.3 s for its lightest page"),
    "printer": (facts(failed(Reason.FAULT, "Wkhtmltopdf failed")), Cause.LABEL_ENGINE, "wkhtmltopdf failed"),
    "report": (
        facts(failed(Reason.FAULT, "erp: HTTP 500 in place of the report x as pdf", "slip")),
        Cause.LABEL_ENGINE,
        "cannot be printed",
    ),
    "blank": (facts(failed(Reason.WRONG, "the PDF is blank", "slip")), Cause.LABEL_ENGINE, "cannot be printed"),
    "printing": (facts(replace(SLOW, step="slip")), Cause.LABEL_ENGINE, "wkhtmltopdf hangs"),
    "queue": (
        facts(replace(failed(Reason.WRONG), waits=True), database=STALLED),
        Cause.QUEUE_STALLED,
        "what the step waited for has not come: 25 jobs are due and not taken up",
    ),
    "queue beside": (facts(failed(Reason.WRONG), database=STALLED), Cause.ODOO_ERROR, "not there or not right"),
    "queue in time": (facts(failed(Reason.TIMEOUT), database=STALLED), Cause.QUEUE_STALLED, "the oldest for 1800 s"),
    "fault": (facts(failed(Reason.FAULT, "the constraint")), Cause.ODOO_ERROR, "an error of its own"),
    "wrong": (facts(failed(Reason.WRONG)), Cause.ODOO_ERROR, "not there or not right"),
    "parse": (facts(failed(Reason.PARSE)), Cause.ODOO_ERROR, "something else than was asked for"),
    "redis away": (facts(cache=Cache(state=State.DOWN)), Cause.REDIS, "Redis takes no connections"),
    "redis loading": (facts(cache=Cache(state=State.LOADING)), Cause.REDIS, "loading"),
    "redis named": (
        facts(failed(Reason.FAULT, "Error 111 connecting to redis:6379"), cache=Cache(state=State.DOWN)),
        Cause.REDIS,
        "Redis takes no connections, and Odoo's error names it",
    ),
    "sessions in redis, away": (
        facts(failed(Reason.FAULT), front=replace(ANSWER, status=500), cache=Cache(state=State.DOWN)),
        Cause.REDIS,
        "every page of Odoo is an error while the database answers",
    ),
    "sessions in redis, silent": (
        facts(front=HANGS, cache=Cache(state=State.SILENT)),
        Cause.REDIS,
        "no page of Odoo is answered while the database answers",
    ),
    "redis full": (facts(cache=Cache(used=99, limit=100, policy="noeviction")), Cause.REDIS, "policy noeviction"),
    "nothing": (facts(), Cause.UNKNOWN, "orders stall: nothing was found that explains it"),
    "nothing to look at": (Facts(suspicion=SLOW), Cause.UNKNOWN, "nothing was found"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_rule(name: str) -> None:
    """Each set of facts has its cause, and the first sentence says why."""
    given, cause, words = CASES[name]
    evidence = classify(given)
    assert (evidence.cause, words in evidence.sentences[0]) == (cause, True), evidence
    assert (evidence.confidence == 0.0) is (cause is Cause.UNKNOWN)


def test_every_cause_has_a_rule_and_a_case() -> None:
    """None of the enumeration's values is never said."""
    assert {cause for cause, _ in RULES} | {Cause.UNKNOWN} == set(Cause)
    assert {cause for _, cause, _ in CASES.values()} == set(Cause)


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        (facts(failed(Reason.FAULT, "could not connect"), database=LOST, cache=Cache(state=State.DOWN)), Cause.DB_DOWN),
        (facts(front=HANGS, database=Database(state=State.SILENT)), Cause.DB_DOWN),
        (facts(front=HANGS, database=database(BEHIND, HOLDER)), Cause.LOCK_WAIT),
        (facts(database=replace(STALLED, sessions=(BEHIND, HOLDER))), Cause.LOCK_WAIT),
        (facts(front=REFUSED, cache=Cache(state=State.DOWN)), Cause.ODOO_DOWN),
        (facts(failed(Reason.FAULT), cache=Cache(state=State.DOWN)), Cause.ODOO_ERROR),
        (facts(replace(SLOW, step="slip"), database=database(BEHIND, HOLDER)), Cause.LOCK_WAIT),
    ],
)
def test_what_lies_deeper_goes_first(given: Facts, cause: Cause) -> None:
    """Of several rules that apply, the one closest to the ground names the cause."""
    assert classify(given).cause is cause


def test_the_session_of_a_step_is_known_by_what_it_does() -> None:
    """Its mark, then tables it writes, then tables it reads; strangers little, and others not at all."""
    marked = replace(SERVING, pid=1, bears_mark=True, written=frozenset())
    reader = replace(SERVING, pid=2, written=frozenset(), read=frozenset({"sale_order"}))
    stranger = replace(SERVING, pid=3, application_name="web-order")
    elsewhere = replace(SERVING, pid=4, database="other")
    old = replace(SERVING, pid=5, transaction_age=60.0)
    idler = replace(SERVING, pid=6, written=frozenset())
    found = serving(SLOW, database(stranger, elsewhere, old, idler, reader, SERVING, marked))
    assert [one.session.pid for one in found] == [1, 77, 2, 3]
    assert [one.confidence for one in found] == [0.98, 0.9, 0.6, 0.3]


def test_a_statement_that_began_late_explains_less() -> None:
    """A wait of the last second of ten is less surely what the step waits for."""
    (late,) = serving(SLOW, database(replace(SERVING, statement_age=1.0)))
    assert late.confidence < 0.9


def test_no_session_serves_a_step_that_was_answered() -> None:
    """A call that failed with Odoo's answer is over; one that ran out of time may still go on."""
    waiting = database(BEHIND, HOLDER)
    assert classify(facts(failed(Reason.FAULT), database=waiting)).cause is Cause.ODOO_ERROR
    assert classify(facts(failed(Reason.TIMEOUT), database=waiting)).cause is Cause.LOCK_WAIT


def test_ten_others_that_wait_are_not_named() -> None:
    """Sessions that have not touched the flow's tables never speak for it, however many wait."""
    others = [Session(pid=pid, database="acme", transaction_age=5.0, blockers=(4312,)) for pid in range(100, 110)]
    evidence = classify(facts(database=database(*others, HOLDER)))
    assert evidence.cause is Cause.UNKNOWN
    assert "10 sessions of Odoo wait for locks" in evidence.sentences


def test_two_that_may_serve_the_step_are_half_as_sure() -> None:
    """Behind different holders either may be the cause, and that is what the confidence says."""
    other = replace(BEHIND, pid=78, blockers=(9,))
    evidence = classify(facts(database=database(BEHIND, other, HOLDER, replace(HOLDER, pid=9))))
    assert (evidence.cause, evidence.confidence) == (Cause.LOCK_WAIT, 0.45)


def test_the_root_is_found_behind_others() -> None:
    """Not the session right in front, but the one that waits for nobody; all behind it are counted."""
    between = replace(BEHIND, pid=5)
    chain = database(replace(BEHIND, blockers=(5,)), between, HOLDER)
    root = root_of(chain.sessions[0], chain)
    assert root is not None
    assert (root.session.pid, root.held_up) == (4312, 2)


def test_sessions_in_a_ring_end_the_search() -> None:
    """A deadlock that PostgreSQL has not yet ended has no root."""
    ring = database(replace(BEHIND, blockers=(5,)), replace(BEHIND, pid=5, blockers=(77,)))
    assert root_of(ring.sessions[0], ring) is None


def test_a_prepared_transaction_holds_without_a_pid() -> None:
    """It is told as what it is, with its age."""
    held = database(replace(BEHIND, blockers=(0,), prepared_age=3600.0))
    assert (
        "lock wait behind a prepared transaction 3600 s, database acme" in classify(facts(database=held)).sentences[0]
    )


def test_what_stands_beside_is_said_after_the_cause() -> None:
    """An old transaction, a late standby, late actions: no causes, and worth a sentence each."""
    strange = database(replace(HOLDER, transaction_age=3000.0), used=190)
    full = Cache(used=100, limit=100, policy="allkeys-lru", evicted=5)
    evidence = classify(facts(database=strange, standby=Standby(behind=40.0, backlog=9), cache=full))
    assert evidence.cause is Cause.UNKNOWN
    assert evidence.sentences[1:] == (
        "the oldest transaction is open for 3000 s, pid 4312, idle in transaction",
        "190 of 197 database connections are taken",
        "Redis is full and evicts: 100 of 100 bytes, policy allkeys-lru, 5 keys evicted since its start",
        "the standby is 40 s and 9 bytes behind in replaying",
    )


def test_work_that_nobody_takes_up_is_said_beside_a_slow_step() -> None:
    """Jobs and scheduled actions that are late slow no step down by themselves."""
    evidence = classify(facts(database=replace(STALLED, late_crons=2)))
    assert evidence.cause is Cause.UNKNOWN
    assert evidence.sentences[1:] == (
        "25 jobs are due and not taken up, the oldest for 1800 s",
        "2 scheduled actions are late by more than 10 minutes",
    )


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        ("label_print", "labels stall"),
        ("shipment_confirm", "shipments stall"),
        ("stock_reserve", "reservations stall"),
        ("browser_login", "log-ins stall"),
        ("night_run", "steps of night_run stall"),
    ],
)
def test_the_sentence_begins_with_what_stalls(probe: str, words: str) -> None:
    """In the words of who asks whether one can ship."""
    slow = replace(SLOW, case=replace(SLOW.case, probe=probe))
    assert classify(facts(slow)).sentences[0].startswith(f"{words}: ")
