"""Leases: one agent at a time, never nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio

from quaywatch.contract import Row
from quaywatch.errors import ConnectError
from quaywatch.runtime.catalogue import LEASE_CHANGES, LEASE_HELD, LEASE_UNCONFIRMED, LEASE_UNREACHABLE
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.leases import AlwaysHeld, PostgresLeases
from quaywatch.runtime.leases.contention import PATIENCE
from quaywatch.runtime.leases.postgres import lock_key
from tests.unit.runtime.fakes import FakeClock, VirtualLoop, matching, value

LOOP = VirtualLoop
TTL = 15.0


class Server:
    """Advisory locks in memory: a session's locks end with it."""

    def __init__(self, version: int = 150000) -> None:
        self.version = version
        self.reachable = True
        self.frozen = False
        self.defect = False
        self.silence = 0.5
        self.locks: dict[int, Session] = {}
        self.sessions: list[Session] = []

    def end(self, session: Session) -> None:
        """What happens when a line is cut."""
        self.locks = {key: holder for key, holder in self.locks.items() if holder is not session}
        session.closed = True


class Session:
    """One session of the fake server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.closed = False
        self.pid = len(server.sessions)
        self.settings: dict[str, str] = {}
        server.sessions.append(self)

    @property
    def version(self) -> int:
        """The server's."""
        return self.server.version

    async def connect(self) -> None:
        """Connect, if the server can be reached."""
        self.closed = False
        await self._answer()

    async def fetch(self, sql: str, *arguments: Any) -> Sequence[Row]:
        """The four statements that are expected."""
        await self._answer()
        if "pg_advisory_unlock" in sql:
            return [{"done": self.server.locks.pop(key, None)} for key in arguments[0]]
        if "pg_try_advisory_lock" in sql:
            return [self._tried(key) for key in arguments[0]]
        if "set_config" in sql:
            self.settings = dict(zip(*arguments, strict=True))
        return [{"pid": self.pid}]

    def _tried(self, key: int) -> Row:
        holder = self.server.locks.setdefault(key, self)
        return {"key": key, "held": holder is self, "silence": None if holder is self else self.server.silence}

    async def close(self) -> None:
        """Cut the line; a server that cannot be reached does not notice."""
        self.closed = True
        if self.server.reachable:
            self.server.end(self)

    async def _answer(self) -> None:
        if self.server.defect:
            raise ZeroDivisionError
        if self.server.frozen:
            await asyncio.get_running_loop().create_future()
        if self.closed or not self.server.reachable:
            raise ConnectError("refused")


class Agent:
    """One contender, and what it heard."""

    def __init__(self, server: Server, *names: str, chance: float = 0.5, fail_open: bool = True) -> None:
        self.clock = FakeClock()
        self.meter = Instruments("", self.clock)
        self.heard: list[set[str]] = []
        self.names = names
        self.leases = PostgresLeases(
            lambda: Session(server),
            installation="acme",
            ttl=TTL,
            meter=self.meter,
            clock=self.clock,
            fail_open=fail_open,
            chance=lambda: chance,
        )

    def start(self) -> None:
        """Contend."""
        self.leases.want(self.names)
        self.leases.start(lambda: self.heard.append(self.held()))

    def held(self) -> set[str]:
        """Where it acts."""
        return {name for name in self.names if self.leases.held(name)}

    def says(self, metric: Any, **attributes: str) -> Any:
        """The value of one series."""
        return value(self.meter, metric, **attributes)


@pytest.fixture
def server() -> Server:
    """A server with no locks."""
    return Server()


@pytest_asyncio.fixture
async def agents(server: Server) -> AsyncIterator[list[Agent]]:
    """Three agents for the same two targets; the first one starts first."""
    agents = [Agent(server, "db", "erp", chance=chance) for chance in (0.2, 0.5, 0.8)]
    yield agents
    for agent in agents:
        await agent.leases.close()


async def started(agents: list[Agent]) -> Agent:
    """Start them one after the other; returns the holder."""
    for agent in agents:
        agent.start()
        await asyncio.sleep(0.1)
    return agents[0]


