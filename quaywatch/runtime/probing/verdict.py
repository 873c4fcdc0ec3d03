"""What an error in a probe's run means: whose fault it is, and what may be said about it."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from quaywatch.contract import Outcome, Reason
from quaywatch.errors import ConfigError, QuaywatchError, TargetError

OURS = frozenset({Reason.AUTH, Reason.PERMISSION, Reason.INTERNAL, Reason.CONFIG})
"""Reasons that lie with the agent, its credentials or its configuration: they never burn the SLO."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a run or a step ended. ``reason`` is None after success; ``message`` holds no secret and no datum."""

    outcome: Outcome
    reason: Reason | None = None
    message: str = ""


SUCCESS = Verdict(Outcome.SUCCESS)


def judge(error: BaseException) -> Verdict:
    """Whose fault an error is. The text of an unexpected one is not repeated: it may hold anything."""
    reason = reason_of(error)
    message = str(error) if isinstance(error, QuaywatchError) else _defect(error)
    return Verdict(Outcome.INVALID if reason in OURS else Outcome.FAILURE, reason, message)


def reason_of(error: BaseException) -> Reason:
    """The small word for an error."""
    if isinstance(error, TargetError):
        return error.reason
    return Reason.CONFIG if isinstance(error, ConfigError) else Reason.INTERNAL


def _defect(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].name}, line {frames[-1].lineno}" if frames else ""
    return f"a defect of the agent: {type(error).__name__}{where}"
