"""What the records of a flow that a user writes can set off, as far as its calls tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from quaywatch.script import Call, Flow

from .odoo_hazards import HISTORY, ORDERED, TOUCHED

_SHIPPING: Final = frozenset({"action_done", "button_validate", "process", "send_to_shipper"})
"""Methods of deliveries, and of the wizards before them, that ship or ask a carrier."""


@dataclass(frozen=True, slots=True)
class Touched:
    """What a flow makes and changes, and which risks of it are accepted: implements `odoo_risks.Wanted`."""

    touches: frozenset[str]
    ships: bool
    accept_risks: tuple[str, ...]
    partner: None = None
    """Nobody can tell who is shipped to."""
    product: None = None
    """Nor what."""
    as_person: bool = False


def touched_by(flow: Flow, accepted: tuple[str, ...]) -> Touched:
    """The models that its writing calls name, those of its undoing too, and what Odoo notes of each.

    Those of an order or a delivery bring one another. What a method does to other models, and what a request sets off
    behind its address, is not known.
    """
    calls = [act for step in flow.steps if step.writes for act in (step.act, step.undo) if isinstance(act, Call)]
    named = {call.model for call in calls} | {marked.model for marked in flow.sweep}
    beside = TOUCHED if named & ORDERED else HISTORY if named else frozenset[str]()
    ships = any(call.method in _SHIPPING and call.model.startswith("stock.") for call in calls)
    return Touched(frozenset(named | beside), ships, accepted)
