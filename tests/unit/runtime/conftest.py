"""A test module says by its global ``LOOP`` how its event loop is made: `tests.unit.runtime.fakes.VirtualLoop`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the test's module asks for, else the usual one."""
    module = item.getparent(pytest.Module)
    return {"loop": getattr(module.obj if module else None, "LOOP", asyncio.new_event_loop)}