async def test_one_agent_acts_and_the_others_wait(agents: list[Agent]) -> None:
    """The first holds both leases in one session, and says so; the others say 0."""
    holder = await started(agents)
    await asyncio.sleep(60)
    assert [agent.held() for agent in agents] == [{"db", "erp"}, set(), set()]
    assert [agent.says(LEASE_HELD, target="db") for agent in agents] == [1, 0, 0]
    assert [agent.says(LEASE_UNREACHABLE) for agent in agents] == [0, 0, 0]
    assert [agent.says(LEASE_CHANGES, target="db") for agent in agents] == [1, 0, 0]
    assert holder.heard == [{"db", "erp"}]


async def test_a_dead_holder_is_followed_at_once(server: Server, agents: list[Agent]) -> None:
    """When its session ends, another takes over with its next beat, within a few seconds; there is one holder."""
    holder = await started(agents)
    task = holder.leases._task
    assert task is not None
    task.cancel()
    server.end(server.sessions[0])
    await asyncio.sleep(6.5)
    assert sorted(len(agent.held()) for agent in agents[1:]) == [0, 2]


async def test_a_frozen_holder_does_not_believe_in_its_lease(agents: list[Agent]) -> None:
    """An agent that comes to itself after more than the time to live acts on nothing before it has asked."""
    holder = await started(agents)
    task = holder.leases._task
    assert task is not None
    task.cancel()
    await asyncio.sleep(TTL - 1)
    assert holder.held() == {"db", "erp"}
    await asyncio.sleep(1.1)
    assert holder.held() == set()


async def test_the_last_holder_goes_on_when_the_server_is_away(server: Server, agents: list[Agent]) -> None:
    """Nobody goes blind and nobody doubles: who acted acts, those who knew a holder wait, all of them say why."""
    await started(agents)
    server.reachable = False
    await asyncio.sleep(30)
    assert [agent.held() for agent in agents] == [{"db", "erp"}, set(), set()]
    assert [agent.says(LEASE_UNREACHABLE) for agent in agents] == [1, 1, 1]
    assert [agent.says(LEASE_HELD, target="db") for agent in agents] == [0, 0, 0]


async def test_a_lost_session_is_given_up_at_its_time_to_live(server: Server, agents: list[Agent]) -> None:
    """Until then the holder still says that it holds."""
    holder = await started(agents)
    await asyncio.sleep(1)
    server.reachable = False
    await asyncio.sleep(8)
    assert (holder.says(LEASE_UNREACHABLE), holder.says(LEASE_HELD, target="db")) == (1, 1)


async def test_who_is_told_to_stops_when_its_lease_is_over(server: Server) -> None:
    """With leases that fail closed nobody acts once the time to live has passed without an answer; then one does."""
    agents = [Agent(server, "db", "erp", chance=chance, fail_open=False) for chance in (0.2, 0.5, 0.8)]
    holder = await started(agents)
    await asyncio.sleep(1)
    server.reachable = False
    await asyncio.sleep(TTL - 5.5)
    assert holder.held() == {"db", "erp"}
    await asyncio.sleep(5.5)
    assert holder.heard == [{"db", "erp"}, set()]
    agents.append(Agent(server, "db", "erp", fail_open=False))
    agents[-1].start()
    await asyncio.sleep(PATIENCE * TTL + 12)
    assert [agent.held() for agent in agents] == [set()] * 4
    server.end(server.sessions[0])  # as a server does with a session that is silent for a time to live
    server.reachable = True
    await asyncio.sleep(6.5)
    assert sorted(len(agent.held()) for agent in agents) == [0, 0, 0, 2]
    for agent in agents:
        await agent.leases.close()


async def test_a_black_hole_takes_no_longer_to_stop_who_is_told_to(server: Server) -> None:
    """A keeper that answers nothing, where each beat waits for it, is told from one that refuses by nobody's lease."""
    holder = Agent(server, "db", fail_open=False)
    holder.start()
    await asyncio.sleep(0.1)
    server.frozen = True
    await asyncio.sleep(TTL + TTL / 3)
    assert holder.heard == [{"db"}, set()]
    await holder.leases.close()


async def test_an_agent_that_never_saw_a_holder_acts(server: Server, agents: list[Agent]) -> None:
    """Started while the server is away, it watches rather than not."""
    server.reachable = False
    await started(agents)
    assert agents[2].held() == {"db", "erp"}


