"""The agent as a whole: started, reloaded and stopped as a process."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.parts.postgres import sql
from sandbox.world import World
from tests.integration.cli.agent import PROGRAM, RunningAgent, running, until

PARTS = ("postgres", "redis")
STOPS_WITHIN = 10.0


def targets(world: World) -> dict[str, Any]:
    """The sandbox's servers as targets."""
    postgres, redis = world.postgres, world.redis
    return {
        "db": {
            "kind": "postgres",
            "host": postgres.host,
            "port": postgres.port,
            "user": postgres.user,
            "password": postgres.password,
        },
        "cache": {"kind": "redis", "host": redis.host, "port": redis.port, "password": redis.password},
    }


@pytest.fixture
def agent(world: World, tmp_path: Path) -> Iterator[RunningAgent]:
    """An agent on the sandbox's PostgreSQL and Redis that has read both."""
    with running(tmp_path, {"targets": targets(world)}) as started:
        until(lambda: started.page("/readyz") == "ready\n", "the agent is ready")
        yield started


def changed(agent: RunningAgent, **sections: Any) -> None:
    """Write the configuration with other sections."""
    agent.path.write_text(yaml.safe_dump({**yaml.safe_load(agent.path.read_text()), **sections}))


def reloaded(agent: RunningAgent) -> bool:
    """Whether the metrics say that the last reload was good."""
    return agent.metric("quaywatch_config_reload_success") == 1


def test_both_targets_are_up_and_read(agent: RunningAgent) -> None:
    """Rows 19 and 36: the page has the targets' state, how each exporter fares, and what it read."""
    for name in ("db", "cache"):
        assert agent.metric("quaywatch_target_up", target=name) == 1
    assert agent.metric("quaywatch_scrape_success", target="db", exporter="postgres_locks") == 1
    took = agent.metric("quaywatch_scrape_duration_seconds", target="db", exporter="postgres_locks")
    assert took is not None
    assert 0 < took < STOPS_WITHIN
    assert agent.metric("redis_memory_used_bytes", target="cache") is not None


def test_its_health_is_asked_where_it_listens(agent: RunningAgent) -> None:
    """`quaywatch health` with the same configuration finds it alive, and says so when it no longer is."""
    asked = [PROGRAM, "health", "--config", str(agent.path)]
    alive = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert (alive.returncode, alive.stdout) == (0, f"the agent on 127.0.0.1:{agent.port} is alive\n")
    agent.stop()
    gone = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert (gone.returncode, gone.stdout) == (3, "")
    assert gone.stderr.startswith(f"no agent answers on 127.0.0.1:{agent.port}: ")


def test_a_stop_is_quick_and_clean(agent: RunningAgent) -> None:
    """SIGTERM ends it with 0, and no error was logged."""
    assert agent.stop() < STOPS_WITHIN
    assert agent.process.returncode == 0
    assert '"level": "error"' not in agent.log.read_text()


def test_a_bad_reload_changes_nothing(agent: RunningAgent) -> None:
    """Row 36: the old configuration goes on, a metric and the log say so; a good one mends it."""
    good = agent.path.read_text()
    agent.path.write_text(good.replace("kind: redis", "kind: reddis"))
    agent.signal(signal.SIGHUP)
    until(lambda: agent.metric("quaywatch_config_reload_success") == 0, "the bad reload is told")
    assert agent.metric("quaywatch_target_up", target="cache") == 1
    (event,) = agent.events("configuration not reloaded; the old one goes on")
    assert "'reddis' is not known" in event["error"]
    agent.path.write_text(good)
    agent.signal(signal.SIGHUP)
    until(lambda: reloaded(agent), "the good reload is told")


def test_a_target_comes_and_goes_without_a_signal(agent: RunningAgent) -> None:
    """A changed file is noticed; the series of a target that is no longer watched end."""
    before = yaml.safe_load(agent.path.read_text())["targets"]
    changed(agent, targets={"db": before["db"], "second": before["cache"]})
    until(lambda: agent.metric("quaywatch_target_up", target="second") == 1, "the new target is read")
    assert agent.metric("quaywatch_target_up", target="cache") is None
    assert agent.metric("quaywatch_target_up", target="db") == 1


