"""An Odoo in memory: sales orders and their deliveries as the versions differ, and failures where they are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Literal, TypeVar

from quaywatch.contract import Answer, Browser
from quaywatch.errors import ConfigError, FaultError, PermissionDeniedError, TargetError, VersionError
from tests.unit.probes.fake_print import page, pdf, zpl
from tests.unit.probes.fake_stock import ELSEWHERE, PLACE, Record, Stock, Tables
from tests.unit.probes.versions import FACTS

NOW = datetime(2026, 3, 1, 12, 0, 0)  # noqa: DTZ001 - Odoo's times are naive UTC
TIME = "%Y-%m-%d %H:%M:%S"
PARTNER, PRODUCT, SERVICE, PARCEL = 7, 11, 12, 13
USER, OWN_PARTNER = 6, 60
LABEL_FORM = "product.label.layout"

T = TypeVar("T")
Form = Literal["pdf", "text", "html"]


@dataclass(frozen=True)
class Page:
    """Implements `quaywatch.contract.Answer`."""

    status: int
    body: bytes
    seconds: float = 0.01


@dataclass
class Trouble:
    """What goes wrong: the call with this number, before or after its work is done, or every call from it on."""

    at: int
    error: Callable[[], TargetError]
    done_first: bool = False
    lasting: bool = False

    def hits(self, number: int) -> bool:
        """Whether this call is concerned."""
        return number == self.at or (self.lasting and number > self.at)


_MORE_FIELDS = {"res.partner": {"ref"}, "res.company": {"name"}, "stock.picking": {"state"}}
_INTERNAL = {"location_id.usage": "internal"}


def _tables() -> Tables:
    """What an administrator prepared."""
    return {
        "sale.order": {},
        "stock.picking": {},
        "stock.move": {},
        "stock.move.line": {},
        "stock.quant": {
            1: {"product_id": PRODUCT, "location_id": PLACE, "quantity": 10.0, "reserved_quantity": 0.0} | _INTERNAL,
            2: {"product_id": PARCEL, "location_id": ELSEWHERE, "quantity": 0.0, "reserved_quantity": 0.0} | _INTERNAL,
        },
        "stock.location": {PLACE: {"barcode": "PROBE-STOCK"}},
        "res.partner": {PARTNER: {"ref": "PROBE"}},
        "product.product": {
            PRODUCT: {"default_code": "PROBE", "name": "Probe Pallet", "barcode": "PALLET-1"},
            SERVICE: {"default_code": "SERVICE", "name": "Advice", "barcode": False},
            PARCEL: {"default_code": "PARCEL", "name": "Probe Parcel", "barcode": "PARCEL-1"},
        },
        LABEL_FORM: {},
    }


@dataclass
class Database:
    """The records, and what the version does with them."""

    version: int = 19
    tables: Tables = field(default_factory=_tables)
    has_stock: bool = True
    locks_on_confirm: bool = False
    calls: list[tuple[str, str]] = field(default_factory=list)
    trouble: Trouble | None = None
    created: int = 0
    undeletable: set[int] = field(default_factory=set)
    forgets_questions: bool = False
    clock: Any = NOW
    printed: dict[str, bytes] = field(default_factory=dict)
    """What a report prints instead, by its form."""
    open_to_all: bool = False
    """Pages of the portal are shown without a token."""
    web_user: int = USER
    language: str = "en_US"
    more_fields: dict[str, set[str]] = field(default_factory=lambda: dict(_MORE_FIELDS))
    """The fields of models that are the same in all versions, or are not there."""

    def __post_init__(self) -> None:
        self.facts = FACTS[self.version]
        self.stock = Stock(self.tables, self.facts)
        names = dict.fromkeys((*self.facts.label_reports, "stock.report_deliveryslip"))
        self.tables["ir.actions.report"] = {number: {"report_name": name} for number, name in enumerate(names, 1)}

    @property
    def orders(self) -> dict[int, Record]:
        """All sales orders by id."""
        return self.tables["sale.order"]

    @property
    def pickings(self) -> dict[int, Record]:
        """All deliveries by id."""
        return self.tables["stock.picking"]

    def order(self, mark: str, *, age: float = 0, state: str = "draft", picking: str = "", **more: Any) -> int:
        """An order that somebody left, with a delivery in the state ``picking``."""
        self.created += 1
        number = self.created
        born = (self.clock - timedelta(seconds=age)).strftime(TIME)
        record = {"client_order_ref": mark, "state": state, "locked": False, "create_date": born, "quantity": 1.0}
        self.orders[number] = {**record, "name": f"S{number:05}", **more}
        if picking:
            self.pickings[1000 + number] = {"sale_id": number, "state": picking, "name": f"WH/OUT/{1000 + number}"}
        return number


class FakeOdoo:
    """Implements `quaywatch.contract.Odoo`."""

    def __init__(self, database: Database, *, has_janitor: bool = True, may_delete: bool = False) -> None:
        self.db = database
        self._janitor = FakeOdoo(database, has_janitor=False, may_delete=True) if has_janitor else None
        self._may_delete = may_delete

    @property
    def database(self) -> str:
        """The tenant database."""
        return "acme"

    async def ping(self) -> None:
        """Always there."""

    async def close(self) -> None:
        """Nothing is open."""

    async def version(self) -> int:
        """The major version."""
        return self.db.version

    async def fields(self, model: str) -> frozenset[str]:
        """What differs between versions and modules."""
        facts = self.db.facts
        if model == LABEL_FORM and not facts.label_form:
            raise VersionError("there is no model product.label.layout", code="2")
        some = {
            "locked": facts.has_locked,
            "picking_ids": self.db.has_stock,
            "picked": facts.picked,
            "qty_done": not facts.picked,
            "zpl_template": facts.zpl_template,
        }
        names = {
            "sale.order": {"client_order_ref", "state", "create_date", "locked", "picking_ids"},
            "stock.move": {"product_uom_qty", "state", facts.reserved, facts.done, "picked"},
            "stock.move.line": {"state", "qty_done"},
            "product.product": {"name", "barcode", "type", facts.storable[0]},
            LABEL_FORM: {"print_format", "custom_quantity", "zpl_template"},
            **self.db.more_fields,
        }.get(model)
        if names is None:
            raise VersionError(f"there is no model {model}", code="2")
        return frozenset(name for name in names if some.get(name, True))

    async def get(self, path: str) -> Answer:
        """A page of the portal, for whoever has its token."""
        return self._happens("portal", "get", lambda: self._portal(path))

    async def log_in(self) -> int:
        """The user's id."""
        return self._happens("res.users", "log_in", lambda: USER)

    async def log_in_web(self) -> int:
        """The user's id, as the web session says."""
        return self._happens("res.users", "log_in_web", lambda: self.db.web_user)

    async def report(
        self, name: str, records: Sequence[int] = (), *, form: Form = "pdf", options: Mapping[str, Any] | None = None
    ) -> bytes:
        """What is printed."""
        return self._happens("report", name, lambda: self.db.printed.get(form) or self._print(records, form, options))

    def browser(self) -> Browser:
        """There is none."""
        raise ConfigError("no browser")

    def janitor(self) -> FakeOdoo | None:
        """The same database as the user who may delete."""
        return self._janitor

    async def call(self, model: str, method: str, *arguments: Any, **keywords: Any) -> Any:
        """Do the work, unless told to fail."""
        return self._happens(model, method, lambda: self._work(model, method, *arguments, **keywords))

    def _happens(self, model: str, method: str, work: Callable[[], T]) -> T:
        self.db.calls.append((model, method))
        trouble = self.db.trouble
        hit = trouble is not None and trouble.hits(len(self.db.calls) - 1)
        if trouble is not None and hit and not trouble.done_first:
            raise trouble.error()
        answer = work()
        if trouble is not None and hit:
            raise trouble.error()
        return answer

    def _searched(self, model: str, method: str, found: list[int], keywords: Record) -> Any:
        if method == "search_read":
            return self._read(model, found, keywords["fields"])
        return len(found) if method == "search_count" else found

    def _work(self, model: str, method: str, *arguments: Any, **keywords: Any) -> Any:
        if method.startswith("search"):
            found = self._found(model, arguments[0])[: keywords.get("limit")]
            return self._searched(model, method, found, keywords)
        if method in ("context_get", "default_get"):
            return {"lang": self.db.language, "date_order": self.db.clock.strftime(TIME), "author_id": OWN_PARTNER}
        if model == "stock.move.line" and method == "write":
            return self.db.stock.write_lines(arguments[0], arguments[1])
        if model in ("stock.picking", "stock.move") and method != "unlink":
            return getattr(self.db.stock, method)(arguments[0], *arguments[1:] or [keywords.get("context", {})])
        if method in _COMMON:
            return getattr(self, f"_{method}")(model, *arguments)
        (order_id,) = arguments[0]
        return getattr(self, f"_{method}")(self.db.orders[order_id], order_id, keywords.get("context", {}))

    # --- reading

    def _found(self, model: str, domain: Sequence[tuple[str, str, Any]]) -> list[int]:
        table = self.db.tables[model]
        asked = () if self.db.forgets_questions else domain
        matching = [key for key in table if self._fits_all(model, key, list(asked))]
        return sorted(matching, reverse=True)

    def _fits_all(self, model: str, key: int, domain: list[Any]) -> bool:
        negated = {at + 1 for at, leaf in enumerate(domain) if leaf == "!"}
        leaves = [(at in negated, leaf) for at, leaf in enumerate(domain) if leaf != "!"]
        return all(self._fits(model, key, *leaf) != negative for negative, leaf in leaves)

    def _fits(self, model: str, key: int, name: str, operator: str, value: Any) -> bool:
        record = self.db.tables[model][key]
        if name.startswith("sale_id."):
            sale = record["sale_id"]
            return sale in self.db.orders and self._fits("sale.order", sale, name[8:], operator, value)
        if name.startswith("picking_ids."):
            theirs = [number for number, picking in self.db.pickings.items() if picking["sale_id"] == key]
            return any(self._fits("stock.picking", number, name[12:], operator, value) for number in theirs)
        own = key if name == "id" else record[name]
        if operator == "=like":
            return fnmatchcase(str(own or ""), _glob(value))
        return bool(_OPERATORS[operator](own, value))

    def _read(self, model: str, keys: Sequence[int], fields: Sequence[str]) -> list[Record]:
        return [{"id": key, **{name: self._value(model, key, name) for name in fields}} for key in keys]

    def _value(self, model: str, key: int, name: str) -> Any:
        if name == "id":
            return key
        if name == "picking_ids":
            return [number for number, picking in self.db.pickings.items() if picking["sale_id"] == key]
        record = self.db.tables[model][key]
        if model == "stock.move":
            return self.db.stock.value(record, name)
        if (model, name) == ("product.product", self.db.facts.storable[0]):
            return self.db.facts.storable[1] if key == PRODUCT else False
        return [record[name], "its name"] if name in _MANY2ONE and record[name] else record[name]

    # --- writing

    def _create(self, model: str, values: Record) -> int:
        if model == LABEL_FORM:
            return self._create_form(values)
        (_, _, line) = values["order_line"][0]
        product, quantity = line["product_id"], line["product_uom_qty"]
        if values["partner_id"] not in self.db.tables["res.partner"] or product not in (PRODUCT, SERVICE, PARCEL):
            raise FaultError("Record does not exist or has been deleted.", code="2")
        return self.db.order(values["client_order_ref"], product=product, quantity=quantity)

    def _create_form(self, values: Record) -> int:
        form = {**values, "zpl_template": "normal"}
        forms = self.db.tables[LABEL_FORM]
        number = max(forms, default=0) + 1
        forms[number] = form
        return number

    def _action_confirm(self, order: Record, key: int, _context: Record) -> bool:
        facts = self.db.facts
        if order["state"] != "draft" and facts.has_locked:
            raise FaultError("Some orders are not in a state requiring confirmation.", code="2")
        order["state"] = "sale"
        if self.db.locks_on_confirm:
            order.update({"locked": True} if facts.has_locked else {"state": "done"})
        product = order["product"]
        if self.db.has_stock and product != SERVICE:
            self.db.stock.deliver(1000 + key, key, product, order["quantity"], kept=product == PRODUCT)
        return True

    def _get_portal_url(self, _order: Record, key: int, _context: Record) -> str:
        return f"/my/orders/{key}?access_token=token-{key}"

    def _action_cancel(self, order: Record, key: int, context: Record) -> bool | Record:
        if order["locked"]:
            raise FaultError("You cannot cancel a locked order. Please unlock it first.", code="2")
        if self.db.facts.cancel_asks and not context.get("disable_cancel_warning") and order["state"] != "draft":
            return {"type": "ir.actions.act_window", "res_model": "sale.order.cancel"}
        order["state"] = "cancel"
        ours = [number for number, picking in self.db.pickings.items() if picking["sale_id"] == key]
        self.db.stock.action_cancel(ours, context)
        return True

    def _action_unlock(self, order: Record, _key: int, _context: Record) -> None:
        order["locked"] = False

    def _unlink(self, model: str, keys: Sequence[int]) -> bool:
        table = self.db.tables[model]
        if model == LABEL_FORM:
            return bool([table.pop(key) for key in keys])
        if not self._may_delete:
            raise PermissionDeniedError("You are not allowed to delete", code="4")
        if self.db.undeletable & set(keys) or any(table[key]["state"] not in ("draft", "cancel") for key in keys):
            raise FaultError("You can not delete a confirmed sales order.", code="2")
        for key in keys:
            if model == "stock.picking":
                self.db.stock.refuse_to_delete(key)
            del table[key]
            if model == "stock.picking":
                self.db.tables["stock.move"].pop(key, None)
        return True

    # --- pages and papers

    def _portal(self, path: str) -> Page:
        number = int(path.partition("?")[0].rpartition("/")[2])
        if not self.db.open_to_all and not path.endswith(f"token-{number}"):
            return Page(303, b"")
        pickings = [picking["name"] for picking in self.db.pickings.values() if picking["sale_id"] == number]
        return Page(200, page([self.db.orders[number]["name"], *pickings]))

    def _print(self, records: Sequence[int], form: Form, options: Mapping[str, Any] | None) -> bytes:
        product = self.db.tables["product.product"][PRODUCT]
        if form == "text":
            return zpl(product["name"], product["barcode"], self._copies(records, options))
        texts = [product["name"], product["barcode"], *(picking["name"] for picking in self.db.pickings.values())]
        return pdf(texts) if form == "pdf" else page(texts)

    def _copies(self, records: Sequence[int], options: Mapping[str, Any] | None) -> int:
        """How many labels: one for each record, or as the form says; with neither there is a page of an error."""
        if not self.db.facts.label_form:
            return len(records)
        if options is None or ("zpl_template" in options) != self.db.facts.zpl_template:
            raise FaultError("HTTP 422 in place of the report", code="422")
        return sum(options["quantity_by_product"].values())


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda own, value: own == value,
    "!=": lambda own, value: own != value,
    "<": lambda own, value: own < value,
    "in": lambda own, value: own in value,
    "not in": lambda own, value: own not in value,
    "child_of": lambda own, value: own == value,
    "parent_of": lambda own, value: own in value,
}
_COMMON = frozenset({"create", "read", "unlink"})
_MANY2ONE = frozenset(
    {"sale_id", "product_id", "location_id", "location_src_id", "route_id", "property_stock_customer", "partner_id"}
)


def _glob(pattern: str) -> str:
    """An SQL pattern as a glob; a backslash takes the next character's meaning away."""
    glob, rest = "", iter(pattern)
    for character in rest:
        glob += next(rest) if character == "\\" else {"%": "*", "_": "?"}.get(character, character)
    return glob
