"""What the dashboards have in common: matchers, variables, thresholds, and the shapes of panels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .builder import Json, Panel, Query, Steps, Variable
from .levels import Levels, Promise

PLACE = 'job=~"$job", environment="$environment"'
HERE = f'{PLACE}, target=~"$target"'
TENANT = f'{HERE}, database=~"$database"'
DATABASES = f'{PLACE}, database=~"$database"'
"""For the panels where a target is that of a flow, which is not where databases are read."""
FLOW = f'{HERE}, probe=~"$probe"'

GOOD = "success|flaky|cleanup_failed"
"""Outcomes of runs that did what users want."""
COUNTED = f"{GOOD}|failure"
"""Outcomes that say something of the system; the others are about the agent, or that nothing ran."""

RUN_EVERY = "5m"
"""The least time between two values about runs: of these there is one a minute, or fewer."""
INTERVALS = "suffix:intervals"
"""Grafana's unit for a number of intervals."""
NO_RUN = "no run ended in the time shown"

COMMON = (
    Variable(name="job", label="Job", metric="quaywatch.target.up", within_environment=False),
    Variable(
        name="environment", label="Environment", metric="quaywatch.target.up", within_environment=False, single=True
    ),
)
"""The choices of every dashboard. What is pushed has no job, and is there while none is chosen.

The environment is one: of several together, what is down in production would be up in staging."""
FLOW_TARGET = Variable(name="target", label="Target", metric="quaywatch.probe.runs")
PROBE = Variable(name="probe", label="Flow", metric="quaywatch.probe.runs")
SERVER = Variable(name="target", label="Server", metric="postgresql.recovery")
DATABASE = Variable(name="database", label="Database", metric="postgresql.transaction.commits")

YES_NO: tuple[Json, ...] = (
    {"type": "value", "options": {"1": {"text": "yes", "color": "green"}, "0": {"text": "NO", "color": "red"}}},
)
BAD_BELOW_ONE: Steps = ((None, "red"), (1.0, "green"))
NO_RULES = "nothing is recorded: are the rules of `quaywatch rules` loaded? Leave Job at All: what is recorded has none"
"""Shown where a panel shows what rules record."""
NOT_PROMISED: Steps = ((None, "blue"),)
"""For flows of which nothing is promised here."""
ANY_IS_BAD: Steps = ((None, "green"), (1.0, "red"))


def red_above(level: float) -> Steps:
    """Red from a level on."""
    return ((None, "green"), (level, "red"))


def red_below(level: float) -> Steps:
    """Red up to a level."""
    return ((None, "red"), (level, "green"))


def steps_of_each(levels: Levels, steps: Callable[[Promise], Steps]) -> tuple[tuple[str, Steps], ...]:
    """The thresholds for the series of each promise's flows, whose names begin with the flow's."""
    return tuple((f"^(?:{promise.probes}) ", steps(promise)) for promise in reversed(levels.flows))


def now(expression: str, legend: str = "") -> tuple[Query, ...]:
    """The one query for the value of this moment."""
    return (Query(expression, legend, instant=True),)


def over_time(expression: str, legend: str = "", *, every: str = "") -> tuple[Query, ...]:
    """The one query for a line over time."""
    return (Query(expression, legend, every=every),)


def traced(expression: str, legend: str) -> tuple[Query, ...]:
    """The one query for a line about runs over time, with the points that lead to traces."""
    return (Query(expression, legend, exemplar=True, every=RUN_EVERY),)


def recorded(name: str, matchers: str) -> str:
    """PromQL for what the rules of ``quaywatch rules`` work out now and then, and so is some minutes old."""
    return f"last_over_time({name}{{{matchers}}}[15m])"


def rate(metric: str, by: str, matchers: str, *, times: str = "") -> str:
    """PromQL for what a counter adds per second, by some labels."""
    return f"{times}sum by ({by}) (rate(<{metric}>{{{matchers}}}[$__rate_interval]))"


def rates(metric: str, by: str, matchers: str, *, times: str = "", every: str = "") -> tuple[Query, ...]:
    """The one query for what a counter adds per second over time, by some labels, which name each line."""
    legend = " ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    return over_time(rate(metric, by, matchers, times=times), legend, every=every)


def mean(metric: str, by: str, matchers: str) -> str:
    """PromQL for the mean of a histogram's values, by some labels; nothing while there are none."""
    total, number = (
        f"sum by ({by}) (rate(<{metric}>_{part}{{{matchers}}}[$__rate_interval]))" for part in ("sum", "count")
    )
    return share(total, number)


def quantile(part: float, metric: str, by: str, matchers: str, *, over: str = "$__rate_interval") -> str:
    """PromQL for a quantile of a histogram's values over some time, by some labels; nothing while there are none.

    ``part`` is from 0 to 1.
    """
    buckets = f"sum by ({by}, le) (increase(<{metric}>_bucket{{{matchers}}}[{over}]))"
    return f"histogram_quantile({part}, {buckets}) >= 0"  # which no quantile of nothing is


def share(part: str, whole: str) -> str:
    """PromQL for part of a whole; nothing while the whole is nothing."""
    return f"{part} / ({whole} > 0)"


def connections_taken() -> str:
    """PromQL for the part of each server's usable connections that are taken."""
    used, usable = (f"max by (target) (<postgresql.connection.{name}>{{{HERE}}})" for name in ("used", "usable"))
    return share(used, usable)


def found_in_memory() -> str:
    """PromQL for the part of each database's blocks that were found in PostgreSQL's own buffers."""
    hit, read = (rate(f"postgresql.blocks.{name}", "database", TENANT) for name in ("hit", "read"))
    return share(hit, f"({hit} + {read})")


def intervals_since(what: str, matchers: str) -> str:
    """PromQL for how many of its intervals ago each flow's ``last_run`` or ``last_success`` began."""
    began, every = (
        f"max by (target, probe) (<quaywatch.probe.{name}>{{{matchers}}})" for name in (f"{what}.time", "interval")
    )
    return f"(time() - {began}) / {every}"


stat = partial(Panel, kind="stat", height=5)
yes_or_no = partial(Panel, kind="stat", height=5, steps=BAD_BELOW_ONE, mappings=YES_NO)
table = partial(Panel, kind="table", width=12, height=8)
graph = Panel


def last_success(levels: Levels, *, width: int, height: int) -> Panel:
    """How long ago each flow last worked, measured by how often it runs."""
    return stat(
        title="How long since the last success?",
        description="In intervals from one run to the next: about 1 at most while each run succeeds. Red from where"
        " nobody knows any more whether the flow works, or it has not worked for so long.",
        width=width,
        height=height,
        unit=INTERVALS,
        steps=red_above(levels.late),
        queries=now(intervals_since("last_success", FLOW), "{{probe}} {{target}}"),
    )
