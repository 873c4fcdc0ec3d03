"""``quaywatch probe``: what a run by hand is, and is not."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest

from quaywatch.cli.browsing import plan_browser
from quaywatch.cli.flows import FlowOnTarget
from quaywatch.cli.probe import EXIT_CODES, _run
from quaywatch.cli.terminal import Console
from quaywatch.config import Settings, load_text
from quaywatch.contract import Outcome, Transaction, Watched
from quaywatch.errors import FaultError
from quaywatch.runtime.probing import PASSED, RunRecord
from tests.unit.config.registry import EXPORTERS, PROBES
from tests.unit.runtime.fakes import FakeDriver
from tests.unit.runtime.probe_fakes import TARGET, task

TEXT = "environment: test\ninstallation: acme\ntargets:\n  erp: {kind: http, url: http://erp}\n"


@pytest.fixture
def settings() -> Settings:
    """A configuration."""
    return load_text(TEXT, "test.yaml", {}, EXPORTERS, PROBES)


class Flow:
    """A flow that fails each time, and notes the marks of its attempts."""

    def __init__(self) -> None:
        self.marks: list[str] = []

    async def run(self, _driver: Any, _options: Any, tx: Transaction) -> None:
        """One attempt."""
        self.marks.append(tx.mark)
        async with tx.step("one"):
            raise FaultError("broken")

    async def by_hand(self, settings: Settings) -> RunRecord:
        """What the command does, for a configuration that allows three attempts."""
        configured = replace(task(self.run), attempts=3)
        flow = FlowOnTarget(Watched(TARGET, FakeDriver, probes=(configured,)), configured)
        console = Console(io.StringIO(), io.StringIO())
        return await _run(flow, settings, console, plan_browser(settings), told=True)


async def test_it_is_tried_once_and_has_a_mark_of_its_own(settings: Settings) -> None:
    """A person wants to see the failure; and no run of the agent is taken for this one, nor this one for another."""
    flow = Flow()
    records = [await flow.by_hand(settings) for _ in range(2)]
    assert [(record.outcome, record.attempts) for record in records] == [(Outcome.FAILURE, 1)] * 2
    assert len(set(flow.marks)) == 2
    assert records[0].trace_id == ""


def test_every_end_of_a_run_has_an_exit_code() -> None:
    """Whatever a single attempt may come to."""
    assert set(EXIT_CODES) == {Outcome.FAILURE, Outcome.INVALID, *PASSED} - {Outcome.FLAKY}
