"""What the versions of Odoo do differently: the facts that the Odoo in memory plays back.

They were seen on servers of 14, 16, 18 and 19; those of 15 and 17 are what lies between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Facts:
    """One version."""

    reserved: str
    """Of a move: how much is reserved."""
    done: str
    """Of a move: how much was moved."""
    storable: tuple[str, Any]
    """Of a product: the field and its value by which stock is kept."""
    label_reports: tuple[str, ...]
    label_form: bool = True
    zpl_template: bool = False
    cancel_asks: bool = False
    """An order is cancelled only when told not to ask."""
    has_locked: bool = False
    """A locked order has a field of its own; else it is in the state ``done``."""

    @property
    def picked(self) -> bool:
        """One field holds what is reserved and what was moved, and another says which."""
        return self.reserved == self.done


_FORM = ("product.report_producttemplatelabel", "product.report_producttemplatelabel_dymo")
_SHEETS = ("product.report_producttemplatelabel2x7", "product.report_producttemplatelabel_dymo")
_BY_RECORD = ("product.report_producttemplatelabel", "product.report_productlabel")
_BY_TYPE, _DETAILED, _KEPT = ("type", "product"), ("detailed_type", "product"), ("is_storable", True)
_TWO = ("reserved_availability", "quantity_done")
_ONE = ("quantity", "quantity")

FACTS = {
    14: Facts(*_TWO, _BY_TYPE, _BY_RECORD, label_form=False),
    15: Facts(*_TWO, _DETAILED, _FORM),
    16: Facts(*_TWO, _DETAILED, _FORM, cancel_asks=True),
    17: Facts(*_ONE, _DETAILED, _SHEETS, cancel_asks=True),
    18: Facts(*_ONE, _KEPT, _SHEETS, cancel_asks=True, has_locked=True),
    19: Facts(*_ONE, _KEPT, _SHEETS, zpl_template=True, has_locked=True),
}
VERSIONS = tuple(FACTS)
