"""The flow order_create against an Odoo in memory: what a run does, and that nothing of it stays."""

from __future__ import annotations

import pytest
from opentelemetry.trace import NoOpTracer

from probes.order_create import PROBE, Options
from quaywatch.clock import SystemClock
from quaywatch.contract import Outcome, Reason, SweepOrder
from quaywatch.errors import ConnectError, DeadlineError, FaultError
from quaywatch.runtime.probing.saga import Saga
from quaywatch.runtime.probing.verdict import Verdict
from tests.unit.probes.fake_odoo import PARTNER, PRODUCT, SERVICE, Database, FakeOdoo, Trouble
from tests.unit.probes.fake_stock import Record

PREFIX = "quaywatch/test/order_create/"
MARK = f"{PREFIX}5b0c"
VERSIONS = (14, 16, 18, 19)
BY_ID = Options(partner=PARTNER, product=PRODUCT)


async def ran(odoo: FakeOdoo, options: Options = BY_ID, mark: str = MARK) -> tuple[Verdict, Saga]:
    """A whole run, undoing included."""
    saga = Saga(mark=mark, steps=PROBE.steps, tracer=NoOpTracer(), clock=SystemClock())
    verdict = await saga.carry_out(lambda tx: PROBE.run(odoo, options, tx), within=5)
    await saga.unwind(within=5)
    return verdict, saga


async def swept(odoo: FakeOdoo) -> None:
    """A sweep that finds everything old enough."""
    await PROBE.sweep(odoo, BY_ID, SweepOrder(prefix=PREFIX, older_than=-1))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("locks", [False, True], ids=["plain", "locks on confirm"])
async def test_a_run_succeeds_and_leaves_nothing(version: int, *, locks: bool) -> None:
    """On every version each step is green, and afterwards neither order nor delivery is there."""
    database = Database(version=version, locks_on_confirm=locks)
    verdict, saga = await ran(FakeOdoo(database))
    assert verdict.outcome is Outcome.SUCCESS
    assert [record.name for record in saga.records] == ["create", "confirm", "picking", "cancel", "erase"]
    assert saga.undo_failures == []
    assert (database.created, database.orders, database.pickings) == (1, {}, {})


@pytest.mark.parametrize("version", VERSIONS)
async def test_without_a_janitor_the_order_stays_cancelled(version: int) -> None:
    """Nobody may delete, so order and delivery stay, both cancelled."""
    database = Database(version=version)
    verdict, saga = await ran(FakeOdoo(database, has_janitor=False))
    assert (verdict.outcome, saga.undo_failures) == (Outcome.SUCCESS, [])
    assert [order["state"] for order in database.orders.values()] == ["cancel"]
    assert [picking["state"] for picking in database.pickings.values()] == ["cancel"]


async def calls_of_a_run(version: int) -> int:
    """How many calls a run without trouble makes."""
    database = Database(version=version)
    await ran(FakeOdoo(database))
    return len(database.calls)


@pytest.mark.parametrize("version", [14, 18])
@pytest.mark.parametrize("done_first", [False, True], ids=["refused", "answer lost"])
@pytest.mark.parametrize("error", [ConnectError, DeadlineError, FaultError], ids=lambda error: error.__name__)
async def test_a_call_that_fails_leaves_nothing(version: int, error: type[FaultError], *, done_first: bool) -> None:
    """Whichever single call fails, done or not, the undoing removes everything; what it cannot, the sweep does."""
    for at in range(await calls_of_a_run(version)):
        database = Database(version=version, trouble=Trouble(at, lambda: error("trouble"), done_first=done_first))
        verdict, saga = await ran(FakeOdoo(database))
        in_undo = saga.undo_failures != []
        assert in_undo or (database.orders, database.pickings) == ({}, {}), f"call {at}"
        assert (verdict.outcome is Outcome.SUCCESS) == (in_undo or saga.failed_step == "")
        await swept(FakeOdoo(database))
        assert (database.orders, database.pickings) == ({}, {}), f"call {at} after the sweep"


async def test_an_odoo_that_goes_down_is_swept_when_it_is_back() -> None:
    """Whenever Odoo goes away for good, the run fails or its undo is counted, and the sweep later removes the rest."""
    for at in range(await calls_of_a_run(19)):
        database = Database(trouble=Trouble(at, lambda: ConnectError("refused"), lasting=True))
        verdict, saga = await ran(FakeOdoo(database))
        assert verdict.outcome is Outcome.FAILURE or saga.undo_failures
        database.trouble = None
        await swept(FakeOdoo(database))
        assert (database.orders, database.pickings) == ({}, {}), f"call {at}"


