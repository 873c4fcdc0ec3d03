"""The trial: for each number of tenants all tools side by side, a cycle of each in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from .gauge import Cost, Gauge, Held
from .servers import Servers
from .tools import Tool, kept, probed, quaywatch

_ROLES: Final = ("kept", "probed")
_CYCLES: Final = {1: 10, 50: 8, 300: 5}
_FEW: Final = 3


@dataclass(frozen=True, kw_only=True)
class Round:
    """What was measured with so many tenants, by the names of the tools: costs, what is held, the last page."""

    tenants: int
    costs: Mapping[str, Sequence[Cost]]
    held: Mapping[str, Held]
    pages: Mapping[str, str]


def rounds(
    servers: Servers, tenants: Sequence[int], *, cycles: int | None = None, say: Callable[[str], None] = print
) -> Iterator[Round]:
    """A round for each of these numbers of tenants, which ascend; with so many cycles, or as many as are worth it."""
    for role in _ROLES:
        servers.role(role)
    for wanted in tenants:
        say(f"{wanted} tenants: making them")
        servers.tenants(wanted)
        yield _round(servers, wanted, cycles or _worth(wanted), say)


def _worth(tenants: int) -> int:
    """The more tenants, the longer a cycle, and the less one differs from another."""
    return next((cycles for most, cycles in _CYCLES.items() if tenants <= most), _FEW)


def _round(servers: Servers, tenants: int, cycles: int, say: Callable[[str], None]) -> Round:
    with ExitStack() as stack:
        tools = [stack.enter_context(start(servers)) for start in (quaywatch, kept, probed)]
        gauge = Gauge(servers)
        costs: dict[str, list[Cost]] = {tool.name: [] for tool in tools}
        pages = {}
        for turn in range(-1, cycles):
            for tool in _in_turn(tools, turn):
                cost, pages[tool.name] = gauge.cycle(tool)
                say(f"{tenants} tenants: {tool.name}: {cost.wall:.2f} s, {cost.series} series")
                if turn >= 0:  # the one before is for warming up
                    costs[tool.name].append(cost)
        held = {tool.name: gauge.held(tool) for tool in tools}
        return Round(tenants=tenants, costs=costs, held=held, pages=pages)


def _in_turn(tools: Sequence[Tool], turn: int) -> Sequence[Tool]:
    """Each begins as often as the others: who comes first finds other things in the caches."""
    first = turn % len(tools)
    return [*tools[first:], *tools[:first]]
