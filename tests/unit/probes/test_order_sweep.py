"""The sweep of orders: what killed runs left goes, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.odoo_orders import sweep_orders
from quaywatch.contract import SweepOrder, Swept
from quaywatch.errors import ConnectError, ParseError
from tests.unit.probes.fake_odoo import Database, FakeOdoo, Trouble

PREFIX = "quaywatch/acme-eu/order_create/"
ORDER = SweepOrder(prefix=PREFIX, older_than=120)
OLD, YOUNG = 121, 119


@pytest.mark.parametrize("version", [14, 16, 18, 19])
async def test_every_state_of_a_killed_run_is_undone(version: int) -> None:
    """Drafts, sent quotations, confirmed, locked and cancelled orders go, each with its delivery."""
    database = Database(version=version)
    locked = {"state": "sale", "locked": True} if version >= 18 else {"state": "done"}
    for number, state in enumerate([{"state": "draft"}, {"state": "sent"}, {"state": "sale"}, locked]):
        database.order(f"{PREFIX}{number}", age=OLD, picking="assigned", **state)
    database.order(f"{PREFIX}4", age=OLD, state="cancel", picking="cancel")
    done = await sweep_orders(FakeOdoo(database), ORDER)
    assert done == Swept(undone=4, erased=10, residue=0, permanent=0)
    assert (database.orders, database.pickings) == ({}, {})


async def test_nothing_else_is_touched() -> None:
    """Young marks, other installations, other probes, look-alikes and customers' orders stay as they are."""
    database = Database()
    database.order(f"{PREFIX}young", age=YOUNG, state="sale")
    for mark in ("quaywatch/acme-us/order_create/1", "quaywatch/acme-eu/orderXcreate/1", "PO 1", f"x{PREFIX}1"):
        database.order(mark, age=OLD, state="sale")
    before = {number: dict(order) for number, order in database.orders.items()}
    assert await sweep_orders(FakeOdoo(database), ORDER) == Swept()
    assert database.orders == before


async def test_a_server_that_forgets_the_question_costs_no_customer() -> None:
    """Even where a search answers with every order, none without the own prefix is cancelled or erased."""
    database = Database(forgets_questions=True)
    database.order("PO 1", age=OLD, state="sale")
    swept = await sweep_orders(FakeOdoo(database), ORDER)
    assert (swept.undone, swept.erased) == (0, 0)
    assert database.orders[1]["state"] == "sale"


async def test_without_a_janitor_cancelled_records_are_residue() -> None:
    """The orders are cancelled, cannot be erased, and are counted with their deliveries at every sweep."""
    database = Database()
    database.order(f"{PREFIX}1", age=OLD, state="sale", picking="assigned")
    odoo = FakeOdoo(database, has_janitor=False)
    assert await sweep_orders(odoo, ORDER) == Swept(undone=1, residue=2)
    assert await sweep_orders(odoo, ORDER) == Swept(residue=2)
    assert [picking["state"] for picking in database.pickings.values()] == ["cancel"]


async def test_a_validated_delivery_is_permanent() -> None:
    """Goods that somebody shipped cannot be erased: the order is cancelled, both are permanent, not residue."""
    database = Database()
    database.order(f"{PREFIX}1", age=OLD, state="sale", picking="done")
    database.order(f"{PREFIX}2", age=OLD, state="sale", picking="assigned")
    assert await sweep_orders(FakeOdoo(database), ORDER) == Swept(undone=2, erased=2, residue=0, permanent=2)
    assert await sweep_orders(FakeOdoo(database), ORDER) == Swept(permanent=2)


async def test_permanent_orders_do_not_use_up_the_cap() -> None:
    """What can never be erased is not tried again, so that it does not keep the sweep from what can."""
    database = Database()
    database.order(f"{PREFIX}1", age=OLD, state="cancel")
    database.order(f"{PREFIX}2", age=OLD, state="cancel", picking="done")
    capped = SweepOrder(prefix=PREFIX, older_than=120, cap=1)
    assert await sweep_orders(FakeOdoo(database), capped) == Swept(erased=1, permanent=2)


