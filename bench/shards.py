"""Three agents on 300 targets, one of which is killed, as the targets see it.

    python -m bench.shards postgres
    python -m bench.shards kubernetes --every 6

Each target is to be read once in an interval, by one agent; those of the killed one by others within two intervals.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from sandbox.testing import shared_world
from sandbox.world import World
from tests.integration.runtime.cluster import namespace

ROOT: Final = Path(__file__).parents[1]
NAMES: Final = ("anna", "bert", "cleo")
TTL: Final = 4.5
_STARTS_WITHIN: Final = 90.0
_RESUMES_WITHIN: Final = 30.0


@dataclass(frozen=True)
class Read:
    """One reading, as the target saw it."""

    at: float
    target: str
    agent: str


@dataclass
class Ledger:
    """The targets: a server that answers each of them, and writes down who read it."""

    reads: list[Read] = field(default_factory=list)
    url: str = ""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Ledger]:
        """Listen on a free port of loopback."""
        application = web.Application()
        application.router.add_get("/{target}/", self._answer)
        application.router.add_get("/{target}/read", self._note)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def owners(self, since: float) -> dict[str, set[str]]:
        """Who read each target since then."""
        owners: defaultdict[str, set[str]] = defaultdict(set)
        for read in self.reads:
            if read.at >= since:
                owners[read.target].add(read.agent)
        return dict(owners)

    async def _answer(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _note(self, request: web.Request) -> web.Response:
        self.reads.append(Read(time.monotonic(), request.match_info["target"], request.headers["X-Agent"]))
        return web.Response(text="ok")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the targets saw.

    Args:
        shares: how many targets each agent read before the kill.
        shared: targets that more than one agent read, before the kill or after it.
        gaps: seconds between two readings of a target before the kill, the shortest and the longest.
        closest: the fewest seconds between a target's reading and the one after the next, before the kill.
        pace: how often a target was read in an interval before the kill, in the mean of all.
        moved: targets of agents that live that changed hands.
        resumed: for each target of the killed agent the seconds from the kill to its next reading.
    """

    shares: Mapping[str, int]
    shared: tuple[str, ...]
    gaps: tuple[float, float]
    closest: float
    pace: float
    moved: tuple[str, ...]
    resumed: Mapping[str, float]


async def trial(keeper: Mapping[str, Any], *, targets: int, every: float) -> Outcome:
    """Start three agents, look on for two intervals, kill one, and look on until others have its targets."""
    async with Ledger().open() as ledger:
        settings = {"keeper": dict(keeper), "ledger": ledger.url, "targets": targets, "every": every, "ttl": TTL}
        with ExitStack() as stack:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            agents = {name: stack.enter_context(_agent(name, settings, place / name)) for name in NAMES}
            settled = await _settled(ledger, targets, every, place)
            await asyncio.sleep(2 * every)
            killed_at, killed = time.monotonic(), NAMES[0]
            agents[killed].kill()
            await asyncio.sleep(2 * every)
            await _resumed(ledger, targets, killed_at, killed)
        return _judged(ledger, targets, every, settled, killed, killed_at)


