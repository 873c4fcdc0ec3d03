"""What holds for every test: the event loop stays clean, and logging is as the test found it."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import structlog

_HERE = Path(__file__).parent
_SETTLES_WITHIN = 10.0
"""Seconds in which tasks that were cancelled may come to their end."""


_ORDER = {"packaging": 0, "contract": 2, "unit": 3}
"""What takes long begins first; of what is short, at the end, each worker takes as much as it has time for."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every coroutine test gets `clean_loop`, as its first fixture, so that it judges the others' endings too."""
    items.sort(key=lambda item: _ORDER.get(item.path.relative_to(_HERE).parts[0], 1))
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.fixturenames.insert(0, "clean_loop")


def pytest_collection_finish() -> None:
    """Spare the collections after each test what was there before the first one."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests recorded as a ``figure`` is printed at the end, and why any was tried again."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"tried again: {report.nodeid}")
        terminalreporter.write(f"{report.longreprtext}\n")
    passed = terminalreporter.stats.get("passed", [])
    figures = [text for report in passed for name, text in report.user_properties if name == "figure"]
    if figures:
        terminalreporter.section("figures")
        terminalreporter.write("".join(f"{text}\n" for text in figures))


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """What a test sets up to log into is gone with it, and so must be the setting up."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest_asyncio.fixture
async def clean_loop() -> AsyncIterator[None]:
    """The test leaves no task behind, and no exception went to the event loop's handler."""
    loop = asyncio.get_running_loop()
    unhandled: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: unhandled.append(context))
    before = asyncio.all_tasks()
    yield
    leaked = await _unfinished(before)
    # What was never awaited says so when it is collected; what is left is in use, and need not be looked at again.
    gc.collect()
    gc.freeze()
    await asyncio.sleep(0)
    assert not leaked, f"tasks were left behind: {leaked}"
    assert not unhandled, f"the event loop saw unhandled exceptions: {unhandled}"


async def _unfinished(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    tasks = asyncio.all_tasks() - before - {asyncio.current_task()}
    return (await asyncio.wait(tasks, timeout=_SETTLES_WITHIN))[1] if tasks else set()
