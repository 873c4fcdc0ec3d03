"""Modules, sessions and channels: rows in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from exporters import odoo_modules, odoo_queue_channels, odoo_sessions
from exporters.odoo_tables import COLUMNS
from quaywatch.contract import Exporter, Postgres, Row, Value

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Postgres]


def tables(**columns: str) -> list[Row]:
    """What a database has."""
    return [{"table": table, "column": name} for table, names in columns.items() for name in names.split()]


@pytest.mark.parametrize(
    "exporter",
    [odoo_modules.EXPORTER, odoo_sessions.EXPORTER, odoo_queue_channels.EXPORTER],
    ids=lambda exporter: exporter.name,
)
async def test_a_database_without_odoo_gives_nothing(
    exporter: Exporter[Any, Any, Any], postgres: Make, read: Read
) -> None:
    """No sample, no error, and nothing more is asked."""
    assert await read(exporter, postgres({COLUMNS: []})) == {}


async def test_modules_that_wait_and_the_version(postgres: Make, read: Read) -> None:
    """The base module may itself be the one that waits."""
    rows = [
        {"state": "installed", "modules": 67, "version": None},
        {"state": "to upgrade", "modules": 2, "version": "19.0.1.3"},
    ]
    answers = {COLUMNS: tables(ir_module_module="name state latest_version"), odoo_modules.STATES: rows}
    assert await read(odoo_modules.EXPORTER, postgres(answers)) == {
        ("odoo.modules.installed",): 67,
        ("odoo.modules.waiting", "to_install"): 0,
        ("odoo.modules.waiting", "to_upgrade"): 2,
        ("odoo.modules.waiting", "to_remove"): 0,
        ("odoo.version.info", "19.0.1.3"): 1,
    }


@pytest.mark.parametrize(
    ("presence", "statement"),
    [("bus_presence", odoo_sessions.ONLINE_BUS), ("mail_presence", odoo_sessions.ONLINE_MAIL)],
)
async def test_presence_is_where_the_version_keeps_it(
    presence: str, statement: str, postgres: Make, read: Read
) -> None:
    """Without a log of devices the sessions are absent."""
    answers = {COLUMNS: tables(**{presence: "user_id last_poll"}), statement: [{"users": 3}]}
    assert await read(odoo_sessions.EXPORTER, postgres(answers)) == {("odoo.users.online",): 3}


async def test_sessions_are_counted_without_the_excluded_users(postgres: Make, read: Read) -> None:
    """The logins are looked up only where some are named."""
    answers = {
        COLUMNS: tables(res_device_log="user_id"),
        odoo_sessions.EXCLUDED: [{"id": "7"}],
        odoo_sessions.DEVICES: [{"sessions": 5, "users": 4}],
    }
    options = odoo_sessions.Options(exclude_users=("probe",))
    assert await read(odoo_sessions.EXPORTER, postgres(answers), options) == {
        ("odoo.sessions.recent",): 5,
        ("odoo.sessions.users.recent",): 4,
    }


def channel(**others: Any) -> Row:
    """A channel that did nothing, save what is told otherwise."""
    columns = ("paused", "capacity", "delay", "delay_longest", "execution", "execution_longest")
    return {"channel": "root", "done": 0, **dict.fromkeys(columns), **others}


async def test_an_idle_channel_has_no_delay(postgres: Make, read: Read) -> None:
    """Row 29: nothing done is a measured 0; how late and how long nothing was is absent."""
    answers = {COLUMNS: tables(queue_job_channel="complete_name"), odoo_queue_channels.CHANNELS: [channel()]}
    assert await read(odoo_queue_channels.EXPORTER, postgres(answers)) == {("odoo.queue.done.recent", "root"): 0}


async def test_a_channel_tells_its_pace(postgres: Make, read: Read) -> None:
    """Row 29: throughput, delay and execution, capacity and pause; a clock ahead makes no negative delay."""
    row = channel(done=40, delay=-0.2, delay_longest=9.0, execution=0.5, execution_longest=3.0, paused=True, capacity=4)
    columns = tables(queue_job_channel="complete_name paused capacity")
    found = await read(
        odoo_queue_channels.EXPORTER, postgres({COLUMNS: columns, odoo_queue_channels.CHANNELS_TUNABLE: [row]})
    )
    assert found == {
        ("odoo.queue.done.recent", "root"): 40,
        ("odoo.queue.delay.mean", "root"): 0.0,
        ("odoo.queue.delay.longest", "root"): 9.0,
        ("odoo.queue.execution.mean", "root"): 0.5,
        ("odoo.queue.execution.longest", "root"): 3.0,
        ("odoo.queue.channel.paused", "root"): 1,
        ("odoo.queue.channel.capacity", "root"): 4,
    }
