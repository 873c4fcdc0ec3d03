"""What takes how long, told while it goes on: a bar on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_WIDTH = 24
_REDRAW = 0.2
_WORTH_SAYING = 1.0
_LONG = 10.0
_CLEAR = "\r\x1b[K"


class Progress:
    """The steps that run now, from any thread."""

    def __init__(self, out: TextIO = sys.stderr, *, quiet: bool = False) -> None:
        self._out = out
        self._quiet = quiet
        self._bars = out.isatty() and not quiet
        self._lock = threading.Lock()
        self._running: dict[str, tuple[float, float]] = {}

    @contextmanager
    def step(self, label: str, expected: float = 0.0) -> Iterator[None]:
        """Tell of a step that usually takes `expected` seconds, and of how long it took unless that was nothing."""
        started = time.monotonic()
        self._running[label] = (started, expected)
        if expected >= _LONG and not self._bars:
            self._say(f"{label}: about {expected:.0f} s")
        try:
            with self._drawn():
                yield
        except BaseException:
            self._finish(label, f"{label}: failed after {time.monotonic() - started:.1f} s")
            raise
        took = time.monotonic() - started
        self._finish(label, f"{label}: {took:.1f} s" if took >= _WORTH_SAYING else "")

    def _finish(self, label: str, said: str) -> None:
        self._running.pop(label, None)
        if said:
            self._say(said)

    def _say(self, text: str) -> None:
        with self._lock:
            if not self._quiet:
                self._out.write(f"{_CLEAR if self._bars else ''}{text}\n")
                self._out.flush()

    @contextmanager
    def _drawn(self) -> Iterator[None]:
        if not self._bars:
            yield
            return
        over = threading.Event()
        painter = threading.Thread(target=self._paint, args=(over,), daemon=True)
        painter.start()
        try:
            yield
        finally:
            over.set()
            painter.join()

    def _paint(self, over: threading.Event) -> None:
        while not over.wait(_REDRAW):
            now = time.monotonic()
            bars = [_bar(label, now - since, expected) for label, (since, expected) in [*self._running.items()]]
            with self._lock:
                self._out.write(_CLEAR + "   ".join(bars))
                self._out.flush()
        with self._lock:
            self._out.write(_CLEAR)
            self._out.flush()


def _bar(label: str, spent: float, expected: float) -> str:
    """One step as text. A bar that has used up its time stays a little short of full: it is a guess."""
    if not expected:
        return f"{label} {spent:.0f} s"
    full = min(int(spent / expected * _WIDTH), _WIDTH - 1)
    return f"{label} [{'#' * full}{'.' * (_WIDTH - full)}] {spent:.0f} of about {expected:.0f} s"
