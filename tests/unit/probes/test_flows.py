"""The flows over RPC against an Odoo in memory that plays back what Odoo 14 to 19 do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.trace import NoOpTracer

from probes import label_print, login, portal_lookup, shipment_confirm, stock_reserve
from probes import odoo_orders as orders
from quaywatch.clock import SystemClock
from quaywatch.contract import Odoo, Outcome, Probe, Reason, SweepOrder
from quaywatch.errors import AuthError, ConnectError, DeadlineError, TargetError, WrongResultError
from quaywatch.runtime.probing.saga import Saga
from quaywatch.runtime.probing.verdict import Verdict
from tests.unit.probes.fake_odoo import PARCEL, PARTNER, PRODUCT, SERVICE, Database, FakeOdoo, Trouble
from tests.unit.probes.fake_print import page, pdf, zpl
from tests.unit.probes.versions import VERSIONS

WANTED: dict[str, Any] = {"partner": PARTNER, "product": PRODUCT}
SHIPMENT = shipment_confirm.Options(**WANTED, location="PROBE-STOCK")
FLOWS: dict[Probe[Odoo, Any], Any] = {
    stock_reserve.PROBE: stock_reserve.Options(**WANTED, quantity=2.0),
    label_print.PROBE: label_print.Options(**WANTED, copies=3),
    shipment_confirm.PROBE: SHIPMENT,
    portal_lookup.PROBE: portal_lookup.Options(**WANTED),
    login.PROBE: login.Options(),
}
EACH_FLOW = pytest.mark.parametrize("probe", FLOWS, ids=lambda probe: probe.name)
ERASED = [probe for probe in FLOWS if probe is not shipment_confirm.PROBE]


async def ran(probe: Probe[Odoo, Any], database: Database, options: Any = None) -> tuple[Verdict, Saga]:
    """A whole run, undoing included."""
    mark = f"quaywatch/test/{probe.name}/5b0c"
    saga = Saga(mark=mark, steps=probe.steps, tracer=NoOpTracer(), clock=SystemClock())
    odoo = FakeOdoo(database)
    verdict = await saga.carry_out(lambda tx: probe.run(odoo, options or FLOWS[probe], tx), within=5)
    await saga.unwind(within=5)
    return verdict, saga


async def swept(probe: Probe[Odoo, Any], database: Database) -> Any:
    """What a sweep did and left that finds everything old enough."""
    prefix = f"quaywatch/test/{probe.name}/"
    return await probe.sweep(FakeOdoo(database), FLOWS[probe], SweepOrder(prefix=prefix, older_than=-1))


def reserved(database: Database) -> float:
    """How much of everything is reserved in the stock."""
    return float(sum(quant["reserved_quantity"] for quant in database.tables["stock.quant"].values()))


@EACH_FLOW
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_run_succeeds_on_every_version(probe: Probe[Odoo, Any], version: int) -> None:
    """Each step is green and each undoing; nothing is reserved, and no order stays but a shipped one, cancelled."""
    database = Database(version=version)
    verdict, saga = await ran(probe, database)
    assert (verdict.message, saga.undo_failures) == ("", [])
    assert [record.name for record in saga.records if not record.is_undo] == list(probe.steps)
    assert reserved(database) == 0
    assert database.tables["product.label.layout"] == {}
    left = [order["state"] for order in database.orders.values()]
    assert left == (["cancel"] if probe is shipment_confirm.PROBE else [])


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_is_shipped_is_permanent(version: int) -> None:
    """The delivery is done, its stock is gone, and a sweep counts delivery and order as permanent."""
    database = Database(version=version)
    await ran(shipment_confirm.PROBE, database)
    assert [picking["state"] for picking in database.pickings.values()] == ["done"]
    assert database.tables["stock.quant"][1]["quantity"] == 9
    assert (await swept(shipment_confirm.PROBE, database)).permanent == 2


@pytest.mark.parametrize("probe", ERASED, ids=lambda probe: probe.name)
@pytest.mark.parametrize("version", [14, 19])
@pytest.mark.parametrize("error", [ConnectError, DeadlineError], ids=lambda error: error.__name__)
@pytest.mark.parametrize("done_first", [False, True], ids=["refused", "answer lost"])
async def test_a_call_that_fails_leaves_nothing(
    probe: Probe[Odoo, Any], version: int, error: type[TargetError], *, done_first: bool
) -> None:
    """Whichever single call fails, done or not, the run's undoing or the next sweep removes everything."""
    healthy = Database(version=version)
    await ran(probe, healthy)
    for at in range(len(healthy.calls)):
        database = Database(version=version, trouble=Trouble(at, lambda: error("trouble"), done_first=done_first))
        _, saga = await ran(probe, database)
        database.trouble = None
        await swept(probe, database)
        assert (database.orders, database.pickings, reserved(database)) == ({}, {}, 0), f"call {at}"
        assert saga.failed_step or saga.undo_failures, f"call {at} failed unnoticed"