def test_what_is_switched_off_is_not_asked_for(world: World, tmp_path: Path) -> None:
    """Wanted 7: the server never saw the statement of an exporter that is off; each other has its own interval."""
    seen = "select coalesce(sum(calls), 0) from pg_stat_statements where query like '%{}%'"
    exporters = {
        "postgres_locks": {"every": 1, "deadline": 0.5},
        "postgres_archiver": {"every": 300, "deadline": 5},
        "postgres_wal": {"enabled": False},
    }
    sql(world.postgres, "select pg_stat_statements_reset()")
    with running(tmp_path, {"targets": {"db": targets(world)["db"]}, "exporters": exporters}) as agent:
        until(lambda: int(sql(world.postgres, seen.format("pg_blocking_pids"))) > 2, "the locks are read each second")
        until(lambda: agent.metric("quaywatch_scrape_success", exporter="postgres_archiver") == 1, "all are read once")
        assert agent.metric("quaywatch_scrape_success", exporter="postgres_wal") is None
    assert int(sql(world.postgres, seen.format("pg_stat_archiver"))) == 1
    assert int(sql(world.postgres, seen.format("wal_buffers_full"))) == 0


def test_another_environment_begins_anew(agent: RunningAgent) -> None:
    """What is on every series cannot be changed in place; the agent goes on as a new one, in the same process."""
    changed(agent, environment="other")
    until(lambda: agent.metric("quaywatch_target_up", target="db", environment="other") == 1, "the new name is there")
    assert agent.metric("quaywatch_target_up", target="db", environment="test") is None


def test_an_address_in_use_keeps_the_old_one(agent: RunningAgent) -> None:
    """A reload that cannot be put to work is a bad one, too."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        changed(agent, telemetry={"http": {"listen": f"127.0.0.1:{port}"}})
        until(lambda: agent.metric("quaywatch_config_reload_success") == 0, "the bad reload is told")
    (event,) = agent.events("configuration not reloaded; the old one goes on")
    assert "cannot listen" in event["error"]
    until(lambda: agent.metric("quaywatch_target_up", target="db") == 1, "the old one works")


def test_a_bad_configuration_at_the_start_is_told_without_a_traceback(tmp_path: Path) -> None:
    """Exit code 2, and the place of the fault."""
    with running(tmp_path, {"targets": {"db": {"kind": "postgres"}}}) as agent:
        assert agent.process.wait(60) == 2
        told = agent.log.read_text().splitlines()
    assert told == [f"{agent.path}:4: targets.db.host: this key is missing; it must be given"]


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield server.getsockname()[1]


def black_holed(port: int) -> dict[str, Any]:
    """A configuration of which nothing answers."""
    here = {"host": "127.0.0.1", "port": port, "connect_within": 1.0}
    odoo = {"kind": "odoo", "url": f"http://127.0.0.1:{port}", "database": "a", "login": "b", "password": "c"}
    return {
        "targets": {"db": {"kind": "postgres", **here}, "cache": {"kind": "redis", **here}, "erp": odoo},
        "probes": {"order_create": {"targets": ["erp"], "partner": 1, "product": 1, "every": 2, "deadline": 1.5}},
        "telemetry": {"otlp": {"endpoint": f"http://127.0.0.1:{port}", "interval": 1}},
    }


def test_a_stop_is_quick_when_nothing_answers(black_hole: int, tmp_path: Path) -> None:
    """Neither targets, nor leases, nor the back end can hold it up."""
    with running(tmp_path, black_holed(black_hole)) as agent:
        until(lambda: agent.metric("quaywatch_target_up", target="db") == 0, "the target is told to be down")
        assert agent.stop() < STOPS_WITHIN
        assert agent.process.returncode == 0
        assert agent.events("stopped")


def test_a_second_signal_ends_it_at_once(black_hole: int, tmp_path: Path) -> None:
    """Whoever insists does not wait for undoing and exports."""
    with running(tmp_path, black_holed(black_hole)) as agent:
        until(lambda: agent.metric("quaywatch_target_up", target="db") == 0, "the agent runs")
        agent.signal(signal.SIGTERM)
        until(lambda: bool(agent.events("stopping")), "it is stopping")
        assert agent.stop() < 5
        assert agent.process.returncode == 128 + signal.SIGTERM
