"""What a flow's records can set off beside what it is for, looked at before the flow starts; at risk it does not.

Automation rules, paid labels and who is told are found by `odoo_hazards`, what Odoo would buy or make by
`odoo_procurement`. What nobody may look at is a risk like any other.
"""

from __future__ import annotations

import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar
from weakref import WeakKeyDictionary

from quaywatch.contract import Odoo, Transaction
from quaywatch.errors import ConfigError, PermissionDeniedError, VersionError

from . import odoo_hazards as hazards
from . import odoo_procurement as procurement
from .odoo_hazards import Risk
from .odoo_references import REFERENCES

LOOK_EVERY: Final = 300.0
"""Seconds for which a flow that was found harmless is not looked at again: a look costs some ten short questions."""


class Wanted(Protocol):
    """What says of a flow what its records set off, and which of it is accepted."""

    @property
    def touches(self) -> frozenset[str]:
        """The models of which it makes or changes records."""
        ...

    @property
    def partner(self) -> int | str | None:
        """The customer: an id or a reference; None when it is not known who is shipped to."""
        ...

    @property
    def product(self) -> int | str | None:
        """The product: an id or a reference; None when it is not known what is ordered."""
        ...

    @property
    def as_person(self) -> bool:
        """Whether an order is filled in as a person does it, so that Odoo chooses who is told of it."""
        ...

    @property
    def accept_risks(self) -> tuple[str, ...]:
        """Names of risks."""
        ...

    @property
    def ships(self) -> bool:
        """Whether the flow validates deliveries."""
        ...


Wants = TypeVar("Wants", bound=Wanted)
Flow = Callable[[Odoo, Wants, Transaction], Awaitable[None]]
Reading = tuple[str, Callable[[Odoo], Awaitable[list[Risk]]]]
"""The model that is looked at, and who reads it."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was found, and the models that could not be looked at."""

    risks: tuple[Risk, ...]
    unseen: tuple[str, ...] = ()

    def refused(self, wanted: Wanted) -> list[Risk]:
        """What of it keeps a flow from starting: all that is not accepted, what could not be looked at as well."""
        return _refused((*self.risks, *map(hazards.unseen, self.unseen)), wanted)


async def look(odoo: Odoo, wanted: Wanted) -> Look:
    """Everything that the records of a flow can set off, as far as the probe's user or the janitor may see it.

    Raises:
        TargetError: when Odoo does not answer.
    """
    risks: list[Risk] = []
    unseen: list[str] = []
    for model, reading in [*_of_all(wanted), *await _of_ordering(odoo, wanted)]:
        found = await _as_whoever_may(odoo, reading)
        risks += found or ()
        unseen += [model] if found is None else []
    return Look(tuple(risks), tuple(unseen))


def _of_all(wanted: Wanted) -> list[Reading]:
    touches = wanted.touches | (hazards.SHIPPED if wanted.ships else frozenset())
    readings: list[Reading] = [(hazards.RULE, lambda user: hazards.automations(user, touches))]
    if wanted.ships:
        readings.append((hazards.CARRIER, lambda user: hazards.carriers(user, wanted.partner)))
        readings.append((hazards.COMPANY, hazards.mails))
    return readings


async def _of_ordering(odoo: Odoo, wanted: Wanted) -> list[Reading]:
    """Of flows with a product and a customer; that there are none by these names they say themselves."""
    if wanted.product is None or wanted.partner is None:
        return []
    try:
        product = await REFERENCES.resolve(odoo, procurement.PRODUCT, "default_code", wanted.product)
        partner = await REFERENCES.resolve(odoo, hazards.PARTNER, "ref", wanted.partner)
    except ConfigError:
        return []
    readings: list[Reading] = [
        (procurement.ROUTING, lambda user: procurement.supplies(user, product, partner)),
        (procurement.ORDERPOINT, lambda user: procurement.reordering(user, product)),
    ]
    if wanted.as_person:
        myself = await hazards.own_partner(odoo)
        readings.append((hazards.PARTNER, lambda user: hazards.salespeople(user, partner, myself)))
    return readings


async def _as_whoever_may(odoo: Odoo, reading: Callable[[Odoo], Awaitable[list[Risk]]]) -> list[Risk] | None:
    """What the probe's user reads, or else the janitor; None when neither may."""
    for user in filter(None, (odoo, odoo.janitor())):
        try:
            return await reading(user)
        except PermissionDeniedError:
            continue
        except VersionError:
            return []  # the module is not installed
    return None


