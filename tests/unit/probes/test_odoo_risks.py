"""What a probe's orders set off is found, and keeps a flow from starting until the configuration accepts it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.trace import NoOpTracer

from probes import PROBES, browser_order_create, order_create, shipment_confirm
from probes.odoo_hazards import RULE, Risk
from probes.odoo_placing import Wanted
from probes.odoo_risks import LOOK_EVERY, Look, findings, harmless, look, require_unpaid, require_untold
from quaywatch.clock import SystemClock
from quaywatch.contract import Odoo, Outcome, Reason, Transaction
from quaywatch.errors import ConfigError, PermissionDeniedError
from quaywatch.runtime.probing.saga import Saga
from quaywatch.runtime.probing.verdict import Verdict
from tests.unit.probes.fake_odoo import OWN_PARTNER, PARTNER, PRODUCT, Database, FakeOdoo
from tests.unit.probes.fake_stock import PLACE
from tests.unit.probes.test_order_create import ran

ORDERS = order_create.Options(partner=PARTNER, product=PRODUCT)
TYPED = browser_order_create.Options(partner=PARTNER, product=PRODUCT)
SHIPS = shipment_confirm.Options(partner=PARTNER, product=PRODUCT, location=PLACE)
ORDERING = [probe for probe in PROBES if issubclass(probe.options, Wanted)]
NOTIFY = Risk("automation:12", "the automation rule 'Notify' runs on sale.order (on_create)")


def with_rules(*rules: tuple[str, str]) -> Database:
    """A database with automation rules on these models, by these triggers."""
    database = Database()
    database.more_fields[RULE] = {"active", "name", "model_name", "trigger"}
    database.tables[RULE] = {
        12 + at: {"active": True, "name": "Notify", "model_name": model, "trigger": trigger}
        for at, (model, trigger) in enumerate(rules)
    }
    return database


def with_carrier(kind: str) -> Database:
    """A database whose probes' customer has a carrier of this kind."""
    database = Database()
    database.more_fields |= {
        "res.partner": {"ref", "property_delivery_carrier_id"},
        "stock.picking": {"state", "carrier_id"},
    }
    database.tables["delivery.carrier"] = {3: {"name": "Swift", "delivery_type": kind}}
    database.tables["res.partner"][PARTNER]["property_delivery_carrier_id"] = [3, "Swift"]
    database.pickings[1] = {"carrier_id": [3, "Swift"]}
    return database


class Unseeing(FakeOdoo):
    """A user who may not read automation rules; nor may the janitor, if ``blind`` is true."""

    def __init__(self, database: Database, *, blind: bool) -> None:
        super().__init__(database)
        self._blind = blind

    async def call(self, model: str, method: str, *arguments: Any, **keywords: Any) -> Any:
        """Refuse the rules."""
        if model == RULE:
            raise PermissionDeniedError("you are not allowed", code="4")
        return await super().call(model, method, *arguments, **keywords)

    def janitor(self) -> FakeOdoo | None:
        """Who sees more, or nobody."""
        return None if self._blind else super().janitor()


async def test_nothing_is_at_risk_where_nothing_is_installed() -> None:
    """Without the modules in question there is neither a risk nor anything unseen."""
    assert await look(FakeOdoo(Database()), SHIPS) == Look(())
    assert await look(FakeOdoo(Database()), ORDERS) == Look(())


async def test_rules_on_the_models_of_a_flow_are_risks() -> None:
    """A rule on orders is one; a rule on tasks is none, nor one that only others trigger from outside."""
    odoo = FakeOdoo(
        with_rules(("sale.order", "on_create"), ("project.task", "on_create"), ("sale.order", "on_webhook"))
    )
    assert (await look(odoo, ORDERS)).risks == (NOTIFY,)


@pytest.mark.parametrize("model", ["stock.quant", "procurement.group", "stock.reference", "mail.message"])
async def test_what_odoo_writes_beside_is_looked_at_too(model: str) -> None:
    """Stock, the group of moves under both its names, and the history."""
    assert [risk.name for risk in (await look(FakeOdoo(with_rules((model, "on_write"))), ORDERS)).risks] == [
        "automation:12"
    ]


