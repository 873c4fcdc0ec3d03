"""The records that an option names by reference: looked up, and remembered for a while by the runs.

A run that looks up its customer and product each time makes two calls more than a script with their ids in it. So what
was found is remembered for each database and user, and forgotten when Odoo refuses it, or after ten minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

from quaywatch.contract import Odoo
from quaywatch.errors import ConfigError

REMEMBERED_FOR: Final = 600.0
"""Seconds after which a reference is looked up again: until then one that moved to another record leads to the old."""

Reference = tuple[str, str, str]
"""A model, the field that holds the reference, and the reference."""


async def resolve(odoo: Odoo, model: str, reference_field: str, reference: int | str) -> int:
    """The id of the record that an option names, as it is now.

    Raises:
        ConfigError: when none has the reference, or several have.
    """
    if isinstance(reference, int):
        return reference
    rows = await odoo.call(model, "search_read", [(reference_field, "=", reference)], fields=["id"], limit=2)
    if len(rows) != 1:
        found = "no record has it" if not rows else "several records have it"
        raise ConfigError(f"{model} with the {reference_field} {reference!r}: {found}, exactly one is expected")
    return int(rows[0]["id"])


class References:
    """What references led to, by database and user; ``monotonic`` tells how long ago, in seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._found: WeakKeyDictionary[Odoo, dict[Reference, tuple[float, int]]] = WeakKeyDictionary()

    async def resolve(self, odoo: Odoo, model: str, reference_field: str, reference: int | str) -> int:
        """The id of the record, as it was within the last `REMEMBERED_FOR` seconds.

        Raises:
            ConfigError: when none has the reference, or several have.
        """
        if isinstance(reference, int):
            return reference
        found, key = self._found.setdefault(odoo, {}), (model, reference_field, reference)
        since, record = found.get(key, (-REMEMBERED_FOR, 0))
        if record and self._monotonic() - since < REMEMBERED_FOR:
            return record
        record = await resolve(odoo, model, reference_field, reference)
        found[key] = (self._monotonic(), record)
        return record

    def forget(self, odoo: Odoo) -> None:
        """Look everything up again."""
        self._found.pop(odoo, None)


REFERENCES: Final = References()
"""Of all drivers of this process, for as long as they are in use."""
