"""What Odoo's versions call the same thing: one table, decided from the fields that a model has, never from a number.

A build of a hosted Odoo, or a module of somebody's, may have the fields of the next version already. So the fields are
asked, once for each database, and no flow knows which version it runs on.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from quaywatch.contract import Odoo
from quaywatch.errors import VersionError


@dataclass(frozen=True, slots=True)
class Name:
    """One thing and the fields that hold it in one version or another: the first one that is there."""

    model: str
    fields: tuple[str, ...]

    def among(self, known: Collection[str]) -> str | None:
        """The name of the thing in a model with these fields, None where there is no such thing."""
        return next((field for field in self.fields if field in known), None)


RESERVED = Name("stock.move", ("reserved_availability", "quantity"))
"""How much of a move is reserved: ``quantity`` since 17, as long as the move is not done."""
DONE = Name("stock.move", ("quantity_done", "quantity"))
"""How much was moved."""
LINE_DONE = Name("stock.move.line", ("qty_done",))
"""How much of a line was moved, where that is not the same field as what is reserved: up to 16."""
PICKED = Name("stock.move", ("picked",))
"""Whether ``quantity`` was moved and not only reserved: since 17."""
GROUPS = Name("res.users", ("groups_id", "group_ids"))
"""The groups of a user: renamed in 19."""
STORABLE = Name("product.product", ("is_storable", "detailed_type", "type"))
"""Whether stock of a product is kept: ``type`` says it on 14, ``detailed_type`` on 15 to 17, ``is_storable`` since."""
RULE_LEADS_TO = Name("stock.rule", ("location_dest_id", "location_id"))
"""Where the goods of a rule of a route get to: renamed in 16."""
ZPL_TEMPLATE = Name("product.label.layout", ("zpl_template",))
"""The layout of ZPL labels that the form for labels lets choose: on 19; where it is, the report wants it."""
LABEL_FORM = "product.label.layout"
"""The form that label reports take their copies from: since 15. Before, a report prints one label for each record."""

_STORABLE_VALUES: dict[str, Any] = {"is_storable": True, "detailed_type": "product", "type": "product"}


def is_storable(field: str, value: Any) -> bool:
    """Whether a product with this value in the field of `STORABLE` is one whose stock is kept."""
    return bool(value == _STORABLE_VALUES[field])


def storable_values(field: str, *, kept: bool) -> dict[str, Any]:
    """The values that make a product one whose stock is kept, or a consumable; ``field`` is that of `STORABLE`."""
    if field == "is_storable":
        return {"type": "consu", field: kept}
    return {field: _STORABLE_VALUES[field] if kept else "consu"}


async def called(odoo: Odoo, name: Name) -> str | None:
    """What this database calls a thing, None where there is no such thing.

    Raises:
        VersionError: when there is not even the model: its module is not installed.
    """
    return name.among(await odoo.fields(name.model))


async def certainly_called(odoo: Odoo, name: Name) -> str:
    """What this database calls a thing.

    Raises:
        VersionError: when it has no such thing, under none of the names that are known.
    """
    found = await called(odoo, name)
    if found is None:
        raise VersionError(f"{name.model} has none of the fields {', '.join(name.fields)}")
    return found


async def has_label_form(odoo: Odoo) -> bool:
    """Whether labels take their copies from a form."""
    try:
        await odoo.fields(LABEL_FORM)
    except VersionError:
        return False
    return True
