"""The benchmark's command line: `python -m bench --help`."""

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

from sandbox.cache import SandboxError
from sandbox.parts import postgres

from . import saying
from .report import write
from .servers import ROWS, TABLES, servers
from .tools import versions
from .trial import rounds

_DEFAULT: Final = "1 50 300 1000"


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code."""
    tenants = _parser().parse_args(argv).tenants
    say = partial(saying.say, time.monotonic())
    try:
        with tempfile.TemporaryDirectory(prefix="quaywatch-bench-") as place, servers(Path(place)) as made:
            measured = list(rounds(made, sorted(tenants), say=say))
    except SandboxError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    write(measured, _facts(tenants))
    say("docs/benchmarks.md has the figures")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Quaywatch beside postgres_exporter and redis_exporter; the figures go to docs/benchmarks.md.",
    )
    default = [int(word) for word in _DEFAULT.split()]
    parser.add_argument("tenants", type=int, nargs="*", default=default, help=f"how many tenants (default: {_DEFAULT})")
    return parser


def _facts(tenants: Sequence[int]) -> str:
    """When, with what and on what was measured; nothing that names the machine."""
    chosen = " ".join(map(str, tenants))
    command = "make bench" if chosen == _DEFAULT else f'BENCH_TENANTS="{chosen}" make bench'
    peers = ", ".join(f"{name} {version}" for name, version in versions().items())
    return (
        f"`{command}` on {time.strftime('%Y-%m-%d', time.gmtime())}: {os.cpu_count()} cores, "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, "
        f"PostgreSQL {postgres.INSTALLED.major} and Redis on the same machine, {peers}. "
        f"A tenant has {TABLES} tables of {ROWS} rows."
    )


if __name__ == "__main__":
    sys.exit(main())