@pytest.mark.parametrize("model", ["stock.valuation.layer", "account.move", "account.move.line"])
async def test_what_goods_are_worth_concerns_who_ships(model: str) -> None:
    """A validated delivery is valued, and an order is not."""
    odoo = FakeOdoo(with_rules((model, "on_create")))
    assert [risk.name for risk in (await look(odoo, SHIPS)).risks] == ["automation:12"]
    assert (await look(odoo, ORDERS)).risks == ()


@pytest.mark.parametrize(("kind", "paid"), [("fixed", False), ("base_on_rule", False), ("dhl", True)])
async def test_a_carrier_with_a_connector_is_a_risk_to_who_ships(kind: str, *, paid: bool) -> None:
    """Only a validated delivery asks the carrier, and only one with a connector costs money."""
    odoo = FakeOdoo(with_carrier(kind))
    assert [risk.name for risk in (await look(odoo, SHIPS)).risks] == ["carrier:3"] * paid
    assert [risk.name for risk in (await look(odoo, replace(SHIPS, partner="PROBE"))).risks] == ["carrier:3"] * paid
    assert (await look(odoo, ORDERS)).risks == ()


async def test_the_carrier_of_the_delivery_itself_is_looked_at() -> None:
    """Whoever put a carrier onto the delivery: one with a connector keeps it from being validated, unless accepted."""
    odoo = FakeOdoo(with_carrier("dhl"))
    with pytest.raises(ConfigError, match="carrier:3"):
        await require_unpaid(odoo, 1, SHIPS)
    await require_unpaid(odoo, 1, replace(SHIPS, accept_risks=("carrier:3",)))


@pytest.mark.parametrize(("of_customer", "of_company"), [(True, False), (False, True)])
async def test_a_salesperson_is_a_risk_where_odoo_chooses_one(*, of_customer: bool, of_company: bool) -> None:
    """The customer's own, or its company's, is told of orders that the web client makes; over RPC they have none."""
    database = Database()
    partners = database.tables["res.partner"]
    partners[PARTNER] |= {"user_id": [4, "Jane"] if of_customer else False, "commercial_partner_id": [70, "Acme"]}
    partners[70] = {"user_id": [4, "Jane"] if of_company else False, "commercial_partner_id": [70, "Acme"]}
    database.tables["res.users"] = {4: {"name": "Jane", "partner_id": 44}}
    assert [risk.name for risk in (await look(FakeOdoo(database), TYPED)).risks] == ["salesperson:4"]
    assert (await look(FakeOdoo(database), ORDERS)).risks == ()


async def test_a_customer_without_a_salesperson_is_no_risk() -> None:
    """Nor is one whose salesperson is the probe's user itself."""
    database = Database()
    partner = database.tables["res.partner"][PARTNER]
    partner |= {"user_id": False, "commercial_partner_id": [PARTNER, "Probe"]}
    assert (await look(FakeOdoo(database), TYPED)).risks == ()
    partner["user_id"] = [4, "Probe"]
    database.tables["res.users"] = {4: {"name": "Probe", "partner_id": OWN_PARTNER}}
    assert (await look(FakeOdoo(database), TYPED)).risks == ()


async def test_nobody_else_may_follow_the_order() -> None:
    """Whoever follows it but for the customer and the probe's user is named, unless that is accepted."""
    database = Database()
    followers = enumerate((PARTNER, OWN_PARTNER, 44), 1)
    order = {"res_model": "sale.order", "res_id": 9}
    database.tables["mail.followers"] = {at: {**order, "partner_id": who} for at, who in followers}
    with pytest.raises(ConfigError, match="follower:44"):
        await require_untold(FakeOdoo(database), 9, TYPED)
    await require_untold(FakeOdoo(database), 9, replace(TYPED, accept_risks=("follower:44",)))
    await require_untold(FakeOdoo(database), 8, TYPED)


async def test_mail_about_shipments_is_a_risk_to_who_ships() -> None:
    """A company that mails a confirmation of each shipment is named."""
    database = Database()
    database.more_fields["res.company"] = {"name", "stock_move_email_validation"}
    database.tables["res.company"] = {1: {"name": "Acme", "stock_move_email_validation": True}}
    assert [risk.name for risk in (await look(FakeOdoo(database), SHIPS)).risks] == ["mail:1"]


