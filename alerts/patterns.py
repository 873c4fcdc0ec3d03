"""Shell patterns as regular expressions of RE2, which Prometheus and Alertmanager know; Python's own are more."""

from __future__ import annotations

import re
from collections.abc import Iterable

_TOKEN = re.compile(r"\[!?\]?[^\]]*\]|.", re.DOTALL)
_WILD = {"*": ".*", "?": ".", ".": "[.]"}
_SPECIAL = "\\+()|[]{}^$"


def regex(patterns: Iterable[str]) -> str:
    """What any of the shell patterns fits, as a whole and with upper and lower case told apart."""
    return "|".join(_TOKEN.sub(_translated, pattern) for pattern in patterns)


def _translated(token: re.Match[str]) -> str:
    text = token[0]
    if len(text) == 1:
        return _WILD.get(text) or (f"\\{text}" if text in _SPECIAL else text)
    negated = text.startswith("[!")
    inside = text[2 if negated else 1 : -1].replace("\\", r"\\").replace("[", r"\[").replace("]", r"\]")
    return f"[^{inside}]" if negated else "[" + re.sub(r"^\^", r"\^", inside) + "]"
