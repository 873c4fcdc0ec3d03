"""What the trial gave, as a section of docs/residue.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from .trial import Stretch, Trial, counts

_COLUMNS: Final = (
    "Runs",
    "in a browser",
    "killed in the middle",
    "failed",
    "swept",
    "residue",
    "foretold",
    "permanent",
    "foretold",
)
_SHOWN: Final = 3
"""Sentences of what was wrong that the page shows; the terminal shows all."""


def text(trials: Sequence[Trial], facts: str) -> str:
    """The figures; ``facts`` says when and on what they were taken."""
    return (
        "\n".join([facts, "", *_stretches(trials), "", *_flows(trials), "", *_tables(trials), *_wrong(trials)]) + "\n"
    )


def _stretches(trials: Sequence[Trial]) -> Iterator[str]:
    yield "| Odoo | Janitor | " + " | ".join(_COLUMNS) + " |"
    yield "|---" * (2 + len(_COLUMNS)) + "|"
    for trial in trials:
        for one in trial.stretches:
            yield (
                f"| {_version(trial)} | {'yes' if one.has_janitor else 'no'} | "
                + " | ".join(map(str, _cells(one)))
                + " |"
            )


def _cells(one: Stretch) -> tuple[int, ...]:
    runs, sums, left = one.series.runs, one.swept.values(), one.foretold.values()
    return (
        len(runs),
        sum(run.turn.probe.startswith("browser_") for run in runs),
        len(one.series.cut_short()),
        len(one.series.failed()),
        sum(each.undone + each.erased for each in sums),
        sum(each.residue for each in sums),
        sum(each.residue for each in left),
        sum(each.permanent for each in sums),
        sum(each.permanent for each in left),
    )


def _version(trial: Trial) -> str:
    return trial.server.removeprefix("odoo")


def _flows(trials: Sequence[Trial]) -> Iterator[str]:
    made = [counts(one.series) for trial in trials for one in trial.stretches]
    names = sorted({name for one in made for name in one})
    each = ", ".join(f"{name} {sum(one[name] for one in made)}" for name in names)
    yield f"Runs of each flow: {each}."


def _tables(trials: Sequence[Trial]) -> Iterator[str]:
    for trial in trials:
        grown = {table: change.new for table, change in trial.changes.items() if change.new}
        changed = sum(change.gone for change in trial.changes.values())
        yield (
            f"Odoo {_version(trial)}: {trial.rows} rows in {trial.tables} tables before, of which {changed} were "
            f"changed or deleted afterwards. New rows in {len(grown)} tables, as many as were foretold in brackets: "
            + ", ".join(f"`{table}` {new} ({trial.foretold.get(table, 0)})" for table, new in grown.items())
            + ".\n"
        )


def _wrong(trials: Sequence[Trial]) -> Iterator[str]:
    wrong = [f"Odoo {_version(trial)}: {sentence}" for trial in trials for sentence in trial.wrong]
    yield f"Not as foretold: {len(wrong)}."
    yield from (f"\n- {sentence}" for sentence in wrong[:_SHOWN])
