"""A server that has run out of transaction ids, and says no."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from exporters.postgres_wraparound import EXPORTER
from sandbox.cache import SandboxError, run
from sandbox.parts import postgres, postgres_versions
from sandbox.parts.postgres import sql
from sandbox.process import Services, until

Read = Callable[..., Awaitable[dict[tuple[str, ...], Any]]]

_HOME = Path("/var/lib/postgresql")
_HALF = 2**31 - 1
_MARGIN = {13: 1_000_000, 18: 3_000_000}
_LEFT = 300
_IDS_OF_A_SEGMENT, _SEGMENT = 2**20, 2**18
# A row older than its table claims: vacuum refuses such a table, and so this one stays as it is.
_NEVER_FROZEN = "create table odd as select 1 as id; update pg_class set relfrozenxid = '{id}' where relname = 'odd'"
_NEXT = "select txid_current()"
_OLDEST = "select min(datfrozenxid::text::bigint) from pg_database"


@pytest.mark.parametrize("major", _MARGIN)
async def test_at_one_the_server_refuses(major: int, services: Services, connect: Any, read: Read) -> None:
    """Row 11: the share is below 1 while transactions begin, and 1 in the database for which none does any more."""
    _forget(services, major)
    server = postgres_versions.start(services, major, {"autovacuum": "off"})
    sql(server, "create database acme")
    sql(server, _NEVER_FROZEN.format(id=int(sql(server, _NEXT)) + 2), "acme")
    oldest = int(sql(server, _OLDEST))
    _spend(services, major, oldest + _HALF - _MARGIN[major] - _LEFT)
    assert until(lambda: postgres._answers(server), within=30)
    cluster = await connect(server)
    share = ("postgresql.wraparound.utilization", "acme", "transaction")
    assert 0.99 < (await read(EXPORTER, cluster))[share] < 1
    with pytest.raises(SandboxError, match="wraparound data loss"):
        sql(server, f"{_NEXT};" * (_LEFT + 200), "acme")
    found = await read(EXPORTER, cluster)
    assert found[share] == pytest.approx(1, abs=1e-7)
    assert found["postgresql.wraparound.multixact.age", "acme"] < 100


def _forget(services: Services, major: int) -> None:
    """No server of an attempt of before is left: it would refuse everything."""
    name = f"postgres-{major}"
    services.stop(name)
    shutil.rmtree(services.state / name, ignore_errors=True)


def _spend(services: Services, major: int, next_id: int) -> None:
    """Let the next transaction of the server be this one."""
    name, programs = f"postgres-{major}", postgres_versions.programs(major)
    services.stop(name)
    home = services.state / name
    segment = home / "data" / "pg_xact" / f"{next_id // _IDS_OF_A_SEGMENT:04X}"
    segment.write_bytes(bytes(_SEGMENT))
    shutil.chown(segment, "postgres", "postgres")
    run(*programs.command(home, "pg_resetwal", "-f", "-x", str(next_id), "-D", str(_HOME / "data")), cwd=Path("/"))
    services.resume(name)
