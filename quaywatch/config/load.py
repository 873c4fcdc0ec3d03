"""From a YAML file to settings, or to one error that tells everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from quaywatch.contract import ExporterTask, Per, ProbeTask
from quaywatch.errors import ConfigError

from .assignments import ExporterTable, FileTable, ProbeTable, file_table
from .document import Document, read_document
from .faults import Fault, FaultyFileError, Key, TextRule
from .flow_tables import FlowTable
from .places import allowed_keys, key_in_file
from .references import References
from .sentences import sentence
from .settings import Exporters, FlowProbe, Probes, Settings

_ABOUT_KINDS: Final = ("union_tag_invalid", "union_tag_not_found")
_ABOUT_ABSENCE: Final = ("missing", "no_targets")


def load(
    path: Path,
    environ: Mapping[str, str],
    exporters: Exporters,
    probes: Probes,
    flow_probe: FlowProbe | None = None,
) -> Settings:
    """The settings of a file.

    ``flow_probe`` makes the probes of the file's own flows; without it they are checked, and run nowhere.

    Raises:
        ConfigError: when the file cannot be read, or with one line for each fault in it, in the order of the file.
    """
    return load_text(text_of(path), str(path), environ, exporters, probes, flow_probe)


def load_text(
    text: str,
    file: str,
    environ: Mapping[str, str],
    exporters: Exporters,
    probes: Probes,
    flow_probe: FlowProbe | None = None,
) -> Settings:
    """The settings of a text; ``file`` is how errors name it.

    Raises:
        ConfigError: with one line for each fault.
    """
    document = read_document(text)
    references = References(document, environ)
    references.resolve()
    written = _flows(document, probes)
    flows = {name: flow_probe(table.flow(name)) for name, table in written.items() if table and flow_probe}
    unread = written.keys() - flows.keys()
    table = _validated(document, file_table(exporters, {**probes, **flows}, unread))
    if table is None or document.faults:
        raise FaultyFileError(file, document.faults, references.files)
    return _settings(table, exporters, probes, flows, frozenset(references.files))


def _flows(document: Document, probes: Collection[str]) -> dict[str, FlowTable | None]:
    """The flows of the file by name, None for one with faults, which are told with all the others; no taken name."""
    tables = document.values.get("flows") if isinstance(document.values, dict) else None
    found: dict[str, FlowTable | None] = {}
    for name, table in (tables if isinstance(tables, dict) else {}).items():
        if name in probes:
            key = ("flows", name)
            what = sentence("flow_taken", {"name": name}, "")
            document.faults.append(Fault(document.line(key), key, what, "flow_taken"))
        elif name.isidentifier() and not name.startswith("_"):
            found[name] = _flow(table)
    return found


def _flow(table: Any) -> FlowTable | None:
    try:
        return FlowTable.model_validate(table)
    except ValidationError:
        return None


def text_of(path: Path) -> str:
    """The text of a configuration file.

    Raises:
        ConfigError: when it cannot be read, or is no UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        remedy = "name a configuration with --config; quaywatch config example prints one"
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", remedy=remedy) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: this is not UTF-8; text in UTF-8 is expected") from error


# --- validation and its faults ----------------------------------------------------------------------------------------


def _validated(document: Document, model: type[FileTable]) -> FileTable | None:
    """The validated file; None when there are faults, which are then in the document."""
    values = document.values
    if any(fault.rule is TextRule.SYNTAX for fault in document.faults):
        return None
    if values is None and not document.faults:
        document.faults.append(Fault(1, (), sentence("empty_file", {}, ""), "empty_file"))
        return None
    try:
        return model.model_validate(values, context=_targets(values))
    except ValidationError as error:
        spoiled = {fault.key for fault in document.faults}
        for details in error.errors(include_url=False):
            fault = _fault(details, document, model)
            if not _inside(fault.key, spoiled) and not _of_a_spoiled_table(details, values, spoiled):
                document.faults.append(fault)
        return None


