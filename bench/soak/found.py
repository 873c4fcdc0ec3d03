"""What the database says of the runs' orders, read past Odoo: by mark, how many records and in which state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import asyncpg

from quaywatch.runtime.probing.marks import run_of
from sandbox.parts.postgres import Postgres

_ORDERS: Final = """
select o.client_order_ref as mark, o.state = 'cancel' as over, count(p.id) as deliveries,
       count(p.id) filter (where p.state = 'done') as shipped,
       count(p.id) filter (where p.state not in ('done', 'cancel')) as open
  from sale_order o left join stock_picking p on p.sale_id = o.id
 where o.client_order_ref like $1 group by o.id
"""
_STOCK: Final = """
select coalesce(sum(q.quantity), 0) as quantity, coalesce(sum(q.reserved_quantity), 0) as reserved
  from stock_quant q join stock_location l on l.id = q.location_id join product_product p on p.id = q.product_id
 where l.usage = 'internal' and p.default_code like 'PROBE-%'
"""


@dataclass(frozen=True, slots=True)
class Order:
    """One order of a run, with the numbers of its deliveries. ``over`` is whether it is cancelled."""

    mark: str
    over: bool
    deliveries: int
    shipped: int
    open: int

    @property
    def probe(self) -> str:
        """Whose run made it."""
        return self.mark.split("/")[2]

    @property
    def permanent(self) -> int:
        """How many of its records Odoo keeps for ever: a delivery that was validated, and its order."""
        return self.shipped + bool(self.shipped)

    @property
    def residue(self) -> int:
        """How many of its records could be erased."""
        return 1 + self.deliveries - self.permanent


@dataclass(frozen=True, slots=True)
class Stock:
    """What there is of the probes' product, and how much of it is reserved."""

    quantity: float
    reserved: float


async def orders(postgres: Postgres, database: str, installation: str) -> list[Order]:
    """All orders that runs of an installation made and that are still there."""
    session = await asyncpg.connect(postgres.superuser_dsn(database))
    try:
        return [Order(**row) for row in await session.fetch(_ORDERS, f"quaywatch/{installation}/%")]
    finally:
        await session.close()


async def stock(postgres: Postgres, database: str) -> Stock:
    """The probes' stock."""
    session = await asyncpg.connect(postgres.superuser_dsn(database))
    try:
        row = await session.fetchrow(_STOCK)
        return Stock(float(row["quantity"]), float(row["reserved"]))
    finally:
        await session.close()


def by_run(found: Iterable[Order]) -> Mapping[str, list[Order]]:
    """The orders of each run."""
    grouped: dict[str, list[Order]] = {}
    for order in found:
        grouped.setdefault(run_of(order.mark), []).append(order)
    return grouped
