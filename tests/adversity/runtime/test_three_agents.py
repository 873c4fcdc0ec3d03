"""Three agents on the same shared target: one acts, and when it is lost another does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest_asyncio

from bench.leases import Plan, Trial
from quaywatch.runtime.catalogue import LEASE_UNREACHABLE, TARGET_UP
from sandbox.parts import redis
from sandbox.parts.postgres import Postgres
from sandbox.process import Services
from tests.adversity.runtime.relay import Relay
from tests.integration.runtime.agents import Bench, address, cache, eventually, leased, superuser
from tests.unit.runtime.fakes import value

ROOT = Path(__file__).parents[3]
EVERY = 3.0
TTL = 4.5
WITHIN = 20.0
"""Seconds that two intervals, or two times to live, may take on a busy machine."""
SAYS_EVERY = 0.1
"""Seconds between two things that an agent says of itself; or more, so that their number tells its own time."""
NAMES = ("anna", "bert", "cleo")


class Process:
    """One agent, and what it said last."""

    def __init__(self, name: str, server: Postgres, place: Path) -> None:
        self.name = name
        self._said = place / f"{name}.jsonl"
        settings = {
            "host": server.host,
            "port": server.port,
            "user": server.user,
            "password": server.password,
            "dsn": server.superuser_dsn(),
            "name": name,
            "every": EVERY,
            "ttl": TTL,
            "said": str(self._said),
        }
        argv = (sys.executable, "-m", "tests.adversity.runtime.agent_process", json.dumps(settings))
        self._said.touch()
        with (place / f"{name}.log").open("w") as log:
            self._process = subprocess.Popen(argv, cwd=ROOT, stdout=log, stderr=log)

    def history(self) -> list[dict[str, Any]]:
        """Everything it said, whole lines only."""
        return [json.loads(line) for line in self._said.read_text().split("\n")[:-1]]

    def acts(self) -> bool:
        """Whether it says that it watches the target, now."""
        said = self.history()
        return bool(said) and said[-1]["up"] == 1 and said[-1]["held"] == 1 and time.time() - said[-1]["at"] < 3

    def signal(self, number: int) -> None:
        """Kill it, freeze it, thaw it."""
        os.kill(self._process.pid, number)

    def end(self) -> None:
        """End it for good."""
        self._process.kill()
        self._process.wait()


@pytest_asyncio.fixture
async def agents(server: Postgres, tmp_path: Path) -> AsyncIterator[list[Process]]:
    """Three agents, one of which acts."""
    async with superuser(server) as session:
        await session.execute("create table runs (mark text, agent text, at timestamptz default now())")
    agents = [Process(name, server, tmp_path) for name in NAMES]
    try:
        await eventually(lambda: all(agent.history() for agent in agents), within=60)
        await eventually(lambda: any(agent.acts() for agent in agents), within=WITHIN)
        yield agents
    finally:
        for agent in agents:
            agent.end()
        async with superuser(server) as session:
            await session.execute("drop table runs")


def acting(agents: list[Process]) -> list[Process]:
    """Who acts now."""
    return [agent for agent in agents if agent.acts()]


async def the_one_acting(agents: list[Process]) -> Process:
    """Who acts, as soon as it is one."""
    await eventually(lambda: len(acting(agents)) == 1, within=WITHIN)
    return acting(agents)[0]


_RUNS = "select regexp_replace(mark, '/[^/]*$', '') as run, array_agg(agent) as agents from runs group by run"
"""A mark ends in the process that ran the tick."""


async def runs(server: Postgres, *, more_than: int = 0) -> dict[str, list[str]]:
    """For each tick's run who ran it, as soon as there are more of them."""
    seen: dict[str, list[str]] = {}
    deadline = time.monotonic() + WITHIN
    async with superuser(server) as session:
        while len(seen) <= more_than and time.monotonic() < deadline:
            rows = await session.fetch(_RUNS)
            seen = {row["run"]: row["agents"] for row in rows}
            await asyncio.sleep(0.1)
    return seen


async def sessions(server: Postgres, *, expected: int) -> int:
    """Connections of all agents together, as soon as they are as many as is expected."""
    deadline = time.monotonic() + WITHIN
    async with superuser(server) as session:
        while True:
            count: int = await session.fetchval("select count(*) from pg_stat_activity where usename = 'quaywatch'")
            if count == expected or time.monotonic() > deadline:
                return count
            await asyncio.sleep(0.1)


def overlaps(agents: list[Process]) -> list[float]:
    """Moments at which two agents said that the target is up."""
    said = [(line["at"], agent.name) for agent in agents for line in agent.history() if line["up"] is not None]
    said.sort()
    return [at for (at, name), (later, other) in pairwise(said) if name != other and later - at < 0.1]


