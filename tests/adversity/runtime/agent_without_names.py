"""`quaywatch run` on a machine whose name server takes every question and answers none."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from quaywatch.cli.loop import run
from quaywatch.cli.run import serve


def unanswered(*_question: object) -> None:
    """What ``getaddrinfo`` does then, for longer than any test has patience."""
    threading.Event().wait()


if __name__ == "__main__":
    run(serve(Path(sys.argv[1]), os.environ), unanswered)
