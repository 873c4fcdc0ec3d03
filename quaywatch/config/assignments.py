"""The tables of exporters and probes, made from the options that each declares in its own file.

An options dataclass needs nothing but the standard library. A field's metadata explains and bounds it:

- ``help``: what it does, for the schema and the example;
- ``at_least``, ``at_most``, ``above``, ``below``: the range of a number, or of each number of a list;
- ``example``: a value for the example, where there is no default.

What concerns several fields is refused in ``__post_init__`` by a ValueError that says what is wrong and what is
allowed; begun with a field's name and a colon, it is shown at that field.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Final, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator, Field, ValidationInfo, create_model, field_validator, model_validator

from quaywatch.contract import Exporter, Probe, TargetKind
from quaywatch.errors import ConfigError
from quaywatch.secret import Secret

from .browser_table import BrowserTable
from .discovery_table import DiscoveryTable
from .flow_tables import FlowTable
from .flow_values import ScriptName
from .maintenance import WindowTable
from .sentences import refusal
from .tables import (
    AnyTarget,
    LeaseOrNone,
    LeaseTable,
    OrDefault,
    Table,
    TelemetryTable,
    empty_is_default,
    must_be_target,
)
from .values import Installation, Number, Seconds, SecretText, TargetName, Text, Whole

_BOUNDS: Final = {"at_least": "ge", "at_most": "le", "above": "gt", "below": "lt"}
_EXACT: Final[Mapping[Any, Any]] = {int: Whole, float: Number, Secret: SecretText}
"""The types of options that pydantic alone would take too much or too little for."""
_ENABLED: Final = "false turns it off"

T = TypeVar("T", bound="AssignedTable")


class AssignedTable(Table):
    """What the tables of exporters and probes have in common; subclasses add the options."""

    enabled: bool = Field(default=True, description=_ENABLED)
    every: Seconds
    deadline: Seconds
    targets: tuple[Text, ...] | None = None

    needs: ClassVar[TargetKind]
    """The kind of target it works on."""
    options_type: ClassVar[type[Any]]
    """The dataclass of its options."""

    @field_validator("targets")
    @classmethod
    def _targets_fit(cls, names: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        for name in names or ():
            must_be_target(name, cls.needs, info)
            if names and names.count(name) > 1:
                raise refusal("twice", name=name)
        return names

    @model_validator(mode="after")
    def _ends_in_time(self) -> AssignedTable:
        if self.deadline >= self.every:
            key = "deadline" if "deadline" in self.model_fields_set else "every"
            raise refusal("deadline", key, deadline=f"{self.deadline:g}", every=f"{self.every:g}")
        return self

    @model_validator(mode="after")
    def _options_fit(self) -> AssignedTable:
        _ = self.options
        return self

    @property
    def options(self) -> Any:
        """The options as their own type.

        Raises:
            ValueError: when the options refuse each other.
        """
        kind = self.options_type
        return kind(**{field.name: getattr(self, field.name) for field in dataclasses.fields(kind)})


class ExporterTable(AssignedTable):
    """One exporter's table; that of an exporter with options also has the key ``per_target``."""

    @field_validator("per_target", check_fields=False)
    @classmethod
    def _names_fit(cls, tables: Mapping[str, Table], info: ValidationInfo) -> Mapping[str, Table]:
        for name in tables:
            must_be_target(name, cls.needs, info)
        return tables

    @model_validator(mode="after")
    def _options_of_targets_fit(self) -> ExporterTable:
        for target in self._of_targets():
            try:
                self.options_for(target)
            except ValueError as error:
                raise ValueError(f"per_target: {target}: {error}") from error
        return self

    def options_for(self, target: str) -> Any:
        """The options as their own type, with what is said for this target alone.

        Raises:
            ValueError: when the options refuse each other.
        """
        own = self._of_targets().get(target, Table())
        return dataclasses.replace(self.options, **{name: getattr(own, name) for name in own.model_fields_set})

    def _of_targets(self) -> Mapping[str, Table]:
        return getattr(self, "per_target", {})


