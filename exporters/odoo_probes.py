"""The probes' own records, which are no business: how statements leave them out.

An order of a probe bears a mark in its customer reference, whichever installation made it. What cannot bear one is
known by its partner, which the configuration names as it does for the probe: by id, or by Reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any

from quaywatch.contract import Grant, Postgres

from .odoo_tables import IDS

MARK = "quaywatch/"
"""What the marks of all installations begin with."""
GRANTS = (Grant("res_partner", ("id", "ref")), Grant("sale_order", ("id", "client_order_ref", "partner_id")))
OWN_PARTNERS = """
select id::text as id
  from public.res_partner
 where id = any(:ids) or ref = any($2::text[])
""".replace(":ids", IDS)
ORDER_IS_OWN = f"(coalesce(o.client_order_ref, '') like '{MARK}%' or o.partner_id = any({IDS}))"
"""Whether the order ``o`` is a probe's; the statement's first parameter are the `own_partners`."""


def partners_option() -> Any:
    """The option ``exclude_partners`` of everything that reads business records."""
    told = (
        "customers whose records are no business, by id or Reference (field ref): the probes' own, so that what they"
        " order unmarked is left out too"
    )
    return field(default=(), metadata={"help": told})


async def own_partners(session: Postgres, excluded: Sequence[int | str]) -> list[str]:
    """The `IDS` of the excluded partners in this database.

    Raises:
        TargetError: when the database does not answer.
    """
    if not excluded:
        return []
    numbers = [str(one) for one in excluded if isinstance(one, int)]
    references = [one for one in excluded if isinstance(one, str)]
    return [row["id"] for row in await session.fetch(OWN_PARTNERS, numbers, references)]
