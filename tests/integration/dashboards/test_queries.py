"""Every query of every panel returns data in both stores, from a real agent on real servers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from sandbox import agent, faults
from sandbox.parts import api, prometheus, victoriametrics
from sandbox.world import World
from tests.contract.test_dashboards import expressions, panels, rendered

PARTS = ("odoo14", "odoo19", "standby", "redis", "collector", "prometheus")
EVERY = 5.0
CHOSEN = {"$environment": ".*", "$target": ".*", "$__rate_interval": "1m"}
_WITHIN = 90.0

Ask = Callable[[str], object]


@pytest.fixture(scope="module")
def troubled(world: World) -> Iterator[World]:
    """The sandbox with the agent on it, while somebody waits for a lock and jobs are overdue."""
    running = agent.start(world.services, world, every=EVERY, probe_every=EVERY)
    try:
        prometheus.set_targets(world.prometheus, [running.address])
        with ExitStack() as stack:
            stack.enter_context(faults.lock(world, "odoo14"))
            stack.enter_context(faults.queue_stall(world, "odoo14"))
            yield world
    finally:
        prometheus.set_targets(world.prometheus, [])
        world.services.stop(agent.NAME)


def queries() -> list[str]:
    """All PromQL of all dashboards, the variables chosen."""
    texts = [text for dashboard in rendered().values() for panel in panels(dashboard) for text in expressions(panel)]
    for variable, value in CHOSEN.items():
        texts = [text.replace(variable, value) for text in texts]
    return texts


def unanswered(ask: Ask) -> list[str]:
    """The queries that return nothing until the deadline; a query in error raises."""
    left, deadline = queries(), time.monotonic() + _WITHIN
    while left and time.monotonic() < deadline:
        left = [text for text in left if not ask(text)]
    return left


def test_every_query_has_data_in_prometheus(troubled: World) -> None:
    """Row 37: what is scraped answers every panel."""
    assert unanswered(lambda text: api.query(troubled.prometheus.url, text)) == []


def test_every_query_has_data_in_victoriametrics(troubled: World) -> None:
    """What arrives by OTLP answers every panel."""
    assert unanswered(lambda text: victoriametrics.query(troubled.victoriametrics, text)) == []