class ProbeTable(AssignedTable):
    """One probe's table."""

    targets: Annotated[tuple[Text, ...], Field(min_length=1)]
    attempts: Annotated[Whole, Field(ge=1, le=5)] = Field(
        default=1, description="how often a run that fails is tried in all, each time undone; 1 tries nothing again"
    )
    suspect_after: Seconds | None = Field(
        default=None,
        description="seconds after which it is asked why a step is slow; a third of the deadline if unset",
    )

    @model_validator(mode="after")
    def _attempts_end_in_time(self) -> ProbeTable:
        if self.attempts > 1 and self.attempts * self.deadline >= self.every:
            raise refusal("attempts", "attempts", attempts=self.attempts, deadline=f"{self.deadline:g}")
        if self.suspect_after is not None and self.suspect_after >= self.deadline:
            raise refusal("suspect_after", "suspect_after", deadline=f"{self.deadline:g}")
        return self


class FileTable(Table):
    """The whole file; `file_table` adds exporters and probes."""

    environment: Text = Field(description="name of the environment, on everything that leaves", examples=["production"])
    installation: Installation = Field(
        description="name of this installation; it marks the records of the probes, and only these are ever swept",
        examples=["acme-eu"],
    )
    discovery: DiscoveryTable | None = Field(
        default=None, description="the pods of this agent's own node, by their annotations; none if unset"
    )
    targets: Mapping[TargetName, Annotated[AnyTarget, Field(discriminator="kind")]] = Field(
        default_factory=dict,
        validate_default=True,
        description="what is watched, by names of your choice; may be left out beside discovery",
    )
    exporters: Table = Table()
    flows: Mapping[ScriptName, FlowTable] = Field(
        default_factory=dict, description="flows of your own, by names of your choice; each is a probe of its name"
    )
    probes: Table = Table()
    maintenance: tuple[WindowTable, ...] = Field(
        default=(), description="windows in which probes are not run, or alarm nobody"
    )
    telemetry: OrDefault[TelemetryTable] = Field(default_factory=TelemetryTable, description="how everything leaves")
    browser: OrDefault[BrowserTable] = Field(
        default_factory=BrowserTable, description="the browser of the probes that need one"
    )
    lease: LeaseOrNone = Field(
        default_factory=LeaseTable,
        description="where several agents agree on who works on shared targets; none for a single agent",
    )

    @field_validator("targets")
    @classmethod
    def _something_is_watched(cls, targets: Mapping[str, AnyTarget], info: ValidationInfo) -> Mapping[str, AnyTarget]:
        if not targets and info.data.get("discovery", ...) is None:
            raise refusal("no_targets")
        return targets


def exporter_table(exporter: Exporter[Any, Any, Any]) -> type[ExporterTable]:
    """The model of an exporter's table.

    Raises:
        ConfigError: when an option has the name of a common key.
    """
    table = _with_options(ExporterTable, exporter.options, exporter.name, exporter.reads)
    common = _times(exporter.every, exporter.deadline) | _enabled(exporter.on) | _per_target(exporter)
    targets = Field(default=None, description=f"names of targets of kind {exporter.reads}; all of them if unset")
    return create_model(
        f"exporter_{exporter.name}", __base__=table, targets=(tuple[Text, ...] | None, targets), **common
    )


def probe_table(probe: Probe[Any, Any]) -> type[ProbeTable]:
    """The model of a probe's table.

    Raises:
        ConfigError: when an option has the name of a common key.
    """
    table = _with_options(ProbeTable, probe.options, probe.name, probe.drives)
    targets = Field(min_length=1, description=f"names of targets of kind {probe.drives}")
    times = _times(probe.every, probe.deadline)
    return create_model(f"probe_{probe.name}", __base__=table, targets=(tuple[Text, ...], targets), **times)


def own_flow_table() -> type[ProbeTable]:
    """The model of the table of a probe whose flow is written in the file."""
    times = _times(60.0, 30.0)
    targets = Field(min_length=1, description="names of targets of the flow's kind")
    return create_model("probe_of_a_flow", __base__=ProbeTable, targets=(tuple[Text, ...], targets), **times)


