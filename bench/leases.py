"""Three agents on one lease, while their leader is killed, cut off and frozen, and the database fails over.

    python -m bench.leases --ticks 200

Every tick of the probe must be run by somebody or be reported as missed, and none may be run twice except where an
agent was cut off from the keeper of the leases; those runs must be counted as unconfirmed. With ``--stop`` an agent
leaves the target when it cannot reach the keeper for a time to live, and the leader is cut off for four of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from quaywatch.runtime.probing.marks import mark_prefix, run_id, run_of
from quaywatch.runtime.schedule.turns import SPREAD, share
from sandbox.parts import postgres
from sandbox.process import Services
from tests.adversity.runtime.relay import Relay

ROOT: Final = Path(__file__).parents[1]
NAMES: Final = ("anna", "bert", "cleo")
_INSTALLATION, _TARGET, _DATABASE, _PROBE = "runtime-tests", "db", "postgres", "note"
_LOOK_EVERY = 0.05


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and what happens: ``faults`` are names by the number of the tick after which they come."""

    ticks: int
    every: float
    ttl: float
    faults: Mapping[int, str]
    fail_open: bool = True
    cut: float = 1.5
    """Times to live for which the leader is cut off."""


LONG: Final = Plan(
    ticks=200,
    every=2.0,
    ttl=4.5,
    faults={20: "kill", 45: "cut", 70: "failover", 100: "kill", 125: "freeze", 150: "cut", 175: "kill"},
)


@dataclass(frozen=True, kw_only=True)
class Episode:
    """What became of the ticks of one stretch. ``overlap`` is the time in seconds during which ticks doubled."""

    fault: str
    ticks: int
    run: int
    twice: int
    not_run: int
    unreported: int
    """Of those that nobody ran, how many lie in no stretch that an agent reported as missed."""
    reported_missed: int
    unconfirmed: int
    overlap: float


class Contender:
    """One agent as a process, behind a line of its own; what earlier processes of it said is kept."""

    def __init__(self, name: str, relay: Relay, server: postgres.Postgres, plan: Plan, place: Path) -> None:
        self.name = name
        self.relay = relay
        self._server = server
        self._plan = plan
        self._place = place
        self._said: list[Path] = []
        self._process = self._started()

    def begin_anew(self) -> None:
        """Start again after it was killed."""
        self._process = self._started()

    def signal(self, number: int) -> None:
        """Kill it, freeze it, thaw it."""
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait()

    def said(self) -> list[list[dict[str, Any]]]:
        """What each of its processes said."""
        return [_lines(path) for path in self._said]

    def missed(self) -> list[tuple[float, float]]:
        """The stretches whose ticks it reported as missed: the known ticks before and after each."""
        told = (line for line in _lines(self._log) if line.get("event") == "ticks were missed")
        return [(line["after"], line["before"]) for line in told]

    def runs(self) -> list[dict[str, Any]]:
        """The runs that it began."""
        return _lines(self._ledger)

    def leads(self) -> bool:
        """Whether it says now that it holds the lease."""
        said = self.said()[-1]
        return bool(said) and said[-1]["held"] == 1 and time.time() - said[-1]["at"] < 1

    @property
    def _ledger(self) -> Path:
        return self._place / f"{self.name}.runs"

    @property
    def _log(self) -> Path:
        return self._place / f"{self.name}.log"

    def _started(self) -> subprocess.Popen[bytes]:
        said = self._place / f"{self.name}.{len(self._said)}.said"
        said.touch()
        self._ledger.touch()
        self._said.append(said)
        settings = {
            "host": "127.0.0.1",
            "port": self.relay.port,
            "user": self._server.user,
            "password": self._server.password,
            "name": self.name,
            "every": self._plan.every,
            "ttl": self._plan.ttl,
            "fail_open": self._plan.fail_open,
            "said": str(said),
            "ledger": str(self._ledger),
        }
        argv = (sys.executable, "-m", "tests.adversity.runtime.agent_process", json.dumps(settings))
        with self._log.open("a") as log:
            return subprocess.Popen(argv, cwd=ROOT, stdout=log, stderr=log)


