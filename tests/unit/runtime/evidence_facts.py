"""Facts for the tests of the rules: a step of order_create that is slow, and surroundings in which all is well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from quaywatch.contract import Phase, Reason, Trouble, Visit
from quaywatch.runtime.evidence.facts import Cache, Database, Facts, Queue, Session, Standby
from quaywatch.runtime.probing import Case, Suspicion, Trigger

CASE: Final = Case(target="erp", probe="order_create", database="acme", run_id="r", mark="quaywatch/acme-eu/r")
SLOW: Final = Suspicion(case=CASE, step="create", trigger=Trigger.SLOW, since=0.0, elapsed=10.0)
ANSWER: Final = Visit(0.02, {Phase.CONNECT: 0.001, Phase.PROCESSING: 0.01}, status=200)
HANGS: Final = Visit(1.5, {Phase.CONNECT: 0.001}, trouble=Trouble.TIMEOUT)
SWALLOWED: Final = Visit(1.5, trouble=Trouble.TIMEOUT)
REFUSED: Final = Visit(0.001, trouble=Trouble.CONNECT)
CUT: Final = Visit(0.001, {Phase.CONNECT: 0.001}, trouble=Trouble.PROTOCOL)
NO_NAME: Final = Visit(0.01, trouble=Trouble.DNS)
NO_TLS: Final = Visit(0.01, {Phase.CONNECT: 0.001}, trouble=Trouble.TLS)
BAD_GATEWAY: Final = replace(ANSWER, status=502)
WELL: Final = Database(name="acme", used=20, usable=197, odoo_sessions=4, seconds=0.03, queue=Queue(due=0, oldest=0.0))
SERVING: Final = Session(
    pid=77, database="acme", transaction_age=9.8, statement_age=9.7, written=frozenset({"sale_order"})
)
HOLDER: Final = Session(
    pid=4312, database="acme", state="idle in transaction", application_name="import", transaction_age=74.2
)


def failed(reason: Reason, message: str = "", step: str = "create") -> Suspicion:
    """The step, failed."""
    return replace(SLOW, trigger=Trigger.FAILED, reason=reason, message=message, step=step)


def facts(suspicion: Suspicion = SLOW, **changed: Any) -> Facts:
    """A world in which all is well, but for what is ``changed``."""
    well: dict[str, Any] = {"front": ANSWER, "database": WELL, "standby": Standby(), "cache": Cache()}
    return Facts(suspicion=suspicion, **{**well, **changed})


def database(*sessions: Session, **changed: Any) -> Database:
    """A database that answers, with these sessions in transactions."""
    return replace(WELL, sessions=sessions, **changed)