def _targets(values: Any) -> dict[str, dict[str, Any]]:
    """The tables of the targets by name, as far as they are tables."""
    targets = values.get("targets") if isinstance(values, dict) else None
    if not isinstance(targets, dict):
        return {}
    return {name: table for name, table in targets.items() if isinstance(table, dict)}


def _inside(key: Key, spoiled: set[Key]) -> bool:
    return any(key[: len(other)] == other for other in spoiled)


def _of_a_spoiled_table(details: ErrorDetails, values: Any, spoiled: set[Key]) -> bool:
    """Whether keys of a table refuse each other of which one has no value yet: with it they may well agree."""
    if not isinstance(details["input"], dict) or details["type"] in {"missing", *_ABOUT_KINDS}:
        return False
    table = key_in_file(details["loc"], values)
    return any(key[:-1] == table for key in spoiled)


def _fault(details: ErrorDetails, document: Document, model: type[FileTable]) -> Fault:
    rule, facts = details["type"], dict(details.get("ctx", {}))
    key = key_in_file(details["loc"], document.values, missing=rule in _ABOUT_ABSENCE)
    facts["given"] = details["input"]
    if rule == "extra_forbidden":
        facts |= {"name": str(key[-1]), "allowed": allowed_keys(details["loc"][:-1], model)}
    if rule in _ABOUT_KINDS:
        key = (*key, "kind")
    if facts.get("key"):
        key = (*key, *(facts["key"] if isinstance(facts["key"], tuple) else [facts["key"]]))
    what = sentence(rule, facts, details["msg"])
    if rule == "value_error":
        key, what = _own_words(key, what)
    return Fault(document.line(key), key, what, rule)


def _own_words(key: Key, what: str) -> tuple[Key, str]:
    """An option class's own refusal: begun with an option's name and a colon, it belongs to that option."""
    name, colon, rest = what.partition(": ")
    return ((*key, name), rest) if colon and name.isidentifier() else (key, what)


# --- settings ---------------------------------------------------------------------------------------------------------


def _settings(
    table: FileTable, exporters: Exporters, probes: Probes, flows: Probes, files: frozenset[Path]
) -> Settings:
    every = {**probes, **flows}
    return Settings(
        environment=table.environment,
        installation=table.installation,
        targets=table.targets,
        exporters={name: tuple(_exporters_of(name, table, exporters)) for name in table.targets},
        of_pods=tuple(_exporters_of_pods(table, exporters)),
        probes={name: tuple(_probes_of(name, table, every)) for name in table.targets},
        flows=flows,
        maintenance=table.maintenance,
        telemetry=table.telemetry,
        discovery=table.discovery,
        lease=table.lease,
        browser=table.browser,
        files=files,
    )


def _exporters_of(target: str, table: FileTable, exporters: Exporters) -> Iterator[ExporterTask]:
    for name, exporter in exporters.items():
        assigned: ExporterTable = getattr(table.exporters, name)
        wanted = assigned.targets is None or target in assigned.targets
        if assigned.enabled and wanted and table.targets[target].kind is exporter.reads:
            yield ExporterTask(exporter, assigned.options_for(target), assigned.every, assigned.deadline)


def _exporters_of_pods(table: FileTable, exporters: Exporters) -> Iterator[ExporterTask]:
    """Those that read what is of one server, and are not held to targets by name."""
    for name, exporter in exporters.items():
        assigned: ExporterTable = getattr(table.exporters, name)
        if assigned.enabled and assigned.targets is None and exporter.per is Per.TARGET and exporter.node_local:
            yield ExporterTask(exporter, assigned.options, assigned.every, assigned.deadline)


def _probes_of(target: str, table: FileTable, probes: Probes) -> Iterator[ProbeTask]:
    for name, probe in probes.items():
        assigned: ProbeTable | None = getattr(table.probes, name)
        if assigned is not None and assigned.enabled and target in (assigned.targets or ()):
            yield ProbeTask(
                probe,
                assigned.options,
                assigned.every,
                assigned.deadline,
                assigned.attempts,
                assigned.suspect_after,
            )
