"""Checkpoints: rows in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from exporters.postgres_checkpoints import (
    BACKGROUND_WRITER,
    BACKGROUND_WRITER_16,
    CHECKPOINTER,
    CHECKPOINTER_17,
    CONTROL,
    EXPORTER,
)
from quaywatch.contract import Postgres, Row, Value

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Postgres]

_CHECKPOINTS: Row = {"timed": 9, "requested": 2, "write": 12.5, "sync": 0.5, "by_checkpointer": 800, "start": 1000.0}
_BUFFERS: Row = {"by_background_writer": 5, "cut_short": 1, "allocated": 70, "start": 2000.0}
_RESTARTS: Row = {"restart_timed": 0, "restart_requested": 0, "restart_done": 0}
_CONTROL: list[Row] = [{"age": 60.0}]

OLD = {CONTROL: _CONTROL, BACKGROUND_WRITER_16: [{**_CHECKPOINTS, **_BUFFERS, "by_backend": 3}]}
SPLIT = {
    CONTROL: _CONTROL,
    CHECKPOINTER_17: [{**_CHECKPOINTS, **_RESTARTS}],
    BACKGROUND_WRITER: [_BUFFERS],
}
NEWEST = {
    CONTROL: _CONTROL,
    CHECKPOINTER: [{**_CHECKPOINTS, **_RESTARTS, "done": 7}],
    BACKGROUND_WRITER: [_BUFFERS],
}


@pytest.mark.parametrize(("answers", "version"), [(OLD, 150000), (SPLIT, 170000), (NEWEST, 180000)])
async def test_the_same_metrics_on_every_version(
    answers: dict[str, list[Row]], version: int, postgres: Make, read: Read
) -> None:
    """Row 13: nothing goes silent when the counters move to another view."""
    found = await read(EXPORTER, postgres(answers, version=version))
    assert found["postgresql.checkpoint.count", "timed"] == 9
    assert found["postgresql.checkpoint.count", "requested"] == 2
    assert found["postgresql.checkpoint.time", "write"] == 12.5
    assert found["postgresql.buffers.written", "checkpointer"] == 800
    assert found["postgresql.buffers.written", "background writer"] == 5
    assert found["postgresql.buffers.allocated",] == 70
    assert found["postgresql.checkpoint.last.age",] == 60.0


async def test_what_a_version_does_not_count_is_absent(postgres: Make, read: Read) -> None:
    """Backends' writes end with 16, restartpoints begin with 17, checkpoints done with 18."""
    old, split = await read(EXPORTER, postgres(OLD)), await read(EXPORTER, postgres(SPLIT, version=170000))
    newest = await read(EXPORTER, postgres(NEWEST, version=180000))
    written, restarted, done = (
        ("postgresql.buffers.written", "backend"),
        ("postgresql.restartpoint.count", "done"),
        ("postgresql.checkpoint.done",),
    )
    assert [written in old, written in split, written in newest] == [True, False, False]
    assert [restarted in old, restarted in split, restarted in newest] == [False, True, True]
    assert [done in old, done in split, done in newest] == [False, False, True]


async def test_each_view_has_its_own_start(postgres: Make) -> None:
    """Row 23: the two views are reset apart."""
    driver = postgres(SPLIT, version=170000)
    starts = {s.metric.name: s.start async for s in EXPORTER.collect(driver, EXPORTER.options(), None)}
    assert starts["postgresql.checkpoint.count"] == 1000.0
    assert starts["postgresql.buffers.allocated"] == 2000.0
