"""What sets something off when a probe's records are made, read from Odoo thing by thing: each a risk with a name.

Of server actions those count that an automation rule runs: one that only stands in a menu waits for a person. What
modules do in code of their own, such as an EDI export, shows nowhere and is not found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from quaywatch.contract import Odoo, Row

RULE: Final = "base.automation"
CARRIER: Final = "delivery.carrier"
COMPANY: Final = "res.company"
PARTNER: Final = "res.partner"
USER: Final = "res.users"
FOLLOWER: Final = "mail.followers"
MESSAGE: Final = "mail.message"
ORDERED: Final = frozenset({"sale.order", "sale.order.line", "stock.picking", "stock.move", "stock.move.line"})
"""An order and its delivery."""
HISTORY: Final = frozenset({"mail.message", "mail.tracking.value", "mail.followers"})
"""What Odoo notes of nearly each record that is made or changed."""
TOUCHED: Final = ORDERED | HISTORY | {"stock.quant", "procurement.group", "stock.reference"}
"""The models of which an order makes or changes records; the groups of moves were renamed in 19."""
SHIPPED: Final = frozenset({"stock.valuation.layer", "account.move", "account.move.line"})
"""The models of which, beside these, a validated delivery may: what the goods are worth."""
WITHOUT_CONNECTOR: Final = frozenset({"fixed", "base_on_rule"})
"""Kinds of carriers that Odoo reckons by itself: nobody outside is asked, and nothing is paid for."""
_OF_OTHERS: Final = "on_webhook"
"""What triggers a rule from outside alone."""
_MAILS: Final = "stock_move_email_validation"
_CARRIER_OF_PARTNER: Final = "property_delivery_carrier_id"
_KEEP_AWAY: Final = "keep it from the probes' records"


@dataclass(frozen=True, slots=True)
class Risk:
    """Something that a probe's order may set off: its name, as a configuration accepts it, what it is, what helps."""

    name: str
    what: str
    remedy: str = _KEEP_AWAY

    def __str__(self) -> str:
        return f"{self.name}: {self.what}"


async def automations(odoo: Odoo, touches: frozenset[str]) -> list[Risk]:
    """The active automation rules on these models, but for those that only others trigger."""
    await odoo.fields(RULE)
    rows = await odoo.call(RULE, "search_read", [("active", "=", True)], fields=["name", "model_name", "trigger"])
    ours = [row for row in rows if row["model_name"] in touches and row["trigger"] != _OF_OTHERS]
    return [Risk(f"automation:{row['id']}", _of_rule(row)) for row in ours]


def _of_rule(row: Row) -> str:
    return f"the automation rule {row['name']!r} runs on {row['model_name']} ({row['trigger']})"


async def carriers(odoo: Odoo, partner: int | str | None) -> list[Risk]:
    """The customer's carrier, if it is paid for; of a customer who is not known, any may be the one."""
    if partner is None:
        await odoo.fields(CARRIER)
        return await connectors(odoo, await odoo.call(CARRIER, "search", []))
    if _CARRIER_OF_PARTNER not in await odoo.fields(PARTNER):
        return []
    key = "id" if isinstance(partner, int) else "ref"
    rows = await odoo.call(PARTNER, "search_read", [(key, "=", partner)], fields=[_CARRIER_OF_PARTNER])
    chosen = [row[_CARRIER_OF_PARTNER][0] for row in rows if row[_CARRIER_OF_PARTNER]]
    return await connectors(odoo, chosen)


async def connectors(odoo: Odoo, chosen: list[int]) -> list[Risk]:
    """Those of these carriers that ask somebody outside, who wants to be paid."""
    if not chosen:
        return []
    rows = await odoo.call(CARRIER, "search_read", [("id", "in", chosen)], fields=["name", "delivery_type"])
    paid = [row for row in rows if row["delivery_type"] not in WITHOUT_CONNECTOR]
    return [Risk(f"carrier:{row['id']}", _of_carrier(row)) for row in paid]


def _of_carrier(row: Row) -> str:
    return f"the carrier {row['name']!r} ({row['delivery_type']}) may be asked for a label, which costs money"


async def mails(odoo: Odoo) -> list[Risk]:
    """The companies that mail a confirmation of each shipment."""
    if _MAILS not in await odoo.fields(COMPANY):
        return []
    rows = await odoo.call(COMPANY, "search_read", [(_MAILS, "=", True)], fields=["name"])
    return [Risk(f"mail:{row['id']}", f"{row['name']} mails a confirmation of each shipment") for row in rows]


async def salespeople(odoo: Odoo, partner: int, myself: int | None) -> list[Risk]:
    """The customer's salesperson, or its company's, unless that is ``myself``, by the number of the user's partner."""
    fields = ["user_id", "commercial_partner_id"]
    rows = await odoo.call(PARTNER, "search_read", [("id", "=", partner)], fields=fields)
    if rows and not rows[0]["user_id"]:
        company = rows[0]["commercial_partner_id"][0]
        rows = await odoo.call(PARTNER, "search_read", [("id", "=", company)], fields=fields)
    chosen = [row["user_id"][0] for row in rows if row["user_id"]]
    if not chosen:
        return []
    found = await odoo.call(USER, "search_read", [("id", "in", chosen)], fields=["name", "partner_id"])
    others = [row for row in found if row["partner_id"][0] != myself]
    return [Risk(f"salesperson:{row['id']}", _of_salesperson(row)) for row in others]


def _of_salesperson(row: Row) -> str:
    return f"the customer's salesperson {row['name']!r} is mailed that an order was assigned"


async def followers(odoo: Odoo, order: int, but_for: Iterable[int]) -> list[Risk]:
    """Who follows an order, as those do who follow its sales team: but for these partners."""
    domain = [("res_model", "=", "sale.order"), ("res_id", "=", order), ("partner_id", "not in", list(but_for))]
    rows = await odoo.call(FOLLOWER, "search_read", domain, fields=["partner_id"])
    return [Risk(f"follower:{row['partner_id'][0]}", _of_follower(row)) for row in rows]


def _of_follower(row: Row) -> str:
    return f"{row['partner_id'][1]!r} follows the order, perhaps by its sales team, and is told that it was confirmed"


async def own_partner(odoo: Odoo) -> int | None:
    """The partner of this user, as whom it writes messages."""
    author = (await odoo.call(MESSAGE, "default_get", ["author_id"])).get("author_id")
    return author if isinstance(author, int) else None


def unseen(model: str) -> Risk:
    """That a model could not be looked at, so that what of it is set off is not known."""
    what = f"neither the probe's user nor a janitor may read {model}, so what of it they set off is not known"
    remedy = "let an administrator give that right, for automation rules with `quaywatch setup odoo`"
    return Risk(f"unseen:{model}", what, remedy)