async def findings(odoo: Odoo, wanted: Wanted) -> AsyncIterator[str]:
    """A sentence for each risk that the configuration does not accept, and for what could not be looked at."""
    for risk in (await look(odoo, wanted)).refused(wanted):
        yield f"{risk}; {_remedy([risk])}"


async def require_unpaid(odoo: Odoo, picking: int, wanted: Wanted) -> None:
    """Nothing, if validating a delivery asks no carrier for a label that costs money.

    Raises:
        ConfigError: when it does, and the configuration does not accept that carrier.
    """
    if "carrier_id" not in await odoo.fields("stock.picking"):
        return
    rows = await odoo.call("stock.picking", "search_read", [("id", "=", picking)], fields=["carrier_id"])
    paid = await hazards.connectors(odoo, [row["carrier_id"][0] for row in rows if row["carrier_id"]])
    _require_none(_refused(paid, wanted))


async def require_untold(odoo: Odoo, order: int, wanted: Wanted) -> None:
    """Nothing, if nobody but the probe's user and the customer follows an order, and hears of what happens to it.

    Raises:
        ConfigError: when somebody does, and the configuration does not accept that.
    """
    myself = await hazards.own_partner(odoo)
    customer = await REFERENCES.resolve(odoo, hazards.PARTNER, "ref", wanted.partner) if wanted.partner else None
    told = await hazards.followers(odoo, order, [known for known in (myself, customer) if known is not None])
    _require_none(_refused(told, wanted))


def _refused(risks: Iterable[Risk], wanted: Wanted) -> list[Risk]:
    return [risk for risk in risks if risk.name not in wanted.accept_risks]


def _require_none(refused: list[Risk]) -> None:
    if refused:
        what = "; ".join(map(str, refused))
        raise ConfigError(f"what the flow's records set off is not accepted: {what}", remedy=_remedy(refused))


def _remedy(refused: list[Risk]) -> str:
    ways = "; ".join(dict.fromkeys(risk.remedy for risk in refused))
    names = ", ".join(risk.name for risk in refused)
    return f"{ways}, or accept it: accept_risks: [{names}]"


def harmless(run: Flow[Wants], *, monotonic: Callable[[], float] = time.monotonic) -> Flow[Wants]:
    """The same flow, under a `Guard` of its own."""
    guard = Guard(monotonic)

    @functools.wraps(run)
    async def careful(odoo: Odoo, wanted: Wants, tx: Transaction) -> None:
        await run(odoo, wanted, guard.over(tx, odoo, wanted))

    return careful


class Guard:
    """Keeps a flow from starting while its records set off what the configuration does not accept.

    It is looked at in the first step: of the first run on a driver, then once in `LOOK_EVERY` seconds, and in each run
    while there is something to refuse.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._looked: WeakKeyDictionary[Odoo, float] = WeakKeyDictionary()

    def over(self, tx: Transaction, odoo: Odoo, wanted: Wanted) -> Transaction:
        """The same transaction, whose first step begins with the look."""
        return _Guarded(tx, lambda: self._require(odoo, wanted))

    async def _require(self, odoo: Odoo, wanted: Wanted) -> None:
        before = self._looked.get(odoo)
        if before is None or self._monotonic() - before >= LOOK_EVERY:
            _require_none((await look(odoo, wanted)).refused(wanted))
            self._looked[odoo] = self._monotonic()


class _Guarded:
    """A transaction whose first step begins with a look."""

    def __init__(self, transaction: Transaction, require: Callable[[], Awaitable[None]]) -> None:
        self._transaction = transaction
        self._require: Callable[[], Awaitable[None]] | None = require

    @property
    def mark(self) -> str:
        return self._transaction.mark

    def step(self, name: str, *, waits: bool = False) -> AbstractAsyncContextManager[None]:
        require, self._require = self._require, None
        step = self._transaction.step(name, waits=waits)
        return step if require is None else _after(step, require)

    def undo(self, name: str, action: Callable[[], Awaitable[None]]) -> None:
        self._transaction.undo(name, action)


@asynccontextmanager
async def _after(
    step: AbstractAsyncContextManager[None], require: Callable[[], Awaitable[None]]
) -> AsyncIterator[None]:
    async with step:
        await require()
        yield