@pytest.mark.parametrize("at", range(40))
@pytest.mark.parametrize("version", [14, 19])
async def test_a_shipment_that_is_cut_ends_cancelled(version: int, at: int) -> None:
    """Whichever call of a shipment goes unanswered, the sweep erases it, or leaves it done and cancelled, once."""
    database = Database(version=version, trouble=Trouble(at, lambda: ConnectError("cut"), done_first=True))
    await ran(shipment_confirm.PROBE, database)
    database.trouble = None
    await swept(shipment_confirm.PROBE, database)
    assert {order["state"] for order in database.orders.values()} <= {"cancel"}
    assert len(database.orders) == sum(picking["state"] == "done" for picking in database.pickings.values()) <= 1


async def test_a_second_attempt_ships_no_second_time() -> None:
    """An attempt that died after the validation is finished by the next one of the same tick, not repeated."""
    database = Database()
    mark = "quaywatch/test/shipment_confirm/5b0c"
    order = database.order(mark, state="sale", picking="done", product=PRODUCT)
    verdict, _ = await ran(shipment_confirm.PROBE, database)
    assert (verdict.outcome, list(database.orders)) == (Outcome.SUCCESS, [order])
    assert database.tables["stock.quant"][1]["quantity"] == 10


def lie(**changed: Any) -> Callable[[Database], None]:
    """The stock of an Odoo that says yes and does otherwise."""
    return lambda database: database.stock.__dict__.update(changed)


def prints(**bodies: bytes) -> Callable[[Database], None]:
    """An Odoo that prints these, by form."""
    return lambda database: database.printed.update(bodies)


def opened(database: Database) -> None:
    """An Odoo whose portal is open to everybody."""
    database.open_to_all = True


def somebody_else(database: Database) -> None:
    """An Odoo whose web session is another user's."""
    database.web_user = 99


TEXTS = ["Probe Pallet", "PALLET-1", "WH/OUT/1001"]