async def test_a_server_that_answers_nothing_is_away_too(server: Server, agents: list[Agent]) -> None:
    """A black hole is seen within a third of the time to live."""
    server.frozen = True
    agents[0].start()
    await asyncio.sleep(TTL / 3 + 0.1)
    assert agents[0].held() == {"db", "erp"}
    assert agents[0].says(LEASE_UNREACHABLE) == 1


async def test_a_holder_that_was_known_is_not_trusted_for_ever(server: Server, agents: list[Agent]) -> None:
    """Holder and server may have died together: after four times to live those who waited act."""
    await started(agents)
    server.reachable = False
    await asyncio.sleep((PATIENCE - 1) * TTL)
    assert agents[1].held() == set()
    await asyncio.sleep(TTL + 12)
    assert agents[1].held() == {"db", "erp"}


async def test_when_the_server_is_back_one_agent_is_left(server: Server, agents: list[Agent]) -> None:
    """However many acted meanwhile, the overlap ends with the next beats."""
    server.reachable = False
    await started(agents)
    assert [len(agent.held()) for agent in agents] == [2, 2, 2]
    server.reachable = True
    await asyncio.sleep(6.5)
    assert sorted(len(agent.held()) for agent in agents) == [0, 0, 2]
    assert {agent.says(LEASE_UNREACHABLE) for agent in agents} == {0}


async def test_a_restarted_server_costs_no_pause(server: Server, agents: list[Agent]) -> None:
    """All sessions end at once, and at each moment somebody acts."""
    await started(agents)
    for session in list(server.sessions):
        server.end(session)
    for _ in range(100):
        await asyncio.sleep(0.1)
        assert any(agent.held() for agent in agents)
    assert sorted(len(agent.held()) for agent in agents) == [0, 0, 2]


async def test_contention_never_ends(server: Server, agents: list[Agent]) -> None:
    """A waiting agent takes over after an hour of refusals as after seconds."""
    holder = await started(agents)
    await asyncio.sleep(3600)
    await holder.leases.close()
    await asyncio.sleep(6.5)
    assert sorted(len(agent.held()) for agent in agents[1:]) == [0, 2]
    assert server.sessions[0].closed


async def test_a_plan_that_changes_changes_the_leases(server: Server, agents: list[Agent]) -> None:
    """A target that is no longer wanted is free for others, without a word of it left; a new one is contended for."""
    holder, other, _ = agents
    holder.start()
    await asyncio.sleep(1)
    holder.leases.want(["erp", "cache"])
    await asyncio.sleep(1)
    assert (holder.leases.held("db"), holder.leases.held("cache")) == (False, True)
    assert matching(holder.meter, LEASE_HELD, target="db") == []
    assert set(server.locks) == {lock_key("acme", "erp"), lock_key("acme", "cache")}
    other.start()
    await asyncio.sleep(1)
    assert other.held() == {"db"}


async def test_a_pooler_that_moves_the_session_is_found_out(server: Server) -> None:
    """Behind a pooler in transaction mode a lock is nobody's: that counts as unreachable, and the agent acts."""
    agent = Agent(server, "db")
    agent.start()
    await asyncio.sleep(1)
    for session in server.sessions:
        session.pid += 1000
    await asyncio.sleep(60)
    assert agent.says(LEASE_UNREACHABLE) == 1
    assert agent.held() == {"db"}
    await agent.leases.close()


async def test_a_cut_line_is_no_outage(server: Server, agents: list[Agent]) -> None:
    """The holder whose session was ended asks again at once, and steps back where another has taken its place."""
    holder, other, _ = agents
    holder.start()
    await asyncio.sleep(0.1)
    server.end(server.sessions[0])
    other.start()
    await asyncio.sleep(0.1)
    assert other.held() == {"db", "erp"}
    for _ in range(65):
        await asyncio.sleep(0.1)
        assert holder.says(LEASE_UNREACHABLE) == 0
    assert holder.held() == set()
    assert holder.heard == [{"db", "erp"}, set()]
    assert holder.says(LEASE_CHANGES, target="db") == 2


@pytest.mark.parametrize(("version", "has"), [(150000, True), (130000, False)])
async def test_the_server_itself_ends_a_silent_holder(version: int, *, has: bool) -> None:
    """The session's settings let it be ended within the time to live; older servers lack one of them."""
    server = Server(version)
    agent = Agent(server, "db")
    agent.start()
    await asyncio.sleep(1)
    settings = server.sessions[0].settings
    assert settings["tcp_keepalives_idle"] == "5"
    assert settings.get("idle_session_timeout") == ("15000" if has else None)
    await agent.leases.close()


