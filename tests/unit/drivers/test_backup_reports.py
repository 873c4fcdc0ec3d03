"""What tools and jobs say of backups, understood or refused."""

from __future__ import annotations

import json

import pytest

from quaywatch.contract import Backup, BackupSet, RestoreTest
from quaywatch.drivers.backup_reports import (
    dump_restore_tests,
    newest,
    parse_pgbackrest,
    parse_plain,
    parse_restore_tests,
    parse_walg,
)
from quaywatch.errors import ParseError

# As `wal-g backup-list --json --detail` is documented to print it.
WALG = """[
 {"backup_name": "base_000000010000000000000004", "time": "2026-03-01T02:10:05Z",
  "wal_file_name": "000000010000000000000004", "storage_name": "default",
  "start_time": "2026-03-01T02:00:00.123456Z", "finish_time": "2026-03-01T02:10:00.5Z",
  "date_fmt": "%Y-%m-%dT%H:%M:%S.%fZ", "hostname": "db", "data_dir": "/var/lib/postgresql/15/main",
  "pg_version": 150008, "start_lsn": 67108904, "finish_lsn": 67109136, "is_permanent": false,
  "system_identifier": 7710630932325807382, "uncompressed_size": 31000000, "compressed_size": 4000000},
 {"backup_name": "base_000000010000000000000008_D_000000010000000000000004", "time": "2026-03-02T02:00:00Z",
  "wal_file_name": "000000010000000000000008", "storage_name": "default"}
]"""
MARCH_1, MARCH_2 = 1772330400.0, 1772416800.0
"""02:00 UTC of these days, in Unix seconds."""


def test_walg_with_and_without_details() -> None:
    """Times, sizes, and whether a backup builds on another; what is not told is None."""
    (found,) = parse_walg(WALG.encode())
    began = MARCH_1 + 0.123456
    assert found == BackupSet(
        backups=(
            Backup(
                type="full",
                began=began,
                ended=MARCH_1 + 600.5,
                size=31000000,
                stored=4000000,
            ),
            Backup(type="delta", ended=MARCH_2),
        )
    )


@pytest.mark.parametrize("text", [b"", b"[]\n", b"null\n"])
def test_walg_without_backups(text: bytes) -> None:
    """A set without any."""
    assert parse_walg(text) == (BackupSet(),)


def test_walg_of_older_releases() -> None:
    """They called the time by another name."""
    text = b'[{"backup_name": "base_000000010000000000000004", "modification_time": "2026-03-01T02:00:00Z"}]'
    assert parse_walg(text) == (BackupSet(backups=(Backup(type="full", ended=MARCH_1),)),)


def stanza(**changes: object) -> bytes:
    """A report of one stanza with two repositories and a backup in the second."""
    backup = {
        "database": {"id": 1, "repo-key": 2},
        "error": True,
        "info": {"size": 300, "delta": 200, "repository": {"size": 100, "delta": 50}},
        "timestamp": {"start": 1000, "stop": 1060},
        "type": "diff",
    }
    status = {"code": 4, "lock": {"backup": {"held": True}}, "message": "different across repos"}
    repo = [{"key": 1, "status": {"code": 99, "message": "other"}}, {"key": 2, "status": {"code": 0, "message": "ok"}}]
    return json.dumps([{"name": "erp", "status": status, "repo": repo, "backup": [backup], **changes}]).encode()


def test_each_repository_of_pgbackrest_by_itself() -> None:
    """One that fails hides no other; a backup with wrong checksums is not sound."""
    assert parse_pgbackrest(stanza()) == (
        BackupSet(name="erp", repository="1", ok=False, running=True),
        BackupSet(
            name="erp",
            repository="2",
            running=True,
            backups=(Backup(type="diff", began=1000, ended=1060, size=300, stored=50, ok=False),),
        ),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[]", r"tells of no stanza \(name it: --stanza=NAME\)"),
        (b"", "pgbackrest info: all of it: Invalid JSON"),
        (b"ERROR: [055]", "pgbackrest info: all of it: Invalid JSON"),
        (stanza(backup=[{"type": "full"}]), r"pgbackrest info: 0\.backup\.0\.timestamp: Field required"),
    ],
)
def test_what_is_no_report_of_pgbackrest(text: bytes, message: str) -> None:
    """The error says where."""
    with pytest.raises(ParseError, match=message):
        parse_pgbackrest(text)


def test_a_plain_report_is_one_backup_or_many() -> None:
    """Any job can write it; Unix seconds and times with a zone are the same."""
    one = b'{"finished": "2026-03-01T03:00:00+01:00"}'
    many = f'[{{"name": "files", "finished": {MARCH_1}, "ok": false}}, {{"name": "files", "finished": {MARCH_2}}}]'
    assert parse_plain(one) == (BackupSet(backups=(Backup(type="full", ended=MARCH_1),)),)
    assert parse_plain(many.encode()) == (
        BackupSet(
            name="files", backups=(Backup(type="full", ended=MARCH_1, ok=False), Backup(type="full", ended=MARCH_2))
        ),
    )


TEST = {"name": "erp", "started": MARCH_1, "finished": MARCH_1 + 900, "recovery_point": MARCH_1 - 30, "ok": True}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"started": None}, "0.started: "),
        ({"started": "yesterday"}, "0.started: Unix seconds or a time such as 2026-01-31T04:00:00Z is expected"),
        ({"started": "2026-03-01T03:00:00"}, "0.started: the time has no zone; one such as"),
        ({"finished": MARCH_1 - 1}, "0: finished is before started; a later time is expected"),
        ({"recovery_point": MARCH_2}, "0: recovery_point is after finished; an earlier time is expected"),
        ({"name": ""}, "0.name: "),
        ({"size": -1}, "0.size: "),
        ({"finished": 1e999}, ": "),
    ],
)
def test_a_restore_test_that_is_wrong_says_where(changes: dict[str, object], message: str) -> None:
    """The key and what is expected."""
    with pytest.raises(ParseError) as caught:
        parse_restore_tests(json.dumps({**TEST, **changes}).encode())
    assert message in str(caught.value)


def test_the_last_test_and_the_last_success_are_kept() -> None:
    """Of each thing by itself; writing and reading changes nothing."""
    tests = [
        RestoreTest(name=name, ok=ok, began=ended - 10, ended=ended)
        for name, ok, ended in [
            ("a", True, 100),
            ("a", True, 300),
            ("a", False, 400),
            ("b", True, 50),
            ("a", False, 200),
        ]
    ]
    kept = newest(tests)
    assert {(test.name, test.ok, test.ended) for test in kept} == {("a", True, 300), ("a", False, 400), ("b", True, 50)}
    assert set(parse_restore_tests(dump_restore_tests(kept))) == set(kept)
