"""The tables of flows that a user writes: probes of the user's own, without a program.

Everything that can be told from the text alone is refused here: a way into an answer that is none, a variable that no
earlier step saves, a flow that writes and says nowhere how that is undone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from quaywatch.contract import TargetKind
from quaywatch.script import (
    Act,
    Call,
    Check,
    Flow,
    Marked,
    Node,
    Operator,
    Plain,
    Request,
    Step,
    variables,
)
from quaywatch.script import Text as Words

from .faults import Key
from .flow_values import FieldName, JsonItems, JsonTable, JsonValue, MethodName, ModelName, PathText, ScriptName, node
from .sentences import listed, refusal
from .tables import Table
from .values import Number, Seconds, Text, Whole

_ALWAYS: Final = ("mark", "today", "now")
_USERS: Final = "janitor: as the target's janitor, who may delete"


class CallTable(Table):
    """A call of a method of a model, on targets of kind odoo."""

    model: ModelName = Field(description="the model", examples=["res.partner"])
    method: MethodName = Field(description="its method; private ones cannot be called", examples=["create"])
    args: JsonItems = Field(default=[], validate_default=True, description="arguments in order, the records' ids first")
    kwargs: JsonTable = Field(default={}, validate_default=True, description="arguments by name")
    user: Literal["probe", "janitor"] = Field(default="probe", description=_USERS)

    @property
    def act(self) -> Act:
        """The call itself."""
        janitor = self.user == "janitor"
        return Call(model=self.model, method=self.method, args=self.args, kwargs=self.kwargs, janitor=janitor)


class RequestTable(Table):
    """An HTTP request to the target; redirects are not followed."""

    method: Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] = Field(
        default="GET", description="the method"
    )
    path: JsonValue = Field(description="what follows the target's url", examples=["/v1/shipments"])
    headers: JsonTable = Field(default={}, validate_default=True, description="headers beside the target's own")
    content: JsonValue | None = Field(default=None, alias="json", description="content, sent as JSON")
    form: JsonTable | None = Field(default=None, description="content, sent as a form")

    @model_validator(mode="after")
    def _is_one_request(self) -> RequestTable:
        first = _first_text(self.path)
        if not first.startswith("/"):
            raise refusal("request_path", "path", begins=first)
        if self.content is not None and self.form is not None:
            raise refusal("one_body", "form")
        return self

    @property
    def act(self) -> Act:
        """The request itself."""
        return Request(method=self.method, path=self.path, headers=self.headers, json=self.content, form=self.form)


class ActTable(Table):
    """Something to do: a call or a request."""

    call: CallTable | None = Field(default=None, description="a call of a method of Odoo's")
    request: RequestTable | None = Field(default=None, description="an HTTP request")

    @model_validator(mode="after")
    def _is_one_act(self) -> ActTable:
        if (self.call is None) == (self.request is None):
            raise refusal("one_act", given_acts="both are given" if self.call else "neither is given")
        return self

    @property
    def act(self) -> Act:
        """What is to be done."""
        table = self.call or self.request
        if table is None:
            raise TypeError("validated to be one of the two")
        return table.act


class CheckTable(Table):
    """One expectation of an answer."""

    path: PathText | None = Field(default=None, description="way into the answer; the whole of it, or the body's text")
    status: Annotated[Whole, Field(ge=100, le=599)] | None = Field(default=None, description="the HTTP status")
    equals: JsonValue = Field(default=None, validate_default=True, description="the value itself")
    contains: JsonValue | None = Field(default=None, description="a part of the text, or an item of the list")
    matches: Text | None = Field(default=None, description="a regular expression that is found in the text")
    exists: bool | None = Field(default=None, description="whether there is anything")
    count: Annotated[Whole, Field(ge=0)] | None = Field(default=None, description="how many items or entries there are")
    less_than: Whole | Number | None = Field(default=None, description="a number that is more")

    @model_validator(mode="after")
    def _is_one_check(self) -> CheckTable:
        checks = sorted({*Operator} & self.model_fields_set)
        if len(checks) != 1:
            raise refusal("one_check", number=len(checks), operators=listed(Operator))
        if self.matches is not None:
            _refuse_bad_pattern(self.matches)
        return self

    @property
    def check(self) -> Check:
        """The expectation itself."""
        (operator,) = {*Operator} & self.model_fields_set
        wanted = getattr(self, operator)
        return Check(Operator(operator), node(wanted), self.path)


class NamedTable(Table):
    """What has a name."""

    name: ScriptName = Field(description="its name, in metrics and traces", examples=["create"])


class StepTable(ActTable, NamedTable):
    """One step."""

    writes: bool | None = Field(
        default=None, description="whether it changes anything; told by the method if unset, POST and unknown ones do"
    )
    save: Mapping[ScriptName, PathText] = Field(
        default_factory=dict,
        description="values of the answer that ${steps.STEP.NAME} stands for from then on",
        examples=[{"partner": "$"}],
    )
    expect: tuple[CheckTable, ...] = Field(default=(), description="what must be true of the answer")
    within: Seconds | None = Field(
        default=None, description="seconds in which it is asked again until the answer is as expected; once if unset"
    )
    undo: ActTable | None = Field(default=None, description="how it is undone at the end, whatever happened")

    @model_validator(mode="after")
    def _may_be_asked_again(self) -> StepTable:
        if self.within is not None and not self.expect:
            raise refusal("within_nothing", "within")
        if self.within is not None and self.step.writes:
            raise refusal("within_writes", "within")
        return self

    @property
    def step(self) -> Step:
        """The step itself."""
        act = self.act
        return Step(
            name=self.name,
            act=act,
            writes=act.writes if self.writes is None else self.writes,
            saves=tuple(self.save.items()),
            checks=tuple(table.check for table in self.expect),
            undo=self.undo.act if self.undo else None,
            within=self.within or 0.0,
        )


class MarkedTable(Table):
    """Records that bear the run's mark: found by it and undone at the end of a run, and after killed runs."""

    model: ModelName = Field(description="the model", examples=["res.partner"])
    field: FieldName = Field(description="the field that holds ${mark}, alone or within a text", examples=["ref"])
    methods: tuple[MethodName, ...] = Field(
        default=("unlink",), description="what is called on each, in this order", json_schema_extra={"minItems": 1}
    )
    user: Literal["probe", "janitor"] = Field(default="probe", description=_USERS)

    @model_validator(mode="after")
    def _does_something(self) -> MarkedTable:
        if not self.methods:
            raise refusal("too_short", "methods", min_length=1)
        return self

    @property
    def marked(self) -> Marked:
        """What it says."""
        return Marked(model=self.model, field=self.field, methods=self.methods, janitor=self.user == "janitor")


