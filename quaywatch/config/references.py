"""References in values: ``${env:NAME}``, ``${env:NAME:-default}``, ``${file:PATH}``; ``$$`` is a dollar sign.

A value that is one file reference and nothing else stays one, so that a secret made of it is read anew when it rotates.
Below ``flows`` every other ``${name}`` is a variable, which gets its value when the flow runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from quaywatch.script import Text, Variable
from quaywatch.secret import Secret

from .document import Document
from .faults import Fault, Key, TextRule

_PIECE = re.compile(r"\$\$|\$\{(?P<inside>[^}]*)\}|\$\{")
_ENV = re.compile(r"env:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)
_FILE = re.compile(r"file:(?P<path>.+)", re.DOTALL)
_VARIABLE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_FLOWS: Final = "flows"


class Referred(str):
    """A text that came from elsewhere: it may be a secret, and is never shown."""

    __slots__ = ()


class FileText(Referred):
    """The text of a file, and which file it is."""

    __slots__ = ("path",)
    path: Path


class ScriptText(Referred):
    """A text of a flow, and its parts. What references stand for is a secret part."""

    __slots__ = ("text",)
    text: Text


class _ReferenceError(Exception):
    def __init__(self, rule: TextRule, what: str) -> None:
        super().__init__(what)
        self.rule = rule
        self.what = what


class References:
    """Replaces the references of a document by what they stand for. ``files`` are those that were read or missed."""

    def __init__(self, document: Document, environ: Mapping[str, str]) -> None:
        self._document = document
        self._environ = environ
        self.files: set[Path] = set()

    def resolve(self) -> None:
        """Replace them all in place; what cannot be replaced becomes a fault and the value None."""
        self._document.values = self._walk(self._document.values, ())

    def _walk(self, value: Any, key: Key) -> Any:
        if isinstance(value, dict):
            return {name: self._walk(entry, (*key, name)) for name, entry in value.items()}
        if isinstance(value, list):
            return [self._walk(entry, (*key, number)) for number, entry in enumerate(value)]
        if not isinstance(value, str) or "$" not in value:
            return value
        return self._script(value, key) if key[0] == _FLOWS else self._text(value, key)

    def _script(self, text: str, key: Key) -> str | None:
        """A text of a flow: references are resolved now, variables when it runs."""
        parts: list[str | Variable | Secret] = []
        at = 0
        try:
            for found in _PIECE.finditer(text):
                parts += [text[at : found.start()], self._script_part(found)]
                at = found.end()
        except _ReferenceError as error:
            self._document.faults.append(Fault(self._document.line(key), key, error.what, error.rule))
            return None
        parts.append(text[at:])
        if all(isinstance(part, str) for part in parts):
            return "".join(map(str, parts))
        script = ScriptText(text)
        script.text = Text(tuple(part for part in parts if part != ""))
        return script

    def _script_part(self, found: re.Match[str]) -> str | Variable | Secret:
        inside = found["inside"]
        if inside is not None and _VARIABLE.fullmatch(inside):
            return Variable(inside)
        piece = self._piece(found)
        if inside is None:
            return piece
        return Secret.of_file(piece.path) if isinstance(piece, FileText) else Secret(str(piece))

    def _text(self, text: str, key: Key) -> str | None:
        try:
            whole = _PIECE.fullmatch(text)
            if whole and whole["inside"] is not None:
                return self._reference(whole["inside"])
            replaced = _PIECE.sub(self._piece, text)
            return Referred(replaced) if "${" in text else replaced
        except _ReferenceError as error:
            self._document.faults.append(Fault(self._document.line(key), key, error.what, error.rule))
            return None

    def _piece(self, found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        if found["inside"] is None:
            raise _ReferenceError(
                TextRule.REFERENCE, "a reference is not closed; write ${env:NAME}, or $${ for the text ${"
            )
        return self._reference(found["inside"])

    def _reference(self, inside: str) -> str:
        resolvers: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
            (_ENV, self._variable),
            (_FILE, self._file),
        ]
        for pattern, resolver in resolvers:
            if found := pattern.fullmatch(inside):
                return resolver(found)
        allowed = "${env:NAME}, ${env:NAME:-default} or ${file:PATH} is allowed"
        raise _ReferenceError(TextRule.REFERENCE, f"${{{inside}}} is no reference; {allowed}")

    def _variable(self, found: re.Match[str]) -> str:
        name, default = found["name"], found["default"]
        value = self._environ.get(name)
        if default is not None:
            return Referred(value or default)
        if value is not None:
            return Referred(value)
        advice = f"set it, or give a default: ${{env:{name}:-default}}"
        raise _ReferenceError(TextRule.VARIABLE, f"the environment variable {name} is not set; {advice}")

    def _file(self, found: re.Match[str]) -> str:
        path = Path(found["path"])
        self.files.add(path)
        try:
            content = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            what = f"the file {path} cannot be read ({why}); a readable file is expected"
            raise _ReferenceError(TextRule.FILE, what) from None
        text = FileText(content.removesuffix("\n").removesuffix("\r"))
        text.path = path
        return text
