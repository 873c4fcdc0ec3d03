"""An endpoint that serves the cases of alerts: each world well at first, ill or well again when it is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sandbox.process import LOOPBACK
from tests.alerts.case import Case, Moment


@dataclass
class Live:
    """A case whose time runs ``factor`` times as fast as ours, in the environment called as its alert."""

    alert: str
    case: Case
    factor: float
    began: float = field(default_factory=time.time)
    fell_ill: float | None = None
    healed: float | None = None

    def fall_ill(self) -> None:
        """From now on."""
        self.fell_ill = time.time()

    def heal(self) -> None:
        """From now on."""
        self.healed = time.time()

    def lines(self, now: float) -> Iterator[str]:
        """Its samples as Prometheus reads them."""
        for series, value in self.case.samples(self.alert, self._moment(now)):
            yield f"{series} {value:.15g}\n"

    def _moment(self, now: float) -> Moment:
        fell_ill = now if self.fell_ill is None else self.fell_ill
        healed = now if self.healed is None else self.healed
        ill = self.fell_ill is not None and self.healed is None
        in_illness, in_all = healed - fell_ill, now - self.began
        steps = self.factor / self.case.step
        last_well = fell_ill if ill else now
        return Moment(ill, in_illness * steps, (in_all - in_illness) * steps, last_well * self.factor)


@contextmanager
def served(lives: Mapping[str, Live]) -> Iterator[str]:
    """Host and port where all of them are to be read."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = text(lives.values()).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by its base
            """Say nothing."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"{LOOPBACK}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def text(lives: Iterable[Live]) -> str:
    """The page that is served now."""
    now = time.time()
    return "".join(line for live in lives for line in live.lines(now))
