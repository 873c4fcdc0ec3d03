"""What a program that runs for long says meanwhile."""

from __future__ import annotations

import time


def say(began: float, *words: str) -> None:
    """One line, at once: the seconds since ``began`` on the monotonic clock, then what is said, and of what."""
    print(f"{time.monotonic() - began:7.1f} s  {': '.join(words)}", flush=True)