def file_table(
    exporters: Mapping[str, Exporter[Any, Any, Any]],
    probes: Mapping[str, Probe[Any, Any]],
    unread: Iterable[str] = (),
) -> type[FileTable]:
    """The model of the whole file, for these exporters and probes; ``unread`` are probes whose tables are let through.

    Raises:
        ConfigError: when an option has the name of a common key.
    """
    tables = {name: _or_default(exporter_table(exporter)) for name, exporter in exporters.items()}
    flows = {name: _if_given(probe_table(probe)) for name, probe in probes.items()}
    flows |= dict.fromkeys(unread, (Any, None))
    all_exporters = create_model("exporters", __base__=Table, **tables)
    all_probes = create_model("probes", __base__=Table, **flows)
    return create_model(
        "Quaywatch",
        __base__=FileTable,
        exporters=_or_default(
            all_exporters, "most are on for targets of their kind; tune them here, turn them off or on"
        ),
        probes=_or_default(all_probes, "a probe runs only where it stands here"),
    )


def _or_default(table: type[Table], description: str = "") -> Any:
    field = Field(default_factory=table, description=description or table.__doc__)
    or_default: Any = OrDefault  # of a model that is made at run time
    return (or_default[table], field)


def _if_given(table: type[Table]) -> Any:
    return (Annotated[table | None, BeforeValidator(empty_is_default)], None)


def _enabled(on: bool) -> dict[str, Any]:  # noqa: FBT001 - it is what it is about
    description = _ENABLED if on else "true turns it on"
    return {"enabled": (bool, Field(on, description=description))}


def _per_target(exporter: Exporter[Any, Any, Any]) -> dict[str, Any]:
    if not dataclasses.fields(exporter.options):
        return {}
    hints = get_type_hints(exporter.options, include_extras=True)
    options: dict[str, Any] = {
        option.name: (_exact(hints[option.name]), _described(option, default=None))
        for option in dataclasses.fields(exporter.options)
    }
    table: Any = create_model(f"per_target_{exporter.name}", __base__=Table, **options)
    described: Any = Field(default_factory=dict, description="options that differ for one target, by its name")
    return {"per_target": (Mapping[str, table], described)}


def _times(every: float, deadline: float) -> dict[str, Any]:
    return {
        "every": (Seconds, Field(every, description="seconds between two turns")),
        "deadline": (Seconds, Field(deadline, description="seconds after which a turn is given up")),
    }


def _with_options(base: type[T], options: type[Any], name: str, kind: TargetKind) -> type[T]:
    hints = get_type_hints(options, include_extras=True)
    fields = dataclasses.fields(options)
    taken = [field.name for field in fields if field.name in base.model_fields]
    if taken:
        raise ConfigError(f"{name}: the options {taken} have names of common keys", remedy="rename the options")
    extra: dict[str, Any] = {field.name: (_exact(hints[field.name]), _described(field)) for field in fields}
    table = create_model(f"options_{name}", __base__=base, **extra)
    table.needs, table.options_type = kind, options
    return table


def _described(field: dataclasses.Field[Any], default: Any = ...) -> Any:
    facts: dict[str, Any] = {"description": field.metadata.get("help")}
    facts |= {ours: field.metadata[word] for word, ours in _BOUNDS.items() if word in field.metadata}
    if "example" in field.metadata:
        facts["examples"] = [field.metadata["example"]]
    if field.default_factory is not dataclasses.MISSING:
        return Field(default_factory=field.default_factory, **facts)
    return Field(default=default if field.default is dataclasses.MISSING else field.default, **facts)


def _exact(hint: Any) -> Any:
    """The hint with our own types of numbers and secrets inside unions."""
    if get_origin(hint) in {Union, types.UnionType}:
        return functools.reduce(lambda left, right: left | right, map(_exact, get_args(hint)))
    return _EXACT.get(hint, hint)
