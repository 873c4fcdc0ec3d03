"""The trial's command line: `python -m bench.probes --help`."""

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

from .report import text
from .trial import Pairs, in_browser, over_rpc

PAGE: Final = Path(__file__).parents[2] / "docs" / "benchmarks.md"
SERVERS: Final = {"odoo14": 14, "odoo19": 19}
_PAIRS: Final = 30


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code."""
    options = _parser().parse_args(argv)
    say = partial(saying.say, time.monotonic())
    try:
        require("chromium")
        with tempfile.TemporaryDirectory(prefix="quaywatch-bench-") as place:
            measured = _on_servers(Path(place), options.pairs, options.browser_pairs, say)
    except SandboxError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    put(PAGE, "probes", text(measured, facts()))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.probes",
        description="order-create by Quaywatch beside a bare script that does the same, to docs/benchmarks.md.",
    )
    parser.add_argument("--pairs", type=int, default=_PAIRS, help=f"over RPC (default: {_PAIRS})")
    parser.add_argument("--browser-pairs", type=int, default=_PAIRS, help=f"in a browser (default: {_PAIRS})")
    return parser


def _on_servers(state: Path, pairs: int, browser_pairs: int, say: partial[None]) -> list[Pairs]:
    """The trial in a sandbox of its own."""
    try:
        return asyncio.run(measured(up(SERVERS, state=state), pairs, browser_pairs, say))
    finally:
        down(state=state)


async def measured(world: World, pairs: int, browser_pairs: int, say: partial[None]) -> list[Pairs]:
    """Everything, one after the other."""
    ran = [await over_rpc(world.endpoints[name], version, pairs, say) for name, version in SERVERS.items()]
    clicked = [
        await in_browser(world.endpoints[name], version, browser_pairs, say) for name, version in SERVERS.items()
    ]
    return [*ran, *clicked]


def facts() -> str:
    """When and on what was measured, and how busy it was with other things; nothing that names the machine."""
    return (
        f"`make bench-probes` on {time.strftime('%Y-%m-%d', time.gmtime())}: {os.cpu_count()} cores, "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, Odoo 14 and 19 with their "
        f"PostgreSQL and the browsers on the same machine, load average at the end {os.getloadavg()[2]:.1f}."
    )


if __name__ == "__main__":
    sys.exit(main())
