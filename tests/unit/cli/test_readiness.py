"""Ready is who has looked at everything that is theirs."""

from __future__ import annotations

from quaywatch.cli.plan import plan
from quaywatch.cli.readiness import acted_on, looked_at
from quaywatch.clock import SystemClock
from quaywatch.config import load_text
from quaywatch.runtime.catalogue import SCRAPE_SUCCESS, TARGET_UP
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.leases import AlwaysHeld
from tests.unit.config.registry import EXPORTERS, PROBES

TEXT = """
environment: test
installation: acme
targets:
  db: {kind: postgres, host: db}
  cache: {kind: redis, host: cache, reach: local}
"""
WATCHED = plan(load_text(TEXT, "test.yaml", {}, EXPORTERS, PROBES))


class NoneHeld(AlwaysHeld):
    """Leases that another agent holds."""

    def held(self, _name: str) -> bool:
        """Never."""
        return False


def test_a_shared_target_counts_for_its_holder_only() -> None:
    """A local one counts for everybody."""
    assert [one.target.name for one in acted_on(WATCHED, AlwaysHeld())] == ["db", "cache"]
    assert [one.target.name for one in acted_on(WATCHED, NoneHeld())] == ["cache"]


def test_a_target_has_to_be_pinged_and_read() -> None:
    """Whether that went well does not matter."""
    meter = Instruments("test", SystemClock())
    (cache,) = acted_on(WATCHED, NoneHeld())
    assert not looked_at([cache], meter.series())
    meter.set(TARGET_UP, 0, "cache", "redis")
    assert not looked_at([cache], meter.series())
    meter.set(SCRAPE_SUCCESS, 0, "cache", "memory", "")
    assert looked_at([cache], meter.series())


def test_readiness_is_not_leadership() -> None:
    """An agent that waits for others to die is ready: it looked at everything that is its own, which is nothing."""
    shared = [one for one in WATCHED if one.target.name == "db"]
    assert acted_on(shared, NoneHeld()) == []
    assert looked_at(acted_on(shared, NoneHeld()), [])
    assert not looked_at(acted_on(shared, AlwaysHeld()), [])
