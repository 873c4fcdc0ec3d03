"""What the flows need is made on every version, once, and nothing that is somebody's is changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from probes import label_print, login, order_create, portal_lookup, shipment_confirm, stock_reserve
from probes.browser_order_create import PROBE as BROWSER
from probes.odoo_names import is_storable
from probes.odoo_setup import (
    JANITOR,
    SALESMAN,
    SEEING,
    STOCK_USER,
    TEAM,
    USER,
    Account,
    Flow,
    Goods,
    Preparation,
    Prepared,
    State,
    groups_of,
    prepare,
    records_of,
)
from quaywatch.errors import PermissionDeniedError
from quaywatch.secret import Secret
from tests.unit.probes.fake_admin import GROUPS, RULES, STOCK, FakeAdmin
from tests.unit.probes.versions import VERSIONS

GOODS: dict[str, Any] = {"partner": "CUSTOMER", "product": "PALLET"}
PROBE = Account("the probe's user", "probe", Secret("pw"), (USER, SALESMAN), sees_rules=True, own_team=True)
WANTED = Preparation(
    accounts=(PROBE, Account("the janitor", "janitor@acme.example", Secret("pw"), JANITOR)),
    partners=("CUSTOMER",),
    goods=(Goods("PARCEL", storable=False, place=None), Goods("PALLET", storable=True, place="PLACE")),
)


async def prepared(odoo: FakeAdmin, wanted: Preparation = WANTED, *, apply: bool = True) -> list[Prepared]:
    """What is told."""
    told: list[Prepared] = []
    await prepare(odoo, wanted, told.append, apply=apply)
    return told


def only(odoo: FakeAdmin, model: str, field: str, value: str) -> dict[str, Any]:
    """The one record of a model with this value."""
    (row,) = [row for row in odoo.tables[model].values() if row[field] == value]
    return row


@pytest.mark.parametrize("version", VERSIONS)
async def test_everything_is_made_once(version: int) -> None:
    """Told first and not made, then made, then there; on each version by its own names."""
    odoo = FakeAdmin(version)
    first = await prepared(odoo, apply=False)
    assert ({one.state for one in first}, odoo.writes) == ({State.MISSING}, [])
    second = await prepared(odoo)
    assert {one.state for one in second} == {State.MADE}
    assert [one.what for one in second] == [one.what for one in first]
    odoo.writes.clear()
    third = await prepared(odoo)
    assert ({one.state for one in third}, odoo.writes) == ({State.THERE}, [])


@pytest.mark.parametrize("version", VERSIONS)
async def test_records_are_what_the_flows_want(version: int) -> None:
    """A product whose stock is kept and one whose is not, stock in the place, a customer whom nothing reaches."""
    odoo = FakeAdmin(version)
    await prepared(odoo)
    field = odoo.facts.storable[0]
    assert is_storable(field, only(odoo, "product.product", "default_code", "PALLET")[field])
    assert not is_storable(field, only(odoo, "product.product", "default_code", "PARCEL")[field])
    assert [quant["quantity"] for quant in odoo.tables["stock.quant"].values()] == [10_000.0]
    assert set(only(odoo, "res.partner", "ref", "CUSTOMER")) == {"ref", "name"}


@pytest.mark.parametrize("version", VERSIONS)
async def test_users_have_their_groups_and_no_more(version: int) -> None:
    """The probe's user is a salesman who sees automation rules; both have an address, as some flows need one."""
    odoo = FakeAdmin(version)
    await prepared(odoo)
    (seeing,) = odoo.tables["res.groups"]
    probe, janitor = (only(odoo, "res.users", "login", name) for name in ("probe", "janitor@acme.example"))
    assert set(probe[odoo.groups_field]) == {GROUPS[USER], GROUPS[SALESMAN], seeing}
    assert set(janitor[odoo.groups_field]) == {GROUPS[name] for name in JANITOR}
    assert (probe["email"], janitor["email"]) == ("probe@quaywatch.invalid", "janitor@acme.example")


