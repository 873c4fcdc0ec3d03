"""The command line: `python -m bench.paging --help`."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from bench import saying
from bench.page import put
from sandbox.cache import SandboxError

from .outage import outages
from .report import measured, simulated

PAGE: Final = Path(__file__).parents[2] / "docs" / "objectives.md"


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code."""
    options = _parser().parse_args(argv)
    put(PAGE, "simulated", simulated())
    if not options.outages:
        return 0
    try:
        with tempfile.TemporaryDirectory(prefix="quaywatch-bench-") as place:
            told = list(outages(Path(place), partial(saying.say, time.monotonic())))
    except (SandboxError, TimeoutError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    put(PAGE, "measured", measured(told, _facts()))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.paging",
        description="False pages and times until somebody is told, to docs/objectives.md.",
    )
    parser.add_argument("--outages", action="store_true", help="real outages too, at the default interval: 20 minutes")
    return parser


def _facts() -> str:
    """When and on what was measured; nothing that names the machine."""
    return (
        f"`make paging` on {time.strftime('%Y-%m-%d', time.gmtime())}: {os.cpu_count()} cores,"
        f" {platform.system()} {platform.machine()}, load average at the end {os.getloadavg()[2]:.1f}."
    )


if __name__ == "__main__":
    sys.exit(main())
