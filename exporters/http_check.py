"""Any address over HTTP as its clients find it: whether it answers as it should, and where the time goes.

One visit to the target's url, over a connection of its own, so that looking up the name, connecting and the TLS
handshake are measured each time. An answer that is not as expected is a 0 here and no error: it is what is measured.
Certificates are the exporter ``tls_expiry``'s. Off until it is enabled, since not every target is a page; what is
expected may be said for one target under ``per_target``.

The body is read up to one MiB, and what is looked for in it is looked for there.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from quaywatch.contract import Exporter, Http, Kind, Metric, Phase, Sample, TargetKind, Trouble, Visit

SUCCESS = Metric("quaywatch.http.success", Kind.GAUGE, "", "1 if the answer came whole and as expected, else 0.")
FAILED = Metric(
    "quaywatch.http.failed",
    Kind.GAUGE,
    "",
    "1 for the reason why the visit did not succeed, 0 for the others.",
    ("reason",),
)
DURATION = Metric(
    "quaywatch.http.duration",
    Kind.GAUGE,
    "s",
    "How long the visit took in all, redirects included, until it succeeded or failed.",
)
PHASES = Metric(
    "quaywatch.http.phase.duration",
    Kind.GAUGE,
    "s",
    "How long a phase took, summed up over redirects. Absent for one that was not gone through to its end.",
    ("phase",),
)
STATUS = Metric("quaywatch.http.status", Kind.GAUGE, "", "The last status. Absent without an answer.")
STATUS_CLASS = Metric(
    "quaywatch.http.status_class",
    Kind.GAUGE,
    "",
    "1 for the class of the last status, 0 for the others. Absent without an answer.",
    ("status_class",),
)
REDIRECTS = Metric("quaywatch.http.redirects", Kind.GAUGE, "{redirect}", "Redirects that were followed.")
SIZE = Metric(
    "quaywatch.http.body.size", Kind.GAUGE, "By", "Size of the content, of one MiB at most. Absent without an answer."
)
VERSION = Metric(
    "quaywatch.http.version", Kind.GAUGE, "", "Version of HTTP that was answered in. Absent without an answer."
)

WRONG_STATUS: Final = "status"
WRONG_BODY: Final = "body"
REASONS: Final = (*Trouble, WRONG_STATUS, WRONG_BODY)
"""Every value of the attribute ``reason``."""
_CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")
_EXPECTATION: Final = re.compile(r"[1-5](\d\d|xx)", re.ASCII)


class Method(StrEnum):
    """How the page is asked for."""

    GET = "GET"
    HEAD = "HEAD"


@dataclass(frozen=True, slots=True)
class Options:
    """What a configuration may tune."""

    path: str = field(default="", metadata={"help": "what is visited below the target's url, with a slash in front"})
    method: Method = field(default=Method.GET, metadata={"help": "GET, or HEAD for no content"})
    redirects: int = field(
        default=5,
        metadata={"help": "how many redirects are followed; 0: the first answer counts", "at_least": 0, "at_most": 20},
    )
    expect_status: tuple[int | str, ...] = field(
        default=("2xx",), metadata={"help": "statuses that are expected, such as 204 or 2xx"}
    )
    body_contains: str = field(default="", metadata={"help": "a text that has to be in the content"})
    body_matches: str = field(
        default="", metadata={"help": "a regular expression that has to match somewhere in the content"}
    )

    def __post_init__(self) -> None:
        if self.path[:1] not in ("", "/"):
            raise ValueError(f"path: {self.path!r} has no slash in front; one such as '/health' is expected")
        wrong = [status for status in self.expect_status if not _EXPECTATION.fullmatch(str(status))]
        if wrong or not self.expect_status:
            raise ValueError(f"expect_status: {wrong[:1] or 'nothing'} is no status; such as 204 or 2xx is expected")
        if self.method is Method.HEAD and (self.body_contains or self.body_matches):
            raise ValueError("method: HEAD brings no content to look into; GET is expected")
        try:
            re.compile(self.body_matches)
        except re.error as error:
            raise ValueError(f"body_matches: {error}; a regular expression is expected") from error


async def collect(server: Http, options: Options, _state: None) -> AsyncIterator[Sample]:
    """One visit."""
    seen = await server.visit(options.path, method=options.method, redirects=options.redirects)
    reason = judged(seen, options)
    yield SUCCESS(int(reason is None))
    for name in REASONS:
        yield FAILED(int(name == reason), name)
    yield DURATION(seen.seconds)
    for phase in Phase:
        if phase in seen.phases:
            yield PHASES(seen.phases[phase], phase)
    yield REDIRECTS(seen.redirects)
    for sample in _answer(seen) if seen.status else ():
        yield sample


def judged(seen: Visit, options: Options) -> str | None:
    """Why a visit did not succeed; None when it did."""
    if seen.trouble is not None:
        return seen.trouble
    if not {str(seen.status), _status_class(seen)} & set(map(str, options.expect_status)):
        return WRONG_STATUS
    text = seen.body.decode(errors="replace")
    if options.body_contains not in text or not re.search(options.body_matches, text):
        return WRONG_BODY
    return None


def _answer(seen: Visit) -> list[Sample]:
    classes = [STATUS_CLASS(int(name == _status_class(seen)), name) for name in _CLASSES]
    whole = [] if seen.trouble else [SIZE(len(seen.body))]
    return [STATUS(seen.status), VERSION(seen.version), *classes, *whole]


def _status_class(seen: Visit) -> str:
    return f"{seen.status // 100}xx"


EXPORTER: Exporter[Http, Options, None] = Exporter(
    name="http_check",
    reads=TargetKind.HTTP,
    metrics=(SUCCESS, FAILED, DURATION, PHASES, STATUS, STATUS_CLASS, REDIRECTS, SIZE, VERSION),
    options=Options,
    collect=collect,
    state=lambda: None,
    every=60.0,
    deadline=30.0,
    on=False,
)
