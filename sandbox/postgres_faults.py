"""Faults of PostgreSQL itself, besides locks and replication: what a block has done is undone when it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from .cache import SandboxError
from .faulting import expect
from .parts import postgres
from .parts.postgres import sql
from .world import World

_FULL_FILE = "select pg_logical_emit_message(true, 'sandbox', 'archive'); select pg_switch_wal()"
_FAILS = "select 1 from pg_stat_archiver where last_failed_time > coalesce(last_archived_time, '-infinity')"


@contextmanager
def failing_archive(world: World, target: str | None = None) -> Iterator[str]:
    """A primary whose archive takes no file of the log."""
    if target is not None:
        raise SandboxError(f"this fault strikes one thing only, so {target!r} has no meaning")
    stop = postgres.archive_stop(world.services)
    stop.touch()
    try:
        sql(world.postgres, _FULL_FILE)
        expect(partial(_fails, world), "the archive takes what it is given")
        yield "the primary cannot archive its log"
    finally:
        stop.unlink()
        sql(world.postgres, _FULL_FILE)
        expect(lambda: not _fails(world), "the archive takes nothing yet")


def _fails(world: World) -> bool:
    return bool(sql(world.postgres, _FAILS))
