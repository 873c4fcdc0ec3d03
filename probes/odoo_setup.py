"""What the flows need in an Odoo database, put there by its administrator, or found there.

Records are looked for by what the configuration calls them, and made when there are none. What is there stays as it is,
since it may be somebody's: it only gets groups and an address that a user lacks, and goods when the stock runs out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Final

from quaywatch.contract import Odoo, Probe, Transport
from quaywatch.errors import ConfigError, FaultError, VersionError
from quaywatch.secret import Secret

from .odoo_checks import reachable_contact
from .odoo_hazards import RULE
from .odoo_names import GROUPS, STORABLE, certainly_called, is_storable, storable_values
from .odoo_placing import Wanted

USER: Final = "base.group_user"
SALESMAN: Final = "sales_team.group_sale_salesman"
STOCK_USER: Final = "stock.group_stock_user"
JANITOR: Final = (USER, "sales_team.group_sale_manager", "stock.group_stock_manager")
STOCK: Final = 10_000.0
"""How many of a product are brought in: enough for a run every six hours, for years."""
OURS: Final = "Kept for the probes of Quaywatch, which fills its stock up."
"""The note by which a product is known as the probes' own."""
TEAM: Final = "Quaywatch"
"""The sales team of the probe's user."""
SEEING: Final = "Quaywatch: sees automation rules"
"""The group that may read which automation rules there are: without it no probe knows what its orders set off."""
_OF_STOCK: Final = frozenset({"stock-reserve", "shipment-confirm"})
"""Flows of which the product must be one whose stock is kept."""
_OF_PAPERS: Final = "label-print"
_ADDRESS: Final = "@quaywatch.invalid"
"""What makes an e-mail address of a login: mail to it is never delivered."""
_ACTION: Final = "ir.actions.server"
_ACTION_OF_RULE: Final = "action_server_id"
"""By this field a rule is a server action too, up to 16, and cannot be read without it."""
_NOT_FROM_OUTSIDE: Final = "[('trigger', '!=', 'on_webhook')]"
"""The rules that the group sees; of those that others trigger it would see the secret address."""


class State(StrEnum):
    """How something that is needed was found, or left."""

    THERE = "there"
    MISSING = "missing"
    MADE = "made"
    BY_HAND = "by hand"
    """It is there and not as it should be, or Odoo refuses it."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One thing that is needed, and how it is."""

    what: str
    state: State
    note: str = ""


Told = Callable[[Prepared], None]


@dataclass(frozen=True, slots=True)
class Account:
    """A user and the groups it needs.

    ``sees_rules`` gives it the right to read which automation rules there are, ``own_team`` a sales team of its own.
    """

    title: str
    login: str
    password: Secret
    groups: tuple[str, ...]
    sees_rules: bool = False
    own_team: bool = False


@dataclass(frozen=True, slots=True)
class Goods:
    """A product by id or reference, whether its stock is kept, and in which place; the warehouse's own if None."""

    reference: int | str
    storable: bool
    place: int | str | None


@dataclass(frozen=True, slots=True)
class Preparation:
    """Everything that a target's flows need; ``stock`` is how many of a product are brought in."""

    accounts: tuple[Account, ...]
    partners: tuple[int | str, ...]
    goods: tuple[Goods, ...]
    stock: float = STOCK


Flow = tuple[Probe[Any, Any], Any]
"""A probe and its options."""


def groups_of(flows: Iterable[Flow]) -> tuple[str, ...]:
    """The least groups by which a user goes through these flows."""
    orders = [probe for probe, options in flows if isinstance(options, Wanted)]
    stock = any(probe.flow == _OF_PAPERS or probe.transport is Transport.BROWSER for probe in orders)
    return (USER, *([SALESMAN] if orders else []), *([STOCK_USER] if stock else []))


def records_of(flows: Sequence[Flow]) -> tuple[tuple[int | str, ...], tuple[Goods, ...]]:
    """The customers and the products of these flows, each once."""
    orders = [(probe, options) for probe, options in flows if isinstance(options, Wanted)]
    products = dict.fromkeys(options.product for _, options in orders)
    goods = tuple(_goods(product, orders) for product in products)
    return tuple(dict.fromkeys(options.partner for _, options in orders)), goods


