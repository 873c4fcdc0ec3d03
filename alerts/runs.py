"""What is known of the last runs of flows, in PromQL with ``<metric.name>`` for a metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from .objectives import Paging
from .promises import BY, LATE_AFTER, Promise

_PROOF = 2
"""Runs that must have failed at least: one failure never pages."""


def every(promise: Promise) -> str:
    """The interval of each flow."""
    return f"max by ({BY}) (<quaywatch.probe.interval>{promise.select()})"


def most_failed(promise: Promise, pages: Paging) -> str:
    """Most of the last runs failed, or all but one of them did and the others were missed.

    What hangs in its steps and again in their undoing may take longer than an interval: every other run is missed then,
    and is no better for it.
    """
    least = min(pages.failures, max(_PROOF, pages.failures - 1))
    failed, bad = _count("failure", promise), _count("failure|missed", promise)
    condition = f"{failed} > {_threshold(least, pages.runs):g}\n  and\n  {_enough(bad, pages)}"
    return _by_interval(lambda _: condition, promise, lambda _: pages)


def most_were(outcome: str, promise: Promise, paging: Callable[[float], Paging]) -> str:
    """So many of the last runs ended so, whatever agent ran them; how many are meant depends on the interval."""
    count = _count(outcome, promise)
    return _by_interval(lambda pages: _enough(count, pages), promise, paging)


def most_slow(promise: Promise, pages: Paging) -> str:
    """Most of the last runs succeeded, and took longer than is promised."""
    fast = promise.select(bucket(promise.objective.latency.within))
    slow = (
        f"(sum by ({BY}) (increase(<quaywatch.probe.duration:count>{promise.select()}[WINDOW]))"
        f" - sum by ({BY}) (increase(<quaywatch.probe.duration:bucket>{fast}[WINDOW])))"
    )
    return _by_interval(lambda _: _enough(slow, pages), promise, lambda _: pages)


def bucket(within: float) -> str:
    """The matcher of a histogram's bucket, however the store spells its bound."""
    return f'le=~"{within:g}|{within:.1f}"'.replace(".", "[.]")


def late(promise: Promise) -> str:
    """No run for so many intervals; after maintenance as many are allowed as well."""
    ran = f"max by ({BY}) (<quaywatch.probe.last_run.time>{promise.select()})"
    interval = every(promise)
    started = "max by (environment) (<quaywatch.start.time>)"
    never = f"0 * ({interval} unless {ran}) + on (environment) group_left () (time() - {started})"
    overdue = f"time() - {ran} > {LATE_AFTER} * {interval}\nor\n({never}) > {LATE_AFTER} * {interval}"
    spared = "\nor\n".join(
        f"({_maintained(f'{LATE_AFTER * longest:.0f}s')} and {of_class})" for of_class, longest in _classes(promise)
    )
    return f"(\n{overdue}\n)\nunless\n(\n{spared}\n)"


def _count(outcomes: str, promise: Promise) -> str:
    """How many runs ended so; ``WINDOW`` stands for the time looked back.

    Counters survive an agent's restart in the sum.
    """
    operator = "=~" if "|" in outcomes else "="
    matching = promise.select(f'outcome{operator}"{outcomes}"')
    return f"sum by ({BY}) (increase(<quaywatch.probe.runs>{matching}[WINDOW]))"


def _by_interval(condition: Callable[[Paging], str], promise: Promise, paging: Callable[[float], Paging]) -> str:
    """A condition on the last runs, as many as there are to be: what did not run is not among the good ones.

    A range cannot follow a metric, so there is one window for each class of intervals. Of what stood in a maintenance
    window within that time nothing is said.
    """
    found = []
    for of_class, longest in _classes(promise):
        pages = paging(longest)
        window = f"{pages.runs * longest:.0f}s"
        met = condition(pages).replace("WINDOW", window)
        found.append(f"(\n  {met}\n  and\n  {of_class}\n  unless\n  {_maintained(window)}\n)")
    return "\nor\n".join(found)


def _classes(promise: Promise) -> Iterator[tuple[str, float]]:
    """Each class of intervals: what is true of its flows, and its longest interval; the last one is open."""
    for below, longest in pairwise((0.0, *promise.intervals)):
        above = f"{every(promise)} > {below:g}"
        yield (above if longest == promise.intervals[-1] else f"({above}) <= {longest:g}"), longest


def _enough(count: str, pages: Paging) -> str:
    return f"{count} > {_threshold(pages.failures, pages.runs):g}"


def _threshold(failures: int, runs: int) -> float:
    """Between what is asked for and one less, which Prometheus may stretch over the one step that no sample covers."""
    stretched = (failures - 1) * runs / (runs - 1) + 0.1
    return round(stretched if stretched < failures else failures - 0.5, 2)


def _maintained(window: str) -> str:
    return f"max by ({BY}) (max_over_time(<quaywatch.maintenance.active>[{window}])) == 1"
