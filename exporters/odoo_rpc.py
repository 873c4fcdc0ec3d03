"""What exporters over Odoo's RPC share, where there is no access to the database itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from quaywatch.contract import Odoo
from quaywatch.errors import ParseError, VersionError

Domain = list[Any]

_ASKED_OF_USER_SINCE = 18
_FORMATTED_SINCE = 19
_TIME = "%Y-%m-%d %H:%M:%S"


async def fields_of(odoo: Odoo, model: str) -> frozenset[str]:
    """The names of a model's fields; none where its module is not installed.

    Raises:
        TargetError: when Odoo does not answer.
    """
    try:
        return await odoo.fields(model)
    except VersionError:
        return frozenset()


async def in_group(odoo: Odoo, group: str) -> bool:
    """Whether the user is in a group, named by its external id.

    Raises:
        TargetError: when Odoo does not answer.
    """
    if await odoo.version() < _ASKED_OF_USER_SINCE:
        return bool(await odoo.call("res.users", "has_group", group_ext_id=group))
    user = (await odoo.call("res.users", "context_get"))["uid"]
    return bool(await odoo.call("res.users", "has_group", [user], group_ext_id=group))


def ago(seconds: float = 0.0) -> str:
    """A time of day as domains take it, by the clock of the agent, since Odoo does not tell its own."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime(_TIME)


async def oldest_age(odoo: Odoo, model: str, domain: Domain, moment: str, *, newest: bool = False) -> float | None:
    """How many seconds ago the field ``moment`` of the oldest (or newest) record was; None without a record.

    Raises:
        TargetError: when Odoo does not answer, or the field holds no time.
    """
    order = f"{moment} desc" if newest else moment
    rows: Sequence[dict[str, Any]] = await odoo.call(
        model, "search_read", domain=domain, fields=[moment], order=order, limit=1
    )
    return max(0.0, since(rows[0][moment], model, moment)) if rows else None


def since(text: Any, model: str, moment: str) -> float:
    """How many seconds ago the field ``moment`` says that something was; less than 0 for what is still to be.

    Raises:
        ParseError: when the field holds no time.
    """
    try:
        then = datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except (TypeError, ValueError) as error:
        raise ParseError(f"{model}.{moment} of a record that was asked for is no time") from error
    return (datetime.now(UTC) - then).total_seconds()


async def groups(odoo: Odoo, model: str, domain: Domain, by: Sequence[str]) -> Sequence[dict[str, Any]]:
    """How many records (``__count``) there are of each combination of values of the fields ``by``.

    Raises:
        TargetError: when Odoo does not answer.
    """
    fields = list(by)
    if await odoo.version() >= _FORMATTED_SINCE:
        found = await odoo.call(model, "formatted_read_group", domain=domain, groupby=fields, aggregates=["__count"])
    else:
        found = await odoo.call(model, "read_group", domain=domain, fields=fields, groupby=fields, lazy=False)
    return list(found)