def _goods(product: int | str, orders: Sequence[tuple[Probe[Any, Any], Wanted]]) -> Goods:
    ours = [(probe, options) for probe, options in orders if options.product == product]
    places = [getattr(options, "location", None) for _, options in ours]
    storable = any(probe.flow in _OF_STOCK for probe, _ in ours)
    return Goods(product, storable, next((place for place in places if place is not None), None))


async def prepare(admin: Odoo, wanted: Preparation, told: Told, *, apply: bool) -> None:
    """Make what is missing, or only say that it is; each thing is told as soon as it is known.

    Raises:
        TargetError: when Odoo does not answer, or the administrator is none.
    """
    hand = _Hand(admin, told, apply=apply)
    for account in wanted.accounts:
        await hand.careful(f"{account.title} {account.login}", partial(_account, hand, account))
        if account.own_team:
            await hand.careful(f"the sales team of {account.login}", partial(_team, hand, account))
    for partner in wanted.partners:
        await hand.careful(f"the customer {partner}", partial(_partner, hand, partner))
    for goods in wanted.goods:
        await hand.careful(f"the product {goods.reference}", partial(_product, hand, goods, wanted.stock))


class _Hand:
    """The administrator's hand: looks for records, makes them where that is wanted, and tells what it did."""

    def __init__(self, odoo: Odoo, told: Told, *, apply: bool) -> None:
        self.odoo = odoo
        self.apply = apply
        self._told = told

    def tell(self, what: str, state: State, note: str = "") -> None:
        self._told(Prepared(what, state, note))

    async def careful(self, what: str, work: Callable[[str], Awaitable[None]]) -> None:
        """Do one piece of work; what Odoo refuses is left to a person, and keeps nobody from the rest."""
        try:
            await work(what)
        except (FaultError, VersionError, ConfigError) as error:
            self.tell(what, State.BY_HAND, error.what)

    async def found(self, model: str, key: Mapping[str, Any]) -> int | None:
        """The id of the one record that has this key.

        Raises:
            ConfigError: when several have it, or it is archived.
        """
        domain = [(name, "=", value) for name, value in key.items()]
        ids: list[int] = await self.odoo.call(model, "search", domain, limit=2, context={"active_test": False})
        if len(ids) > 1:
            raise ConfigError(f"several records of {model} have this reference")
        if ids and not await self.odoo.call(model, "search_count", [("id", "=", ids[0])]):
            raise ConfigError("it is archived")
        return ids[0] if ids else None

    async def record(
        self, what: str, model: str, key: Mapping[str, Any], values: Mapping[str, Any], **context: Any
    ) -> int | None:
        """The id of a record, made if need be; None where it is only said to be missing."""
        found = await self.found(model, key)
        if found is not None:
            self.tell(what, State.THERE)
            return found
        return await self.new(what, model, {**key, **values}, **context)

    async def new(self, what: str, model: str, values: Mapping[str, Any], **context: Any) -> int | None:
        """The id of a new record; None where it is only said to be missing."""
        if not self.apply:
            self.tell(what, State.MISSING)
            return None
        made: int = await self.odoo.call(model, "create", dict(values), context=context)
        self.tell(what, State.MADE)
        return made

    async def group(self, name: str) -> int:
        """The id of a group by its external id.

        Raises:
            ConfigError: when there is none.
        """
        module, _, rest = name.partition(".")
        domain = [("module", "=", module), ("name", "=", rest), ("model", "=", "res.groups")]
        rows = await self.odoo.call("ir.model.data", "search_read", domain, fields=["res_id"], limit=1)
        if not rows:
            raise ConfigError(f"there is no group {name}: is its module installed?")
        return int(rows[0]["res_id"])


# --- users ------------------------------------------------------------------------------------------------------------


async def _account(hand: _Hand, account: Account, what: str) -> None:
    field = await certainly_called(hand.odoo, GROUPS)
    seeing = await _seeing(hand) if account.sees_rules else {}
    groups = {name: await hand.group(name) for name in account.groups} | seeing
    number = await hand.found("res.users", {"login": account.login})
    if number is None:
        await hand.new(what, "res.users", _new_user(account, field, groups.values()), no_reset_password=True)
        return
    changes, lacks = await _lacking(hand.odoo, number, account, field, groups)
    if not changes:
        hand.tell(what, State.THERE)
        return
    if hand.apply:
        await hand.odoo.call("res.users", "write", [number], changes)
    hand.tell(what, State.MADE if hand.apply else State.MISSING, ", ".join(lacks))


