"""Rules for a world whose time runs faster: the same conditions on the same values, hours made seconds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_RANGE = re.compile(r"\[(\d+)([smhd])\]")
_DURATION = re.compile(r"(\d+)([smhd])")
_DURATIONS = ("for", "keep_firing_for")
_LEAST = 0.25
"""Seconds between two evaluations, at least."""


def hurried(
    groups: Iterable[dict[str, Any]], factor: float, owner: str, *, real_clock: bool = False
) -> Iterator[dict[str, Any]]:
    """Groups of rules for a world in which ``factor`` seconds pass in one.

    Ranges, ``for`` and ``keep_firing_for`` are that much shorter, and the time of day runs that much faster, unless
    what is read goes by the ``real_clock``; values and thresholds are as they were. ``owner`` names the groups and what
    they record, so that other such groups may stand beside them.
    """
    clock = 1 if real_clock else factor
    for group in groups:
        every = max(_seconds(group["interval"]) / factor, _LEAST)
        rules = [_rule(rule, factor, owner, clock) for rule in group["rules"]]
        yield {"name": f"{owner}-{group['name']}", "interval": _written(every), "rules": rules}


def ranges(groups: Iterable[dict[str, Any]]) -> list[float]:
    """The times that rules look back, in seconds."""
    return [_seconds(f"{number}{unit}") for rule in _rules(groups) for number, unit in _RANGE.findall(rule["expr"])]


def waits(groups: Iterable[dict[str, Any]]) -> list[float]:
    """How long alerts must be ill, and how long they go on afterwards, in seconds."""
    return [_seconds(rule[key]) for rule in _rules(groups) for key in _DURATIONS if key in rule]


def _rules(groups: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (rule for group in groups for rule in group["rules"])


def _rule(rule: dict[str, Any], factor: float, owner: str, clock: float) -> dict[str, Any]:
    shorter = {key: _written(_seconds(rule[key]) / factor) for key in _DURATIONS if key in rule}
    named = {"record": _own(rule["record"], owner)} if "record" in rule else {}
    expr = _RANGE.sub(lambda found: f"[{_written(_seconds(found[0][1:-1]) / factor)}]", rule["expr"])
    return {**rule, **shorter, **named, "expr": _own(expr, owner).replace("time()", f"(time() * {clock:.15g})")}


def _own(text: str, owner: str) -> str:
    return text.replace("quaywatch:", f"{owner}:")


def _seconds(duration: str) -> float:
    match = _DURATION.fullmatch(duration)
    assert match, duration
    return int(match[1]) * _UNITS[match[2]]


def _written(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"
