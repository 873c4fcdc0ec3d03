"""Odoo over its RPC and its pages: answers in, samples out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from exporters import (
    odoo_rpc_business,
    odoo_rpc_crons,
    odoo_rpc_messages,
    odoo_rpc_modules,
    odoo_rpc_queue,
    odoo_web,
)
from exporters.odoo_rpc import oldest_age
from quaywatch.contract import Browser, Exporter, Odoo, Value
from quaywatch.errors import ConfigError, ConnectError, DeadlineError, FaultError, ParseError, VersionError

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]

_WHAT = ("install", "upgrade", "remove")


@dataclass
class Page:
    """An answer."""

    status: int = 200
    body: bytes = b""
    seconds: float = 0.02


@dataclass
class CannedOdoo:
    """Answers by method or path; an exception is raised. What it was asked is remembered."""

    answers: dict[str, Any] = field(default_factory=dict)
    models: dict[str, frozenset[str]] = field(default_factory=dict)
    major: int = 19
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    database: str = "acme"

    async def ping(self) -> None:
        """It is there."""

    async def close(self) -> None:
        """Nothing is open."""

    async def version(self) -> int:
        """The major version."""
        return self.major

    async def fields(self, model: str) -> frozenset[str]:
        """Those of the models there are."""
        if model not in self.models:
            raise VersionError(f"there is no model {model}")
        return self.models[model]

    async def call(self, model: str, method: str, *arguments: Any, **keywords: Any) -> Any:
        """The canned answer."""
        self.asked.append((model, method, *arguments, keywords))
        return self._answer(method)

    async def get(self, path: str) -> Page:
        """The canned page."""
        self.asked.append((path,))
        page: Page = self._answer(path)
        return page

    def janitor(self) -> Odoo | None:
        """Nobody may delete."""
        return None

    async def log_in(self) -> int:
        """Nobody asks for it."""
        raise NotImplementedError

    async def log_in_web(self) -> int:
        """Nobody asks for it."""
        raise NotImplementedError

    async def report(self, name: str, records: Sequence[int] = (), *, form: str = "pdf", options: Any = None) -> bytes:
        """Nobody asks for it."""
        raise NotImplementedError

    def browser(self) -> Browser:
        """There is none."""
        raise ConfigError("no browser")

    def _answer(self, key: str) -> Any:
        if isinstance(self.answers[key], Exception):
            raise self.answers[key]
        return self.answers[key]


_OF_MODULES = [odoo_rpc_queue.EXPORTER, odoo_rpc_business.EXPORTER, odoo_rpc_messages.EXPORTER]


@pytest.mark.parametrize("exporter", _OF_MODULES, ids=lambda e: e.name)
async def test_without_the_modules_there_is_nothing(exporter: Exporter[Any, Any, Any], read: Read) -> None:
    """No sample, no error; and nothing is read unless it is turned on."""
    assert await read(exporter, CannedOdoo()) == {}
    assert not exporter.on


@pytest.mark.parametrize(("major", "method"), [(18, "read_group"), (19, "formatted_read_group")])
async def test_the_queue_is_grouped_as_the_version_does(major: int, method: str, read: Read) -> None:
    """Row 29: counts by channel and state; a job without a channel has an empty one."""
    groups = [
        {"channel": "root", "state": "pending", "__count": 4},
        {"channel": False, "state": "failed", "__count": 1},
    ]
    answers = {method: groups, "search_read": [], "search_count": 0}
    odoo = CannedOdoo(answers, {"queue.job": frozenset({"state"})}, major)
    assert await read(odoo_rpc_queue.EXPORTER, odoo) == {
        ("odoo.rpc.queue.live",): 5,
        ("odoo.rpc.queue.jobs", "root", "pending"): 4,
        ("odoo.rpc.queue.jobs", "", "failed"): 1,
        ("odoo.rpc.queue.failed.recent",): 0,
        ("odoo.rpc.queue.retrying",): 0,
    }


async def test_a_moment_that_is_none_is_an_error() -> None:
    """It is never taken for now."""
    odoo = CannedOdoo({"search_read": [{"eta": False}]})
    with pytest.raises(ParseError):
        await oldest_age(odoo, "queue.job", [], "eta")


async def test_a_clock_ahead_makes_no_negative_age() -> None:
    """Odoo's clock and the agent's may differ."""
    odoo = CannedOdoo({"search_read": [{"eta": "2999-01-01 00:00:00"}]})
    assert await oldest_age(odoo, "queue.job", [], "eta") == 0.0


async def test_stock_without_sales_has_no_order_to_look_at(read: Read) -> None:
    """Row 38: domains name only fields that are there."""
    odoo = CannedOdoo({"search_count": 3}, {"stock.picking": frozenset({"state"})})
    assert await read(odoo_rpc_business.EXPORTER, odoo) == {
        ("odoo.rpc.pickings.open", "waiting"): 3,
        ("odoo.rpc.pickings.late", "waiting"): 3,
        ("odoo.rpc.pickings.open", "ready"): 3,
        ("odoo.rpc.pickings.late", "ready"): 3,
    }
    assert "sale_id" not in str(odoo.asked)


@pytest.mark.parametrize(
    ("page", "up"), [(Page(200), 1), (Page(303), 1), (Page(404), 0), (Page(500), 0), (Page(502), 0)]
)
async def test_an_answer_without_an_error_is_up(page: Page, up: int, read: Read) -> None:
    """A redirect to a login is an answer; where neither page is there, it is not Odoo that answers."""
    odoo = CannedOdoo({odoo_web.HEALTH: page, odoo_web.LOGIN: Page(404)})
    assert await read(odoo_web.EXPORTER, odoo) == {("odoo.web.up",): up, ("odoo.web.duration",): 0.02}


@pytest.mark.parametrize("error", [ConnectError("refused"), DeadlineError("late")], ids=["refused", "late"])
async def test_no_answer_is_a_zero(error: Exception, read: Read) -> None:
    """It is what is measured; how long nothing took is absent."""
    assert await read(odoo_web.EXPORTER, CannedOdoo({odoo_web.HEALTH: error})) == {("odoo.web.up",): 0}


async def test_an_answer_that_takes_too_long_is_none(read: Read) -> None:
    """The option bounds it, whatever the driver's own patience is."""

    class Slow(CannedOdoo):
        async def get(self, path: str) -> Page:
            await asyncio.Event().wait()
            return await super().get(path)

    assert await read(odoo_web.EXPORTER, Slow(), odoo_web.Options(within=0.001)) == {("odoo.web.up",): 0}


