"""The sandbox's command line: `python -m sandbox --help`."""

import argparse
import json
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .cache import SandboxError
from .demo import demo
from .faults import FAULTS
from .preparing import prepare
from .progress import Progress
from .world import PARTS, Status, World, down, state_directory, status, up

_MEBIBYTE = 1024 * 1024
_EPILOG = """\
exit codes: 0 done; 1 a part could not be built or started, or does not run; 2 wrong usage; 130 interrupted

QUAYWATCH_SANDBOX_STATE  the state directory (default: .sandbox in the project's root)
QUAYWATCH_SANDBOX_CACHE  what is built once per machine (default: ~/.cache/quaywatch-sandbox, some 5 GB)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code."""
    options = _parser().parse_args(argv)
    try:
        with _sigterm_like_ctrl_c():
            code: int = options.run(options)
    except SandboxError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return code


@contextmanager
def _sigterm_like_ctrl_c() -> Iterator[None]:
    """Let faults undo themselves on SIGTERM too."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="A real production in miniature on this machine: Odoo, PostgreSQL, Redis and telemetry.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--state", type=Path, default=state_directory(), help="where this sandbox keeps itself")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_up(commands)
    _add_others(commands)
    _add_fault(commands)
    _add_demo(commands)
    return parser


def _add_up(commands: Any) -> None:
    text = "start parts and what they need; those that run are left alone"
    command = commands.add_parser("up", help=text, description=text)
    command.add_argument("parts", nargs="*", metavar="PART", help=f"all unless named: {', '.join(PARTS)}")
    command.set_defaults(run=_up)
    text = "fetch and build all that the tests start, and start nothing"
    command = commands.add_parser("prepare", help=text, description=text)
    command.set_defaults(run=_prepare)


def _add_others(commands: Any) -> None:
    text = "show what runs, where, and with how much memory; exit 1 unless all of it runs"
    command = commands.add_parser("status", help=text, description=text)
    command.add_argument("--json", action="store_true", help="every address and credential instead")
    command.set_defaults(run=_status)
    text = "stop everything, last started first; its data stays"
    command = commands.add_parser("down", help=text, description=text)
    command.add_argument("--delete", action="store_true", help="remove the state directory too")
    command.set_defaults(run=_down)
    for name, text in (("stop", "stop one part"), ("start", "start a stopped part on the same ports")):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("part", choices=PARTS)
        command.set_defaults(run=_stop if name == "stop" else _start)


def _add_fault(commands: Any) -> None:
    text = "put a fault in, and undo it after some time, or on Ctrl-C"
    lines = "\n".join(f"  {name:12} {(fault.__doc__ or '').splitlines()[0]}" for name, fault in FAULTS.items())
    shape = argparse.RawDescriptionHelpFormatter
    command = commands.add_parser("fault", help=text, description=text, epilog=lines, formatter_class=shape)
    command.add_argument("name", choices=FAULTS, metavar="NAME", help="one of those below")
    command.add_argument("target", nargs="?", metavar="PART", help="the part, or the Odoo, that it strikes")
    command.add_argument("--for", dest="seconds", type=float, metavar="SECONDS", help="default: until Ctrl-C")
    command.set_defaults(run=_fault)


def _add_demo(commands: Any) -> None:
    text = "bring everything up, run the agent on it, break something, and say what was seen"
    command = commands.add_parser("demo", help=text, description=text)
    command.add_argument("--seconds", type=float, help="from when the set-up is done; default: until Ctrl-C")
    command.set_defaults(run=lambda options: demo(options.state, options.seconds))


def _up(options: argparse.Namespace) -> int:
    up(options.parts, state=options.state, progress=Progress())
    return _status(argparse.Namespace(state=options.state, json=False))


def _prepare(_options: argparse.Namespace) -> int:
    prepare(Progress())
    return 0


def _down(options: argparse.Namespace) -> int:
    down(state=options.state, delete=options.delete)
    return 0


def _status(options: argparse.Namespace) -> int:
    rows = status(state=options.state)
    if options.json:
        print(json.dumps(World.load(options.state).plain(), indent=1))
    else:
        print(_table(rows))
    return 0 if rows and all(row.word == "running" for row in rows) else 1


def _table(rows: Sequence[Status]) -> str:
    head = ("PART", "STATE", "PID", "MEMORY", "PORTS")
    cells = [head, *(_cells(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    return "\n".join(line.rstrip() for line in lines)


def _cells(row: Status) -> tuple[str, ...]:
    ports = " ".join(f"{name}:{port}" for name, port in row.ports.items())
    memory = f"{row.memory // _MEBIBYTE} MiB" if row.pid else "-"
    return row.name, row.word, str(row.pid or "-"), memory, ports


def _stop(options: argparse.Namespace) -> int:
    World.load(options.state).services.stop(options.part)
    return 0


def _start(options: argparse.Namespace) -> int:
    World.load(options.state).services.resume(options.part)
    return 0


def _fault(options: argparse.Namespace) -> int:
    world = World.load(options.state)
    with FAULTS[options.name](world, options.target) as sentence:
        print(sentence, flush=True)
        threading.Event().wait(options.seconds)
    print("undone", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