@dataclass
class Trial:
    """The servers, the agents, and the time between them."""

    plan: Plan
    place: Path
    services: Services = field(init=False)
    primary: postgres.Postgres = field(init=False)
    standby: postgres.Postgres = field(init=False)
    agents: list[Contender] = field(init=False, default_factory=list)
    begun: list[tuple[float, str]] = field(init=False, default_factory=list)
    """When each fault began."""

    async def run(self) -> list[Episode]:
        """Everything from the first server to the last tick."""
        self.services = Services(self.place)
        try:
            self.primary = await asyncio.to_thread(postgres.start, self.services, None, None)
            world: Any = SimpleNamespace(postgres=self.primary)
            self.standby = await asyncio.to_thread(postgres.start_standby, self.services, world, None)
            for name in NAMES:
                relay = Relay(self.primary.host, self.primary.port)
                await relay.open()
                self.agents.append(Contender(name, relay, self.primary, self.plan, self.place))
            await self._until(self._leader, 60)
            return await self._ticks()
        finally:
            for agent in self.agents:
                agent.signal(signal.SIGKILL)
                await agent.relay.close()
            await asyncio.to_thread(self.services.stop_all)

    async def _ticks(self) -> list[Episode]:
        every = self.plan.every
        offset = share(f"{_TARGET}/{_PROBE}") * min(every, SPREAD)
        first = int((time.time() - offset) // every) + 2
        ticks = [(first + number) * every + offset for number in range(self.plan.ticks)]
        faults = list[asyncio.Task[None]]()
        for number, tick in enumerate(ticks):
            await asyncio.sleep(tick + every / 2 - time.time())
            if number in self.plan.faults:
                fault = self.plan.faults[number]
                self.begun.append((time.time(), fault))
                faults.append(asyncio.create_task(_FAULTS[fault](self)))
        await asyncio.gather(*faults)
        # What nobody ran is reported with the next tick that somebody runs.
        await asyncio.sleep(3 * every)
        return self._told(ticks)

    def _leader(self) -> Contender | None:
        return next((agent for agent in self.agents if agent.leads()), None)

    async def leader(self) -> Contender:
        """Who holds the lease, as soon as somebody does."""
        await self._until(self._leader, 30)
        found = self._leader()
        if found is None:
            raise RuntimeError("the leader left as it was found")
        return found

    async def _until(self, condition: Callable[[], object], within: float) -> None:
        end = time.monotonic() + within
        while not condition():
            if time.monotonic() > end:
                raise RuntimeError(f"not so within {within} s")
            await asyncio.sleep(_LOOK_EVERY)

    def _told(self, ticks: Sequence[float]) -> list[Episode]:
        """What became of the ticks, from each fault to the next."""
        bounds = [ticks[0] - self.plan.every / 2, *(at for at, _ in self.begun), ticks[-1] + self.plan.every / 2]
        faults = ["none", *(fault for _, fault in self.begun)]
        runs = self._by_run()
        missed = [stretch for agent in self.agents for stretch in agent.missed()]
        told = []
        for fault, begin, end in zip(faults, bounds[:-1], bounds[1:], strict=True):
            inside = [tick for tick in ticks if begin <= tick < end]
            done = {tick: runs.get(_run(tick), []) for tick in inside}
            twice = [tick for tick, times in done.items() if len(times) > 1]
            not_run = [tick for tick, times in done.items() if not times]
            told.append(
                Episode(
                    fault=fault,
                    ticks=len(inside),
                    run=sum(bool(times) for times in done.values()),
                    twice=len(twice),
                    not_run=len(not_run),
                    unreported=sum(not any(a < tick < b for a, b in missed) for tick in not_run),
                    reported_missed=self._counted("missed", begin, end),
                    unconfirmed=self._counted("unconfirmed", begin, end),
                    overlap=max(twice) - min(twice) + self.plan.every if twice else 0.0,
                )
            )
        return told

    def _by_run(self) -> dict[str, list[float]]:
        runs = defaultdict[str, list[float]](list)
        for agent in self.agents:
            for line in agent.runs():
                runs[run_of(line["mark"])].append(line["at"])
        return runs

    def _counted(self, what: str, begin: float, end: float) -> int:
        """By how much the agents' counters rose in this time; one that was withdrawn begins at 0 again."""
        risen = 0
        for said in (said for agent in self.agents for said in agent.said()):
            before = 0
            for line in said:
                now = int(line[what] or 0)
                risen += max(0, now - before) if begin <= line["at"] < end else 0
                before = now
        return risen


async def _kill(trial: Trial) -> None:
    """The leader dies, and begins anew after three times to live."""
    leader = await trial.leader()
    leader.signal(signal.SIGKILL)
    await asyncio.sleep(3 * trial.plan.ttl)
    leader.begin_anew()


async def _cut(trial: Trial) -> None:
    """The leader alone reaches the server no more."""
    leader = await trial.leader()
    leader.relay.dark = True
    await asyncio.sleep(trial.plan.cut * trial.plan.ttl)
    leader.relay.dark = False


async def _freeze(trial: Trial) -> None:
    """The leader stands still for twice the time to live."""
    leader = await trial.leader()
    leader.signal(signal.SIGSTOP)
    await asyncio.sleep(2 * trial.plan.ttl)
    leader.signal(signal.SIGCONT)


async def _failover(trial: Trial) -> None:
    """The primary dies, and a moment later the standby is promoted and found where the primary was."""
    await asyncio.to_thread(trial.services.kill, postgres.PRIMARY, signal.SIGKILL)
    await asyncio.to_thread(postgres.sql, trial.standby, "select pg_promote()")
    for agent in trial.agents:
        await agent.relay.lead_to(trial.standby.host, trial.standby.port)


_FAULTS: Final[Mapping[str, Callable[[Trial], Coroutine[Any, Any, None]]]] = {
    "kill": _kill,
    "cut": _cut,
    "freeze": _freeze,
    "failover": _failover,
}


def _run(tick: float) -> str:
    identity = run_id(installation=_INSTALLATION, target=_TARGET, database=_DATABASE, probe=_PROBE, tick=tick)
    return mark_prefix(_INSTALLATION, _PROBE) + identity


def _lines(path: Path) -> list[dict[str, Any]]:
    """Whole lines only: the last one may be written at this moment."""
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


def table(episodes: Sequence[Episode]) -> str:
    """The result for people, in Markdown."""
    names = ("fault", "ticks", "run", "twice", "not_run", "unreported", "reported_missed", "unconfirmed", "overlap")
    rows = [" | ".join(name.replace("_", " ") for name in names), " | ".join("---" for _ in names)]
    rows += [" | ".join(str(getattr(one, name)) for name in names) for one in episodes]
    return "".join(f"| {row} |\n" for row in rows)


def main() -> None:
    """The trial, and its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--ticks", type=int, default=LONG.ticks, help="how many ticks; later faults are left out")
    parser.add_argument("--stop", action="store_true", help="agents stop without the keeper; long cuts")
    options = parser.parse_args()
    faults = {number: fault for number, fault in LONG.faults.items() if number < options.ticks}
    plan = replace(LONG, ticks=options.ticks, faults=faults)
    if options.stop:
        plan = replace(plan, fail_open=False, cut=4.0)
    with tempfile.TemporaryDirectory(prefix="quaywatch-leases-") as place:
        episodes = asyncio.run(Trial(plan, Path(place)).run())
    print(table(episodes))


if __name__ == "__main__":
    main()
