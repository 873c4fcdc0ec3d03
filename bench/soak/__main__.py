"""The trial's command line: `python -m bench.soak --help`."""

from __future__ import annotations

import argparse
import asyncio
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
from sandbox.host import require
from sandbox.world import World, down, up

from .foretold import PAGE
from .report import text
from .trial import Plan, Trial, trial

SERVERS: Final = {"odoo14": 14, "odoo19": 19}
_RUNS: Final = 1000
_ALONE: Final = 0.25
"""The share of the runs that are made without a janitor."""
_GOODS: Final = 10
_KILLED_EVERY: Final = 20


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code: 0 when all is as foretold."""
    runs = _parser().parse_args(argv).runs
    began = time.monotonic()
    try:
        require("chromium")
        with tempfile.TemporaryDirectory(prefix="quaywatch-soak-") as place:
            trials = _on_servers(Path(place), runs // len(SERVERS), partial(saying.say, began))
    except SandboxError as error:
        print(f"soak: {error}", file=sys.stderr)
        return 1
    put(PAGE, "soak", text(trials, _facts(runs, time.monotonic() - began)))
    for one in trials:
        for sentence in one.wrong:
            print(f"{one.server}: {sentence}", file=sys.stderr)
    return int(any(one.wrong for one in trials))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak",
        description="Runs of every flow on Odoo 14 and 19, some killed, and what is left: to docs/residue.md.",
    )
    parser.add_argument("runs", type=int, nargs="?", default=_RUNS, help=f"how many runs (default: {_RUNS})")
    return parser


def _on_servers(state: Path, runs: int, say: partial[None]) -> list[Trial]:
    """The trial on both Odoos side by side, in a sandbox of its own."""
    try:
        world = up(SERVERS, state=state)
        return asyncio.run(_both(world, runs, say))
    finally:
        down(state=state)


async def _both(world: World, runs: int, say: partial[None]) -> list[Trial]:
    alone = int(runs * _ALONE)
    plan = Plan(runs=runs - alone, alone=alone, goods=_GOODS, killed_every=_KILLED_EVERY)
    each = (
        trial(world.postgres, world.endpoints[name], version, plan, partial(say, name))
        for name, version in SERVERS.items()
    )
    return list(await asyncio.gather(*each))


def _facts(runs: int, took: float) -> str:
    """When and on what it was done; nothing that names the machine."""
    return (
        f"`{'make soak' if runs == _RUNS else f'SOAK_RUNS={runs} make soak'}` on "
        f"{time.strftime('%Y-%m-%d', time.gmtime())}: {os.cpu_count()} cores, {platform.system()} "
        f"{platform.machine()}, Python {platform.python_version()}, {took / 60:.0f} minutes, Odoo 14 and 19 with their "
        "PostgreSQL on the same machine."
    )


if __name__ == "__main__":
    sys.exit(main())
