"""Where an agent listens, read from its configuration without anything else of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from .document import read_document
from .faults import Fault, FaultyFileError
from .load import text_of
from .references import References
from .sentences import sentence
from .tables import PageTable
from .values import Listen, ListenText

_KEY: Final = ("telemetry", "http", "listen")
_LISTEN: Final[TypeAdapter[Listen]] = TypeAdapter(ListenText)


def listens(path: Path, environ: Mapping[str, str]) -> Listen:
    """Where an agent with this file listens. No other key is looked at: no secret is read, no other fault matters.

    Raises:
        ConfigError: when the file cannot be read, or what stands there is no address.
    """
    document = read_document(text_of(path))
    written = _below(document.values, _KEY)
    if written is None and not document.faults:
        return PageTable().listen
    document.values = {_KEY[-1]: written}
    References(document, environ).resolve()
    given = document.values[_KEY[-1]]
    try:
        return _LISTEN.validate_python(given)
    except ValidationError:
        fault = Fault(document.line(_KEY), _KEY, sentence("listen", {"given": given}, ""), "listen")
        raise FaultyFileError(str(path), document.faults or [fault]) from None


def _below(values: Any, key: tuple[str, ...]) -> Any:
    """The value at a key; None when something on the way is no table, or is not there."""
    for name in key:
        values = values.get(name) if isinstance(values, dict) else None
    return values