@contextmanager
def _agent(name: str, settings: Mapping[str, Any], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    argv = (sys.executable, "-m", "bench.shard_agent", json.dumps({**settings, "name": name}))
    with log.open("w") as said:
        process = subprocess.Popen(argv, cwd=ROOT, stdout=said, stderr=said)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def _settled(ledger: Ledger, targets: int, every: float, logs: Path) -> float:
    """When every agent reads a share, and each target has had one reader for more than an interval."""
    began = time.monotonic()
    while (now := time.monotonic()) - began < _STARTS_WITHIN:
        await asyncio.sleep(0.1)
        owners = ledger.owners(now - every * 1.3)
        names = [next(iter(found)) for found in owners.values() if len(found) == 1]
        if len(names) == targets and set(names) == set(NAMES):
            return now
    raise TimeoutError(f"{targets} targets are not shared by three within {_STARTS_WITHIN:g} s:\n{_ends(logs)}")


async def _resumed(ledger: Ledger, targets: int, killed_at: float, killed: str) -> None:
    """Wait until everything is read again, though not for ever: what is not is told by the outcome."""
    while time.monotonic() - killed_at < _RESUMES_WITHIN:
        if sum(bool(agents - {killed}) for agents in ledger.owners(killed_at).values()) == targets:
            return
        await asyncio.sleep(0.1)


def _ends(logs: Path) -> str:
    return "\n".join(log.read_text()[-2000:] for log in logs.iterdir())


def _judged(ledger: Ledger, targets: int, every: float, settled: float, killed: str, killed_at: float) -> Outcome:
    before = _by_target([read for read in ledger.reads if settled <= read.at < killed_at])
    # What the killed one had sent before may be written down after.
    after = _by_target([read for read in ledger.reads if read.at >= killed_at and read.agent != killed])
    owner = {target: reads[0].agent for target, reads in before.items()}
    lost = [target for target, agent in owner.items() if agent == killed]
    gaps = [later.at - read.at for reads in before.values() for read, later in pairwise(reads)]
    closest = [third.at - first.at for reads in before.values() for first, third in zip(reads, reads[2:], strict=False)]
    intervals = (killed_at - settled) / every
    return Outcome(
        shares=Counter(owner.values()),
        shared=tuple(target for half in (before, after) for target, reads in half.items() if len(_agents(reads)) > 1),
        gaps=(min(gaps), max(gaps)),
        closest=min(closest, default=float("inf")),
        pace=sum(map(len, before.values())) / targets / intervals,
        moved=tuple(target for target in after if target not in lost and _agents(after[target]) != {owner[target]}),
        resumed={target: after[target][0].at - killed_at if target in after else float("inf") for target in lost},
    )


def _by_target(reads: Sequence[Read]) -> dict[str, list[Read]]:
    found: defaultdict[str, list[Read]] = defaultdict(list)
    for read in reads:
        found[read.target].append(read)
    return dict(found)


def _agents(reads: Sequence[Read]) -> set[str]:
    return {read.agent for read in reads}


@contextmanager
def postgres_keeper(world: World) -> Iterator[dict[str, Any]]:
    """Where agents find the server whose advisory locks they hold."""
    server = world.postgres
    yield {"host": server.host, "port": server.port, "user": server.user, "password": server.password}


@contextmanager
def kubernetes_keeper(world: World) -> Iterator[dict[str, Any]]:
    """Where agents find the namespace whose Lease objects they hold."""
    with namespace(world.kubernetes) as here, tempfile.TemporaryDirectory() as place:
        yield {
            "name": "quaywatch",
            "namespace": here.name,
            "url": here.server.url,
            "token_file": str(here.token(Path(place) / "token")),
            "ca_file": str(here.server.ca_file),
        }


KEEPERS: Final[Mapping[str, Callable[[World], Any]]] = {"postgres": postgres_keeper, "kubernetes": kubernetes_keeper}


def main() -> None:
    """Print what the targets saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("keeper", choices=KEEPERS)
    parser.add_argument("--targets", type=int, default=300)
    parser.add_argument("--every", type=float, default=5.0)
    options = parser.parse_args()
    with KEEPERS[options.keeper](shared_world(options.keeper)) as keeper:
        outcome = asyncio.run(trial(keeper, targets=options.targets, every=options.every))
    print(f"targets of each agent:      {dict(outcome.shares)}")
    print(f"read by two agents:         {len(outcome.shared)}")
    print(f"between two readings:       {outcome.gaps[0]:.2f} to {outcome.gaps[1]:.2f} s at every {options.every:g} s")
    print(f"moved without need:         {len(outcome.moved)}")
    print(f"resumed after the kill in:  {max(outcome.resumed.values()):.2f} s at most")


if __name__ == "__main__":
    main()
