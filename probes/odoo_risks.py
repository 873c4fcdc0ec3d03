"""What a probe's records can set off beside what the flow is for: automation rules, paid labels, mails about shipments.

Of server actions those count that an automation rule runs: one that only stands in a menu waits for a person. What
modules do in code of their own, such as an EDI export, shows nowhere and is not found.
"""

from __future__ import annotations

import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar
from weakref import WeakKeyDictionary

from quaywatch.contract import Odoo, Row, Transaction
from quaywatch.errors import ConfigError, PermissionDeniedError, VersionError

RULE: Final = "base.automation"
CARRIER: Final = "delivery.carrier"
COMPANY: Final = "res.company"
PARTNER: Final = "res.partner"
TOUCHED: Final = frozenset({"sale.order", "sale.order.line", "stock.picking", "stock.move", "stock.move.line"})
"""The models of which an order makes or changes records."""
WITHOUT_CONNECTOR: Final = frozenset({"fixed", "base_on_rule"})
"""Kinds of carriers that Odoo reckons by itself: nobody outside is asked, and nothing is paid for."""
LOOK_EVERY: Final = 3600.0
"""Seconds for which a flow that was found harmless is not looked at again."""
_OF_OTHERS: Final = "on_webhook"
"""What triggers a rule from outside alone."""
_MAILS: Final = "stock_move_email_validation"
_CARRIER_OF_PARTNER: Final = "property_delivery_carrier_id"


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
    def accept_risks(self) -> tuple[str, ...]:
        """Names of risks."""
        ...

    @property
    def ships(self) -> bool:
        """Whether the flow validates deliveries."""
        ...


