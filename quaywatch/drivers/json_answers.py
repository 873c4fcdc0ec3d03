"""Answers in JSON. They are read on the event loop: in a thread the parser would hold the interpreter all the same.

So they are bounded more closely than other answers: 2 MiB take some hundredths of a second.
"""

from __future__ import annotations

import json
from typing import Any, Final

from quaywatch.errors import ParseError

MAX_JSON: Final = 2 * 1024 * 1024
"""Bytes of JSON past which an answer is not looked at."""
FEWER: Final = "ask for fewer records at a time, or for fewer of their fields"
"""The remedy where records were asked for."""


def read_json(body: bytes, what: str, remedy: str = "") -> Any:
    """What an answer says; ``what`` names it, and ``remedy`` says how to come by a shorter one.

    Raises:
        ParseError: when it is not JSON, or is longer than `MAX_JSON`.
    """
    if len(body) > MAX_JSON:
        raise ParseError(f"{what} is longer than {MAX_JSON} bytes, which is as much JSON as is read", remedy=remedy)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ParseError(f"{what} is not JSON") from error
