"""The core of the sandbox, running: PostgreSQL, its standby, Redis and an Odoo, whole and with faults."""

import os
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox import faults, seed
from sandbox.cache import SandboxError
from sandbox.parts import redis
from sandbox.parts.api import get
from sandbox.parts.postgres import clone, has_database, sql
from sandbox.process import accepts, until
from sandbox.world import World, down, status, up

# On a machine without a cache Debian file systems are built first.
pytestmark = pytest.mark.timeout(1200)
PARTS = ("standby", "redis", "odoo14")
SOON = 60
WAITING = """
select count(*) from pg_locks join pg_stat_activity using (pid)
 where not granted and application_name in ('month-end-import', 'web-order')
"""
IDLE = """
select application_name from pg_stat_activity
 where state = 'idle in transaction' and application_name in ('month-end-import', 'web-order')
"""
"""Both of a fault's sessions only: Odoo's own crons have transactions too."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A sandbox of this module's own, below a directory that only root may enter."""
    state = tmp_path_factory.mktemp("sandbox") / "state"
    yield up(PARTS, state=state)
    down(state=state, delete=True)
    assert not state.exists()


@contextmanager
def fault_command(world: World, name: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m sandbox fault NAME`, killed at the end if it still runs then."""
    argv = (sys.executable, "-m", "sandbox", "--state", str(world.state), "fault", name, "--for", "600")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as command:
        try:
            yield command
        finally:
            command.kill()


def waiting(world: World) -> str:
    """How many sessions of a fault wait for a lock."""
    return sql(world.postgres, WAITING)


def replay(world: World) -> str:
    """Whether replay is paused."""
    return sql(world.standby, "select pg_is_wal_replay_paused()")


def streaming(world: World) -> str:
    """How many standbys stream."""
    return sql(world.postgres, "select count(*) from pg_stat_replication where state = 'streaming'")


def pending(world: World) -> int:
    """How many jobs are due and pending."""
    due = "select count(*) from queue_job where state = 'pending' and (eta is null or eta <= now() at time zone 'utc')"
    return int(sql(world.postgres, due, "odoo14"))


def test_everything_asked_for_runs(world: World) -> None:
    """`status` knows the parts asked for and what they need, and all run, each with memory and ports."""
    rows = {row.name: row for row in status(state=world.state)}
    assert set(rows) == {"postgres", *PARTS}
    assert {row.word for row in rows.values()} == {"running"}
    assert all(row.memory > 1_000_000 and row.ports for row in rows.values())


def test_a_second_up_leaves_everything_alone(world: World) -> None:
    """The same processes run afterwards, and no time has passed."""
    before = [(row.name, row.pid) for row in status(state=world.state)]
    started = time.monotonic()
    assert up(PARTS, state=world.state) == world
    assert time.monotonic() - started < 20
    assert [(row.name, row.pid) for row in status(state=world.state)] == before


def test_another_sandbox_runs_beside(world: World, tmp_path: Path) -> None:
    """A second state directory means other servers on other ports; its end does not touch the first."""
    other = up(["postgres"], state=tmp_path / "other")
    try:
        assert other.postgres.port != world.postgres.port
        assert not has_database(other.postgres, "odoo14")
    finally:
        down(state=other.state, delete=True)
    assert has_database(world.postgres, "odoo14")


def test_the_watching_role_sees_columns_and_no_content(world: World) -> None:
    """It reads states and dates of jobs, and neither their arguments nor anything of customers."""
    watcher = world.postgres.dsn("odoo14")

    def read(query: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["psql", "-XqAtc", query, watcher], capture_output=True, text=True, check=False)

    assert read("select state, count(*) from queue_job group by 1 order by 1").stdout == "done|2\nfailed|1\npending|2\n"
    assert "permission denied" in read("select args from queue_job").stderr
    assert "permission denied" in read("select name from res_partner").stderr
    assert read("select count(*) from pg_stat_replication where client_addr is not null").stdout == "1\n"


def test_the_probe_user_can_do_its_flow(world: World) -> None:
    """By password and by API key: an order is confirmed and its goods are reserved from stock."""
    odoo = world.odoo14
    for password in (odoo.password, odoo.api_key):
        probe = seed.Connection(odoo.url, odoo.database, odoo.login, password)
        line = (0, 0, {"product_id": odoo.storable_id, "product_uom_qty": 1})
        order = probe.call("sale.order", "create", {"partner_id": odoo.partner_id, "order_line": [line]})
        probe.call("sale.order", "action_confirm", [order])
        pickings = probe.call("stock.picking", "search_read", [("sale_id", "=", order)], fields=["state"])
        assert [picking["state"] for picking in pickings] == ["assigned"]
        with pytest.raises(xmlrpc.client.Fault):
            probe.call("res.partner", "create", {"name": "not my business"})


def test_seeding_twice_changes_nothing(world: World) -> None:
    """The second seeding finds the same ids and makes no order, user or product more."""
    count = (
        "select (select count(*) from sale_order), (select count(*) from res_users), (select count(*) from res_partner)"
    )
    before = sql(world.postgres, count, "odoo14")
    seeded = seed.seed(world.odoo14.admin())
    assert (seeded.partner_id, seeded.product_id) == (world.odoo14.partner_id, world.odoo14.product_id)
    assert sql(world.postgres, count, "odoo14") == before


def test_a_wrong_password_is_refused(world: World) -> None:
    """Nobody signs in with another word."""
    stranger = seed.Connection(world.odoo14.url, "odoo14", "probe", "wrong")
    with pytest.raises(PermissionError, match="refuses probe"):
        _ = stranger.uid


def test_a_tenant_more_takes_a_moment(world: World) -> None:
    """A template database is cloned into another tenant."""
    for database in ("tenant", "empty_template"):
        sql(world.postgres, f"drop database if exists {database} with (force)")
    sql(world.postgres, "create database empty_template")
    clone(world.postgres, "empty_template", "tenant")
    assert has_database(world.postgres, "tenant")
    for database in ("tenant", "empty_template"):
        sql(world.postgres, f"drop database {database}")


@pytest.mark.parametrize("fault", [faults.lock, faults.table_lock])
def test_a_lock_holds_somebody_up_and_is_let_go(world: World, fault: faults.Fault) -> None:
    """While the fault lasts a session waits behind one that idles in its transaction; afterwards nobody does."""
    with fault(world, None):
        assert waiting(world) == "1"
        assert sql(world.postgres, IDLE) == "month-end-import"
    assert waiting(world) == "0"


def test_a_lagging_standby_catches_up(world: World) -> None:
    """Replay is paused with megabytes received and not applied; afterwards everything is applied."""
    behind = "select pg_last_wal_receive_lsn() - pg_last_wal_replay_lsn()"
    with faults.lag(world):
        assert replay(world) == "t"
        assert until(lambda: int(sql(world.standby, behind)) > 5_000_000, within=SOON)
    assert replay(world) == "f"
    assert until(lambda: int(sql(world.standby, behind)) == 0, within=SOON)


def test_a_cut_standby_is_joined_again(world: World) -> None:
    """The standby answers but nobody streams; afterwards it streams again."""
    with faults.cut_standby(world):
        assert streaming(world) == "0"
        assert sql(world.standby, "select pg_is_in_recovery()") == "t"
    assert streaming(world) == "1"


def test_a_full_redis_is_emptied_again(world: World) -> None:
    """The smallest write is refused while the fault lasts, and taken afterwards."""
    with faults.fill_redis(world):
        assert redis.command(world.redis, "SET", "cart", "1").startswith("-OOM")
    assert redis.command(world.redis, "SET", "cart", "1") == "+OK"
    assert redis.command(world.redis, "DBSIZE") == ":1"


def test_a_stalled_queue_is_cleared(world: World) -> None:
    """Jobs are due and stay pending while the runner runs; afterwards they are gone."""
    with faults.queue_stall(world, count=7):
        assert pending(world) == 7
    assert pending(world) == 0


def test_a_frozen_server_accepts_and_is_silent(world: World) -> None:
    """Redis takes the connection, answers nothing, and says so in `status`; afterwards it answers."""
    with faults.freeze(world, "redis"):
        assert accepts(world.redis.port)
        assert {row.name: row.word for row in status(state=world.state)}["redis"] == "frozen"
    assert redis.command(world.redis, "PING") == "+PONG"


def test_a_black_hole_gives_the_port_back(world: World) -> None:
    """On the server's own port somebody accepts who is not Redis; afterwards it is Redis."""
    with faults.black_hole(world, "redis"):
        assert accepts(world.redis.port)
        assert not world.services.alive("redis")
    assert redis.command(world.redis, "PING") == "+PONG"


def test_a_stopped_odoo_comes_back(world: World) -> None:
    """Its port is closed while the fault lasts; afterwards it serves its login page at the same address."""
    port = world.services.ports("odoo14")["http"]
    with faults.stop_odoo(world):
        assert not accepts(port)
    assert "login" in get(f"{world.odoo14.url}/web/login")


def test_a_fault_is_undone_when_the_block_fails(world: World) -> None:
    """An error inside the block goes on, and the fault does not."""
    with pytest.raises(ValueError, match="mine"), faults.lock(world):
        raise ValueError("mine")
    assert waiting(world) == "0"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_fault_from_the_command_line_is_undone_by_a_signal(world: World, number: int) -> None:
    """Ended early, the command leaves a standby that replays, and ends with 130."""
    with fault_command(world, "lag") as command:
        assert command.stdout is not None
        assert "stopped replaying" in command.stdout.readline()
        assert replay(world) == "t"
        command.send_signal(number)
        assert command.wait(SOON) == 130
    assert replay(world) == "f"


def test_what_a_killed_fault_left_is_healed_by_the_next(world: World) -> None:
    """After SIGKILL the standby is cut for good, until the same fault comes and goes."""
    with fault_command(world, "cut-standby") as command:
        assert command.stdout is not None
        assert "cut off" in command.stdout.readline()
    assert streaming(world) == "0"
    with faults.cut_standby(world):
        pass
    assert streaming(world) == "1"


def test_a_shared_world_ends_with_its_creator() -> None:
    """A program that asks for a shared world gets a running part, and leaves neither process nor directory."""
    program = "from sandbox.testing import shared_world as w; p = w('redis'); print(p.state, p.services.pid('redis'))"
    env = {name: value for name, value in os.environ.items() if name != "QUAYWATCH_TEST_STATE"}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    state, pid = done.stdout.split()
    assert not Path(state).exists()
    assert not Path(f"/proc/{pid}").exists()


def test_a_part_that_is_not_up_is_no_target(world: World) -> None:
    """A fault on a part that does not run is refused."""
    with pytest.raises(SandboxError, match="does not run"), faults.freeze(world, "prometheus"):
        pass