async def test_a_flow_at_risk_does_not_start() -> None:
    """The run is invalid by its configuration in the first step, names the risk, and has made nothing."""
    database = with_rules(("sale.order", "on_create"))
    verdict, _ = await ran(FakeOdoo(database), ORDERS)
    assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, Reason.CONFIG)
    assert "automation:12" in verdict.message
    assert database.orders == {}


async def test_a_flow_whose_risks_are_accepted_starts() -> None:
    """Accepted by name, a risk keeps nothing from running."""
    database = with_rules(("sale.order", "on_create"))
    verdict, _ = await ran(FakeOdoo(database), replace(ORDERS, accept_risks=("automation:12",)))
    assert verdict.outcome is Outcome.SUCCESS


async def test_a_flow_is_looked_at_every_five_minutes() -> None:
    """A rule that comes later stops the flow at the next look, and one that goes lets it start at once."""
    database, now = with_rules(), [0.0]
    odoo = FakeOdoo(database)
    runs: list[float] = []

    async def run(_odoo: Odoo, _options: Wanted, tx: Transaction) -> None:
        async with tx.step("create"):
            runs.append(now[0])

    careful = harmless(run, monotonic=lambda: now[0])

    async def verdict(moment: float) -> Verdict:
        now[0] = moment
        saga = Saga(mark="mark", steps=("create",), tracer=NoOpTracer(), clock=SystemClock())
        return await saga.carry_out(lambda tx: careful(odoo, ORDERS, tx), within=5)

    assert (await verdict(0.0)).outcome is Outcome.SUCCESS
    database.tables[RULE] = with_rules(("stock.move", "on_write")).tables[RULE]
    assert (await verdict(LOOK_EVERY - 1)).outcome is Outcome.SUCCESS
    assert (await verdict(LOOK_EVERY)).outcome is Outcome.INVALID
    database.tables[RULE] = {}
    assert (await verdict(LOOK_EVERY)).outcome is Outcome.SUCCESS
    assert runs == [0.0, LOOK_EVERY - 1, LOOK_EVERY]


async def test_check_tells_risks_and_how_to_accept_them() -> None:
    """The sentence holds the word to put into the configuration."""
    odoo = FakeOdoo(with_rules(("sale.order", "on_create")))
    assert "accept_risks: [automation:12]" in str([finding async for finding in findings(odoo, ORDERS)])


async def test_what_nobody_may_read_is_told() -> None:
    """The janitor is asked where the probe's user may not look; where neither may, check says so."""
    database = with_rules(("sale.order", "on_create"))
    assert (await look(Unseeing(database, blind=False), ORDERS)).risks == (NOTIFY,)
    assert (await look(Unseeing(database, blind=True), ORDERS)).unseen == (RULE,)
    (told,) = [finding async for finding in findings(Unseeing(database, blind=True), ORDERS)]
    assert "may read base.automation" in told
    assert "accept_risks: [unseen:base.automation]" in told


async def test_a_flow_that_nobody_can_look_at_does_not_start() -> None:
    """Its run is invalid, names the right that is missing, and has made nothing; accepted by name, it starts."""
    database = with_rules()
    verdict, _ = await ran(Unseeing(database, blind=True), ORDERS)
    assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, Reason.CONFIG)
    assert "may read base.automation" in verdict.message
    assert "quaywatch setup odoo" in verdict.message
    assert database.orders == {}
    verdict, _ = await ran(Unseeing(database, blind=True), replace(ORDERS, accept_risks=(f"unseen:{RULE}",)))
    assert verdict.outcome is Outcome.SUCCESS


@pytest.mark.parametrize(
    "probe", [probe for probe in PROBES if issubclass(probe.options, Wanted)], ids=lambda p: p.name
)
def test_every_flow_that_orders_is_careful(probe: Any) -> None:
    """No flow with orders of its own starts without a look."""
    assert getattr(probe.run, "__wrapped__", None) is not None
