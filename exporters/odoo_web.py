"""Odoo's web server as a visitor finds it: whether it answers, how fast, and whether it reaches PostgreSQL.

By its health page, which takes no session, from version 16 on; before, by the login page, always in one session. The
health page proves an HTTP worker; only from version 19 on (and late builds of 18) it says whether the database server
answers. No answer is a 0 here and no error: it is what is measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from quaywatch.contract import Answer, Exporter, Kind, Metric, Odoo, Sample, TargetKind
from quaywatch.drivers.json_answers import read_json
from quaywatch.errors import ConnectError, DeadlineError, ParseError

UP = Metric("odoo.web.up", Kind.GAUGE, "", "1 when Odoo's web server answered a visitor without an error, else 0.")
DURATION = Metric(
    "odoo.web.duration", Kind.GAUGE, "s", "How long the web server's last answer took. Absent without an answer."
)
DATABASE = Metric(
    "odoo.web.database.up",
    Kind.GAUGE,
    "",
    "1 when the web server reaches its database server, else 0. Absent where it does not say (before Odoo 19).",
)

HEALTH = "/web/health?db_server_status=1"
"""Versions that do not know the parameter pass over it."""
LOGIN = "/web/login"

_NOT_FOUND = 404
_FIRST_ERROR = 400


@dataclass(frozen=True, slots=True)
class Options:
    """What a configuration may tune."""

    within: float = field(
        default=5.0, metadata={"help": "seconds after which an answer counts as none; less than the deadline"}
    )


@dataclass(slots=True)
class Memory:
    """The page that this server has."""

    page: str = HEALTH


async def collect(odoo: Odoo, options: Options, memory: Memory) -> AsyncIterator[Sample]:
    """One visit."""
    try:
        async with asyncio.timeout(options.within):
            answer = await _visit(odoo, memory)
    except (TimeoutError, ConnectError, DeadlineError):
        yield UP(0)
        return
    yield UP(int(answer.status < _FIRST_ERROR))
    yield DURATION(answer.seconds)
    reached = _database(answer)
    if reached is not None:
        yield DATABASE(int(reached))


async def _visit(odoo: Odoo, memory: Memory) -> Answer:
    answer = await odoo.get(memory.page)
    if memory.page == HEALTH and answer.status == _NOT_FOUND:
        answer = await odoo.get(LOGIN)
        if answer.status < _FIRST_ERROR:
            memory.page = LOGIN
    return answer


def _database(answer: Answer) -> bool | None:
    """What the health page says of the database server, if it is one and does."""
    try:
        said = read_json(answer.body, "the page")
    except ParseError:
        return None
    reached = said.get("db_server_status") if isinstance(said, dict) else None
    return reached if isinstance(reached, bool) else None


EXPORTER: Exporter[Odoo, Options, Memory] = Exporter(
    name="odoo_web",
    reads=TargetKind.ODOO,
    metrics=(UP, DURATION, DATABASE),
    options=Options,
    collect=collect,
    state=Memory,
    every=30.0,
    deadline=10.0,
)
