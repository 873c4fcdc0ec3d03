"""A long trial: the agent on a thousand tenants that come, go and change their names all the time.

python -m bench.tenants                                      a thousand tenants, half an hour
python -m bench.tenants --tenants 100 --minutes 3            a short one

Says how long its tours took, how many connections it had at a time, whether its memory stayed flat, and whether it
showed anything of tenants that were gone. Exit code 0 when all is as promised, 1 when not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import linear_regression, median
from typing import Any, Final

import asyncpg
import psutil
import yaml

from sandbox import tenants
from sandbox.parts import api, postgres
from sandbox.parts.postgres import ODOO_ROLE, Postgres, sql
from sandbox.process import LOOPBACK, Services, Spec, free_port

VISITS: Final = 4
MOST_CONNECTIONS: Final = 5
"""Four visits at a time, and the session that is kept for what concerns the whole cluster."""
TOUR_WITHIN: Final = 30.0
GONE_WITHIN: Final = TOUR_WITHIN + 10.0
"""Seconds after which nothing may be said of a tenant that is gone: the next tour misses it, and begins in time."""
GROWTH: Final = 0.05
"""By how much memory may grow over the whole trial, by its trend, of what it is on the average."""
_AGENT: Final = "agent"
_PROGRAM: Final = Path(sys.executable).with_name("quaywatch")
_ROLE: Final = "quaywatch"
_SESSIONS: Final = f"select count(*) from pg_stat_activity where usename = '{_ROLE}'"
_LISTED: Final = "select datname from pg_database where datname like 'tenant\\_%' and not datistemplate"
_LOGGED: Final = {"log_connections": "on", "log_disconnections": "on"}
# As docs/scale.md tells whoever has many tenants: statements are kept apart by database.
_UNTRACKED: Final = f"alter role {_ROLE} set pg_stat_statements.track = 'none'"
_TENANT: Final = re.compile(r'database="(tenant_\d+)"')
_TOUR: Final = re.compile(r'^quaywatch_tour_duration_seconds\{.*job="tour\.30s".*\} (\S+)$', re.MULTILINE)
_ERRORS: Final = re.compile(r'^quaywatch_scrape_error_total\{.*reason="(\w+)".*\} (\S+)$', re.MULTILINE)
# Who is let in and finds that the database is gone says no farewell.
_EVENT: Final = re.compile(
    rf"\[(?P<pid>\d+)\] (?:LOG:  (?P<began>connection authorized: user={_ROLE} )|LOG:  discon|FATAL)"
)
_SAMPLED_EVERY: Final = 0.1
_SCRAPED_EVERY: Final = 15.0
"""Seconds between scrapes while the first tour is on: as usual, since a page of all tenants is work for the agent."""
_LOOKED_AT_EVERY: Final = 30.0
_A_CHANGE_EVERY: Final = 3.0
_READY_WITHIN: Final = 300.0


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a scrape showed, ``at`` so many seconds after the agent's start; sizes are bytes.

    ``processor`` and ``server`` are the processor time that the agent and PostgreSQL used up to then. ``left_over`` are
    the seconds for which the tenant shown that is gone for longest is gone.
    """

    at: float
    processor: float
    server: float
    resident: int
    series: int
    shown: int
    left_over: float
    tour: float
    load: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a trial gave. Times are seconds, sizes bytes; ``growth`` is by the trend over the time looked at."""

    began: str
    machine: str
    tenants: int
    minutes: float
    rows: dict[str, dict[str, int]]
    prepared_in: float
    first_sweep: float
    tours: list[float]
    most_sampled: int
    most_logged: int
    changes: dict[str, int]
    resident: float
    slope_per_hour: float
    growth: float
    series: int
    series_per_tenant: tuple[int, int]
    left_over: float
    strangers: list[str]
    missing: list[str]
    errors: dict[str, float]
    unanswered: int
    looks: list[Look]

    def promises(self) -> dict[str, bool]:
        """Each promise, and whether it was kept."""
        return {
            f"a tour takes {TOUR_WITHIN:g} s at most": max(self.first_sweep, *self.tours) <= TOUR_WITHIN,
            f"{MOST_CONNECTIONS} connections at most": max(self.most_sampled, self.most_logged) <= MOST_CONNECTIONS,
            f"memory grows by {GROWTH:.0%} at most": self.growth <= GROWTH,
            f"a tenant that is gone is shown for {GONE_WITHIN:g} s at most": self.left_over <= GONE_WITHIN,
            "in the end exactly the tenants that exist are shown": not self.strangers and not self.missing,
        }


@dataclass
class Churn:
    """Makes, drops and renames tenants, each in turn; ``gone`` says since when a name is nobody's."""

    owner: Any
    alive: list[str]
    next_number: int
    gone: dict[str, float] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)

    async def step(self) -> None:
        """One change; somebody who is just in the database is a reason to pass over it."""
        change = (self.make, self.drop, self.rename)[self.done.total() % 3]
        try:
            await change()
        except asyncpg.ObjectInUseError:
            self.done["passed over"] += 1
        else:
            self.done[change.__name__] += 1

    async def make(self) -> None:
        """One more, of either edition in turn."""
        name = self._new_name()
        edition = tenants.EDITIONS[self.next_number % len(tenants.EDITIONS)]
        await self.owner.execute(f'create database "{name}" template "{tenants.template(edition)}" owner {ODOO_ROLE}')
        self.alive.append(name)

    async def drop(self) -> None:
        """One less, the oldest, and whoever is in it is thrown out."""
        name = self.alive[0]
        await self.owner.execute(f'drop database "{name}" with (force)')
        self._went(name)

    async def rename(self) -> None:
        """One goes under another name."""
        old, new = self.alive[len(self.alive) // 2], self._new_name()
        await self.owner.execute(f'alter database "{old}" rename to "{new}"')
        self._went(old)
        self.alive.append(new)

    def _new_name(self) -> str:
        (name,) = tenants.names(1, first=self.next_number)
        self.next_number += 1
        return name

    def _went(self, name: str) -> None:
        self.alive.remove(name)
        self.gone[name] = time.monotonic()


class Watcher:
    """Looks at the agent from outside."""

    def __init__(self, url: str, pid: int, server_pid: int, churn: Churn) -> None:
        self._url = url
        self._process = psutil.Process(pid)
        self._server = psutil.Process(server_pid)
        self._churn = churn
        self._began = time.monotonic()
        self.looks: list[Look] = []
        self.sessions = 0
        self.unanswered = 0
        self.page = ""

    async def look(self) -> None:
        """One scrape; one that is not answered in time, as a scraper counts it, is counted."""
        before = dict(self._churn.gone)
        try:
            self.page = await asyncio.to_thread(api.get, f"{self._url}/metrics")
        except OSError:
            self.unanswered += 1
            return
        now, shown = time.monotonic(), self.shown()
        tour = _TOUR.search(self.page)
        look = Look(
            at=now - self._began,
            processor=_used(self._process),
            server=_used_with_children(self._server),
            resident=self._process.memory_info().rss,
            series=sum(1 for line in self.page.splitlines() if line and not line.startswith("#")),
            shown=len(shown),
            left_over=max((now - before[name] for name in shown if name in before), default=0.0),
            tour=float(tour[1]) if tour else 0.0,
            load=os.getloadavg()[0],
        )
        self.looks.append(look)
        print(
            f"{look.at:6.0f} s: {_mebibytes(look.resident):.1f} MiB, {look.series} series, "
            f"{look.shown} tenants, last tour {look.tour:.1f} s, load {look.load:.1f}",
            flush=True,
        )

    def shown(self) -> Counter[str]:
        """How many series of each tenant the last scrape had."""
        return Counter(_TENANT.findall(self.page))

    async def count(self, observer: Any) -> None:
        """How many sessions the agent has now."""
        self.sessions = max(self.sessions, await observer.fetchval(_SESSIONS))


async def trial(services: Services, server: Postgres, count: int, minutes: float) -> Result:
    """The whole trial on a server that is prepared."""
    began, prepared_in = datetime.now(UTC), await _prepared(server, count)
    rows = {edition.title: tenants.counts(server, tenants.template(edition)) for edition in tenants.EDITIONS}
    log = services.log(postgres.PRIMARY)
    from_here = log.stat().st_size
    async with _session(server) as owner, _session(server) as observer, agent(services, server) as (url, pid):
        churn = Churn(owner, tenants.names(count), count)
        watcher = Watcher(url, pid, _pid(services, postgres.PRIMARY), churn)
        async with _again_and_again(partial(watcher.count, observer), _SAMPLED_EVERY):
            first_sweep = await _first_sweep(watcher, count)
            per_tenant = round(median(watcher.shown().values()))
            async with _again_and_again(churn.step, _A_CHANGE_EVERY):
                await _look_for(watcher, minutes * 60)
            await _look_for(watcher, GONE_WITHIN + TOUR_WITHIN)
        existing = {row["datname"] for row in await owner.fetch(_LISTED)}
    looks, shown = watcher.looks, watcher.shown()
    slope, growth = trend(looks)
    return Result(
        began=f"{began:%Y-%m-%d %H:%M} UTC",
        machine=f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.system()}",
        tenants=count,
        minutes=minutes,
        rows=rows,
        prepared_in=prepared_in,
        first_sweep=first_sweep,
        tours=_different(look.tour for look in looks),
        most_sampled=watcher.sessions,
        most_logged=_most_logged(log, from_here),
        changes=dict(churn.done),
        resident=median(look.resident for look in looks),
        slope_per_hour=slope * 3600,
        growth=growth,
        series=looks[-1].series,
        series_per_tenant=(per_tenant, round(median(shown.values()))),
        left_over=max(look.left_over for look in looks),
        strangers=sorted(set(shown) - existing),
        missing=sorted(existing - set(shown)),
        errors=_errors(watcher.page),
        unanswered=watcher.unanswered,
        looks=looks,
    )


