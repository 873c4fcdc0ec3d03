"""Can we ship? The business flows now, and what stands in their way."""

from __future__ import annotations

from .builder import Dashboard, Json, Names, Panel, Query, Variable

HERE = 'environment=~"$environment", target=~"$target"'
STEPS = "quaywatch.probe.step.duration"
PLACE = 'environment=~"$environment"'
YES_NO: tuple[Json, ...] = (
    {"type": "value", "options": {"1": {"text": "yes", "color": "green"}, "0": {"text": "NO", "color": "red"}}},
)
BAD_BELOW_ONE = ((None, "red"), (1.0, "green"))


def can_we_ship(names: Names) -> Dashboard:
    """The first dashboard to open: each flow, and the locks, replicas, queues and caches behind it."""
    return Dashboard(
        uid="quaywatch-can-we-ship",
        title="Can we ship?",
        description="Are orders moving? If not: which lock, queue, replica or cache is in the way?",
        names=names,
        variables=(
            Variable(name="environment", label="Environment", metric="quaywatch.target.up"),
            Variable(name="target", label="Flow target", metric="quaywatch.probe.runs"),
        ),
        rows=(
            ("Can we ship?", _flows()),
            ("How the flows run", _runs()),
            ("What is in the way", _causes()),
            ("The agent itself", _agent()),
        ),
    )


def _flows() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Does each flow work now?",
            description="The last run of each synthetic flow; one whose runs fail for our own reasons is missing.",
            kind="stat",
            width=10,
            height=6,
            steps=BAD_BELOW_ONE,
            mappings=YES_NO,
            queries=(
                Query(
                    f"max by (target, probe) (<quaywatch.probe.success>{{{HERE}}})",
                    "{{probe}} {{target}}",
                    instant=True,
                ),
            ),
        ),
        Panel(
            title="How long since the last success?",
            description="Age of the last successful run of each flow.",
            kind="stat",
            width=7,
            height=6,
            steps=((None, "green"), (180.0, "orange"), (300.0, "red")),
            queries=(
                Query(
                    f"time() - max by (target, probe) (<quaywatch.probe.last_success.time>{{{HERE}}})",
                    "{{probe}} {{target}}",
                    instant=True,
                ),
            ),
        ),
        Panel(
            title="Is everything reachable?",
            description="Every watched system: reached, logged in and answering.",
            kind="stat",
            width=7,
            height=6,
            steps=BAD_BELOW_ONE,
            mappings=YES_NO,
            queries=(Query(f"min by (target) (<quaywatch.target.up>{{{PLACE}}})", "{{target}}", instant=True),),
        ),
    )


def _runs() -> tuple[Panel, ...]:
    return (
        Panel(
            title="How did the runs end?",
            description="Runs a minute by outcome. Invalid runs are the agent's own fault and never burn the SLO.",
            unit="cpm",
            stacked=True,
            queries=(
                Query(
                    f"60 * sum by (probe, outcome) (rate(<quaywatch.probe.runs>{{{HERE}}}[$__rate_interval]))",
                    "{{probe}} {{outcome}}",
                ),
            ),
        ),
        Panel(
            title="Which step takes the time?",
            description="Mean duration of each step.",
            queries=(
                Query(
                    f"sum by (probe, step) (rate(<{STEPS}>_sum{{{HERE}}}[$__rate_interval]))"
                    f" / sum by (probe, step) (rate(<{STEPS}>_count{{{HERE}}}[$__rate_interval]))",
                    "{{probe}} {{step}}",
                ),
            ),
        ),
        Panel(
            title="How slow is a run for the unlucky?",
            description="The 95th percentile of a whole run's duration.",
            queries=(
                Query(
                    "histogram_quantile(0.95, sum by (probe, target, le) "
                    f"(rate(<quaywatch.probe.duration>_bucket{{{HERE}}}[$__rate_interval])))",
                    "{{probe}} {{target}}",
                ),
            ),
        ),
    )


def _causes() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Who waits for a lock?",
            description="Sessions that wait, row locks included.",
            queries=(Query(f"sum by (target) (<postgresql.lock.waiting>{{{PLACE}}})", "{{target}}"),),
        ),
        Panel(
            title="How long is the longest lock wait?",
            description="By database; empty while nobody waits.",
            empty="nobody waits",
            steps=((None, "green"), (10.0, "orange"), (60.0, "red")),
            queries=(Query(f"max by (target, database) (<postgresql.lock.wait.longest>{{{PLACE}}})", "{{database}}"),),
        ),
        Panel(
            title="How old is who blocks?",
            description="Age of the transaction at the root of a blocking chain; empty while nobody waits.",
            empty="nobody blocks",
            queries=(
                Query(
                    f"max by (database, pid, state) (<postgresql.lock.root_blocker.age>{{{PLACE}}})",
                    "{{database}} pid {{pid}} {{state}}",
                ),
            ),
        ),
        Panel(
            title="How far behind is the standby?",
            description="Bytes that the standby has not yet replayed, as the primary sees it.",
            queries=(
                Query(
                    f'max by (target, standby) (<postgresql.replication.standby.lag>{{{PLACE}, stage="replay"}})',
                    "{{target}} {{standby}}",
                ),
            ),
        ),
        Panel(
            title="How long do jobs wait?",
            description="Age of the oldest job that is due and still pending, by channel.",
            steps=((None, "green"), (300.0, "orange"), (900.0, "red")),
            empty="no job is due",
            queries=(
                Query(f"max by (database, channel) (<odoo.queue.oldest.age>{{{PLACE}}})", "{{database}} {{channel}}"),
            ),
        ),
        Panel(
            title="How deep are the queues?",
            description="Jobs that are not done, by state.",
            stacked=True,
            queries=(Query(f"sum by (database, state) (<odoo.queue.jobs>{{{PLACE}}})", "{{database}} {{state}}"),),
        ),
        Panel(
            title="Is Redis running full?",
            description="Memory in use against maxmemory.",
            queries=(
                Query(f"max by (target) (<redis.memory.used>{{{PLACE}}})", "{{target}} used"),
                Query(f"max by (target) (<redis.maxmemory>{{{PLACE}}})", "{{target}} limit"),
            ),
        ),
    )


def _agent() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Which reads fail?",
            description="Reads of the agent that did not work at their last turn, by exporter.",
            kind="stat",
            height=5,
            steps=((None, "green"), (1.0, "red")),
            queries=(
                Query(
                    f"sum by (target, exporter) (1 - <quaywatch.scrape.success>{{{PLACE}}})",
                    "{{target}} {{exporter}}",
                    instant=True,
                ),
            ),
        ),
        Panel(
            title="How old is what is shown?",
            description="Age of the oldest snapshot of each target.",
            height=5,
            queries=(Query(f"max by (target) (<quaywatch.snapshot.age>{{{PLACE}}})", "{{target}}"),),
        ),
        Panel(
            title="Has anything been left behind?",
            description="Records of the probes that could be erased and are still there.",
            kind="stat",
            height=5,
            queries=(
                Query(
                    f"max by (target, probe) (<quaywatch.probe.residue>{{{HERE}}})",
                    "{{probe}} {{target}}",
                    instant=True,
                ),
            ),
        ),
    )