@pytest.mark.parametrize("state", ["draft", "sale"])
async def test_the_same_tick_takes_over_what_is_there(state: str) -> None:
    """A second attempt finds the first one's order by its mark and neither doubles nor forgets it."""
    database = Database()
    database.order(MARK, state=state, picking="assigned" if state == "sale" else "", product=PRODUCT)
    verdict, _ = await ran(FakeOdoo(database))
    assert verdict.outcome is Outcome.SUCCESS
    assert (database.created, database.orders, database.pickings) == (1, {}, {})


async def test_a_finished_attempt_of_the_tick_is_cleaned_up_with_the_next() -> None:
    """A cancelled order of the same tick cannot be taken over; it is erased with the new one."""
    database = Database()
    database.order(MARK, state="cancel")
    verdict, _ = await ran(FakeOdoo(database))
    assert (verdict.outcome, database.orders) == (Outcome.SUCCESS, {})


class CreatesNothing(FakeOdoo):
    """Says that it created the order, and did not."""

    def _create(self, _model: str, _values: Record) -> int:
        return 1


async def test_a_cancelled_order_of_the_tick_is_not_the_one_just_created() -> None:
    """Without a janitor an earlier attempt leaves one with the same mark; it does not pass for the new one."""
    database = Database()
    database.order(MARK, state="cancel")
    verdict, saga = await ran(CreatesNothing(database, has_janitor=False))
    assert (verdict.outcome, verdict.reason, saga.failed_step) == (Outcome.FAILURE, Reason.WRONG, "create")


async def test_a_run_touches_no_other_mark() -> None:
    """Orders of customers and of other ticks stay as they are."""
    database = Database()
    others = [database.order("PO-17", state="sale"), database.order(f"{PREFIX}other", state="draft")]
    await ran(FakeOdoo(database))
    assert [database.orders[number]["state"] for number in others] == ["sale", "draft"]


async def test_a_server_that_forgets_the_question_costs_no_customer() -> None:
    """Even where a search answers with every order, none without the mark is taken over or undone."""
    database = Database(forgets_questions=True)
    others = [database.order("PO-17", state="sale", product=PRODUCT), database.order("PO-18", state="draft")]
    await ran(FakeOdoo(database))
    assert {number: database.orders[number]["state"] for number in others} == {others[0]: "sale", others[1]: "draft"}


async def test_references_are_found_by_name() -> None:
    """Partner and product may be given by their references."""
    verdict, _ = await ran(FakeOdoo(Database()), Options(partner="PROBE", product="PROBE"))
    assert verdict.outcome is Outcome.SUCCESS


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Options(partner=99, product=PRODUCT), "res.partner 99"),
        (Options(partner=PARTNER, product=99), "product.product 99"),
        (Options(partner="NOBODY", product=PRODUCT), "'NOBODY': no record"),
        (Options(partner=PARTNER, product="TWICE"), "'TWICE': several records"),
    ],
)
async def test_a_wrong_reference_is_our_fault(options: Options, said: str) -> None:
    """A partner or product that is not there makes the run invalid and is named; nothing is left."""
    database = Database()
    database.tables["product.product"] |= {20: {"default_code": "TWICE"}, 21: {"default_code": "TWICE"}}
    verdict, _ = await ran(FakeOdoo(database), options)
    assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, Reason.CONFIG)
    assert said in verdict.message
    assert database.orders == {}


async def test_a_service_makes_no_delivery() -> None:
    """A confirmed order without a delivery is wrong, unless none is expected."""
    verdict, saga = await ran(FakeOdoo(Database()), Options(partner=PARTNER, product=SERVICE))
    assert (verdict.reason, saga.failed_step) == (Reason.WRONG, "picking")
    assert "expect_picking" in verdict.message
    easy = Options(partner=PARTNER, product=SERVICE, expect_picking=False)
    verdict, saga = await ran(FakeOdoo(Database()), easy)
    assert (verdict.outcome, [record.name for record in saga.records][:2]) == (Outcome.SUCCESS, ["create", "confirm"])


async def test_an_odoo_without_deliveries_says_so() -> None:
    """Without sale_stock the flow fails by version, and cleans up all the same."""
    database = Database(has_stock=False)
    verdict, _ = await ran(FakeOdoo(database))
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILURE, Reason.VERSION)
    assert database.orders == {}


async def test_a_wizard_is_not_done() -> None:
    """An action that answers with a wizard and leaves the state fails the step, and the message says why."""
    database = Database()
    odoo = FakeOdoo(database)
    odoo._action_confirm = lambda *_: {"res_model": "some.wizard"}  # type: ignore[assignment,method-assign]
    verdict, saga = await ran(odoo)
    assert (verdict.reason, saga.failed_step) == (Reason.WRONG, "confirm")
    assert "a wizard asks back" in verdict.message


@pytest.mark.parametrize("quantity", [0, -1])
def test_a_quantity_is_positive(quantity: float) -> None:
    """Options refuse what Odoo would confirm without a delivery."""
    with pytest.raises(ValueError, match="quantity"):
        Options(partner=1, product=1, quantity=quantity)
