"""What was measured, as a section of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from .statistics import added, ratio
from .trial import Pairs

_MILLI: Final = 1000
_UNDO: Final = ("cancel", "erase")


def text(measured: Sequence[Pairs], facts: str) -> str:
    """The tables; ``facts`` says when and on what they were measured."""
    return "\n".join([facts, "", *_ratios(measured), "", *_steps(measured)]) + "\n"


def _ratios(measured: Sequence[Pairs]) -> Iterator[str]:
    yield (
        "| Odoo | over | pairs | Quaywatch, s | bare, s | ratio, 95 % | without undoing | calls over RPC "
        "| processor time of the client, ms | fastest of each, s |"
    )
    yield "|---" * 10 + "|"
    for one in measured:
        ours, bare = [sum(took.values()) for took in one.ours], [sum(took.values()) for took in one.bare]
        steps = ratio([_forward(took) for took in one.ours], [_forward(took) for took in one.bare])
        yield (
            f"| {_version(one)} | {one.transport} | {len(ours)} | {median(ours):.3f} | {median(bare):.3f} "
            f"| {ratio(ours, bare)} | {steps} | {one.calls[0]:g} and {one.calls[1]:g} "
            f"| {one.processor[0] * _MILLI:.0f} and {one.processor[1] * _MILLI:.0f} "
            f"| {min(ours):.3f} and {min(bare):.3f} |"
        )


def _forward(took: dict[str, float]) -> float:
    """The steps alone."""
    return sum(seconds for name, seconds in took.items() if name not in _UNDO)


def _steps(measured: Sequence[Pairs]) -> Iterator[str]:
    yield "Milliseconds that Quaywatch adds to each step, the median of the pairs:\n"
    for one in measured:
        each = ", ".join(
            f"{name} {added([took[name] for took in one.ours], [took[name] for took in one.bare]) * _MILLI:+.1f}"
            for name in one.ours[0]
        )
        yield f"- Odoo {_version(one)} over {one.transport}: {each}"


def _version(one: Pairs) -> str:
    return one.server.removeprefix("odoo")
