"""Flows that a user writes: what they ask of the other side, what they make of its answers, how they are undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry.trace import NoOpTracer

from probes.odoo_hazards import HISTORY, RULE, TOUCHED
from probes.scripted import OdooOptions, Run, probe_of
from probes.scripted_risks import touched_by
from quaywatch.clock import SystemClock
from quaywatch.config import load_text
from quaywatch.contract import Outcome, ProbeTask, Reason, SweepOrder, Swept, Target, TargetKind
from quaywatch.errors import DeadlineError, FaultError, InternalError, VersionError
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.probing import RunRecord, run_probe
from quaywatch.runtime.probing.marks import mark_prefix
from quaywatch.script import Flow

HEAD = """
environment: test
installation: acme
targets:
  erp: {kind: odoo, url: http://erp, database: a, login: b, password: c}
  api: {kind: http, url: http://api}
flows:
  mine:
"""
MOMENT = 1_790_000_000.0
MARK = f"{mark_prefix('acme', 'mine')}0b6f3c1e-7a55-5d2c-9f0e-3c1a2b4d5e6f"


@dataclass(frozen=True)
class Page:
    """Implements `quaywatch.contract.Answer`."""

    status: int
    body: bytes = b"{}"
    seconds: float = 0.01


@dataclass
class Server:
    """Answers as it is told, by the request, and remembers the requests."""

    answers: Mapping[str, Page | Exception | list[Page]]
    asked: list[tuple[str, bytes | None, dict[str, str]]] = field(default_factory=list)

    async def send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Page:
        """The answer that was laid out."""
        self.asked.append((f"{method} {path}", body, dict(headers)))
        answer = self.answers.get(f"{method} {path}", Page(200))
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, list):
            return answer.pop(0) if len(answer) > 1 else answer[0]
        return answer


@dataclass
class Odoo:
    """Records in memory, found by the text in a field; methods fail as they are told."""

    tables: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    failing: dict[str, Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    database: str = "acme"

    def janitor(self) -> Odoo | None:
        """Nobody."""
        return None

    async def fields(self, model: str) -> frozenset[str]:
        """Those of every model that there is."""
        if model not in self.tables:
            raise VersionError(f"there is no model {model}")
        return frozenset({"ref", "active", "create_date"})

    async def call(self, model: str, method: str, *arguments: Any, **keywords: Any) -> Any:
        """What the method does to the records."""
        self.asked.append(f"{model}.{method}")
        if method in self.failing:
            raise self.failing[method]
        return getattr(self, f"_{method}")(self.tables.get(model, {}), *arguments, **keywords)

    def _default_get(self, _records: Any, _fields: Any) -> dict[str, str]:
        return {"date": "2026-09-21 12:00:00"}

    def _create(self, records: dict[int, dict[str, Any]], values: dict[str, Any]) -> int:
        number = len(records) + 1
        records[number] = {"id": number, "active": True, **values}
        return number

    def _search_read(self, records: dict[int, dict[str, Any]], domain: Any, **_keywords: Any) -> list[dict[str, Any]]:
        return [record for record in records.values() if domain[0][2] in str(record["ref"])]

    def _search_count(self, records: dict[int, dict[str, Any]], domain: Any, **_keywords: Any) -> int:
        return sum(record[domain[0][0]] == domain[0][2] for record in records.values())

    def _unlink(self, records: dict[int, dict[str, Any]], ids: list[int]) -> bool:
        for number in ids:
            del records[number]
        return True

    def _action_archive(self, records: dict[int, dict[str, Any]], ids: list[int]) -> bool:
        for number in ids:
            records[number]["active"] = False
        return True


def flow(text: str) -> Flow:
    """The flow that a configuration describes."""
    found: list[Flow] = []

    def kept(one: Flow) -> Any:
        found.append(one)
        return probe_of(one)

    load_text(HEAD + text, "test.yaml", {"TOKEN": "hidden"}, {}, {}, kept)
    return found[0]


async def run(driver: Any, text: str, options: Any = None) -> RunRecord:
    """One run of a flow."""
    one = flow(text)
    probe = probe_of(one)
    return await run_probe(
        ProbeTask(probe, options, every=60, deadline=5),
        driver,
        target=Target("erp", one.kind),
        tick=MOMENT,
        installation="acme",
        meter=Instruments("", SystemClock()),
        tracer=NoOpTracer(),
        clock=SystemClock(),
    )


class Steps:
    """A transaction that only knows its mark."""

    mark = "m/1"

    def step(self, _name: str, *, waits: bool = False) -> Any:  # noqa: ARG002 - the contract names it
        """Nothing around it."""
        return nullcontext()

    def undo(self, _name: str, _action: Callable[[], Any]) -> None:
        """Never."""


BOOKING = """
    kind: http
    steps:
      - name: book
        request:
          method: POST
          path: "/v1/${mark}?from=${today}"
          headers: {Authorization: "Bearer ${env:TOKEN}", X-Run: "${mark}"}
          json: {ready: "${now}", weight: 1.5, lines: ["${mark}"]}
        save: {id: "$.id"}
        expect: [{status: 201}]
        undo: {request: {method: DELETE, path: "/v1/${steps.book.id}"}}
      - name: tell
        request: {method: PUT, path: "/v1/${steps.book.id}", form: {a: "${steps.book.id}", b: x y}}
        undo: {request: {method: POST, path: /v1/forget}}
"""


async def test_a_request_says_what_is_written() -> None:
    """Paths are quoted, JSON and forms have their type, times are as HTTP has them, secrets arrive."""
    server = Server({"POST /v1/m%2F1?from=2026-09-21": Page(201, b'{"id": 7}')})
    await Run(flow(BOOKING), lambda: MOMENT)(server, None, Steps())  # type: ignore[arg-type]
    first, second = server.asked
    assert first[1] == b'{"ready": "2026-09-21T14:13:20Z", "weight": 1.5, "lines": ["m/1"]}'
    assert first[2] == {"Content-Type": "application/json", "Authorization": "Bearer hidden", "X-Run": "m/1"}
    assert second == ("PUT /v1/7", b"a=7&b=x+y", {"Content-Type": "application/x-www-form-urlencoded"})


LOOKING = "    kind: http\n    steps:\n      - {name: look, request: {path: /x}, expect: [%s]}\n"


@pytest.mark.parametrize(
    ("answer", "expected", "outcome", "reason", "message"),
    [
        (Page(200), "", Outcome.SUCCESS, None, ""),
        (Page(204, b""), "", Outcome.SUCCESS, None, ""),
        (Page(404), "{status: 404}", Outcome.SUCCESS, None, ""),
        (Page(302), "", Outcome.FAILURE, Reason.FAULT, "HTTP 302"),
        (Page(500), "", Outcome.FAILURE, Reason.FAULT, "HTTP 500"),
        (Page(500), "{status: 200}", Outcome.FAILURE, Reason.WRONG, "HTTP 500; 200 is expected"),
        (Page(503), "{status: 200}", Outcome.FAILURE, Reason.CONNECT, "the proxy in front says 503"),
        (Page(401), "{status: 200}", Outcome.INVALID, Reason.AUTH, "credentials are refused"),
        (Page(403), "", Outcome.INVALID, Reason.PERMISSION, "may not do this"),
        (Page(200, b"<html>"), "{path: $.id, exists: true}", Outcome.FAILURE, Reason.PARSE, "not JSON"),
        (Page(200, b"<html>"), "{contains: html}", Outcome.SUCCESS, None, ""),
        (DeadlineError("too late"), "", Outcome.FAILURE, Reason.TIMEOUT, "too late"),
    ],
)
async def test_an_answer_is_judged(
    answer: Page | Exception, expected: str, outcome: Outcome, reason: Reason | None, message: str
) -> None:
    """What is refused for want of rights is ours, everything else the system's; an expected status is fine."""
    record = await run(Server({"GET /x": answer}), LOOKING % expected)
    assert (record.outcome, record.reason) == (outcome, reason)
    assert message in record.message


WAITING = """
    kind: http
    steps:
      - name: look
        request: {path: /x}
        save: {label: "$.label"}
        expect: [{status: 200}, {path: $.state, equals: done}]
        within: %s
      - {name: fetch, request: {path: "/labels/${steps.look.label}"}}
"""
QUEUED, DONE = Page(200, b'{"label": "", "state": "queued"}'), Page(200, b'{"label": 7, "state": "done"}')


async def test_a_step_may_wait_for_its_answer() -> None:
    """It asks again while what it asks for is not there, or not as expected, and saves what it found in the end."""
    server = Server({"GET /x": [Page(404), QUEUED, DONE]})
    record = await run(server, WAITING % 4)
    assert (record.outcome, record.message) == (Outcome.SUCCESS, "")
    assert [asked for asked, _, _ in server.asked] == ["GET /x"] * 3 + ["GET /labels/7"]


async def test_a_step_waits_no_longer_than_it_may() -> None:
    """Then it fails by what is wrong with the last answer, which is looked at when the time is over."""
    server = Server({"GET /x": QUEUED})
    record = await run(server, WAITING % 0.2)
    assert (record.outcome, record.reason, record.failed_step) == (Outcome.FAILURE, Reason.WRONG, "look")
    assert '"done" is expected' in record.message
    assert len(server.asked) == 2


async def test_steps_are_undone_in_reverse() -> None:
    """By what they saved, also after a later one failed."""
    server = Server({"PUT /v1/7": Page(500)})
    server.answers = _Any(server.answers)
    record = await run(server, BOOKING)
    assert (record.outcome, record.failed_step) == (Outcome.FAILURE, "tell")
    assert [what for what, _, _ in server.asked[1:]] == ["PUT /v1/7", "POST /v1/forget", "DELETE /v1/7"]
    assert [step.name for step in record.steps if step.is_undo and step.ok] == ["tell", "book"]


class _Any(dict[str, "Page | Exception | list[Page]"]):
    """Books whatever is asked for."""

    def get(self, request: str, default: Any = None) -> Any:
        return Page(201, b'{"id": 7}') if request.startswith("POST /v1/quay") else super().get(request, default)


@pytest.mark.parametrize(("error", "undone"), [(FaultError("no"), True), (DeadlineError("too late"), False)])
async def test_a_step_that_saved_nothing(error: Exception, *, undone: bool) -> None:
    """One that was refused left nothing; one that nobody answered may have, and the run says that nobody knows."""

    class Refusing(Server):
        async def send(self, *_request: Any) -> Page:
            raise error

    record = await run(Refusing({}), BOOKING)
    assert record.outcome is Outcome.FAILURE
    assert [step.ok for step in record.steps if step.is_undo] == [undone]


SWEPT = """
    kind: odoo
    steps:
      - {name: create, call: {model: thing, method: create, args: [{ref: "X ${mark}"}]}, save: {id: "$"}}
      - name: count
        call: {model: thing, method: search_count, args: [[[id, "=", "${steps.create.id}"]]]}
        expect: [{equals: 1}]
    sweep:
      - {model: thing, field: ref, methods: [METHOD]}
"""


async def test_what_bears_the_mark_is_undone_at_the_end() -> None:
    """Without an undo of the step's own; another's record with another mark stays."""
    odoo = Odoo({"thing": {1: {"id": 1, "ref": "somebody's", "active": True}}})
    record = await run(odoo, SWEPT.replace("METHOD", "unlink"))
    assert (record.outcome, record.message) == (Outcome.SUCCESS, "")
    assert list(odoo.tables["thing"]) == [1]


async def test_a_create_that_was_not_answered_is_undone_by_its_mark() -> None:
    """Odoo did it and could not say so."""

    class Silent(Odoo):
        async def call(self, model: str, method: str, *arguments: Any, **keywords: Any) -> Any:
            answer = await super().call(model, method, *arguments, **keywords)
            if method == "create":
                raise DeadlineError("too late")
            return answer

    odoo = Silent({"thing": {}})
    record = await run(odoo, SWEPT.replace("METHOD", "unlink"))
    assert (record.outcome, record.reason) == (Outcome.FAILURE, Reason.TIMEOUT)
    assert odoo.tables["thing"] == {}


@pytest.mark.parametrize(
    ("failing", "told"),
    [
        (
            {"create": FaultError("AttributeError: type object 'thing' has no attribute 'create'")},
            "has no method create",
        ),
        ({"create": InternalError("create is called with 2 positional arguments")}, "thing.create: create is called"),
    ],
)
async def test_a_flow_that_is_wrong_is_ours(failing: dict[str, Exception], told: str) -> None:
    """A method that is not there, arguments that cannot be passed on."""
    record = await run(Odoo({"thing": {}}, failing), SWEPT.replace("METHOD", "unlink"))
    assert (record.outcome, record.reason) == (Outcome.INVALID, Reason.CONFIG)
    assert told in record.message


async def test_an_unknown_model_is_ours() -> None:
    """Its module is not installed, or the flow misspells it."""
    record = await run(
        Odoo({}, {"create": FaultError("Object thing doesn't exist", code="2")}), SWEPT.replace("METHOD", "unlink")
    )
    assert (record.outcome, record.reason) == (Outcome.INVALID, Reason.CONFIG)
    assert "there is no model thing" in record.message


def old(*refs: str) -> Odoo:
    """Records that killed runs left, and others."""
    records = {number: {"id": number, "ref": ref, "active": True} for number, ref in enumerate(refs, start=1)}
    return Odoo({"thing": records})


ORDER = SweepOrder(prefix=mark_prefix("acme", "mine"), older_than=60)


async def test_a_sweep_takes_whole_marks_only() -> None:
    """Not another installation's whose name ends like ours, not half a mark, not one with something behind it."""
    odoo = old(f"X {MARK}", f"evil/{MARK}", MARK[:-1], f"{MARK}-2", MARK.replace("acme", "other"), f"({MARK})")
    probe = probe_of(flow(SWEPT.replace("METHOD", "unlink")))
    assert await probe.sweep(odoo, None, ORDER) == Swept(erased=2)  # type: ignore[arg-type]
    assert sorted(odoo.tables["thing"]) == [2, 3, 4, 5]


async def test_what_is_archived_stays_and_counts() -> None:
    """Once, and is residue from then on."""
    odoo = old(MARK)
    probe = probe_of(flow(SWEPT.replace("METHOD", "action_archive")))
    assert await probe.sweep(odoo, None, ORDER) == Swept(undone=1, residue=1)  # type: ignore[arg-type]
    assert await probe.sweep(odoo, None, ORDER) == Swept(residue=1)  # type: ignore[arg-type]


async def test_what_odoo_refuses_to_delete_is_residue() -> None:
    """The others are deleted all the same."""
    odoo = old(MARK)
    odoo.failing["unlink"] = FaultError("no")
    probe = probe_of(flow(SWEPT.replace("METHOD", "unlink")))
    assert await probe.sweep(odoo, None, ORDER) == Swept(residue=1)  # type: ignore[arg-type]


async def test_a_sweep_on_http_is_nothing() -> None:
    """And asks nothing."""
    server = Server({})
    assert await probe_of(flow(BOOKING)).sweep(server, None, ORDER) == Swept()  # type: ignore[arg-type]
    assert server.asked == []


async def test_a_check_names_what_is_missing() -> None:
    """A model, a field, a janitor; nothing is written."""
    text = SWEPT.replace("METHOD", "unlink").replace("field: ref", "field: note, user: janitor")
    probe = probe_of(flow(text))
    assert probe.check is not None
    found = [what async for what in probe.check(Odoo({}), None)]  # type: ignore[arg-type]
    assert found == [
        "there is no model thing",
        "thing: the flow asks for the janitor, and the target has none",
    ]


UNDO = "undo: {call: {model: note, method: unlink}}"


@pytest.mark.parametrize(
    ("step", "touches", "ships"),
    [
        ("call: {model: thing, method: search_count}", set(), False),
        (f"call: {{model: thing, method: create}}, {UNDO}", {*HISTORY, "thing", "note"}, False),
        (f"call: {{model: stock.move, method: write}}, {UNDO}", {*TOUCHED, "note"}, False),
        (f"call: {{model: stock.picking, method: button_validate}}, {UNDO}", {*TOUCHED, "note"}, True),
        ("request: {method: POST, path: /cart}, undo: {request: {method: DELETE, path: /cart}}", set(), False),
    ],
)
def test_what_a_flow_touches_is_what_its_calls_say(step: str, touches: set[str], *, ships: bool) -> None:
    """Those that only read touch nothing; what a request does behind its address is not known."""
    found = touched_by(flow(f"    kind: odoo\n    steps: [{{name: one, {step}}}]\n"), ())
    assert (set(found.touches), found.ships) == (touches, ships)


@pytest.mark.parametrize(
    ("accepted", "outcome", "made"),
    [((), Outcome.INVALID, 0), (("automation:1",), Outcome.SUCCESS, 1)],
)
async def test_a_flow_whose_records_set_something_off_does_not_start(
    accepted: tuple[str, ...], outcome: Outcome, made: int
) -> None:
    """Until the configuration accepts it by its name; `quaywatch check` names it."""
    rule = {"id": 1, "active": True, "name": "Notify", "model_name": "thing", "trigger": "on_create"}
    odoo = WithRules({"thing": {}, RULE: {1: rule}})
    text = SWEPT.replace("METHOD", "action_archive")
    record = await run(odoo, text, OdooOptions(accepted))
    assert (record.outcome, len(odoo.tables["thing"])) == (outcome, made)
    probe = probe_of(flow(text))
    assert probe.check is not None
    risks = [what async for what in probe.check(odoo, OdooOptions(accepted)) if "accept_risks" in what]
    assert len(risks) == 1 - made
    assert all("automation:1: the automation rule 'Notify' runs on thing" in risk for risk in risks)


@dataclass
class WithRules(Odoo):
    """One that has automation rules and finds all of them, and whose user may do everything."""

    async def version(self) -> int:
        """The newest."""
        return 19

    async def call(self, model: str, method: str, *arguments: Any, **keywords: Any) -> Any:
        """Every rule, whatever is asked."""
        if model == RULE:
            return list(self.tables[RULE].values())
        if method == "has_access":
            return True
        return await super().call(model, method, *arguments, **keywords)

    def __hash__(self) -> int:
        return id(self)


def test_equal_flows_make_equal_probes() -> None:
    """So that a reload leaves them alone; another expectation makes another."""
    first, second, third = (probe_of(flow(LOOKING % f"{{count: {number}}}")) for number in (1, 1, 2))
    assert first == second
    assert hash(first) == hash(second)
    assert first != third
    assert first.drives is TargetKind.HTTP
