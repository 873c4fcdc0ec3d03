"""What restore tests achieved."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from exporters.backup_restore_tests import EXPORTER
from exporters.backup_sets import EXPORTER as BACKUP_SETS
from quaywatch.contract import RestoreTest, Value
from quaywatch.drivers.backup_reports import dump_restore_tests
from quaywatch.drivers.backups import BackupPlace
from quaywatch.errors import ParseError

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]


def now() -> float:
    """The agent's clock."""
    return 10_000.0


async def test_recovery_time_and_point_of_the_last_success(read: Read, tmp_path: Path) -> None:
    """A test that failed since then shows as the last result, and takes nothing away."""
    file = tmp_path / "restore-tests.json"
    tests = [
        RestoreTest(name="erp", ok=True, began=8000, ended=8900, recovery_point=7940, size=42),
        RestoreTest(name="erp", ok=False, began=9000, ended=9001),
        RestoreTest(name="files", ok=False, began=9000, ended=9001),
    ]
    file.write_bytes(dump_restore_tests(tests))
    assert await read(EXPORTER, BackupPlace(None, file), state=now) == {
        ("quaywatch.restore_test.known",): 2,
        ("quaywatch.restore_test.ok", "erp"): 0,
        ("quaywatch.restore_test.ok", "files"): 0,
        ("quaywatch.restore_test.age", "erp"): 1100,
        ("quaywatch.restore_test.duration", "erp"): 900,
        ("quaywatch.restore_test.data_loss", "erp"): 60,
        ("quaywatch.restore_test.size", "erp"): 42,
    }


async def test_before_the_first_test_none_is_known(read: Read, tmp_path: Path) -> None:
    """That is a number to alert on, and no error."""
    place = BackupPlace(None, tmp_path / "restore-tests.json")
    await place.ping()
    assert await read(EXPORTER, place, state=now) == {("quaywatch.restore_test.known",): 0}


async def test_what_is_not_configured_is_absent(read: Read) -> None:
    """Neither tests nor backups."""
    place = BackupPlace(None, None)
    assert await read(EXPORTER, place, state=now) == {}
    assert await read(BACKUP_SETS, place, state=now) == {}


async def test_a_broken_file_is_an_error(read: Read, tmp_path: Path) -> None:
    """Half a file is no test."""
    file = tmp_path / "restore-tests.json"
    file.write_text('[{"name": "erp"')
    with pytest.raises(ParseError, match="the report of a restore test: all of it: Invalid JSON"):
        await read(EXPORTER, BackupPlace(None, file), state=now)
