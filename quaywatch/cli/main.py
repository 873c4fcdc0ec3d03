"""``quaywatch``: finds the command, runs it, and turns errors into one clean line and an exit code."""

from __future__ import annotations

import importlib
import os
import traceback
from argparse import Namespace
from collections.abc import Sequence
from typing import Final

from quaywatch.errors import QuaywatchError

from .arguments import parser
from .terminal import Console

INTERRUPTED: Final = 130
DEFECT: Final = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 when all is fine, 1 when the watched system is at fault, 2 for usage or configuration, 3 for a defect of the
        agent itself, 130 when it was interrupted.
    """
    try:
        arguments = parser().parse_args(argv)
    except SystemExit as end:  # argparse has printed help, version or what is wrong
        return int(end.code or 0)
    console = Console.standard(os.environ)
    try:
        return _execute(arguments, console)
    except Exception as error:  # noqa: BLE001 - the border of the process: one line and an exit code
        return explained(error, arguments, console)
    except KeyboardInterrupt:
        return INTERRUPTED


def _execute(arguments: Namespace, console: Console) -> int:
    """Import the command's module and nothing more: help and completion stay quick."""
    command = importlib.import_module(f"{__package__}.{arguments.module}")
    return int(command.execute(arguments, console, os.environ))


def explained(error: Exception, arguments: Namespace, console: Console) -> int:
    """Tell an error in one line, and with ``--debug`` where it came from; the exit code."""
    if isinstance(error, BrokenPipeError):  # whoever read our output has gone
        return 0
    if arguments.debug:
        console.complain("".join(traceback.format_exception(error)))
    if isinstance(error, QuaywatchError):
        console.complain(str(error))
        return error.exit_code
    console.complain(
        f"a defect of the agent: {type(error).__name__}: {error} (run it again with --debug, and report it)"
    )
    return DEFECT
