"""The job queue: rows in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from exporters.odoo_queue import EXPORTER, FAILED_BY_CLASS, GRANTS, JOBS_NOW, RUNNER_LOCK, WORKERS_GONE, Memory, Options
from exporters.odoo_tables import COLUMNS
from quaywatch.contract import Postgres, Row, Value

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Postgres]


def installed(*columns: str, runner_lock: bool = False) -> list[Row]:
    """What a database has of the module."""
    tables = [("queue_job", "state"), *(("queue_job", column) for column in columns)]
    locks = [("queue_job_lock", "id")] if runner_lock else []
    return [{"table": table, "column": column} for table, column in (*tables, *locks)]


def jobs(state: str, count: int, **others: Any) -> Row:
    """The jobs of one state in the channel ``root``."""
    ages = {"due": None, "stuck": None, "failed_recently": 0, "retrying": 0}
    return {"channel": "root", "state": state, "jobs": count, **ages, **others}


async def test_a_database_without_the_module_gives_nothing(postgres: Make, read: Read) -> None:
    """No sample, no error, and the table is not asked."""
    assert await read(EXPORTER, postgres({COLUMNS: []})) == {}


async def test_an_empty_queue_is_a_measured_zero(postgres: Make, read: Read) -> None:
    """It differs from a database without the module."""
    assert await read(EXPORTER, postgres({COLUMNS: installed(), JOBS_NOW: []})) == {("odoo.queue.live",): 0}


async def test_what_waits_is_stuck_and_has_failed(postgres: Make, read: Read) -> None:
    """Row 29: counts by state, the oldest due job, the longest started one, the recent failures."""
    rows = [
        jobs("pending", 40, due=90.0, retrying=3),
        jobs("started", 2, stuck=3600.0, retrying=1),
        jobs("failed", 7, failed_recently=1),
        jobs("wait_dependencies", 1),
    ]
    assert await read(EXPORTER, postgres({COLUMNS: installed(), JOBS_NOW: rows})) == {
        ("odoo.queue.live",): 50,
        ("odoo.queue.jobs", "root", "pending"): 40,
        ("odoo.queue.oldest.age", "root"): 90.0,
        ("odoo.queue.jobs", "root", "started"): 2,
        ("odoo.queue.stuck.age", "root", "started"): 3600.0,
        ("odoo.queue.jobs", "root", "failed"): 7,
        ("odoo.queue.failed.recent", "root"): 1,
        ("odoo.queue.jobs", "root", "wait_dependencies"): 1,
        ("odoo.queue.retrying", "root"): 4,
    }


async def test_a_clock_ahead_makes_no_negative_age(postgres: Make, read: Read) -> None:
    """Odoo's clock and PostgreSQL's may differ."""
    rows = [jobs("started", 1, stuck=-0.4), jobs("pending", 1, due=-0.1)]
    found = await read(EXPORTER, postgres({COLUMNS: installed(), JOBS_NOW: rows}))
    assert found["odoo.queue.stuck.age", "root", "started"] == 0.0
    assert found["odoo.queue.oldest.age", "root"] == 0.0


@pytest.mark.parametrize("alive", [True, False])
async def test_the_runner_is_known_where_it_takes_a_lock(alive: bool, postgres: Make, read: Read) -> None:  # noqa: FBT001 - a case
    """Row 30: from Odoo 16 on a dead runner is a 0; before, nothing is said."""
    answers = {COLUMNS: installed(runner_lock=True), JOBS_NOW: [], RUNNER_LOCK: [{"alive": alive}]}
    assert (await read(EXPORTER, postgres(answers)))["odoo.queue.runner.alive",] == int(alive)


async def test_a_standby_says_nothing_of_the_runner(postgres: Make, read: Read) -> None:
    """Row 30: where locks are not to be seen, the statement has no row, and that is not a 0."""
    answers = {COLUMNS: installed(runner_lock=True), JOBS_NOW: [], RUNNER_LOCK: []}
    assert await read(EXPORTER, postgres(answers)) == {("odoo.queue.live",): 0}


async def test_failures_are_told_apart_by_class(postgres: Make, read: Read) -> None:
    """Row 29: the most frequent by name and in their places, the rest as one, and sums stay right."""
    memory, options = Memory(), Options(top=1)

    async def told(**classes: int) -> dict[tuple[str, ...], Value]:
        rows = [{"exception": name, "jobs": count} for name, count in classes.items()]
        answers = {COLUMNS: installed("exc_name"), JOBS_NOW: [], FAILED_BY_CLASS: rows}
        return await read(EXPORTER, postgres(answers), options, memory)

    found = await told(UserError=5, Timeout=4, unknown=1)
    assert (found["odoo.queue.failures", "UserError"], found["odoo.queue.failures", "other"]) == (5, 5)
    found = await told(UserError=5, Timeout=6)
    assert (found["odoo.queue.failures", "UserError"], found["odoo.queue.failures", "other"]) == (5, 6)


@pytest.mark.parametrize(("named", "expected"), [(True, 2), (False, None)])
async def test_a_job_without_its_worker_is_an_orphan(
    named: bool,  # noqa: FBT001 - a case
    expected: int | None,
    postgres: Make,
    read: Read,
) -> None:
    """Row 29: where no session bears a process id, nothing is said of workers."""
    gone = [{"named": named, "orphaned": 2}]
    found = await read(EXPORTER, postgres({COLUMNS: installed("worker_pid"), JOBS_NOW: [], WORKERS_GONE: gone}))
    assert found.get(("odoo.queue.orphaned",)) == expected


def test_what_jobs_work_on_is_never_read() -> None:
    """The grants hold every column the statements name, and none with a customer's data."""
    (grant,) = GRANTS
    assert all(column in JOBS_NOW + FAILED_BY_CLASS + WORKERS_GONE for column in grant.columns)
    assert not {"args", "kwargs", "records", "result", "func_string", "exc_info", "exc_message"} & set(grant.columns)