class FlowTable(Table):
    """A flow of the user's own; it runs where its name stands below `probes`."""

    kind: Literal[TargetKind.ODOO, TargetKind.HTTP] = Field(description="the kind of its targets")
    steps: tuple[StepTable, ...] = Field(description="what it does, in this order", json_schema_extra={"minItems": 1})
    sweep: tuple[MarkedTable, ...] = Field(default=(), description="what its runs make, the last made first")

    @model_validator(mode="after")
    def _hangs_together(self) -> FlowTable:
        if not self.steps:  # a bound of the field's own would also be told when the only step is wrong
            raise refusal("too_short", "steps", min_length=1)
        _refuse_doubles(self.steps)
        if self.kind is TargetKind.HTTP:
            _refuse_odoo(self)
        for number, step in enumerate(self.steps):
            _refuse_unknown_variables(self.steps[:number], step, ("steps", number))
        _refuse_what_stays(self)
        return self

    def flow(self, name: str) -> Flow:
        """The flow itself."""
        steps = tuple(table.step for table in self.steps)
        return Flow(name=name, kind=self.kind, steps=steps, sweep=tuple(table.marked for table in self.sweep))


def _refuse_bad_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise refusal("regex", "matches", why=str(error)) from None


def _first_text(path: Node) -> str:
    """What a path begins with, before its first variable."""
    if isinstance(path, Plain):
        whole = json.loads(path.json)
        return whole if isinstance(whole, str) else ""
    return next((part for part in path.parts[:1] if isinstance(part, str)), "") if isinstance(path, Words) else ""


def _refuse_doubles(steps: Sequence[StepTable]) -> None:
    names = [step.name for step in steps]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise refusal("step_twice", ("steps", number, "name"), name=name)


def _refuse_odoo(flow: FlowTable) -> None:
    """What only Odoo can do has no place in a flow on HTTP."""
    for number, step in enumerate(flow.steps):
        if step.call is not None:
            raise refusal("call_on_http", ("steps", number, "call"))
        if step.undo is not None and step.undo.call is not None:
            raise refusal("call_on_http", ("steps", number, "undo", "call"))
    if flow.sweep:
        raise refusal("sweep_on_http", "sweep")


def _refuse_unknown_variables(before: Sequence[StepTable], step: StepTable, key: Key) -> None:
    """Each variable is one that is always there, or saved by a step that comes first."""
    known = [*_ALWAYS, *_saved(before)]
    _refuse_unknown(_uses(step.act), known, (*key, "call" if step.call else "request"))
    known += _saved([step])
    for number, table in enumerate(step.expect):
        _refuse_unknown(variables(table.check.wanted), known, (*key, "expect", number))
        if step.call is not None and table.status is not None:
            raise refusal("status_of_call", (*key, "expect", number, "status"))
    if step.undo is not None:
        _refuse_unknown(_uses(step.undo.act), known, (*key, "undo"))


def _saved(steps: Sequence[StepTable]) -> list[str]:
    return [f"steps.{step.name}.{saved}" for step in steps for saved in step.save]


def _uses(act: Act) -> Iterator[str]:
    """The variables of an act."""
    nodes = (act.args, act.kwargs) if isinstance(act, Call) else (act.path, act.headers, act.json, act.form)
    for part in nodes:
        if part is not None:
            yield from variables(part)


def _refuse_unknown(names: Iterator[str], known: Sequence[str], key: Key) -> None:
    for name in names:
        if name not in known:
            raise refusal("no_variable", key, name=name, known=listed(known))


def _refuse_what_stays(flow: FlowTable) -> None:
    """A flow that writes says how that is undone; on HTTP each step for itself, since nobody sweeps there."""
    writing = [(number, table) for number, table in enumerate(flow.steps) if table.step.writes]
    undone = any(table.undo for table in flow.steps)
    for number, table in writing:
        if not flow.sweep and table.undo is None and (flow.kind is TargetKind.HTTP or not undone):
            raise refusal("no_undo", ("steps", number))
    marks = any("mark" in _uses(table.act) for _, table in writing)
    if flow.sweep and not marks:
        raise refusal("no_mark", "sweep")
