"""The JSON Schema of the file, for editors: the tables of all exporters and probes with their options included."""

from __future__ import annotations

from typing import Any, Final

from .assignments import file_table, own_flow_table
from .settings import Exporters, Probes

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE: Final = {"type": "string", "pattern": r"\$\{(env|file):[^}]+\}", "title": "Reference"}
_TO_REFERENCE: Final = {"$ref": "#/$defs/Reference"}
_EXPLAINING: Final = ("title", "description", "default", "examples")
_OWN: Final = "probe_of_a_flow"
"""The table of a probe that is made of a flow of the file: its name is known there only."""
_NARROW: Final = {"integer", "number", "boolean"}


def json_schema(exporters: Exporters, probes: Probes) -> dict[str, Any]:
    """The schema as plain values; every value may also be a reference to a variable or a file."""
    raw = file_table(exporters, probes).model_json_schema()
    schema: dict[str, Any] = _with_references(raw)
    schema["$defs"]["Reference"] = _REFERENCE
    schema["properties"]["lease"]["anyOf"].append({"const": "none"})
    schema["required"] = [key for key in schema["required"] if key != "targets"]
    schema["anyOf"] = [{"required": ["targets"]}, {"required": ["discovery"]}]
    schema["$defs"][_OWN] = _with_references(own_flow_table().model_json_schema())
    schema["$defs"]["probes"]["additionalProperties"] = {"$ref": f"#/$defs/{_OWN}"}
    return {"$schema": DIALECT, **schema, "title": "Configuration of Quaywatch"}


def _with_references(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_with_references(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {word: part if word in {"default", "examples"} else _with_references(part) for word, part in schema.items()}
    return _or_reference(inner) if _is_narrow(schema) else inner


def _is_narrow(schema: dict[str, Any]) -> bool:
    text = schema.get("type") == "string" and ("enum" in schema or "pattern" in schema)
    return text or schema.get("type") in _NARROW


def _or_reference(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema or a reference; what explains the value stays outside, where editors look for it."""
    outside: dict[str, Any] = {word: schema.pop(word) for word in _EXPLAINING if word in schema}
    return {**outside, "anyOf": [schema, _TO_REFERENCE]}
