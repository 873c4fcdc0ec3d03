"""What became of a batch, and the tables which decide that from a back end's answer.

- *poison* is refused for what it holds, and would be refused again: dropped, counted, logged once;
- an *outage* says nothing about the batch: kept and sent later, in the order it was made;
- a *refusal* is an outage of the configuration (wrong token, wrong path, no metrics pipeline behind the port): kept
  and tried slowly, since whoever mends the configuration should find nothing lost;
- a *doubtful* answer (the server failed and did not say why) may be either: tried `DOUBTFUL_TRIES` times, then poison.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from grpc import StatusCode

DOUBTFUL_TRIES: Final = 10
_LONGEST_TEXT: Final = 300


class Failure(StrEnum):
    """How an attempt that failed is to be taken."""

    POISON = "poison"
    OUTAGE = "outage"
    REFUSED = "refused"
    DOUBTFUL = "doubtful"


@dataclass(frozen=True, slots=True)
class Sent:
    """The back end took the batch, all but ``rejected`` points; ``message`` is what it said about it."""

    rejected: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """The back end did not take the batch. ``retry_after`` is the pause it asked for, in seconds."""

    failure: Failure
    why: str
    retry_after: float | None = None


Outcome = Sent | Failed

_OF_STATUS: Final = {
    401: Failure.REFUSED,
    403: Failure.REFUSED,
    404: Failure.REFUSED,
    405: Failure.REFUSED,
    407: Failure.REFUSED,
    408: Failure.OUTAGE,
    425: Failure.OUTAGE,
    429: Failure.OUTAGE,
    502: Failure.OUTAGE,
    503: Failure.OUTAGE,
    504: Failure.OUTAGE,
}

_OF_CODE: Final = {
    StatusCode.UNAUTHENTICATED: Failure.REFUSED,
    StatusCode.PERMISSION_DENIED: Failure.REFUSED,
    StatusCode.UNIMPLEMENTED: Failure.REFUSED,
    StatusCode.CANCELLED: Failure.OUTAGE,
    StatusCode.DEADLINE_EXCEEDED: Failure.OUTAGE,
    StatusCode.ABORTED: Failure.OUTAGE,
    StatusCode.UNAVAILABLE: Failure.OUTAGE,
    StatusCode.UNKNOWN: Failure.DOUBTFUL,
    StatusCode.INTERNAL: Failure.DOUBTFUL,
    StatusCode.DATA_LOSS: Failure.DOUBTFUL,
    StatusCode.INVALID_ARGUMENT: Failure.POISON,
    StatusCode.OUT_OF_RANGE: Failure.POISON,
    StatusCode.NOT_FOUND: Failure.POISON,
    StatusCode.ALREADY_EXISTS: Failure.POISON,
    StatusCode.FAILED_PRECONDITION: Failure.POISON,
}


def of_status(status: int) -> Failure:
    """How an HTTP status other than 2xx is to be taken. Redirects are not followed: the endpoint is to be mended."""
    if status in _OF_STATUS:
        return _OF_STATUS[status]
    if status < 400:  # noqa: PLR2004 - 1xx and 3xx
        return Failure.REFUSED
    return Failure.POISON if status < 500 else Failure.DOUBTFUL  # noqa: PLR2004 - the sender's fault, or the server's


def of_code(code: StatusCode, *, retry_asked: bool) -> Failure:
    """How a gRPC status is to be taken.

    ``RESOURCE_EXHAUSTED`` is both "later" and "too large": as the protocol has it, later only where a pause is named.
    """
    if code is StatusCode.RESOURCE_EXHAUSTED:
        return Failure.OUTAGE if retry_asked else Failure.POISON
    return _OF_CODE.get(code, Failure.DOUBTFUL)


def short(text: str) -> str:
    """A server's words on one line and of bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}..."