@pytest.mark.parametrize(("version", "models"), [(14, 2), (16, 2), (17, 1), (19, 1)])
async def test_the_right_to_see_rules_is_to_read_them(version: int, models: int) -> None:
    """Up to 16 a rule is a server action too, and is read with it; those with secret addresses are left out."""
    odoo = FakeAdmin(version)
    await prepared(odoo)
    rights = odoo.tables["ir.model.access"].values()
    assert len(rights) == models
    assert all(right["perm_read"] and not right["perm_write"] and not right["perm_create"] for right in rights)
    assert "on_webhook" in only(odoo, "ir.rule", "name", SEEING)["domain_force"]


async def test_a_user_in_a_team_stays_there() -> None:
    """Its own is made only for one without any, and nobody else is in it."""
    odoo = FakeAdmin(19)
    odoo.tables["res.users"] = {7: {"login": "probe", "group_ids": [1, 2], "email": "probe@acme.example"}}
    odoo.tables["crm.team"] = {3: {"name": "Europe", "member_ids": [5, 7]}}
    await prepared(odoo)
    assert list(odoo.tables["crm.team"]) == [3]
    odoo.tables["crm.team"][3]["member_ids"] = [5]
    await prepared(odoo)
    assert only(odoo, "crm.team", "name", TEAM)["member_ids"] == [7]


async def test_without_rules_there_is_no_right_to_see_them() -> None:
    """Where the module is not installed nothing is made for it."""
    odoo = FakeAdmin(19, has_rules=False)
    await prepared(odoo)
    assert "res.groups" not in odoo.tables
    assert RULES not in str(odoo.writes)


@pytest.mark.parametrize("version", [14, 19])
async def test_a_user_gets_what_it_lacks(version: int) -> None:
    """Groups and an address are added, what it has stays, its password too."""
    odoo = FakeAdmin(version)
    odoo.tables["res.users"] = {7: {"login": "probe", odoo.groups_field: [1, 99], "email": False}}
    (told,) = await prepared(odoo, Preparation((replace(PROBE, sees_rules=False, own_team=False),), (), ()))
    assert (told.state, told.note) == (State.MADE, f"the group {SALESMAN}, an e-mail address")
    assert odoo.tables["res.users"][7][odoo.groups_field] == [1, 99, 2]
    assert "password" not in odoo.tables["res.users"][7]


async def test_stock_is_filled_up_when_half_of_it_is_gone() -> None:
    """More than half is enough; less is filled up to what was wanted."""
    odoo = FakeAdmin(18)
    await prepared(odoo)
    (quant,) = odoo.tables["stock.quant"].values()
    quant["quantity"] = 5_000.0
    assert (await prepared(odoo))[-1] == Prepared("stock of PALLET", State.THERE, "5000")
    quant["quantity"] = 4_999.0
    assert (await prepared(odoo))[-1] == Prepared("stock of PALLET", State.MADE, "5001")
    assert quant["quantity"] == 10_000.0


@pytest.mark.parametrize(("there", "state"), [(0.0, State.BY_HAND), (3.0, State.THERE)])
async def test_nobody_elses_stock_is_changed(there: float, state: State) -> None:
    """A product that was not made here keeps its stock; without any, a person has to see to it."""
    odoo = FakeAdmin(19)
    field, kept = odoo.facts.storable
    odoo.tables["product.product"] = {1: {"default_code": "PALLET", "description": "<p>Oak</p>", field: kept}}
    odoo.tables["stock.quant"] = {1: {"product_id": 1, "location_id": STOCK, "quantity": there}}
    told = await prepared(odoo, Preparation((), (), (Goods("PALLET", storable=True, place=None),)))
    assert (told[-1].state, odoo.writes) == (state, [])


