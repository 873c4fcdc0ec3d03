"""Crons: rows in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from exporters.odoo_cron import CRONS, CRONS_14, EXPORTER, MODULES, PROGRESS, TRIGGERS, Memory, Options
from exporters.odoo_tables import COLUMNS
from quaywatch.contract import Postgres, Row, Value

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Postgres]

_QUIET: dict[str, Sequence[Row]] = {
    TRIGGERS: [{"late": 0, "longest": None}],
    PROGRESS: [{"crons": 0}],
    MODULES: [{"skipped": False}],
}


def tables(**columns: str) -> list[Row]:
    """What a database has."""
    return [{"table": table, "column": name} for table, names in columns.items() for name in names.split()]


ODOO_19 = tables(ir_cron="id failure_count", ir_cron_trigger="id", ir_cron_progress="timed_out_counter")


def cron(number: int, name: str = "Send mail", **others: Any) -> Row:
    """A cron that ran a minute ago and is well, save what is told otherwise."""
    well = {"active": True, "late": -3600.0, "idle": 60.0, "failures": 0, "failing": None}
    return {"id": number, "name": name, **well, **others}


def odoo19(*crons: Row, **changed: Sequence[Row]) -> dict[str, Sequence[Row]]:
    """What an Odoo 19 answers."""
    return {COLUMNS: ODOO_19, CRONS: crons, **_QUIET, **changed}


async def test_a_database_without_odoo_gives_nothing(postgres: Make, read: Read) -> None:
    """No sample, no error, and nothing more is asked."""
    assert await read(EXPORTER, postgres({COLUMNS: []})) == {}


async def test_crons_that_are_well(postgres: Make, read: Read) -> None:
    """Zeros are measured; ages of what is not there are absent."""
    found = await read(EXPORTER, postgres(odoo19(cron(1), cron(2, idle=30.0), cron(3, idle=None))))
    assert found == {
        ("odoo.cron.active",): 3,
        ("odoo.cron.inactive",): 0,
        ("odoo.cron.last_run.age",): 30.0,
        ("odoo.cron.overdue",): 0,
        ("odoo.cron.failing",): 0,
        ("odoo.cron.switched_off",): 0,
        ("odoo.cron.triggers.late",): 0,
        ("odoo.cron.timed_out.recent",): 0,
        ("odoo.cron.skipped",): 0,
    }


async def test_odoo_14_notes_less(postgres: Make, read: Read) -> None:
    """Failures, triggers and progress are absent, not 0."""
    answers = {COLUMNS: tables(ir_cron="id numbercall"), CRONS_14: [cron(1, failures=None)], **_QUIET}
    found = await read(EXPORTER, postgres(answers), Options(named=("Send mail",)))
    assert {name for name, *_ in found} == {
        "odoo.cron.active",
        "odoo.cron.inactive",
        "odoo.cron.last_run.age",
        "odoo.cron.overdue",
        "odoo.cron.found",
        "odoo.cron.run.age",
        "odoo.cron.skipped",
    }


async def test_overdue_crons_are_counted_and_the_latest_named(postgres: Make, read: Read) -> None:
    """Row 31: within the allowance a cron is on time, switched off it is never late, and the rest of the top is one."""
    rows = [cron(1, "a", late=179.0), cron(2, "b", late=200.0), cron(3, "c", late=900.0), cron(4, "d", late=500.0)]
    rows += [cron(5, "e", late=9999.0, active=False)]
    found = await read(EXPORTER, postgres(odoo19(*rows)), Options(top=1))
    assert found["odoo.cron.overdue",] == 3
    assert found["odoo.cron.overdue.longest",] == 900.0
    ages = {key[1]: value for key, value in found.items() if key[0] == "odoo.cron.overdue.age"}
    assert ages == {"c": 900.0, "other": 500.0}


async def test_failing_crons(postgres: Make, read: Read) -> None:
    """Row 31: who fails, how often in a row, and for how long; two crons of one name are one series."""
    rows = [cron(1, "a", failures=2, failing=7200.0), cron(2, "a", failures=1, failing=60.0), cron(3, "b")]
    found = await read(EXPORTER, postgres(odoo19(*rows)))
    assert found["odoo.cron.failing",] == 2
    assert found["odoo.cron.failures", "a"] == 3
    assert found["odoo.cron.failing.longest",] == 7200.0


async def test_a_cron_that_odoo_switched_off_is_remembered(postgres: Make, read: Read) -> None:
    """Row 31: Odoo forgets the failures with the switch; the count stays until somebody switches it on again."""
    memory = Memory()
    off = cron(1, active=False)
    assert await _switched_off(postgres, read, memory, cron(1, failures=4, failing=600_000.0)) == 0
    assert await _switched_off(postgres, read, memory, off) == 1
    assert await _switched_off(postgres, read, memory, off) == 1
    assert await _switched_off(postgres, read, memory, cron(1)) == 0
    assert await _switched_off(postgres, read, memory, off) == 0


async def test_a_cron_switched_off_while_it_failed_needs_no_memory(postgres: Make, read: Read) -> None:
    """Whoever does it by hand leaves the failures."""
    assert await _switched_off(postgres, read, Memory(), cron(1, active=False, failures=2, failing=60.0)) == 1


async def _switched_off(postgres: Make, read: Read, memory: Memory, row: Row) -> Value:
    found = await read(EXPORTER, postgres(odoo19(row)), state=memory)
    return found["odoo.cron.switched_off",]


async def test_named_crons_tell_their_last_run_and_success(postgres: Make, read: Read) -> None:
    """A failing cron ran lately and succeeded, if ever, before its first failure; a name nobody bears is a 0."""
    rows = [cron(1, "a"), cron(2, "b", failures=3, failing=5000.0), cron(3, "c", idle=None)]
    found = await read(EXPORTER, postgres(odoo19(*rows)), Options(named=("a", "b", "c", "gone")))
    assert found["odoo.cron.run.age", "a"] == found["odoo.cron.success.age", "a"] == 60.0
    assert (found["odoo.cron.run.age", "b"], found["odoo.cron.success.age", "b"]) == (60.0, 5000.0)
    assert (found["odoo.cron.found", "c"], found["odoo.cron.found", "gone"]) == (1, 0)
    assert not [key for key in found if key[1:] in {("c",), ("gone",)} and key[0] != "odoo.cron.found"]


async def test_skipped_databases_late_triggers_and_time_outs(postgres: Make, read: Read) -> None:
    """Row 31: what stands still although no single cron fails."""
    answers = odoo19() | {
        TRIGGERS: [{"late": 2, "longest": 400.0}],
        PROGRESS: [{"crons": 1}],
        MODULES: [{"skipped": True}],
    }
    found = await read(EXPORTER, postgres(answers))
    assert found["odoo.cron.skipped",] == 1
    assert (found["odoo.cron.triggers.late",], found["odoo.cron.triggers.longest",]) == (2, 400.0)
    assert found["odoo.cron.timed_out.recent",] == 1
    assert ("odoo.cron.last_run.age",) not in found
