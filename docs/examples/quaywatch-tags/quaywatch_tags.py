"""tag_create: a tag of the sales team is created, found again and deleted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from quaywatch.contract import Odoo, Probe, SweepOrder, Swept, TargetKind, Transaction, Transport
from quaywatch.errors import ConfigError, WrongResultError

TAG = "crm.tag"


@dataclass(frozen=True, slots=True)
class Options:
    """What the tag looks like."""

    color: int = field(default=3, metadata={"help": "the tag's colour", "at_least": 0, "at_most": 11})


async def run(odoo: Odoo, options: Options, tx: Transaction) -> None:
    """Create, find, and, at the end, delete as the janitor: salesmen may not."""
    janitor = odoo.janitor()
    if janitor is None:
        raise ConfigError("tags can be deleted by a janitor only", remedy="add janitor to the target")

    async def delete() -> None:
        await janitor.call(TAG, "unlink", await janitor.call(TAG, "search", [("name", "=", tx.mark)]))

    async with tx.step("create"):
        tx.undo("delete", delete)  # before the call: Odoo may create it although its answer never arrives
        await odoo.call(TAG, "create", {"name": tx.mark, "color": options.color})
    async with tx.step("find"):
        rows = await odoo.call(TAG, "search_read", [("name", "=", tx.mark)], fields=["color"])
        if [row["color"] for row in rows] != [options.color]:
            raise WrongResultError(f"{len(rows)} tags of this run are there; one of the colour asked for is expected")


async def sweep(odoo: Odoo, _options: Options, order: SweepOrder) -> Swept:
    """Delete what killed runs left."""
    janitor = odoo.janitor() or odoo
    before = datetime.now(UTC) - timedelta(seconds=order.older_than)
    domain = [("name", "like", order.prefix), ("create_date", "<", before.strftime("%Y-%m-%d %H:%M:%S"))]
    rows = await janitor.call(TAG, "search_read", domain, fields=["name"], limit=order.cap)
    left = [row["id"] for row in rows if row["name"].startswith(order.prefix)]
    if left and not order.dry_run:
        await janitor.call(TAG, "unlink", left)
    return Swept(erased=len(left), residue=len(left) if order.dry_run else 0)


PROBE: Probe[Odoo, Options] = Probe(
    name="tag_create",
    flow="tag-create",
    transport=Transport.RPC,
    drives=TargetKind.ODOO,
    options=Options,
    steps=("create", "find"),
    run=run,
    sweep=sweep,
)
