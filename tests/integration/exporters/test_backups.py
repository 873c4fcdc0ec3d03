"""Backups by the real pgBackRest and in a real S3-compatible store: found, failed, gone."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exporters.backup_restore_tests import EXPORTER as BACKUP_RESTORE_TESTS
from exporters.backup_sets import EXPORTER
from quaywatch.clock import SystemClock
from quaywatch.drivers.backup_command import Command, CommandReports
from quaywatch.drivers.backup_reports import parse_pgbackrest
from quaywatch.drivers.backup_s3 import ObjectReports
from quaywatch.drivers.backups import BackupPlace, FileReports, Reports
from quaywatch.drivers.s3 import ObjectPrefix
from quaywatch.errors import AuthError, ConnectError, TargetError, WrongResultError
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.web import Notices, Sources, StatusServer
from quaywatch.secret import Secret
from sandbox.cache import SandboxError
from sandbox.parts import backups, postgres
from sandbox.parts.backups import CONFIG, HOME, STANZA, BackedUp, Store
from sandbox.process import Services, free_port

Reading = dict[tuple[str, ...], Any]
Read = Callable[..., Awaitable[Reading]]

SET = (STANZA, "1")
DOCS = Path(__file__).parents[3] / "docs" / "recovery.md"
TOKEN = "n0tice"


@pytest.fixture(scope="module")
def backed_up(services: Services) -> BackedUp:
    """A primary with a stanza, and no backup yet."""
    return backups.start(services)


@pytest.fixture(scope="module")
def store(services: Services) -> Store:
    """A store with one bucket, ``dumps``."""
    one = backups.start_store(services)
    (one.root / "dumps").mkdir()
    return one


@asynccontextmanager
async def telling(reports: Reports) -> AsyncIterator[BackupPlace]:
    """A target that hears of backups this way."""
    place = BackupPlace(reports, None)
    yield place
    await place.close()


def info(one: BackedUp) -> CommandReports:
    """The report as the agent runs it."""
    return CommandReports(Command(words=one.command("info", "--output=json")), parse_pgbackrest)


def of(found: Reading, metric: str, *who: str) -> Any:
    """A value of a set, or None."""
    return found.get((f"quaywatch.backup.{metric}", *who))


def begin_anew(one: BackedUp, services: Services) -> None:
    """The stanza without backups, whatever was done with it before."""
    services.resume(backups.SERVER)
    for place in (one.repository, one.home / "gone"):
        shutil.rmtree(place, ignore_errors=True)
    one.run("stanza-create")


async def test_the_life_of_a_stanza(backed_up: BackedUp, services: Services, read: Read, tmp_path: Path) -> None:
    """Before the first backup nothing is well; each type counts by itself; one that fails only lets the age grow.

    A repository that is gone is not well and has no age. A file tells the same as the command.
    """
    begin_anew(backed_up, services)
    async with telling(info(backed_up)) as place:
        await place.ping()
        none = await read(EXPORTER, place)
        assert none == {
            ("quaywatch.backup.report.age",): 0,
            ("quaywatch.backup.ok", *SET): 0,
            ("quaywatch.backup.running", *SET): 0,
        }

        backed_up.run("backup", "--type=full")
        backed_up.run("backup", "--type=incr")
        both = await read(EXPORTER, place)
        assert of(both, "ok", *SET) == 1
        for kind in ("full", "incr"):
            assert of(both, "kept", *SET, kind) == 1
            assert 0 <= of(both, "age", *SET, kind) < 600
            assert 0 <= of(both, "duration", *SET, kind) < 600
        assert of(both, "size", *SET, "full") > of(both, "stored.size", *SET, "full") > 1_000_000
        assert of(both, "stored.size", *SET, "incr") < of(both, "stored.size", *SET, "full")

        report = tmp_path / "report.json"
        report.write_text(backed_up.run("info", "--output=json"))
        services.stop(backups.SERVER)
        with pytest.raises(SandboxError, match="backup --type=full ended with"):
            backed_up.run("backup", "--type=full")
        failed = await read(EXPORTER, place)
        assert of(failed, "kept", *SET, "full") == 1
        assert of(failed, "age", *SET, "full") > of(both, "age", *SET, "full")

        backed_up.repository.rename(backed_up.home / "gone")
        assert await read(EXPORTER, place) == none
        (backed_up.home / "gone").rename(backed_up.repository)

    written = time.time() - 3600
    os.utime(report, (written, written))
    async with telling(FileReports(report, parse_pgbackrest)) as place:
        await place.ping()
        told = await read(EXPORTER, place)
    services.resume(backups.SERVER)
    assert told["quaywatch.backup.report.age",] == pytest.approx(3600, abs=30)
    assert {key for key in told if key[1:]} == {key for key in both if key[1:]}


def nothing() -> Sources:
    """Pages that nobody asks for."""
    return Sources(status=unasked, ready=unasked, metrics=unasked)


def unasked(*_arguments: Any) -> Any:
    """Never to be called."""
    raise AssertionError


def documented_job() -> str:
    """The restore job as the documentation prints it."""
    return DOCS.read_text().partition("```sh\n")[2].partition("```")[0]


async def test_the_documented_restore_job(backed_up: BackedUp, read: Read, tmp_path: Path) -> None:
    """It restores the newest backup for real, and what it posts becomes recovery time and recovery point.

    What was written after the last piece of the log was archived does not come back.
    """
    postgres.sql(backed_up.server, "drop table if exists moments")
    postgres.sql(backed_up.server, "create table moments as select now() - interval '100 s' as at")
    backed_up.run("check")  # it waits until the log so far is archived
    postgres.sql(backed_up.server, "insert into moments values (now())")
    scratch = backed_up.home / "scratch"
    kept = tmp_path / "restore-tests.json"
    clock = SystemClock()
    notices = Notices(Secret(TOKEN), kept, Instruments("test", clock), clock)
    server = StatusServer(nothing(), port=0, notices=notices)
    await server.start()
    said = await run_job(backed_up, "http://{}:{}".format(*server.address))
    await server.close()
    found = await read(BACKUP_RESTORE_TESTS, BackupPlace(None, kept))
    assert found["quaywatch.restore_test.ok", STANZA] == 1, said
    assert 0 <= found["quaywatch.restore_test.age", STANZA] < 600
    assert 0 <= found["quaywatch.restore_test.duration", STANZA] < 600
    assert 99 <= found["quaywatch.restore_test.data_loss", STANZA] < 700  # the job counts whole seconds
    assert found["quaywatch.restore_test.size", STANZA] > 10_000_000
    assert not (scratch / "data").exists()


async def run_job(one: BackedUp, agent: str) -> str:
    """Run the documented job, which tells that agent; what it prints."""
    scratch = one.home / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    shutil.chown(scratch, "postgres", "postgres")
    (one.home / "token").write_text(TOKEN)
    job = await asyncio.create_subprocess_exec(
        *one.as_owner("sh", "-c", documented_job()),
        env={
            "PATH": f"/usr/lib/postgresql/15/bin:{os.environ['PATH']}",
            "PGBACKREST_CONFIG": str(CONFIG),
            "STANZA": STANZA,
            "SCRATCH": str(HOME / "scratch"),
            "PORT": str(free_port()),
            "DATABASE": "postgres",
            "NEWEST": "select max(at) from moments",
            "AGENT": agent,
            "TOKEN_FILE": str(HOME / "token"),
        },
        cwd="/",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await job.communicate()
    assert job.returncode == 0, said.decode()
    return said.decode()


async def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Neither the ping nor the reading passes, and the message says what to look at."""
    async with telling(FileReports(tmp_path / "report.json", parse_pgbackrest)) as place:
        for ask in (place.ping, place.report, place.ping):
            with pytest.raises(ConnectError, match=r"report\.json: cannot be read: No such file"):
                await ask()


