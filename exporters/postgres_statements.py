"""Which statements a PostgreSQL cluster spends its time on, from the extension ``pg_stat_statements``.

Off unless it is turned on: it costs a reading of every statement that is remembered. The texts stay on the server,
whose function is called so that it does not even load them; a statement is known by its ``query_id``, the same on
every reading, which ``pg_stat_statements`` tells the text of. What is counted is what was added between two readings:
the extension forgets statements and learns them again, and places among the shown change hands, so only differences
add up. Every series therefore counts from the agent's first sight of it. Where the kept session's database lacks the
extension the reading fails, since whoever turned this on expects something. The role ``pg_monitor`` is enough.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from quaywatch.contract import Exporter, Kind, Metric, Postgres, Row, Sample, TargetKind
from quaywatch.errors import VersionError

from .sight import require_sight
from .sticky import StickyTop

_WHO: Final = ("database", "role", "query_id")
CALLS = Metric("postgresql.statement.calls", Kind.COUNTER, "{call}", "How often a statement was run.", _WHO)
TIME = Metric("postgresql.statement.time", Kind.COUNTER, "s", "Time spent on running a statement.", _WHO)
ROWS = Metric("postgresql.statement.rows", Kind.COUNTER, "{row}", "Rows a statement gave or changed.", _WHO)
BLOCKS_READ = Metric(
    "postgresql.statement.blocks.read",
    Kind.COUNTER,
    "{block}",
    "Blocks a statement read from the operating system.",
    _WHO,
)
TEMP_BLOCKS = Metric(
    "postgresql.statement.temp_blocks.written",
    Kind.COUNTER,
    "{block}",
    "Blocks a statement wrote to temporary files.",
    _WHO,
)

SCHEMA = """
select quote_ident(n.nspname) as name, extract(epoch from clock_timestamp())::float8 as now
  from pg_extension e join pg_namespace n on n.oid = e.extnamespace
 where e.extname = 'pg_stat_statements'
"""
STATEMENTS = """
select coalesce(d.datname, '') as database, coalesce(r.rolname, '') as role, s.queryid::text as query_id,
       s.calls, s.total_exec_time / 1000 as seconds, s.rows, s.shared_blks_read as blocks,
       s.temp_blks_written as temp_blocks
  from {schema}.pg_stat_statements(set_config('work_mem', '64MB', true) is null) s
  left join pg_database d on d.oid = s.dbid
  left join pg_roles r on r.oid = s.userid
"""
"""The parameter is false: no texts. To find that out makes room, for this statement, for all entries there may be.

Otherwise the function's answer, and a ``group by`` even more so, goes to temporary files and back on a server with many
entries and little memory for each query.
"""

_COLUMNS: Final = {"calls": CALLS, "seconds": TIME, "rows": ROWS, "blocks": BLOCKS_READ, "temp_blocks": TEMP_BLOCKS}
_OTHER: Final = ("", "", "other")
_FADING: Final = 0.8
_CREATE: Final = "create extension pg_stat_statements; on the primary, with the library in shared_preload_libraries"

_Key = tuple[str, str, str]
_Numbers = tuple[float, ...]
_NOTHING: Final[_Numbers] = (0,) * len(_COLUMNS)


@dataclass(frozen=True, slots=True)
class Options:
    """What a configuration may tune."""

    top: int = field(default=20, metadata={"help": "how many statements are shown; the rest is 'other'", "at_least": 1})


@dataclass(slots=True)
class Memory:
    """The last reading, how much time each statement took of late, and the sums that are shown, with their starts."""

    last: dict[_Key, _Numbers] | None = None
    weights: dict[_Key, float] = field(default_factory=dict)
    shown: StickyTop[_Key] = field(default_factory=StickyTop)
    sums: dict[_Key, _Numbers] = field(default_factory=dict)
    starts: dict[_Key, float] = field(default_factory=dict)


async def collect(session: Postgres, options: Options, memory: Memory) -> AsyncIterator[Sample]:
    """The statements that take the most time, and the rest.

    Raises:
        VersionError: when the database of the kept session lacks the extension.
        PermissionDeniedError: when the role may not see others' statements.
    """
    schemas = await session.fetch(SCHEMA)
    if not schemas:
        raise VersionError(f"the database {session.database} lacks the extension pg_stat_statements", remedy=_CREATE)
    (schema,) = schemas
    rows = await session.fetch(STATEMENTS.format(schema=schema["name"]))
    require_sight("pg_stat_statements", hidden=any(row["query_id"] is None for row in rows))
    _remember(memory, rows, options.top, schema["now"])
    for sample in _samples(memory):
        yield sample


def _remember(memory: Memory, rows: Sequence[Row], top: int, now: float) -> None:
    """Add what is new since the last reading to the sums of the shown and of the rest."""
    read = _by_key(rows)
    added = _added(read, memory.last)
    memory.last = read
    memory.weights = _weighed(memory.weights, added)
    chosen = memory.shown.choose(memory.weights, top)
    sums = {key: memory.sums.get(key, _NOTHING) for key in (*chosen, _OTHER)}
    for key, numbers in added.items():
        place = key if key in chosen else _OTHER
        sums[place] = _plus(sums[place], numbers)
    memory.sums = sums
    memory.starts = {key: memory.starts.get(key, now) for key in sums}


def _by_key(rows: Iterable[Row]) -> dict[_Key, _Numbers]:
    """What each statement has; the extension keeps one that functions run too apart from itself."""
    found: dict[_Key, _Numbers] = {}
    for row in rows:
        key = row["database"], row["role"], row["query_id"]
        found[key] = _plus(found.get(key, _NOTHING), tuple(row[column] for column in _COLUMNS))
    return found


def _added(read: Mapping[_Key, _Numbers], last: Mapping[_Key, _Numbers] | None) -> dict[_Key, _Numbers]:
    """What each statement added; nothing on the first reading, and all of one that was forgotten in between."""
    if last is None:
        return dict.fromkeys(read, _NOTHING)
    return {key: _since(last.get(key, _NOTHING), numbers) for key, numbers in read.items()}


def _since(before: _Numbers, now: _Numbers) -> _Numbers:
    if any(new < old for old, new in zip(before, now, strict=True)):
        return now
    return tuple(new - old for old, new in zip(before, now, strict=True))


def _plus(left: _Numbers, right: _Numbers) -> _Numbers:
    return tuple(one + another for one, another in zip(left, right, strict=True))


def _weighed(weights: Mapping[_Key, float], added: Mapping[_Key, _Numbers]) -> dict[_Key, float]:
    """Milliseconds that each statement took, what lies further back counting less and less."""
    seconds = list(_COLUMNS).index("seconds")
    found: dict[_Key, float] = defaultdict(float)
    for key, numbers in added.items():
        found[key] = weights.get(key, 0.0) * _FADING + numbers[seconds] * 1000
    return found


def _samples(memory: Memory) -> Iterator[Sample]:
    for key, numbers in memory.sums.items():
        yield from _counters(numbers, key, memory.starts[key])


def _counters(numbers: Iterable[float], key: _Key, start: float) -> Iterator[Sample]:
    for metric, number in zip(_COLUMNS.values(), numbers, strict=True):
        yield metric(number, *key, start=start)


EXPORTER: Exporter[Postgres, Options, Memory] = Exporter(
    name="postgres_statements",
    reads=TargetKind.POSTGRES,
    metrics=tuple(_COLUMNS.values()),
    options=Options,
    collect=collect,
    state=Memory,
    every=60.0,
    on=False,
)