async def test_other_trouble_is_an_error(read: Read) -> None:
    """A defect is not taken for an outage."""
    with pytest.raises(FaultError):
        await read(odoo_web.EXPORTER, CannedOdoo({odoo_web.HEALTH: FaultError("odd")}))


@pytest.mark.parametrize(
    ("body", "database"),
    [
        (b'{"status": "pass", "db_server_status": true}', 1),
        (b'{"status": "fail", "db_server_status": false}', 0),
        (b'{"status": "pass"}', None),
        (b"[]", None),
        (b"<html>", None),
        (b"\xff", None),
    ],
)
async def test_the_database_server_is_known_where_it_is_said(body: bytes, database: int | None, read: Read) -> None:
    """Absent where the page does not say."""
    odoo = CannedOdoo({odoo_web.HEALTH: Page(500 if database == 0 else 200, body)})
    assert (await read(odoo_web.EXPORTER, odoo)).get(("odoo.web.database.up",)) == database


async def test_without_a_health_page_the_login_page_is_visited_from_then_on(read: Read) -> None:
    """A page that is not there is asked for once."""
    odoo, memory = CannedOdoo({odoo_web.HEALTH: Page(404), odoo_web.LOGIN: Page(200)}), odoo_web.Memory()
    for _ in range(2):
        assert (await read(odoo_web.EXPORTER, odoo, None, memory))["odoo.web.up",] == 1
    assert odoo.asked == [(odoo_web.HEALTH,), (odoo_web.LOGIN,), (odoo_web.LOGIN,)]


async def test_code_of_another_version_than_the_database_is_skew(read: Read) -> None:
    """Each module counts, and the base apart, without which no cron runs; the exporter is off until it is turned on."""
    rows: list[dict[str, Any]] = [
        {"name": "base", "state": "installed", "latest_version": "19.0.1.3", "installed_version": "19.0.1.3"},
        {"name": "stock", "state": "installed", "latest_version": "19.0.1.1", "installed_version": "19.0.1.2"},
        {"name": "sale", "state": "to install", "latest_version": False, "installed_version": "19.0.1.2"},
    ]
    odoo = CannedOdoo({"search_read": rows})
    assert not odoo_rpc_modules.EXPORTER.on
    waiting = {("odoo.rpc.modules.waiting", f"to_{what}"): int(what == "install") for what in _WHAT}
    assert await read(odoo_rpc_modules.EXPORTER, odoo) == waiting | {
        ("odoo.rpc.modules.skewed",): 1,
        ("odoo.rpc.base.skewed",): 0,
    }
    rows[0]["installed_version"] = "19.0.1.4"
    assert await read(odoo_rpc_modules.EXPORTER, odoo) == waiting | {
        ("odoo.rpc.modules.skewed",): 2,
        ("odoo.rpc.base.skewed",): 1,
    }


async def test_crons_of_an_old_odoo_may_have_no_call_left(read: Read) -> None:
    """Row 31: such a one is switched off in truth; and before 18 no failures are noted, which are absent, not 0."""
    times = {"nextcall": "2020-01-01 00:00:00", "lastcall": "2019-12-31 00:00:00"}
    crons = [
        {"id": 1, "cron_name": "Mail", "active": True, "numbercall": -1, **times},
        {"id": 2, "cron_name": "Once", "active": True, "numbercall": 0, **times},
    ]
    fields = frozenset({"cron_name", "active", "nextcall", "lastcall", "numbercall"})
    odoo = CannedOdoo({"search_read": crons, "search_count": 0}, {"ir.cron": fields}, 14)
    found = await read(odoo_rpc_crons.EXPORTER, odoo)
    counted = {key[0]: value for key, value in found.items() if len(key) == 1 and not key[0].endswith(("age", "est"))}
    assert counted == {
        "odoo.cron.active": 1,
        "odoo.cron.inactive": 1,
        "odoo.cron.overdue": 1,
        "odoo.cron.skipped": 0,
    }


@pytest.mark.parametrize(("major", "calls"), [(14, 1), (19, 2)])
async def test_a_planned_mail_waits_since_its_time(major: int, calls: int, read: Read) -> None:
    """Row 32: before 16 the planned time is a text, and tells no age."""
    groups = [{"state": "outgoing", "__count": 2}]
    record = {"create_date": "2020-01-01 00:00:00", "scheduled_date": "2019-01-01 00:00:00"}
    answers = {"read_group": groups, "formatted_read_group": groups, "search_read": [record]}
    odoo = CannedOdoo(answers, {"mail.mail": frozenset({"state"})}, major)
    found = await read(odoo_rpc_messages.EXPORTER, odoo)
    assert found["odoo.mail.backlog", "outgoing"] == 2
    assert found["odoo.mail.backlog", "exception"] == 0
    assert ("odoo.mail.oldest.age", "exception") not in found
    assert len([asked for asked in odoo.asked if asked[1] == "search_read"]) == calls
