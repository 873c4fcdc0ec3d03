"""The benchmark in small: three tenants, two cycles of each tool."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import report
from bench.families import FAMILIES
from bench.servers import Servers, servers
from bench.trial import Round, rounds

TENANTS = 3
OURS, KEPT, PROBED = "Quaywatch", "sessions kept", "a probe each"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The benchmark's own servers."""
    with servers(tmp_path_factory.mktemp("bench")) as running:
        yield running


@pytest.fixture(scope="module")
def measured(made: Servers) -> Round:
    """One round."""
    (one,) = rounds(made, [TENANTS], cycles=2, say=lambda _: None)
    return one


def test_both_sides_read_every_family(measured: Round) -> None:
    """The comparison is one of equals: whatever is named as read stands on the pages of all three."""
    shown = {
        name: {line.split("{")[0].split(" ")[0] for line in page.splitlines()} for name, page in measured.pages.items()
    }
    assert [family.name for family in FAMILIES if family.ours not in shown[OURS]] == []
    for peer in (KEPT, PROBED):
        assert [family.name for family in FAMILIES if family.theirs not in shown[peer]] == []


def test_every_tenant_is_on_every_page(measured: Round, made: Servers) -> None:
    """Nobody is cheap by leaving tenants out."""
    tables = {OURS: "postgresql_table_rows_dead", KEPT: "pg_stat_user_tables", PROBED: "pg_stat_user_tables"}
    for name, page in measured.pages.items():
        of_tables = "\n".join(line for line in page.splitlines() if line.startswith(tables[name]))
        assert [tenant for tenant in made.names() if f'"{tenant}"' not in of_tables] == []


def test_the_agent_visits_and_leaves(measured: Round) -> None:
    """One connection for each tenant and cycle, four at a time at most, one between cycles."""
    assert {cost.connections for cost in measured.costs[OURS]} == {TENANTS}
    assert all(cost.most_sessions <= 4 for cost in measured.costs[OURS])
    assert measured.held[OURS].sessions == 1


def test_the_peers_are_what_their_names_say(measured: Round) -> None:
    """One keeps a session in each tenant, the other makes them anew and keeps none there."""
    assert measured.held[KEPT].sessions == TENANTS + 1
    assert all(cost.connections >= 2 * TENANTS for cost in measured.costs[PROBED])
    assert measured.held[PROBED].sessions == 1


def test_everything_that_is_compared_was_measured(measured: Round) -> None:
    """No figure is 0 for having been looked for in the wrong place."""
    for costs in measured.costs.values():
        for cost in costs:
            assert min(cost.wall, cost.database, cost.statements, cost.commands, cost.series) > 0
    assert all(sum(cost.processor for cost in costs) > 0 for costs in measured.costs.values())
    assert all(min(held.resident, held.own, held.session_memory) > 0 for held in measured.held.values())


def test_the_tables_go_between_the_markers(measured: Round, tmp_path: Path) -> None:
    """What was written before is replaced, and what stands round it stays."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- figures: begin -->\nold\n<!-- figures: end -->\nafter\n")
    report.write([measured], "the facts", page)
    text = page.read_text()
    assert text.startswith("before\n<!-- figures: begin -->\nthe facts\n")
    assert text.endswith("<!-- figures: end -->\nafter\n")
    assert "old" not in text
    assert f"### {TENANTS} tenants, 2 cycles each" in text
