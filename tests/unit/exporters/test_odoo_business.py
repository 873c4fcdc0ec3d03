"""Orders and transfers: rows in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import pytest

from exporters import odoo_orders, odoo_pickings
from exporters.odoo_tables import COLUMNS, IDS
from quaywatch.contract import Postgres, Row, Value

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Postgres]
Answers = Mapping[str, Sequence[Row]]

_STOCK = [{"table": "sale_order", "column": "id"}, {"table": "stock_move", "column": "sale_line_id"}]


def transfers(*columns: str) -> list[Row]:
    """What a database has of transfers."""
    return [{"table": "stock_picking", "column": column} for column in ("id", *columns)]


async def test_a_database_without_the_modules_gives_nothing(postgres: Make, read: Read) -> None:
    """No sample, no error, and the tables are not asked."""
    assert await read(odoo_orders.EXPORTER, postgres({COLUMNS: []})) == {}
    assert await read(odoo_pickings.EXPORTER, postgres({COLUMNS: []})) == {}


async def test_without_an_order_ever_there_is_no_age(postgres: Make, read: Read) -> None:
    """Row 38: 0 in the last hour is measured; an age of nothing is absent."""
    answers = {
        COLUMNS: _STOCK,
        odoo_orders.HEARTBEAT: [{"recent": 0, "last": None}],
        odoo_orders.WITHOUT_DELIVERY: [{"orders": 0, "oldest": None}],
    }
    assert await read(odoo_orders.EXPORTER, postgres(answers)) == {
        ("odoo.orders.confirmed.recent",): 0,
        ("odoo.orders.without_delivery",): 0,
    }


async def test_orders_beat_and_strand(postgres: Make, read: Read) -> None:
    """Row 38: how many, how long ago the last one, and which went nowhere since when."""
    answers = {
        COLUMNS: _STOCK,
        odoo_orders.HEARTBEAT: [{"recent": 12, "last": 40.0}],
        odoo_orders.WITHOUT_DELIVERY: [{"orders": 2, "oldest": 8000.0}],
    }
    assert await read(odoo_orders.EXPORTER, postgres(answers)) == {
        ("odoo.orders.confirmed.recent",): 12,
        ("odoo.orders.last.age",): 40.0,
        ("odoo.orders.without_delivery",): 2,
        ("odoo.orders.without_delivery.oldest.age",): 8000.0,
    }


async def test_where_no_stock_is_kept_no_order_lacks_a_delivery(postgres: Make, read: Read) -> None:
    """Absent, not 0: sales alone make no moves."""
    answers = {COLUMNS: _STOCK[:1], odoo_orders.HEARTBEAT: [{"recent": 1, "last": 1.0}]}
    found = await read(odoo_orders.EXPORTER, postgres(answers))
    assert set(found) == {("odoo.orders.confirmed.recent",), ("odoo.orders.last.age",)}


def stock(to_do: Sequence[Row] = (), done: Sequence[Row] = (), labels: Sequence[Row] = ()) -> Answers:
    """What a database with sales and carriers answers; it knows deliveries and receipts."""
    return {
        COLUMNS: transfers("sale_id", "carrier_tracking_ref"),
        odoo_pickings.TYPES: [{"type": "outgoing"}, {"type": "incoming"}],
        odoo_pickings.TO_DO: to_do,
        odoo_pickings.DONE_LATELY: done,
        odoo_pickings.LABELS: labels,
    }


async def test_an_idle_warehouse_is_measured(postgres: Make, read: Read) -> None:
    """Row 38: 0 for every type and state there is; no ages; nothing of connectors where no carrier has one."""
    found = await read(odoo_pickings.EXPORTER, postgres(stock()))
    kinds = [(kind, state) for kind in ("outgoing", "incoming") for state in ("waiting", "ready")]
    assert set(found.values()) == {0}
    assert {key for key in found if key[0] == "odoo.pickings.open"} == {("odoo.pickings.open", *kind) for kind in kinds}
    assert {key for key in found if key[0] == "odoo.pickings.late"} == {("odoo.pickings.late", *kind) for kind in kinds}
    assert len(found) == 10


async def test_transfers_wait_are_late_and_are_done(postgres: Make, read: Read) -> None:
    """Row 38: backlog and lateness by type and state, the heartbeat by type, and labels that are missing."""
    to_do = [
        {"type": "outgoing", "state": "ready", "pickings": 9, "late": 4, "longest": 90_000.0},
        {"type": "outgoing", "state": "waiting", "pickings": 3, "late": 0, "longest": -60.0},
        {"type": "retired", "state": "ready", "pickings": 1, "late": 0, "longest": 5.0},
    ]
    done = [{"type": "outgoing", "recent": 5, "last": 20.0}, {"type": "incoming", "recent": 0, "last": 86_400.0}]
    labels = [{"connector": "dhl", "lacking": 2, "label": 7200.0}, {"connector": "ups", "lacking": 0, "label": None}]
    found = await read(odoo_pickings.EXPORTER, postgres(stock(to_do, done, labels)))
    assert found["odoo.pickings.open", "outgoing", "ready"] == 9
    assert found["odoo.pickings.late", "outgoing", "ready"] == 4
    assert found["odoo.pickings.late.longest", "outgoing", "ready"] == 90_000.0
    assert ("odoo.pickings.late.longest", "outgoing", "waiting") not in found
    assert found["odoo.pickings.open", "retired", "ready"] == 1
    assert found["odoo.pickings.done.recent", "outgoing"] == 5
    assert found["odoo.pickings.last.age", "incoming"] == 86_400.0
    assert found["odoo.pickings.untracked", "dhl"] == 2
    assert found["odoo.pickings.untracked", "ups"] == 0
    assert found["odoo.pickings.label.last.age", "dhl"] == 7200.0
    assert ("odoo.pickings.label.last.age", "ups") not in found


async def test_stock_without_sales_is_read_without_orders(postgres: Make, read: Read) -> None:
    """Transfers know no order there; the probes' are known by their partner alone."""
    answers = {
        COLUMNS: transfers(),
        odoo_pickings.TYPES: [],
        odoo_pickings.TO_DO_WITHOUT_ORDERS: [],
        odoo_pickings.DONE_WITHOUT_ORDERS: [{"type": "outgoing", "recent": 1, "last": 3.0}],
    }
    found = await read(odoo_pickings.EXPORTER, postgres(answers))
    assert found == {("odoo.pickings.done.recent", "outgoing"): 1, ("odoo.pickings.last.age", "outgoing"): 3.0}


@pytest.mark.parametrize(
    "statement", [odoo_orders.HEARTBEAT, odoo_orders.WITHOUT_DELIVERY, odoo_pickings.TO_DO, odoo_pickings.DONE_LATELY]
)
def test_every_statement_leaves_the_probes_out(statement: str) -> None:
    """By mark and by partner."""
    assert "like 'quaywatch/%'" in statement
    assert f"any({IDS})" in statement