async def test_a_delivery_that_came_back_to_life_is_cancelled_first() -> None:
    """A delivery still open under a cancelled order does not keep the order."""
    database = Database()
    database.order(f"{PREFIX}1", age=OLD, state="cancel", picking="confirmed")
    assert await sweep_orders(FakeOdoo(database), ORDER) == Swept(erased=2)


async def test_one_that_refuses_does_not_keep_the_others() -> None:
    """An order that Odoo will not delete stays as residue, the next ones go."""
    database = Database()
    numbers = [database.order(f"{PREFIX}{number}", age=OLD, state="cancel") for number in range(3)]
    database.undeletable = {numbers[2]}
    assert await sweep_orders(FakeOdoo(database), ORDER) == Swept(erased=2, residue=1)


async def test_what_is_refused_hides_nothing() -> None:
    """Newer orders that Odoo will not delete, more than a sweep takes at a time, do not keep the older ones."""
    database = Database()
    numbers = [database.order(f"{PREFIX}{number}", age=OLD, state="cancel") for number in range(6)]
    database.undeletable = set(numbers[2:])
    capped = SweepOrder(prefix=PREFIX, older_than=120, cap=2)
    assert await sweep_orders(FakeOdoo(database), capped) == Swept(erased=2, residue=4)


async def test_a_sweep_is_capped() -> None:
    """No sweep touches more than its cap; the rest is residue until the next."""
    database = Database()
    for number in range(5):
        database.order(f"{PREFIX}{number}", age=OLD, state="sale")
    capped = SweepOrder(prefix=PREFIX, older_than=120, cap=2)
    assert await sweep_orders(FakeOdoo(database), capped) == Swept(undone=2, erased=2, residue=3)
    assert await sweep_orders(FakeOdoo(database), capped) == Swept(undone=2, erased=2, residue=1)


async def test_a_dry_run_only_counts() -> None:
    """What would be done is said, in the records that a sweep then counts, and no writing call is made."""
    database = Database()
    database.order(f"{PREFIX}1", age=OLD, state="sale", picking="assigned")
    dry = SweepOrder(prefix=PREFIX, older_than=120, dry_run=True)
    assert await sweep_orders(FakeOdoo(database), dry) == Swept(undone=1, erased=2, residue=2)
    assert {method for _, method in database.calls} <= {"search", "search_read", "search_count", "default_get"}
    assert await sweep_orders(FakeOdoo(database), replace(dry, dry_run=False)) == Swept(undone=1, erased=2)


async def test_no_deliveries_where_there_are_none() -> None:
    """Without sale_stock the sweep asks for no deliveries."""
    database = Database(has_stock=False)
    database.order(f"{PREFIX}1", age=OLD, state="sale")
    assert await sweep_orders(FakeOdoo(database), ORDER) == Swept(undone=1, erased=1)
    assert {model for model, _ in database.calls} == {"sale.order"}


async def test_trouble_with_the_line_ends_the_sweep() -> None:
    """An Odoo that went away is an error of the sweep, not a residue of 0."""
    for at in range(3):
        database = Database(trouble=Trouble(at, lambda: ConnectError("cut"), lasting=True))
        database.order(f"{PREFIX}1", age=OLD, state="sale")
        with pytest.raises(ConnectError):
            await sweep_orders(FakeOdoo(database), ORDER)


async def test_a_server_without_a_clock_is_not_swept() -> None:
    """Without the server's time no age is known, so nothing is touched."""
    database = Database()
    database.order(f"{PREFIX}1", age=OLD, state="sale")
    odoo = FakeOdoo(database)
    database.clock = type("Broken", (), {"strftime": lambda *_: "yesterday"})()
    with pytest.raises(ParseError):
        await sweep_orders(odoo, ORDER)
    assert database.orders[1]["state"] == "sale"