# --- object stores ----------------------------------------------------------------------------------------------------


@pytest.fixture
def dumps(store: Store) -> Iterator[Path]:
    """The bucket's directory, empty."""
    bucket = store.root / "dumps"
    yield bucket
    for path in sorted(bucket.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def put(path: Path, size: int, age: float) -> None:
    """An object of so many bytes, so many seconds old."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (time.time() - age, time.time() - age))


def prefix(store: Store, begin: str = "") -> ObjectPrefix:
    """What is listed there."""
    return ObjectPrefix(
        endpoint=store.url,
        bucket="dumps",
        prefix=begin,
        access_key=Secret(store.access_key),
        secret_key=Secret(store.secret_key),
        within=30.0,
    )


async def test_the_newest_object_below_a_prefix(store: Store, dumps: Path, read: Read) -> None:
    """Its age and size; what lies elsewhere does not count, and neither does the order of names."""
    put(dumps / "erp" / "a b+c.dump", 7000, 100)
    put(dumps / "erp" / "z.dump", 5000, 5000)
    put(dumps / "other" / "new.dump", 1, 1)
    async with telling(ObjectReports(prefix(store, "erp/"))) as place:
        await place.ping()
        found = await read(EXPORTER, place)
    async with telling(ObjectReports(prefix(store, "erp/a b+"))) as place:
        escaped = await read(EXPORTER, place)
    assert of(escaped, "kept", "", "", "object") == 1
    assert of(found, "ok", "", "") == 1
    assert of(found, "kept", "", "", "object") == 2
    assert of(found, "age", "", "", "object") == pytest.approx(100, abs=30)
    assert of(found, "stored.size", "", "", "object") == 7000


async def test_an_empty_dump_is_no_backup(store: Store, dumps: Path, read: Read) -> None:
    """It is the newest, so all is not well; the age is that of the one before."""
    put(dumps / "erp" / "good.dump", 10, 9000)
    put(dumps / "erp" / "empty.dump", 0, 10)
    async with telling(ObjectReports(prefix(store))) as place:
        found = await read(EXPORTER, place)
    assert of(found, "ok", "", "") == 0
    assert of(found, "age", "", "", "object") == pytest.approx(9000, abs=30)


async def test_a_prefix_without_objects(store: Store, dumps: Path, read: Read) -> None:
    """No age, and not well."""
    assert dumps.name == "dumps"
    async with telling(ObjectReports(prefix(store, "nothing/"))) as place:
        assert await read(EXPORTER, place) == {
            ("quaywatch.backup.report.age",): 0,
            ("quaywatch.backup.ok", "", ""): 0,
        }


async def test_long_listings_are_read_to_their_end(store: Store, dumps: Path, read: Read) -> None:
    """Page by page."""
    for number in range(1100):
        put(dumps / "many" / f"{number:04}", 1, 2000 - number)
    async with telling(ObjectReports(prefix(store, "many/"))) as place:
        found = await read(EXPORTER, place)
    assert of(found, "kept", "", "", "object") == 1100
    assert of(found, "age", "", "", "object") == pytest.approx(901, abs=30)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"secret_key": Secret("guess")}, AuthError, "refuses the keys"),
        ({"access_key": Secret("nobody")}, AuthError, "refuses the keys"),
        ({"bucket": "gone"}, WrongResultError, "no bucket gone"),
        ({"endpoint": f"http://127.0.0.1:{free_port()}"}, ConnectError, "nobody listens"),
    ],
)
async def test_what_a_store_refuses(
    wrong: dict[str, Any], error: type[TargetError], message: str, store: Store, dumps: Path
) -> None:
    """Told apart, by the ping too, before and after the first reading; no secret is shown."""
    assert dumps.name == "dumps"
    async with telling(ObjectReports(replace(prefix(store), **wrong))) as place:
        for ask in (place.ping, place.report, place.ping):
            with pytest.raises(error, match=message) as caught:
                await ask()
            assert "guess" not in str(caught.value)
