"""Records that bear a run's mark, in whatever model and field a flow says: found and undone.

Nothing is touched whose field does not hold a whole mark of this installation and flow, looked at once more here: a
domain's wildcards and an Odoo that misreads one must not cost a customer's record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from quaywatch.contract import Odoo, SweepOrder, Swept
from quaywatch.errors import FaultError, WrongResultError
from quaywatch.script import Marked

from .scripted_acts import user_of

_TIME: Final = "%Y-%m-%d %H:%M:%S"
_UUID: Final = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_MOST: Final = 1000
"""Records that are looked at in one go."""
_LATE: Final = timedelta(minutes=5)
"""How far the agent's clock may be from Odoo's, where Odoo does not tell its time."""

Domain = list[Any]


async def undo_marked(odoo: Odoo, sweep: Sequence[Marked], mark: str) -> None:
    """Undo all records of one run.

    Raises:
        WrongResultError: when one is still there after it was to be deleted.
    """
    for marked in sweep:
        user = user_of(odoo, janitor=marked.janitor)
        for record in await _found(user, marked, mark, lambda text: mark in text):
            await _undo(user, marked, record)


async def sweep(odoo: Odoo, sweep: Sequence[Marked], order: SweepOrder) -> Swept:
    """Undo what killed runs left, then count what is still there.

    A record that Odoo refuses to undo is left and counted; any other trouble ends the sweep.
    """
    before = await server_time(odoo) - timedelta(seconds=order.older_than)
    old: Domain = [("create_date", "<", before.strftime(_TIME))]
    whole = re.compile(rf"(?<![\w/]){re.escape(order.prefix)}{_UUID}(?![\w-])")
    undone = erased = residue = 0
    for marked in sweep:
        user = user_of(odoo, janitor=marked.janitor)
        found = await _found(user, marked, order.prefix, lambda text: whole.search(text) is not None, old)
        open_ones = [record for record, finished in found.items() if not finished][: order.cap - undone - erased]
        gone = 0 if order.dry_run else await _undo_each(user, marked, open_ones)
        if "unlink" in marked.methods:
            erased += len(open_ones) if order.dry_run else gone
            residue += len(found) - gone
        else:
            undone += len(open_ones) if order.dry_run else gone
            residue += len(found)
    return Swept(undone=undone, erased=erased, residue=residue)


async def server_time(odoo: Odoo) -> datetime:
    """The time of day (UTC, naive) at the Odoo server, whose clock dates the records: the default of a message's date.

    Without the module ``mail`` it is the agent's own, five minutes late.
    """
    try:
        answer = await odoo.call("mail.message", "default_get", ["date"])
        return datetime.strptime(answer["date"], _TIME)  # noqa: DTZ007 - Odoo's times are naive UTC
    except (FaultError, KeyError, TypeError, ValueError):
        return datetime.now(UTC).replace(tzinfo=None) - _LATE


async def _found(
    odoo: Odoo, marked: Marked, text: str, bears: Callable[[str], bool], more: Sequence[Any] = ()
) -> dict[int, bool]:
    """The ids of records whose field bears a mark, archived ones too, oldest first, and which are archived already."""
    archives = "active" in await odoo.fields(marked.model)
    fields = [marked.field, *(["active"] if archives else [])]
    rows = await odoo.call(
        marked.model,
        "search_read",
        [(marked.field, "like", text), *more],
        fields=fields,
        limit=_MOST,
        order="id",
        context={"active_test": False},
    )
    return {
        row["id"]: archives and not row["active"] and "unlink" not in marked.methods
        for row in rows
        if isinstance(row[marked.field], str) and bears(row[marked.field])
    }


async def _undo_each(odoo: Odoo, marked: Marked, records: Sequence[int]) -> int:
    """How many could be undone."""
    undone = 0
    for record in records:
        try:
            await _undo(odoo, marked, record)
        except (FaultError, WrongResultError):
            continue
        undone += 1
    return undone


async def _undo(odoo: Odoo, marked: Marked, record: int) -> None:
    for method in marked.methods:
        await odoo.call(marked.model, method, [record])
    if "unlink" in marked.methods and await odoo.call(
        marked.model, "search_count", [("id", "=", record)], context={"active_test": False}
    ):
        raise WrongResultError(f"a record of {marked.model} is still there after unlink")