async def _lacking(
    odoo: Odoo, number: int, account: Account, field: str, groups: Mapping[str, int]
) -> tuple[dict[str, Any], list[str]]:
    """What a user that is there must be given: as values, and in words."""
    # From 19 on the field that can be written holds only what was chosen, and another one what follows from it.
    held = "all_group_ids" if "all_group_ids" in await odoo.fields("res.users") else field
    (row,) = await odoo.call("res.users", "read", [number], [held, "email"])
    lacks = [name for name, group in groups.items() if group not in row[held]]
    changes: dict[str, Any] = {field: [(4, groups[name]) for name in lacks]} if lacks else {}
    words = [f"the group {name}" for name in lacks]
    if not row["email"]:
        return changes | {"email": _address(account)}, [*words, "an e-mail address"]
    return changes, words


def _new_user(account: Account, field: str, groups: Iterable[int]) -> dict[str, Any]:
    """A user with an address, without which some flows fail late, and no phone; nobody gets mail about what it does."""
    return {
        "login": account.login,
        "name": account.login,
        "password": account.password.reveal(),
        "email": _address(account),
        "notification_type": "inbox",
        field: [(6, 0, list(groups))],
    }


def _address(account: Account) -> str:
    return account.login if "@" in account.login else account.login + _ADDRESS


async def _seeing(hand: _Hand) -> dict[str, int]:
    """The group that sees automation rules, with its rights; nothing where there are no such rules."""
    try:
        fields = await hand.odoo.fields(RULE)
    except VersionError:
        return {}
    group = await hand.found("res.groups", {"name": SEEING})
    models = [RULE, *([_ACTION] if _ACTION_OF_RULE in fields else [])]
    lacks = [model for model in models if group is None or not await _may_read(hand.odoo, group, model)]
    state = State.THERE if not lacks else State.MADE if hand.apply else State.MISSING
    if state is State.MADE:
        group = group or await hand.odoo.call("res.groups", "create", {"name": SEEING})
        for model in lacks:
            await _give(hand, group, model)
    hand.tell("the right to see automation rules", state)
    return {} if group is None else {SEEING: group}


async def _may_read(odoo: Odoo, group: int, model: str) -> bool:
    right = [("group_id", "=", group), ("model_id.model", "=", model), ("perm_read", "=", True)]
    return bool(await odoo.call("ir.model.access", "search_count", right))


async def _give(hand: _Hand, group: int, model: str) -> None:
    """The right to read a model, and of rules only those that nobody triggers from outside."""
    number = await hand.found("ir.model", {"model": model})
    of_group = {"name": SEEING, "model_id": number}
    if model == RULE:  # first, so that there is no right without it
        rule = {**of_group, "groups": [(6, 0, [group])], "domain_force": _NOT_FROM_OUTSIDE}
        await hand.odoo.call("ir.rule", "create", rule)
    reading = {"perm_read": True, "perm_write": False, "perm_create": False, "perm_unlink": False}
    await hand.odoo.call("ir.model.access", "create", {**of_group, "group_id": group, **reading})


async def _team(hand: _Hand, account: Account, what: str) -> None:
    """A sales team that nobody follows, unless the user is in one already: Odoo chooses it for the user's orders."""
    number = await hand.found("res.users", {"login": account.login})
    if number is not None and await hand.odoo.call("crm.team", "search_count", [("member_ids", "=", number)]):
        hand.tell(what, State.THERE)
        return
    members = [] if number is None else [number]
    values = {"name": TEAM, "member_ids": [(6, 0, members)]}
    await hand.new(what, "crm.team", values, mail_create_nosubscribe=True)


# --- records ----------------------------------------------------------------------------------------------------------


async def _partner(hand: _Hand, reference: int | str, what: str) -> None:
    number = await hand.found("res.partner", _key("ref", reference))
    if number is None:
        await hand.new(what, "res.partner", _named("ref", reference))
        return
    reachable = [finding async for finding in reachable_contact(hand.odoo, number)]
    hand.tell(what, State.BY_HAND if reachable else State.THERE, "; ".join(reachable))


