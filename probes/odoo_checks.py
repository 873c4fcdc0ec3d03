"""What keeps a flow on Odoo from working, found out before the flow runs; nothing is written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from quaywatch.contract import Odoo, Row
from quaywatch.errors import TargetError

CONTACT_FIELDS = ("phone", "mobile", "email")
"""What Odoo would send messages to. A phone number also makes the validation of a delivery ask back."""

_ASKING_METHOD_SINCE = 18


async def missing_rights(odoo: Odoo, rights: Mapping[str, Sequence[str]], remedy: str) -> AsyncIterator[str]:
    """A sentence for each operation on a model that this user may not do.

    Args:
        odoo: the database, as the user in question.
        rights: operations (read, write, create, unlink) by model.
        remedy: what gives the user these rights.
    """
    for model, operations in rights.items():
        try:
            refused = [operation for operation in operations if not await _may(odoo, model, operation)]
        except TargetError as error:
            yield f"{model}: {error}"
            continue
        if refused:
            yield f"the user may not {', '.join(refused)} {model}: {remedy}"


async def _may(odoo: Odoo, model: str, operation: str) -> bool:
    if await odoo.version() >= _ASKING_METHOD_SINCE:
        return bool(await odoo.call(model, "has_access", [], operation))
    return bool(await odoo.call(model, "check_access_rights", operation, raise_exception=False))


async def reachable_contact(odoo: Odoo, partner: int) -> AsyncIterator[str]:
    """A sentence when messages about the partner's orders could reach somebody."""
    fields = [name for name in CONTACT_FIELDS if name in await odoo.fields("res.partner")]
    rows: Sequence[Row] = await odoo.call("res.partner", "read", [partner], fields)
    filled = [name for row in rows for name in fields if row[name]]
    if filled:
        yield f"res.partner {partner} has {' and '.join(filled)}: empty it, or the probe sends messages to somebody"
