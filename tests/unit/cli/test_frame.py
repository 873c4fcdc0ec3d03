"""What a reload changes in place."""

from __future__ import annotations

import pytest

from quaywatch.cli.frame import Frame
from quaywatch.config import Settings, load_text
from tests.unit.config.registry import EXPORTERS, PROBES

TEXT = "environment: test\ninstallation: acme\ntargets:\n  db: {kind: postgres, host: db}\n"
WINDOW = 'maintenance: [{name: w, from: "2026-12-01T22:00:00Z", until: "2026-12-02T02:00:00Z"}]\n'


def settings(more: str = "") -> Settings:
    """The settings with something more."""
    return load_text(TEXT + more, "test.yaml", {}, EXPORTERS, PROBES)


@pytest.mark.parametrize(
    ("more", "in_place"),
    [
        (WINDOW, True),
        ("exporters: {locks: {every: 60}}\n", True),
        ("lease: {kubernetes: {}}\n", False),
        ("lease: {ttl: 30}\n", False),
        ("lease: {shards: true}\n", False),
        ("discovery: {node: worker-1}\n", True),
    ],
    ids=["maintenance", "an interval", "another keeper", "another time to live", "shards", "discovery"],
)
async def test_what_a_reload_takes_over_without_a_break(more: str, in_place: bool) -> None:  # noqa: FBT001 - a case
    """A maintenance window interrupts no run; leases that are kept elsewhere take a new agent."""
    assert Frame(settings(), {}).takes(settings(more)) is in_place