@pytest.mark.parametrize(
    ("probe", "spoil", "step", "said"),
    [
        (stock_reserve.PROBE, lie(reserves_nothing=True), "reserve", "0 of 2 reserved"),
        (shipment_confirm.PROBE, lie(asks_back=True), "validate", "a wizard asks back"),
        (label_print.PROBE, prints(text=zpl("Probe Pallet", "PALLET-1", 2)), "zpl", "2 labels instead of 3"),
        (label_print.PROBE, prints(text=zpl("", "", 0)), "zpl", "0 labels instead of 3"),
        (label_print.PROBE, prints(text=zpl("Probe Pallet", "OTHER", 3)), "zpl", "without the product's barcode"),
        (label_print.PROBE, prints(text=b"^XA ^XZ ^XA"), "zpl", "does not end"),
        (label_print.PROBE, prints(pdf=b"<html>error</html>"), "slip", "cannot be read"),
        (label_print.PROBE, prints(pdf=pdf([])), "slip", "blank"),
        (label_print.PROBE, prints(pdf=pdf(["WH/OUT/1"])), "slip", "lacks 2"),
        (label_print.PROBE, prints(pdf=pdf(TEXTS, picture=16)), "label", "without the picture"),
        (label_print.PROBE, prints(pdf=pdf([], outlines=200), html=page(["error"])), "slip", "the page lacks 2"),
        (portal_lookup.PROBE, opened, "shut", "open to everybody"),
        (login.PROBE, somebody_else, "web", "on the web 99"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "name", ""),
)
async def test_a_yes_that_is_none_is_wrong(
    probe: Probe[Odoo, Any], spoil: Callable[[Database], None], step: str, said: str
) -> None:
    """Odoo reports success and the result is not there: the step fails as wrong and says what is missing."""
    database = Database()
    spoil(database)
    verdict, saga = await ran(probe, database)
    assert (verdict.outcome, verdict.reason, saga.failed_step) == (Outcome.FAILURE, Reason.WRONG, step)
    assert said in verdict.message
    assert "PALLET-1" not in verdict.message
    assert database.orders == {}


async def test_letters_that_are_outlines_are_read_on_the_page() -> None:
    """A PDF whose letters are drawn is no failure: the page that it was made of has the texts."""
    database = Database(printed={"pdf": pdf([], outlines=200)})
    verdict, _ = await ran(label_print.PROBE, database)
    assert verdict.outcome is Outcome.SUCCESS


async def test_goods_that_a_cancelled_order_holds_are_noticed() -> None:
    """The undoing looks whether the goods are free, and fails when they are not."""
    database = Database()
    database.stock.keeps_what_is_cancelled = True
    verdict, saga = await ran(stock_reserve.PROBE, database)
    assert verdict.outcome is Outcome.SUCCESS
    assert ["still hold goods" in failure.message for failure in saga.undo_failures] == [True]


@pytest.mark.parametrize(
    ("probe", "options", "said"),
    [
        (stock_reserve.PROBE, stock_reserve.Options(partner=PARTNER, product=PARCEL), "no stock of it is kept"),
        (stock_reserve.PROBE, stock_reserve.Options(partner=PARTNER, product=PRODUCT, quantity=11), "bring in more"),
        (stock_reserve.PROBE, stock_reserve.Options(partner=PARTNER, product=99), "no such record"),
        (label_print.PROBE, label_print.Options(partner=PARTNER, product=SERVICE), "no barcode"),
        (
            shipment_confirm.PROBE,
            shipment_confirm.Options(partner=PARTNER, product=PARCEL, location="PROBE-STOCK"),
            "another place",
        ),
        (shipment_confirm.PROBE, shipment_confirm.Options(**WANTED, location="NOWHERE"), "no record has it"),
    ],
    ids=["no stock kept", "too much", "no product", "no barcode", "elsewhere", "no place"],
)
async def test_what_was_not_prepared_is_our_fault(probe: Probe[Odoo, Any], options: Any, said: str) -> None:
    """Records that do not serve make the run invalid, say what is wrong, and nothing of it stays."""
    database = Database()
    verdict, _ = await ran(probe, database, options)
    assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, Reason.CONFIG)
    assert said in verdict.message
    assert (database.orders, reserved(database)) == ({}, 0)


async def test_a_refused_log_in_is_our_fault() -> None:
    """A wrong password never counts against Odoo."""
    verdict, _ = await ran(login.PROBE, Database(trouble=Trouble(0, lambda: AuthError("refused"))))
    assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, Reason.AUTH)


@pytest.mark.parametrize("copies", [0, 21])
def test_copies_are_few(copies: int) -> None:
    """A trial is no print run."""
    with pytest.raises(ValueError, match="copies"):
        label_print.Options(partner=1, product=1, copies=copies)


@pytest.mark.parametrize("version", [16, 17, 18])
async def test_a_cancellation_that_asks_back_is_told_not_to(version: int) -> None:
    """Trap 2: without its key the cancellation of a confirmed order only asks back; the probes send the key."""
    database = Database(version=version)
    odoo = FakeOdoo(database)
    number = database.order("mark", state="sale", product=PRODUCT)
    (order,) = await orders.marked(odoo, "mark")
    with pytest.raises(WrongResultError, match="sale after action_cancel instead of cancel: a wizard asks back"):
        await orders.act(odoo, order, "action_cancel", frozenset({"cancel"}))
    await orders.cancel(odoo, order)
    assert database.orders[number]["state"] == "cancel"