async def test_one_set_of_everything(server: Postgres, agents: list[Process]) -> None:
    """One agent holds a connection to read, each one its lease session; every tick is run once; no series doubles."""
    holder = await the_one_acting(agents)
    await eventually(lambda: len(holder.history()) > 4 * EVERY / SAYS_EVERY, within=3 * WITHIN)
    assert await the_one_acting(agents) is holder
    assert await sessions(server, expected=len(NAMES) + 1) == len(NAMES) + 1
    done = await runs(server, more_than=1)
    assert len(done) >= 2
    assert {tuple(names) for names in done.values()} == {(holder.name,)}
    assert overlaps(agents) == []


async def test_a_killed_holder_is_followed_within_two_intervals(server: Postgres, agents: list[Process]) -> None:
    """The target is watched again within two intervals; no tick was run twice, and no series was doubled."""
    holder = await the_one_acting(agents)
    holder.signal(signal.SIGKILL)
    killed = time.time()
    others = [agent for agent in agents if agent is not holder]
    follower = await the_one_acting(others)
    waited = [said for said in follower.history() if said["at"] > killed and said["up"] is None]
    assert len(waited) < 2 * EVERY / SAYS_EVERY
    before = len(await runs(server))
    await eventually(lambda: len(follower.history()) > 2 * EVERY / SAYS_EVERY, within=3 * WITHIN)
    seen = await runs(server, more_than=before)
    assert len(seen) > before
    assert {len(names) for names in seen.values()} == {1}
    assert overlaps(agents) == []


async def test_a_frozen_holder_is_followed_and_steps_back(server: Postgres, agents: list[Process]) -> None:
    """The server ends its session within the time to live; thawed, it stops at once and runs nothing twice."""
    holder = await the_one_acting(agents)
    others = [agent for agent in agents if agent is not holder]
    holder.signal(signal.SIGSTOP)
    await the_one_acting(others)
    frozen = len(holder.history())
    holder.signal(signal.SIGCONT)
    await eventually(lambda: holder.history()[frozen:] and holder.history()[-1]["up"] is None, within=WITHIN)
    thought_it_acts = [said for said in holder.history()[frozen:] if said["up"] is not None]
    assert len(thought_it_acts) < EVERY / SAYS_EVERY
    await the_one_acting(others)
    assert {len(names) for names in (await runs(server, more_than=2)).values()} == {1}


async def test_nothing_goes_blind_while_the_leases_are_away(server: Postgres, services: Services, relay: Relay) -> None:
    """The server of the leases vanishes: somebody goes on watching; when it is back, one agent is left."""
    redis.prepare(None)
    target = cache("cache", redis.start(services, None, None), EVERY)
    way = address(server, port=relay.port, connect_within=1.0, answer_within=1.0)
    benches = [Bench(leased(way, TTL)) for _ in NAMES]

    def watching() -> list[Bench]:
        return [bench for bench in benches if value(bench.everything, TARGET_UP, target="cache") == 1]

    def unreachable() -> list[int]:
        return [value(bench.everything, LEASE_UNREACHABLE) for bench in benches]

    async with benches[0].watching(target), benches[1].watching(target), benches[2].watching(target):
        await eventually(lambda: len(watching()) == 1, within=WITHIN)
        holder = watching()[0]
        relay.dark = True
        await eventually(lambda: unreachable() == [1, 1, 1], within=WITHIN)
        assert watching() == [holder]
        relay.dark = False
        await eventually(lambda: unreachable() == [0, 0, 0], within=WITHIN)
        await eventually(lambda: len(watching()) == 1, within=WITHIN)


SHORT = Plan(ticks=16, every=1.5, ttl=3.6, faults={1: "kill", 6: "failover", 9: "cut"})


async def test_every_tick_is_run_or_missed_and_none_twice_unsaid(tmp_path: Path) -> None:
    """The leader is killed, the database fails over, the leader is cut off: what nobody ran is reported as missed.

    What two agents ran, they ran while one of them was cut off, for no longer than the time to live, and said so.
    """
    calm, killed, failover, cut = await Trial(SHORT, tmp_path).run()
    assert sum(episode.ticks for episode in (calm, killed, failover, cut)) == SHORT.ticks
    for episode in (calm, killed, failover, cut):
        assert episode.run + episode.not_run == episode.ticks
        assert episode.unreported == 0
        assert episode.twice <= episode.unconfirmed
        assert episode.overlap <= SHORT.ttl + SHORT.every
    assert (calm.run, calm.reported_missed) == (calm.ticks, 0)
    assert (killed.twice, killed.unconfirmed) == (0, 0)
    assert killed.run >= 2
    assert cut.run >= 3


STRICT = Plan(ticks=10, every=1.5, ttl=3.0, faults={1: "cut"}, fail_open=False, cut=3.0)


async def test_who_is_told_to_stop_shares_no_tick(tmp_path: Path) -> None:
    """Leases that fail closed: however long the leader alone is cut off, two act for a time to live at most."""
    _, cut = await Trial(STRICT, tmp_path).run()
    assert cut.unreported == 0
    assert cut.twice <= cut.unconfirmed
    assert cut.overlap <= STRICT.ttl
    assert cut.run >= 4