async def test_a_right_that_was_half_given_is_given() -> None:
    """Where somebody broke off after making the group, the next one makes the rest."""
    odoo = FakeAdmin(16)
    odoo.tables["res.groups"] = {9: {"name": SEEING}}
    told = await prepared(odoo, Preparation((PROBE,), (), ()))
    assert told[0] == Prepared("the right to see automation rules", State.MADE)
    assert len(odoo.tables["ir.model.access"]) == 2
    assert len(odoo.tables["res.groups"]) == 1


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        ({1: {"ref": "CUSTOMER", "phone": "+1"}}, "has phone"),
        ({1: {"ref": "CUSTOMER"}, 2: {"ref": "CUSTOMER"}}, "several records"),
        ({1: {"ref": "CUSTOMER", "active": False}}, "it is archived"),
    ],
)
async def test_what_is_somebodys_is_left_to_a_person(rows: dict[int, Any], note: str) -> None:
    """A customer who can be reached, two of a name, one who was archived: told, and not touched."""
    odoo = FakeAdmin(19)
    odoo.tables["res.partner"] = rows
    (told,) = await prepared(odoo, Preparation((), ("CUSTOMER",), ()))
    assert told.state is State.BY_HAND
    assert note in told.note
    assert odoo.writes == []


async def test_a_record_named_by_an_id_is_not_made() -> None:
    """Nobody can choose an id: the configuration has to name a reference, or a record that is there."""
    (told,) = await prepared(FakeAdmin(19), Preparation((), (42,), ()))
    assert (told.what, told.state) == ("the customer 42", State.BY_HAND)


async def test_what_odoo_refuses_keeps_nobody_from_the_rest() -> None:
    """A refused customer is left to a person, and the product is made all the same."""
    odoo = FakeAdmin(19)
    odoo.refuses = {"res.partner"}
    told = await prepared(odoo, replace(WANTED, accounts=()))
    assert told[0] == Prepared("the customer CUSTOMER", State.BY_HAND, "Odoo does not want that")
    assert {one.state for one in told[1:]} == {State.MADE}


async def test_a_group_that_is_not_there_is_told() -> None:
    """Without its module a group does not exist, and the user is not made without it."""
    odoo = FakeAdmin(19)
    odoo.tables["ir.model.data"].clear()
    (told,) = await prepared(odoo, Preparation((replace(PROBE, sees_rules=False, own_team=False),), (), ()))
    assert (told.state, told.note) == (State.BY_HAND, f"there is no group {USER}: is its module installed?")


async def test_who_may_not_is_refused() -> None:
    """A user without the rights of an administrator ends it."""
    odoo = FakeAdmin(19)
    odoo.forbids = {"ir.model.data"}
    with pytest.raises(PermissionDeniedError):
        await prepared(odoo)


@pytest.mark.parametrize(
    ("flows", "groups"),
    [
        ([(login.PROBE, login.Options())], (USER,)),
        ([(stock_reserve.PROBE, stock_reserve.Options(**GOODS))], (USER, SALESMAN)),
        ([(label_print.PROBE, label_print.Options(**GOODS))], (USER, SALESMAN, STOCK_USER)),
        ([(BROWSER, order_create.Options(**GOODS))], (USER, SALESMAN, STOCK_USER)),
    ],
    ids=["login", "stock", "papers", "browser"],
)
def test_groups_follow_from_the_flows(flows: list[Flow], groups: tuple[str, ...]) -> None:
    """Nobody is a salesman for logging in, nor a stock user but for papers and the web client."""
    assert groups_of(flows) == groups


def test_records_follow_from_the_flows() -> None:
    """Each customer and product once; stock and place as the one flow of them wants that needs the most."""
    flows: list[Flow] = [
        (portal_lookup.PROBE, portal_lookup.Options(**GOODS)),
        (shipment_confirm.PROBE, shipment_confirm.Options(**GOODS, location="PLACE")),
        (order_create.PROBE, order_create.Options(partner="OTHER", product=7)),
        (login.PROBE, login.Options()),
    ]
    goods = (Goods("PALLET", storable=True, place="PLACE"), Goods(7, storable=False, place=None))
    assert records_of(flows) == (("CUSTOMER", "OTHER"), goods)
