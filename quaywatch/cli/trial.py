"""``quaywatch alertmanager test``: cases put to a real Alertmanager."""

from __future__ import annotations

import asyncio
import shutil
import signal
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from alerts.alertmanager import Case, Cases, FaultyKeysError
from alerts.alertmanager.cases import check
from alerts.alertmanager.stage import staged
from alerts.alertmanager.trial import Difference, TrialError, play
from quaywatch.config import faulty_record, load_record
from quaywatch.errors import ConfigError

from .loop import run
from .terminal import Console

_PROGRAMS: Final = ("alertmanager", "prometheus-alertmanager")
"""Its names: its own, and Debian's."""
_AT_ONCE: Final = 8
_Configuration = Mapping[str, Any]


def execute(arguments: Namespace, console: Console, environ: Mapping[str, str]) -> int:
    """Say of each case whether it holds; 1 when one does not.

    Raises:
        ConfigError: when a file is wrong, or Alertmanager is not there or refuses the configuration.
    """
    configuration = _configuration(arguments.file)
    files = {path: _cases(path, configuration) for path in arguments.cases}
    program = arguments.alertmanager.absolute() if arguments.alertmanager else _program(environ)
    played = [(path, title) for path, cases in files.items() for title in cases.cases]
    try:
        with _terminated_as_interrupted():
            results = run(_play(program, configuration, list(files.values()), arguments.speed))
    except TrialError as error:
        raise ConfigError(f"{arguments.file}: {error}") from error
    for (path, title), differences in zip(played, results, strict=True):
        _tell(path, title, differences, console)
    failed = sum(map(bool, results))
    console.say(f"cases: {len(results)}, failed: {failed}", "bad" if failed else "good")
    return 1 if failed else 0


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM end everything as Ctrl-C does, so that no Alertmanager of ours outlives us."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _configuration(path: Path) -> _Configuration:
    """The configuration, as far as it is needed to put it on; the rest is judged by Alertmanager."""
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
        staged(read, address="", speed=1, opened=())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", remedy="name a file that can be read") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}: this is not YAML: {error.problem}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        remedy = "a route and named receivers are expected"
        raise ConfigError(f"{path}: this is no configuration of Alertmanager", remedy=remedy) from error
    configuration: _Configuration = read
    return configuration


def _program(environ: Mapping[str, str]) -> Path:
    found = next(filter(None, (shutil.which(name, path=environ.get("PATH")) for name in _PROGRAMS)), None)
    if found is None:
        raise ConfigError(
            f"there is no {' or '.join(_PROGRAMS)} on PATH", remedy="name the program with --alertmanager"
        )
    return Path(found)


def _cases(path: Path, configuration: _Configuration) -> Cases:
    cases = load_record(path, Cases)
    try:
        check(cases, configuration)
    except FaultyKeysError as error:
        raise faulty_record(path, error.wrong) from error
    return cases


async def _play(
    program: Path, configuration: _Configuration, files: Sequence[Cases], speed: float
) -> list[list[Difference]]:
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(cases: Cases, case: Case) -> list[Difference]:
        async with places:
            return await play(program, configuration, cases.alerts, case, speed)

    return await asyncio.gather(*(one(cases, case) for cases in files for case in cases.cases.values()))


def _tell(path: Path, title: str, differences: Sequence[Difference], console: Console) -> None:
    if not differences:
        console.say(f"ok      {title}")
        return
    console.say(f"failed  {title}", "bad")
    console.say(str(faulty_record(path, [(("cases", title, *key), what) for key, what in differences])))