async def test_a_defect_is_as_good_as_an_outage(server: Server) -> None:
    """Whatever is raised, contention goes on."""
    server.defect = True
    agent = Agent(server, "db")
    agent.start()
    await asyncio.sleep(1)
    assert agent.held() == {"db"}
    server.defect = False
    await asyncio.sleep(6.5)
    assert agent.says(LEASE_UNREACHABLE) == 0
    await agent.leases.close()


async def test_a_successor_knows_until_when_there_was_a_holder(agents: list[Agent]) -> None:
    """It is told once, and only where there was one; it is the last time that a beat found one alive."""
    holder, other, _ = agents
    holder.start()
    await asyncio.sleep(0.1)
    assert holder.leases.taken_over("db") is None
    other.start()
    await asyncio.sleep(60)
    assert other.leases.taken_over("db") is None
    died = other.clock.time()
    await holder.leases.close()
    await asyncio.sleep(6.5)
    assert other.held() == {"db", "erp"}
    before = other.leases.taken_over("db")
    assert before is not None
    assert died - 6.5 < before <= died
    assert other.leases.taken_over("db") is None


async def test_a_holder_that_fell_silent_lived_until_then(server: Server, agents: list[Agent]) -> None:
    """One whose host vanished keeps its lock for a while: it counts as alive until its last beat only."""
    holder, other, _ = agents
    await started(agents[:2])
    server.silence = 12.0
    await asyncio.sleep(30)
    died = other.clock.time()
    await holder.leases.close()
    await asyncio.sleep(6.5)
    before = other.leases.taken_over("db")
    assert before is not None
    assert died - 12 - 6.5 < before <= died - 12


async def test_a_run_asks_first(agents: list[Agent]) -> None:
    """The holder is told so within no time, between two beats; nothing is counted."""
    holder = await started(agents)
    await asyncio.sleep(1)
    began = holder.clock.monotonic()
    assert await holder.leases.confirm("db")
    assert holder.clock.monotonic() == began
    assert not await agents[1].leases.confirm("db")
    assert [agent.says(LEASE_UNCONFIRMED, target="db") for agent in agents] == [0, 0, 0]


async def test_a_holder_whose_lease_was_taken_learns_it_by_asking(server: Server, agents: list[Agent]) -> None:
    """Its session ended, another got the lock, and its next beat is not due yet: it does not act."""
    holder, other, _ = agents
    holder.start()
    await asyncio.sleep(0.1)
    server.end(server.sessions[0])
    other.start()
    await asyncio.sleep(0.1)
    assert (holder.held(), other.held()) == ({"db", "erp"}, {"db", "erp"})
    assert not await holder.leases.confirm("db")
    assert holder.held() == set()
    assert holder.says(LEASE_UNCONFIRMED, target="db") == 0


async def test_a_run_that_nobody_can_confirm_is_counted(server: Server, agents: list[Agent]) -> None:
    """While the server is away the holder goes on, and says of each run that it may be another's too."""
    holder = await started(agents)
    server.reachable = False
    assert not await holder.leases.confirm("db")
    assert not await holder.leases.confirm("db")
    assert holder.held() == {"db", "erp"}
    assert holder.says(LEASE_UNCONFIRMED, target="db") == 2
    assert not await agents[1].leases.confirm("db")
    assert agents[1].says(LEASE_UNCONFIRMED, target="db") == 0


def test_keys_are_stable_and_apart() -> None:
    """The same on every agent and release; installations and targets differ; it fits a bigint."""
    assert lock_key("acme", "db") == 1569807497103166170
    keys = {lock_key(installation, name) for installation in ("acme", "acm") for name in ("edb", "db", "e")}
    assert len(keys) == 6
    assert all(-(2**63) <= key < 2**63 for key in keys)


async def test_an_agent_that_is_alone_acts_on_everything() -> None:
    """Without leases nothing is contended for."""
    alone = AlwaysHeld()
    alone.want(["db"])
    alone.start(lambda: None)
    assert alone.held("db")
    assert await alone.confirm("db")
    assert alone.taken_over("db") is None
    await alone.close()