Wants = TypeVar("Wants", bound=Wanted)
Flow = Callable[[Odoo, Wants, Transaction], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Risk:
    """Something that a probe's order sets off: its name, as a configuration accepts it, and what it is."""

    name: str
    what: str

    def __str__(self) -> str:
        return f"{self.name}: {self.what}"


@dataclass(frozen=True, slots=True)
class Look:
    """What was found, and what could not be looked at."""

    risks: tuple[Risk, ...]
    unseen: tuple[str, ...] = ()


async def look(odoo: Odoo, wanted: Wanted) -> Look:
    """Everything that the records of a flow can set off, as far as the probe's user or the janitor may see it.

    Raises:
        TargetError: when Odoo does not answer.
    """
    looks: list[tuple[str, Callable[[Odoo], Awaitable[list[Risk]]]]] = [
        (RULE, lambda user: _automations(user, wanted.touches))
    ]
    if wanted.ships:
        looks += [(CARRIER, lambda user: _carriers(user, wanted.partner)), (COMPANY, _mails)]
    risks: list[Risk] = []
    unseen: list[str] = []
    for model, reading in looks:
        found = await _as_whoever_may(odoo, reading)
        risks += found or ()
        unseen += [model] if found is None else []
    return Look(tuple(risks), tuple(unseen))


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


async def _automations(odoo: Odoo, touches: frozenset[str]) -> list[Risk]:
    await odoo.fields(RULE)
    rows = await odoo.call(RULE, "search_read", [("active", "=", True)], fields=["name", "model_name", "trigger"])
    ours = [row for row in rows if row["model_name"] in touches and row["trigger"] != _OF_OTHERS]
    return [Risk(f"automation:{row['id']}", _of_rule(row)) for row in ours]


def _of_rule(row: Row) -> str:
    return f"the automation rule {row['name']!r} runs on {row['model_name']} ({row['trigger']})"


async def _carriers(odoo: Odoo, partner: int | str | None) -> list[Risk]:
    """The customer's carrier, if it is paid for; of a customer who is not known, any may be the one."""
    if partner is None:
        await odoo.fields(CARRIER)
        return await _connectors(odoo, await odoo.call(CARRIER, "search", []))
    if _CARRIER_OF_PARTNER not in await odoo.fields(PARTNER):
        return []
    key = "id" if isinstance(partner, int) else "ref"
    rows = await odoo.call(PARTNER, "search_read", [(key, "=", partner)], fields=[_CARRIER_OF_PARTNER])
    chosen = [row[_CARRIER_OF_PARTNER][0] for row in rows if row[_CARRIER_OF_PARTNER]]
    return await _connectors(odoo, chosen)


async def _connectors(odoo: Odoo, carriers: list[int]) -> list[Risk]:
    """Those of these carriers that ask somebody outside, who wants to be paid."""
    if not carriers:
        return []
    rows = await odoo.call(CARRIER, "search_read", [("id", "in", carriers)], fields=["name", "delivery_type"])
    paid = [row for row in rows if row["delivery_type"] not in WITHOUT_CONNECTOR]
    return [Risk(f"carrier:{row['id']}", _of_carrier(row)) for row in paid]


def _of_carrier(row: Row) -> str:
    return f"the carrier {row['name']!r} ({row['delivery_type']}) may be asked for a label, which costs money"


async def _mails(odoo: Odoo) -> list[Risk]:
    if _MAILS not in await odoo.fields(COMPANY):
        return []
    rows = await odoo.call(COMPANY, "search_read", [(_MAILS, "=", True)], fields=["name"])
    return [Risk(f"mail:{row['id']}", f"{row['name']} mails a confirmation of each shipment") for row in rows]


# --- who looks, and what comes of it ----------------------------------------------------------------------------------


async def findings(odoo: Odoo, wanted: Wanted) -> AsyncIterator[str]:
    """A sentence for each risk that the configuration does not accept, and for what could not be looked at.

    The latter only of a flow with orders or deliveries, which outsiders hear of: others need no right for it.
    """
    seen = await look(odoo, wanted)
    for risk in _refused(seen.risks, wanted):
        yield f"{risk}; keep it from the probes' records, or accept it: accept_risks: [{risk.name}]"
    for model in seen.unseen if wanted.touches & TOUCHED else ():
        yield (
            f"neither the probe's user nor a janitor may read {model}, so what of it they set off is not known:"
            " an administrator sees it with `quaywatch setup odoo`, which also gives the right to read it"
        )


async def require_unpaid(odoo: Odoo, picking: int, wanted: Wanted) -> None:
    """Nothing, if validating a delivery asks no carrier for a label that costs money.

    Raises:
        ConfigError: when it does, and the configuration does not accept that carrier.
    """
    if "carrier_id" not in await odoo.fields("stock.picking"):
        return
    rows = await odoo.call("stock.picking", "search_read", [("id", "=", picking)], fields=["carrier_id"])
    _require_accepted(await _connectors(odoo, [row["carrier_id"][0] for row in rows if row["carrier_id"]]), wanted)


def _refused(risks: Iterable[Risk], wanted: Wanted) -> list[Risk]:
    return [risk for risk in risks if risk.name not in wanted.accept_risks]


def _require_accepted(risks: Iterable[Risk], wanted: Wanted) -> None:
    refused = _refused(risks, wanted)
    if refused:
        names = ", ".join(risk.name for risk in refused)
        what = "; ".join(map(str, refused))
        remedy = f"keep it from the probes' records, or accept it: accept_risks: [{names}]"
        raise ConfigError(f"the probe's records set off {what}", remedy=remedy)


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
            _require_accepted((await look(odoo, wanted)).risks, wanted)
            self._looked[odoo] = self._monotonic()


class _Guarded:
    """A transaction whose first step begins with a look."""

    def __init__(self, transaction: Transaction, require: Callable[[], Awaitable[None]]) -> None:
        self._transaction = transaction
        self._require: Callable[[], Awaitable[None]] | None = require

    @property
    def mark(self) -> str:
        return self._transaction.mark

    def step(self, name: str) -> AbstractAsyncContextManager[None]:
        require, self._require = self._require, None
        step = self._transaction.step(name)
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
