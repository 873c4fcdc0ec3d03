"""Ways into an answer.

``$`` is the whole, ``.name`` and ``['any name']`` an entry of a table, ``[0]`` an item of a list, ``[-1]`` the last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

_STEP: Final = re.compile(r"\.(?P<name>[A-Za-z_][A-Za-z0-9_]*)|\[(?P<number>-?\d{1,9})\]|\['(?P<quoted>[^']+)'\]")


@dataclass(frozen=True, slots=True)
class AnswerPath:
    """One way. ``text`` is how the user wrote it."""

    text: str
    steps: tuple[str | int, ...]

    @classmethod
    def of(cls, text: str) -> AnswerPath:
        """The way that a text describes.

        Raises:
            ValueError: naming what of the text is not understood.
        """
        if not text.startswith("$"):
            raise ValueError("it does not begin with $")
        steps: list[str | int] = []
        at = 1
        while at < len(text):
            found = _STEP.match(text, at)
            if found is None:
                raise ValueError(f"{text[at:]} is not understood")
            steps.append(int(found["number"]) if found["number"] else found["name"] or found["quoted"])
            at = found.end()
        return cls(text, tuple(steps))

    def find(self, answer: Any) -> Any:
        """What is there; an entry with the value None is there.

        Raises:
            LookupError: when the answer has nothing there.
        """
        for step in self.steps:
            answer = _inside(answer, step)
        return answer


def _inside(answer: Any, step: str | int) -> Any:
    if isinstance(answer, dict) and isinstance(step, str):
        return answer[step]
    if isinstance(answer, list) and isinstance(step, int):
        return answer[step]
    raise KeyError(step)
