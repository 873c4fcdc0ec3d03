"""The stock of the probes' product: whether it is kept, whether there is enough, whether a reservation is in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Final

from quaywatch.contract import Odoo
from quaywatch.errors import ConfigError, WrongResultError

from .odoo_names import STORABLE, certainly_called, is_storable
from .odoo_pickings import LINE, TOLERANCE, Picking
from .odoo_references import resolve

PRODUCT: Final = "product.product"
QUANT: Final = "stock.quant"


async def require_storable(odoo: Odoo, product: int) -> None:
    """Nothing, if stock of the product is kept; of any other product Odoo says that it is reserved, always.

    Raises:
        ConfigError: when it is not kept, or there is no such product.
    """
    name = await certainly_called(odoo, STORABLE)
    rows = await odoo.call(PRODUCT, "search_read", [("id", "=", product)], fields=[name], limit=1)
    if not rows:
        raise ConfigError(f"{PRODUCT} {product}: the probe's user sees no such record")
    if not is_storable(name, rows[0][name]):
        raise ConfigError(f"{PRODUCT} {product}: no stock of it is kept, so that nothing of it can be reserved")


async def require_free(odoo: Odoo, product: int, quantity: float) -> None:
    """Nothing, if so much of the product is in stock and not reserved.

    Raises:
        ConfigError: when there is less: nobody replenishes the probes' stock but the administrator.
    """
    domain = [("product_id", "=", product), ("location_id.usage", "=", "internal")]
    rows = await odoo.call(QUANT, "search_read", domain, fields=["quantity", "reserved_quantity"])
    free = sum(row["quantity"] - row["reserved_quantity"] for row in rows)
    if free < quantity - TOLERANCE:
        raise ConfigError(f"{PRODUCT} {product}: {free:g} are free in stock, {quantity:g} are ordered; bring in more")


async def require_held(odoo: Odoo, picking: Picking) -> None:
    """Nothing, if what a delivery reserves is reserved in the stock of its places too.

    Raises:
        WrongResultError: when the stock says less than the delivery: the two have drifted apart.
    """
    lines = await odoo.call(
        LINE, "search_read", [("picking_id", "=", picking.id)], fields=["location_id", "product_id"]
    )
    places = {(line["product_id"][0], line["location_id"][0]) for line in lines}
    held: dict[tuple[int, int], float] = defaultdict(float)
    domain = [("product_id", "in", [product for product, _ in places]), ("location_id", "in", [at for _, at in places])]
    fields = ["product_id", "location_id", "reserved_quantity"]
    for row in await odoo.call(QUANT, "search_read", domain, fields=fields):
        held[row["product_id"][0], row["location_id"][0]] += row["reserved_quantity"]
    total = sum(held[place] for place in places)
    if total < picking.reserved - TOLERANCE:
        raise WrongResultError(f"the delivery reserves {picking.reserved:g}, its places hold {total:g} reserved")


async def findings(odoo: Odoo, product: int | str, quantity: float) -> AsyncIterator[str]:
    """A sentence for what keeps a product from being reserved."""
    try:
        record = await resolve(odoo, PRODUCT, "default_code", product)
        await require_storable(odoo, record)
        await require_free(odoo, record, quantity)
    except ConfigError as error:
        yield str(error)
