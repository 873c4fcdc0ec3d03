"""The scheduled actions (crons) of an Odoo database: which are late, fail, time out or are switched off.

Read by SQL, once per tenant. Odoo looks for due crons about once a minute, and a cron that runs keeps its planned time
until it ends: only what is late by more than ``overdue_after`` is overdue, and one that runs longer looks so too.

Before version 18 Odoo notes no failures: a cron that fails there is planned anew as if all was well. From 18 on it
switches a cron off that fails for a week, and forgets the failures with it; so the crons that were seen failing are
remembered, for as long as the agent runs. Whether Odoo skips a database because its code has another version than the
database cannot be seen here: compare ``odoo.version.info`` between tenants.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from quaywatch.contract import Exporter, Grant, Kind, Metric, Per, Postgres, Row, Sample, TargetKind

from .odoo_tables import columns
from .sticky import StickyTop

ACTIVE = Metric("odoo.cron.active", Kind.UPDOWN, "{cron}", "Crons that are switched on.")
INACTIVE = Metric("odoo.cron.inactive", Kind.UPDOWN, "{cron}", "Crons that have run before and are switched off now.")
SKIPPED = Metric(
    "odoo.cron.skipped",
    Kind.GAUGE,
    "",
    "1 while Odoo runs no cron of the database since modules wait to be installed, upgraded or removed, else 0.",
)
LAST_RUN = Metric(
    "odoo.cron.last_run.age",
    Kind.GAUGE,
    "s",
    "How long ago any cron that is switched on ended last. Rises when the whole cron machinery stands still.",
)
OVERDUE = Metric(
    "odoo.cron.overdue", Kind.UPDOWN, "{cron}", "Crons that should have run longer ago than the configured allowance."
)
OVERDUE_LONGEST = Metric(
    "odoo.cron.overdue.longest", Kind.GAUGE, "s", "How late the latest overdue cron is. Absent when none is."
)
OVERDUE_AGE = Metric(
    "odoo.cron.overdue.age", Kind.GAUGE, "s", "How late an overdue cron is, the latest ones by name.", ("cron",)
)
FAILING = Metric(
    "odoo.cron.failing", Kind.UPDOWN, "{cron}", "Crons whose last run failed. Absent before Odoo 18, which notes none."
)
FAILURES = Metric(
    "odoo.cron.failures",
    Kind.GAUGE,
    "{failure}",
    "Failed runs in a row of a cron, those with most by name. Absent before Odoo 18.",
    ("cron",),
)
FAILING_LONGEST = Metric(
    "odoo.cron.failing.longest",
    Kind.GAUGE,
    "s",
    "How long ago the first of the failures in a row was, at most. Odoo switches a cron off after a week of them.",
)
SWITCHED_OFF = Metric(
    "odoo.cron.switched_off",
    Kind.UPDOWN,
    "{cron}",
    "Crons that were failing when they were switched off, by Odoo itself or by somebody. Absent before Odoo 18.",
)
RUN_AGE = Metric(
    "odoo.cron.run.age",
    Kind.GAUGE,
    "s",
    "How long ago the last run of a cron named in the options ended, well or not. Absent if it never ran.",
    ("cron",),
)
SUCCESS_AGE = Metric(
    "odoo.cron.success.age",
    Kind.GAUGE,
    "s",
    "How long ago, at least, a cron named in the options ended well last. Absent before Odoo 18, and if it never ran.",
    ("cron",),
)
FOUND = Metric(
    "odoo.cron.found", Kind.GAUGE, "", "1 for a cron named in the options that is there and switched on.", ("cron",)
)
TRIGGERS_LATE = Metric(
    "odoo.cron.triggers.late",
    Kind.UPDOWN,
    "{trigger}",
    "Extra runs that were asked for and are later than the configured allowance. Absent before Odoo 16.",
)
TRIGGERS_LONGEST = Metric(
    "odoo.cron.triggers.longest", Kind.GAUGE, "s", "How late the latest of the late triggers is. Absent when none is."
)
TIMED_OUT = Metric(
    "odoo.cron.timed_out.recent",
    Kind.GAUGE,
    "{cron}",
    "Crons of which a run was cut off by a time-out within the last day. Absent before Odoo 18.",
)

GRANTS = (
    Grant(
        "ir_cron",
        ("id", "cron_name", "active", "nextcall", "lastcall", "numbercall", "failure_count", "first_failure_date"),
    ),
    Grant("ir_cron_trigger", ("cron_id", "call_at")),
    Grant("ir_cron_progress", ("cron_id", "create_date", "timed_out_counter")),
    Grant("ir_module_module", ("name", "state", "latest_version")),
)

_CRONS = """
with clock as (select clock_timestamp() at time zone 'utc' as now)
select id,
       coalesce(to_jsonb(cron_name) ->> 'en_US', to_jsonb(cron_name) #>> '{}', id::text) as name,
       :active as active,
       extract(epoch from now - nextcall)::float8 as late,
       extract(epoch from now - lastcall)::float8 as idle,
       :failures as failures,
       :failing as failing
  from public.ir_cron, clock
"""
"""A name is a text, or on Odoo 16 a text for each language."""
CRONS_14 = (
    _CRONS.replace(":active", "(active and numbercall <> 0)")
    .replace(":failures", "null::int4")
    .replace(":failing", "null::float8")
)
"""Where a cron may have no more calls left, which Odoo then never runs. ``doall`` and ``numbercall`` went with 18."""
CRONS = (
    _CRONS.replace(":active", "active")
    .replace(":failures", "coalesce(failure_count, 0)")
    .replace(":failing", "extract(epoch from now - first_failure_date)::float8")
)
TRIGGERS = """
with clock as (select clock_timestamp() at time zone 'utc' as now)
select count(*) as late, extract(epoch from max(now - t.call_at))::float8 as longest
  from clock, public.ir_cron_trigger t
  join public.ir_cron c on c.id = t.cron_id and c.active
 where t.call_at < now - make_interval(secs => $1)
"""
PROGRESS = """
select count(distinct cron_id) as crons
  from public.ir_cron_progress
 where timed_out_counter > 0 and create_date >= (now() at time zone 'utc') - interval '1 day'
"""
MODULES = """
select exists (
    select from public.ir_module_module
     where state like 'to %' or (name = 'base' and latest_version is null)) as skipped
"""

_OTHER = "other"
V = TypeVar("V", int, float)


@dataclass(frozen=True, slots=True)
class Options:
    """What a configuration may tune."""

    overdue_after: float = field(
        default=180.0,
        metadata={"help": "seconds past its time from which a cron or trigger is late; Odoo itself takes up to 75"},
    )
    named: tuple[str, ...] = field(
        default=(), metadata={"help": "English names of crons of which the age of the last run and success is shown"}
    )
    top: int = field(
        default=10, metadata={"help": "how many late and how many failing crons are shown by name; the rest is 'other'"}
    )


@dataclass(slots=True)
class Memory:
    """Who is shown by name, and which crons were failing when they were last seen switched on."""

    overdue: StickyTop[str] = field(default_factory=StickyTop)
    failing: StickyTop[str] = field(default_factory=StickyTop)
    failed_last: set[int] = field(default_factory=set)


async def collect(session: Postgres, options: Options, memory: Memory) -> AsyncIterator[Sample]:
    """The crons of the database that ``session`` is in."""
    there = await columns(session, "ir_cron", "ir_cron_trigger", "ir_cron_progress")
    if not there["ir_cron"]:
        return
    notes_failures = "failure_count" in there["ir_cron"]
    crons = await session.fetch(CRONS if notes_failures else CRONS_14)
    for sample in samples_of(crons, options, memory):
        yield sample
    if notes_failures:
        for sample in failures_of(crons, options, memory):
            yield sample
    if there["ir_cron_trigger"]:
        for sample in _triggers(await session.fetch(TRIGGERS, options.overdue_after)):
            yield sample
    if "timed_out_counter" in there["ir_cron_progress"]:
        (progress,) = await session.fetch(PROGRESS)
        yield TIMED_OUT(progress["crons"])
    (modules,) = await session.fetch(MODULES)
    yield SKIPPED(int(modules["skipped"]))


def samples_of(crons: Sequence[Row], options: Options, memory: Memory) -> Iterator[Sample]:
    """What every version knows of its crons; each row is one, as `CRONS` has it."""
    active = [cron for cron in crons if cron["active"]]
    yield ACTIVE(len(active))
    yield INACTIVE(sum(not cron["active"] and cron["idle"] is not None for cron in crons))
    runs = [cron["idle"] for cron in active if cron["idle"] is not None]
    if runs:
        yield LAST_RUN(max(0.0, min(runs)))
    late = [cron for cron in active if cron["late"] > options.overdue_after]
    yield OVERDUE(len(late))
    if late:
        yield OVERDUE_LONGEST(max(cron["late"] for cron in late))
    ages = _by_name(late, "late", max)
    yield from _shown(OVERDUE_AGE, ages, memory.overdue.choose(ages, options.top), max)
    yield from _named(active, options)


def _named(active: Sequence[Row], options: Options) -> Iterator[Sample]:
    """The crons that the configuration names; of several with one name the one that rests longest."""
    for name in options.named:
        bearers = [cron for cron in active if cron["name"] == name]
        yield FOUND(int(bool(bearers)), name)
        ran = [cron for cron in bearers if cron["idle"] is not None]
        if ran:
            yield RUN_AGE(max(0.0, *(cron["idle"] for cron in ran)), name)
        successes = [max(cron["idle"], cron["failing"] or 0.0) for cron in ran if cron["failures"] is not None]
        if successes:
            yield SUCCESS_AGE(max(0.0, *successes), name)


def failures_of(crons: Sequence[Row], options: Options, memory: Memory) -> Iterator[Sample]:
    """Who fails, and who was switched off over it, where failures are noted."""
    failing = [cron for cron in crons if cron["active"] and cron["failures"]]
    yield FAILING(len(failing))
    counts = _by_name(failing, "failures", sum)
    yield from _shown(FAILURES, counts, memory.failing.choose(counts, options.top), sum)
    ages = [cron["failing"] for cron in failing if cron["failing"] is not None]
    if ages:
        yield FAILING_LONGEST(max(0.0, *ages))
    off = {
        cron["id"] for cron in crons if not cron["active"] and (cron["failures"] or cron["id"] in memory.failed_last)
    }
    memory.failed_last = off | {cron["id"] for cron in failing}
    yield SWITCHED_OFF(len(off))


def _triggers(rows: Sequence[Row]) -> Iterator[Sample]:
    (row,) = rows
    yield TRIGGERS_LATE(row["late"])
    if row["longest"] is not None:
        yield TRIGGERS_LONGEST(row["longest"])


def _by_name(crons: Iterable[Row], column: str, combine: Callable[[Iterable[V]], V]) -> dict[str, V]:
    """A column by the names of the crons, which need not be unique."""
    values: defaultdict[str, list[V]] = defaultdict(list)
    for cron in crons:
        values[cron["name"]].append(cron[column])
    return {name: combine(several) for name, several in values.items()}


def _shown(
    metric: Metric, values: Mapping[str, V], shown: frozenset[str], combine: Callable[[Iterable[V]], V]
) -> Iterator[Sample]:
    """One series for each that is shown, and one for the rest."""
    yield from (metric(values[name], name) for name in shown)
    rest = [value for name, value in values.items() if name not in shown]
    if rest:
        yield metric(combine(rest), _OTHER)


OF_CRONS = (
    ACTIVE,
    INACTIVE,
    SKIPPED,
    LAST_RUN,
    OVERDUE,
    OVERDUE_LONGEST,
    OVERDUE_AGE,
    FAILING,
    FAILURES,
    FAILING_LONGEST,
    SWITCHED_OFF,
    RUN_AGE,
    SUCCESS_AGE,
    FOUND,
)
"""What the crons themselves tell, whichever way they are read."""

EXPORTER: Exporter[Postgres, Options, Memory] = Exporter(
    name="odoo_cron",
    reads=TargetKind.POSTGRES,
    metrics=(*OF_CRONS, TRIGGERS_LATE, TRIGGERS_LONGEST, TIMED_OUT),
    options=Options,
    collect=collect,
    state=Memory,
    per=Per.DATABASE,
    every=30.0,
    grants=GRANTS,
)
