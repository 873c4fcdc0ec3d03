"""What a database has, and the probes' records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exporters.odoo_probes import MARK, OWN_PARTNERS, own_partners
from exporters.odoo_tables import COLUMNS, columns
from quaywatch.contract import Postgres
from quaywatch.runtime.probing.marks import mark_prefix

Make = Callable[..., Postgres]


async def test_a_table_that_is_not_there_has_no_columns(postgres: Make) -> None:
    """Every table that is asked for is answered."""
    session = postgres({COLUMNS: [{"table": "ir_cron", "column": name} for name in ("id", "active")]})
    assert await columns(session, "ir_cron", "ir_cron_trigger") == {
        "ir_cron": {"id", "active"},
        "ir_cron_trigger": frozenset(),
    }


async def test_partners_are_looked_up_only_where_some_are_named(postgres: Make) -> None:
    """No statement without need; ids and references find ids."""
    assert await own_partners(postgres({}), ()) == []
    found: list[dict[str, Any]] = [{"id": "7"}, {"id": "9"}]
    assert await own_partners(postgres({OWN_PARTNERS: found}), (7, "PROBE-CUSTOMER")) == ["7", "9"]


def test_every_mark_of_a_probe_is_known() -> None:
    """What the runtime writes into records is what the exporters leave out, whoever installed it."""
    assert mark_prefix("acme-eu", "order_create").startswith(MARK)