async def _product(hand: _Hand, goods: Goods, stock: float, what: str) -> None:
    name = await certainly_called(hand.odoo, STORABLE)
    number = await hand.found("product.product", _key("default_code", goods.reference))
    if number is None:
        values = _named("default_code", goods.reference) | {"barcode": goods.reference, "description": OURS}
        values |= {"list_price": 0.0, "taxes_id": [(6, 0, [])]}
        values |= storable_values(name, kept=goods.storable)
        number = await hand.new(what, "product.product", values)
    elif goods.storable and not await _is_kept(hand.odoo, number, name):
        hand.tell(what, State.BY_HAND, "no stock of it is kept: let Odoo track its inventory, or name another")
        return
    else:
        hand.tell(what, State.THERE)
    if goods.storable:
        place = await _place(hand, goods.place)
        await _bring_in(hand, f"stock of {goods.reference}", number, place, stock)


async def _is_kept(odoo: Odoo, product: int, name: str) -> bool:
    (row,) = await odoo.call("product.product", "read", [product], [name])
    return is_storable(name, row[name])


async def _place(hand: _Hand, reference: int | str | None) -> int | None:
    """The place that a product lies in, made inside the one that the warehouse delivers from."""
    rows = await hand.odoo.call("stock.warehouse", "search_read", [], fields=["lot_stock_id"], limit=1)
    if not rows:
        raise ConfigError("there is no warehouse")
    inside: int = rows[0]["lot_stock_id"][0]
    if reference is None:
        return inside
    values = {**_named("barcode", reference), "location_id": inside}
    return await hand.record(f"the place {reference}", "stock.location", _key("barcode", reference), values)


async def _bring_in(hand: _Hand, what: str, product: int | None, place: int | None, stock: float) -> None:
    """Fill the stock of a product up in its place, when less than half of it is there; of our own products only."""
    there = await _on_hand(hand.odoo, product, place) if product and place else 0.0
    if there >= stock / 2:
        hand.tell(what, State.THERE, f"{there:g}")
    elif product and not await _is_ours(hand.odoo, product):
        note = f"{there:g} are there; it is not known to be the probes' own product, so nothing is brought in"
        hand.tell(what, State.THERE if there else State.BY_HAND, note)
    elif hand.apply and product and place:
        await _count_in(hand.odoo, product, place, stock)
        hand.tell(what, State.MADE, f"{stock - there:g}")
    else:
        hand.tell(what, State.MISSING, f"{stock - there:g}")


async def _is_ours(odoo: Odoo, product: int) -> bool:
    """Whether a product is one that was made here: nobody else's stock is ever changed."""
    (row,) = await odoo.call("product.product", "read", [product], ["description"])
    return OURS in str(row["description"])


async def _count_in(odoo: Odoo, product: int, place: int, stock: float) -> None:
    """Tell Odoo that so many are there.

    Raises:
        ConfigError: when it does not say so afterwards.
    """
    values = {"product_id": product, "location_id": place, "inventory_quantity": stock}
    quant = await odoo.call("stock.quant", "create", values, context={"inventory_mode": True})
    if "inventory_quantity_set" in await odoo.fields("stock.quant"):
        await odoo.call("stock.quant", "action_apply_inventory", [quant])
    now = await _on_hand(odoo, product, place)
    if now < stock:
        raise ConfigError(f"Odoo took in {stock:g} and says that there are {now:g}")


async def _on_hand(odoo: Odoo, product: int, place: int) -> float:
    domain = [("product_id", "=", product), ("location_id", "child_of", place)]
    rows = await odoo.call("stock.quant", "search_read", domain, fields=["quantity"])
    return float(sum(row["quantity"] for row in rows))


def _key(field: str, reference: int | str) -> dict[str, Any]:
    return {"id": reference} if isinstance(reference, int) else {field: reference}


def _named(field: str, reference: int | str) -> dict[str, Any]:
    """The first values of a record that has a reference.

    Raises:
        ConfigError: when it has an id instead, which nobody can choose.
    """
    if isinstance(reference, int):
        raise ConfigError("there is no such record, and no record can be made with a chosen id: name it by a reference")
    return {field: reference, "name": reference.replace("-", " ").title()}