def trend(looks: Sequence[Look]) -> tuple[float, float]:
    """Memory's slope in bytes a second, and what it makes of the mean over the time; the first fifth is warming up."""
    settled = looks[len(looks) // 5 :]
    slope, at_first = linear_regression([look.at for look in settled], [float(look.resident) for look in settled])
    lasted = settled[-1].at - settled[0].at
    return slope, slope * lasted / (at_first + slope * (settled[0].at + lasted / 2))


async def _prepared(server: Postgres, count: int) -> float:
    """Make the tenants, and enter each once as Odoo would have: who is the first has to gather its catalogue."""
    began = time.monotonic()
    sql(server, _UNTRACKED)
    tenants.prepare(server)
    tenants.add(server, tenants.names(count))
    for name in tenants.names(count):
        async with _session(server, name):
            pass
    sql(server, "checkpoint")
    return time.monotonic() - began


@asynccontextmanager
async def agent(services: Services, server: Postgres) -> AsyncIterator[tuple[str, int]]:
    """`quaywatch run` on all tenants, with everything that it reads by itself; its address and its process id."""
    listen = f"{LOOPBACK}:{free_port()}"
    target = {"kind": "postgres", "host": server.host, "port": server.port, "user": _ROLE, "password": server.password}
    settings = {
        "environment": "trial",
        "installation": "trial",
        "targets": {"db": target | {"visits": VISITS, "tenants": {"include": ["tenant_*"]}}},
        "telemetry": {"http": {"listen": listen}},
        "lease": "none",
    }
    config = services.state / "quaywatch.yaml"
    config.write_text(yaml.safe_dump(settings))
    ready = partial(api.answers, f"http://{listen}/healthz")
    services.start(Spec(name=_AGENT, argv=(str(_PROGRAM), "run", "--config", str(config)), ports={}, ready=ready))
    try:
        yield f"http://{listen}", _pid(services, _AGENT)
    finally:
        services.stop(_AGENT)


def _pid(services: Services, name: str) -> int:
    pid = services.pid(name)
    if pid is None:
        raise RuntimeError(f"{name} does not run")
    return pid


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _used_with_children(process: psutil.Process) -> float:
    """With what it has buried, and what lives."""
    times = process.cpu_times()
    used = _used(process) + float(times.children_user + times.children_system)
    for child in process.children():
        with suppress(psutil.NoSuchProcess):
            used += _used(child)
    return used


async def _first_sweep(watcher: Watcher, count: int) -> float:
    """Wait until every tenant was read; how long that tour took."""
    deadline = time.monotonic() + _READY_WITHIN
    while not watcher.looks or not watcher.looks[-1].tour:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{count} tenants are not read within {_READY_WITHIN:g} s")
        await asyncio.sleep(_SCRAPED_EVERY)
        await watcher.look()
    first = watcher.looks[-1].tour
    watcher.looks.clear()
    return first


async def _look_for(watcher: Watcher, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        await watcher.look()
        await asyncio.sleep(_LOOKED_AT_EVERY)
    await watcher.look()


@asynccontextmanager
async def _session(server: Postgres, database: str = "postgres") -> AsyncIterator[Any]:
    connection = await asyncpg.connect(server.superuser_dsn(database))
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def _again_and_again(do: Callable[[], Awaitable[None]], every: float) -> AsyncIterator[None]:
    async def repeat() -> None:
        while not over.is_set():
            await do()
            await asyncio.sleep(every)

    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(repeat())
        try:
            yield
        finally:
            over.set()


def _different(tours: Iterable[float]) -> list[float]:
    """The tours as they were seen: several looks fall between two of them."""
    return list(dict.fromkeys(round(tour, 3) for tour in tours))


def _errors(page: str) -> dict[str, float]:
    found: defaultdict[str, float] = defaultdict(float)
    for reason, number in _ERRORS.findall(page):
        found[reason] += float(number)
    return {reason: number for reason, number in found.items() if number}


def _most_logged(log: Path, from_here: int) -> int:
    """The most sessions that the agent had at a time, by what the server wrote into its log from a place on."""
    there: set[str] = set()
    highest = 0
    with log.open("rb") as written:
        written.seek(from_here)
        for line in written:
            found = _EVENT.search(line.decode(errors="replace"))
            if found and found["began"]:
                there.add(found["pid"])
                highest = max(highest, len(there))
            elif found:
                there.discard(found["pid"])
    return highest


def shares(looks: Sequence[Look]) -> tuple[float, float]:
    """How many processors the agent and PostgreSQL kept busy, on the average."""
    first, last = looks[0], looks[-1]
    lasted = last.at - first.at
    return (last.processor - first.processor) / lasted, (last.server - first.server) / lasted


def report(result: Result) -> str:
    """The result in words."""
    changes = ", ".join(f"{number} {what}" for what, number in result.changes.items())
    first, last = result.series_per_tenant
    agent_share, server_share = shares(result.looks)
    lines = [
        f"began {result.began} on {result.machine}; load {median(look.load for look in result.looks):.1f}",
        f"{result.tenants} tenants, made in {result.prepared_in:.0f} s; in {result.minutes:g} minutes: {changes}",
        f"first tour: {result.first_sweep:.1f} s",
        f"{len(result.tours)} later tours: median {median(result.tours):.1f} s, longest {max(result.tours):.1f} s",
        f"processors in use: {agent_share:.2f} by the agent, {server_share:.2f} by PostgreSQL with the changes",
        f"connections at a time: {result.most_sampled} sampled, {result.most_logged} by the server's log",
        f"resident memory: median {_mebibytes(result.resident):.1f} MiB, {result.growth:+.2%} over the time",
        f"its slope: {_mebibytes(result.slope_per_hour):+.2f} MiB an hour",
        f"series: {result.series}; of a tenant {first} at first, {last} in the end",
        f"a tenant that was gone was shown for {result.left_over:.0f} s at most",
        f"in the end {len(result.strangers)} shown that are gone, {len(result.missing)} not shown",
        f"errors by reason: {result.errors}; {result.unanswered} scrapes not answered in 10 s",
        *(f"{'kept  ' if kept else 'BROKEN'} {promise}" for promise, kept in result.promises().items()),
    ]
    return "\n".join(lines)


def _mebibytes(size: float) -> float:
    return size / 2**20


@contextmanager
def cluster(state: Path) -> Iterator[tuple[Services, Postgres]]:
    """A server of its own, which is deleted as a whole: to drop a thousand databases takes longer than to make them."""
    services = Services(state)
    postgres.prepare(None)
    try:
        yield services, postgres.start_primary(services, postgres.PRIMARY, postgres.INSTALLED, _LOGGED)
    finally:
        services.kill(postgres.PRIMARY, signal.SIGQUIT)
        services.stop_all()
        shutil.rmtree(state)


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.tenants", description=str(__doc__).splitlines()[0])
    parser.add_argument("--tenants", type=int, default=1000, help="how many there are at any time (default: 1000)")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long they come and go (default: 30)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write the result with every look at the agent as JSON"
    )
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with cluster(Path(tempfile.mkdtemp(prefix="quaywatch-tenants-"))) as (services, server):
        result = asyncio.run(trial(services, server, options.tenants, options.minutes))
    print(report(result))
    if options.out:
        options.out.write_text(json.dumps(asdict(result), indent=1))
    return 0 if all(result.promises().values()) else 1


if __name__ == "__main__":
    sys.exit(main())
