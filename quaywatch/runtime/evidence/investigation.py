"""The looking around: everything at once, each with drivers of its own and within a bound, and then the rules."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from quaywatch.contract import Cluster, Driver, Http, Redis, Visit
from quaywatch.errors import ConfigError, TargetError
from quaywatch.runtime.probing import Evidence, Suspicion

from .facts import Cache, Database, Facts, Standby, State
from .gather_postgres import look_at_database, look_at_standby
from .gather_redis import look_at_cache
from .rules import classify

LOOK_WITHIN: Final = 2.0
"""Seconds that the look at one back end may take: what has not answered by then is told to be silent."""
PAGE_WITHIN: Final = 1.5
"""Seconds that drivers to be opened here should grant an answer: they then say themselves how far they came."""
_AT_ONCE: Final = 4
"""How many steps are looked into at a time: a hundred flows that stall together must not become the next trouble."""
_LIGHT_PAGE: Final = "/web/health"
"""Says pass from Odoo 16 on, and not found before: either way a worker has answered."""

D = TypeVar("D", bound=Driver)
F = TypeVar("F")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an Odoo target stands on: how to open a driver of our own to each of it; None where it is not known.

    Args:
        front: Odoo at the address that the probes use.
        direct: Odoo itself, past the edge.
        edge: the proxy in front, at an address of its own.
        database_server: the cluster that holds Odoo's database.
        standby: a standby of it.
        cache: the Redis that Odoo uses.
        kept_database_server: the agent's own driver to that cluster, whose session may be open; it is not closed here.
    """

    front: Callable[[], Http]
    direct: Callable[[], Http] | None = None
    edge: Callable[[], Http] | None = None
    database_server: Callable[[], Cluster] | None = None
    standby: Callable[[], Cluster] | None = None
    cache: Callable[[], Redis] | None = None
    kept_database_server: Callable[[], Cluster | None] = lambda: None


class Investigator:
    """Is asked why a step is slow or fails: an `OnSuspicion`.

    Args:
        surroundings: by the names of the Odoo targets.
    """

    def __init__(self, surroundings: Mapping[str, Surroundings]) -> None:
        self._surroundings = surroundings
        self._turns = asyncio.Semaphore(_AT_ONCE)

    def take(self, surroundings: Mapping[str, Surroundings]) -> None:
        """Go by these from now on."""
        self._surroundings = surroundings

    async def __call__(self, suspicion: Suspicion) -> Evidence | None:
        """The likely cause; None for a target that is not known here."""
        around = self._surroundings.get(suspicion.case.target)
        if around is None:
            return None
        async with self._turns:
            return classify(await look_around(suspicion, around))


async def look_around(suspicion: Suspicion, around: Surroundings) -> Facts:
    """Everything there is to look at, looked at together; over within `LOOK_WITHIN` seconds."""
    case = suspicion.case
    front, direct, edge, database, standby, cache = await asyncio.gather(
        _look(around.front, _page),
        _look(around.direct, _page),
        _look(around.edge, _own_page),
        _look(
            around.database_server,
            lambda cluster: look_at_database(cluster, case, around.kept_database_server()),
            Database(state=State.SILENT, name=case.database, seconds=LOOK_WITHIN),
        ),
        _look(around.standby, look_at_standby, Standby(state=State.SILENT)),
        _look(around.cache, look_at_cache, Cache(state=State.SILENT)),
    )
    return Facts(
        suspicion=suspicion,
        front=front,
        direct=direct,
        edge=edge,
        database=database,
        standby=standby,
        cache=cache,
        fronted=around.edge is not None,
    )


async def _look(opened: Callable[[], D] | None, read: Callable[[D], Awaitable[F]], silent: F | None = None) -> F | None:
    """What ``read`` finds with a driver that is opened for it and closed after it; ``silent`` when time is over."""
    if opened is None:
        return None
    try:
        driver = opened()
    except ConfigError:
        return None
    try:
        async with asyncio.timeout(LOOK_WITHIN):
            return await read(driver)
    except TimeoutError:
        return silent
    except (TargetError, ConfigError):
        return None
    finally:
        await driver.close()


async def _page(http: Http) -> Visit:
    return await http.visit(_LIGHT_PAGE)


async def _own_page(http: Http) -> Visit:
    return await http.visit("")
