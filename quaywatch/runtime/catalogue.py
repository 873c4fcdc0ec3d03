"""The metrics that the agent emits about its own work.

Where the first attribute is ``target``, the series end with the target, and with its lease.
"""

from __future__ import annotations

from typing import Final

from quaywatch.contract import Kind, Metric

_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0)

# --- targets and readings ---------------------------------------------------------------------------------------------

TARGET_UP = Metric(
    "quaywatch.target.up", Kind.GAUGE, "", "1 when the target answered the last ping, else 0.", ("target", "kind")
)
SCRAPE_SUCCESS = Metric(
    "quaywatch.scrape.success",
    Kind.GAUGE,
    "",
    "1 when the exporter's last reading was complete, else 0.",
    ("target", "exporter", "database"),
)
SCRAPE_DURATION = Metric(
    "quaywatch.scrape.duration",
    Kind.GAUGE,
    "s",
    "How long the exporter's last reading took, whether it succeeded or not.",
    ("target", "exporter", "database"),
)
SCRAPE_SAMPLES = Metric(
    "quaywatch.scrape.samples",
    Kind.GAUGE,
    "{sample}",
    "Samples in the exporter's last reading; absent when it failed.",
    ("target", "exporter", "database"),
)
SCRAPE_ERROR = Metric(
    "quaywatch.scrape.error",
    Kind.COUNTER,
    "{error}",
    "Failed readings by reason; the exporter 'ping' is the connection itself.",
    ("target", "exporter", "reason"),
)
SNAPSHOT_AGE = Metric(
    "quaywatch.snapshot.age",
    Kind.GAUGE,
    "s",
    "Time since the exporter's last complete reading began.",
    ("target", "exporter", "database"),
)
TENANTS = Metric(
    "quaywatch.tenants",
    Kind.GAUGE,
    "{database}",
    "Databases of the target that per-database exporters visit.",
    ("target",),
)
TOUR_DURATION = Metric(
    "quaywatch.tour.duration",
    Kind.GAUGE,
    "s",
    "How long the last tour through the target's databases took; one longer than its interval leaves turns out.",
    ("target", "job"),
)
SCHEDULE_MISSED = Metric(
    "quaywatch.schedule.missed",
    Kind.COUNTER,
    "{tick}",
    "Turns of a job left out because the one before was still running.",
    ("target", "job"),
)
CARDINALITY_DROPPED = Metric(
    "quaywatch.cardinality.dropped",
    Kind.COUNTER,
    "{series}",
    "Series beyond the budget of their metric, counted at each reading that summed them into the overflow series.",
    ("target", "metric"),
)

# --- leases -----------------------------------------------------------------------------------------------------------

LEASE_HELD = Metric(
    "quaywatch.lease.held", Kind.GAUGE, "", "1 on the agent that holds the shared target's lease, else 0.", ("target",)
)
LEASE_CHANGES = Metric(
    "quaywatch.lease.changes",
    Kind.COUNTER,
    "{change}",
    "How often this agent began or ceased to act on the shared target.",
    ("target",),
)
LEASE_UNREACHABLE = Metric(
    "quaywatch.lease.unreachable", Kind.GAUGE, "", "1 while the server that keeps the leases cannot be reached, else 0."
)

LEASE_UNCONFIRMED = Metric(
    "quaywatch.lease.unconfirmed",
    Kind.COUNTER,
    "{run}",
    "Probe runs begun while nobody could confirm that this agent holds the shared target's lease: each of them may have"
    " been run by another agent too.",
    ("target",),
)

# --- discovery --------------------------------------------------------------------------------------------------------

DISCOVERY_UP = Metric(
    "quaywatch.discovery.up", Kind.GAUGE, "", "1 while changes of the node's pods are followed, else 0."
)
DISCOVERY_TARGETS = Metric(
    "quaywatch.discovery.targets", Kind.GAUGE, "{target}", "Targets that annotations of the node's pods made."
)
DISCOVERY_REFUSED = Metric(
    "quaywatch.discovery.refused",
    Kind.GAUGE,
    "{pod}",
    "Pods of the node whose annotations are wrong; the log says what is wrong with each.",
)
DISCOVERY_LISTS = Metric(
    "quaywatch.discovery.lists",
    Kind.COUNTER,
    "{list}",
    "Lists of the node's pods: at the start, because the server forgot the version that the watch came to, or for"
    " certainty.",
    ("cause",),
)

# --- the agent --------------------------------------------------------------------------------------------------------

BUILD_INFO = Metric("quaywatch.build.info", Kind.GAUGE, "", "Always 1; the version stands beside it.", ("version",))
START_TIME = Metric("quaywatch.start.time", Kind.GAUGE, "s", "Unix time at which the agent started.")
CONFIG_RELOAD_SUCCESS = Metric(
    "quaywatch.config.reload.success", Kind.GAUGE, "", "1 when the last load of the configuration was accepted, else 0."
)
CONFIG_RELOAD_TIME = Metric(
    "quaywatch.config.reload.time", Kind.GAUGE, "s", "Unix time of the last configuration that was accepted."
)
PROCESS_CPU_TIME = Metric(
    "process.cpu.time", Kind.COUNTER, "s", "Processor time that the agent has used, in user and system mode."
)
PROCESS_MEMORY_USAGE = Metric(
    "process.memory.usage", Kind.UPDOWN, "By", "Physical memory that the agent holds (resident set)."
)
LOOP_LAG = Metric(
    "quaywatch.loop.lag", Kind.GAUGE, "s", "The longest delay of the agent's event loop since the last measurement."
)

# --- probes -----------------------------------------------------------------------------------------------------------

PROBE_RUNS = Metric(
    "quaywatch.probe.runs",
    Kind.COUNTER,
    "{run}",
    "Ticks of the probe by outcome; invalid ones are the agent's or its configuration's fault.",
    ("target", "probe", "outcome"),
)
PROBE_ATTEMPTS = Metric(
    "quaywatch.probe.attempts",
    Kind.COUNTER,
    "{attempt}",
    "Attempts of the probe's runs by how each ended; more of them than runs means that some were repeated.",
    ("target", "probe", "outcome"),
)
PROBE_FAILURES = Metric(
    "quaywatch.probe.failures",
    Kind.COUNTER,
    "{attempt}",
    "Attempts of the probe that did not succeed, by the step that failed and the reason.",
    ("target", "probe", "step", "reason"),
)
PROBE_CAUSES = Metric(
    "quaywatch.probe.causes",
    Kind.COUNTER,
    "{finding}",
    "What was found to make a step of the probe slow or fail, by step and cause.",
    ("target", "probe", "step", "cause"),
)
PROBE_DURATION = Metric(
    "quaywatch.probe.duration",
    Kind.HISTOGRAM,
    "s",
    "How long the steps of a successful run took in all, without the undoing.",
    ("target", "probe"),
    bounds=_SECONDS,
)
PROBE_STEP_DURATION = Metric(
    "quaywatch.probe.step.duration",
    Kind.HISTOGRAM,
    "s",
    "How long one step or undo step of the probe took that succeeded.",
    ("target", "probe", "step"),
    bounds=_SECONDS,
)
PROBE_SUCCESS = Metric(
    "quaywatch.probe.success",
    Kind.GAUGE,
    "",
    "1 when the last run of the probe succeeded, 0 when it failed; absent when it was invalid and measured nothing.",
    ("target", "probe"),
)
PROBE_LAST_RUN_TIME = Metric(
    "quaywatch.probe.last_run.time",
    Kind.GAUGE,
    "s",
    "Unix time at which the last run of the probe began.",
    ("target", "probe"),
)
PROBE_LAST_SUCCESS_TIME = Metric(
    "quaywatch.probe.last_success.time",
    Kind.GAUGE,
    "s",
    "Unix time at which the last successful run of the probe began.",
    ("target", "probe"),
)
PROBE_INTERVAL = Metric(
    "quaywatch.probe.interval", Kind.GAUGE, "s", "Time from one run of the probe to the next.", ("target", "probe")
)
PROBE_RESIDUE = Metric(
    "quaywatch.probe.residue",
    Kind.GAUGE,
    "{record}",
    "Records of past runs that could be erased and still stand, as the last sweep saw them.",
    ("target", "probe"),
)
PROBE_PERMANENT = Metric(
    "quaywatch.probe.permanent",
    Kind.GAUGE,
    "{record}",
    "Records of the probe's runs that Odoo cannot erase, as the last sweep saw them.",
    ("target", "probe"),
)
PROBE_UNDO_FAILURES = Metric(
    "quaywatch.probe.undo.failures",
    Kind.COUNTER,
    "{undo}",
    "Undo steps of the probe that failed or ran out of time.",
    ("target", "probe"),
)
MAINTENANCE_ACTIVE = Metric(
    "quaywatch.maintenance.active",
    Kind.GAUGE,
    "",
    "1 while a maintenance window is open for the probe: it is not run (skip), or is to alarm nobody (mute); else 0.",
    ("target", "probe", "mode"),
)

PROBE_SWEPT = Metric(
    "quaywatch.probe.swept",
    Kind.COUNTER,
    "{record}",
    "Records that the sweep cancelled or erased because their own run could not.",
    ("target", "probe"),
)
PROBE_SWEEP_ERRORS = Metric(
    "quaywatch.probe.sweep.errors",
    Kind.COUNTER,
    "{error}",
    "Sweeps that could not be done, by reason.",
    ("target", "probe", "reason"),
)

_DEPLOYED = ("app", "deployment.environment.name", "result")
DEPLOYMENTS = Metric(
    "quaywatch.deployments",
    Kind.COUNTER,
    "{deployment}",
    "Deployments that the agent was told of, each once; beyond the budget applications are the app 'other'.",
    _DEPLOYED,
    budget=200,
)
DEPLOYMENT_TIME = Metric(
    "quaywatch.deployment.last.time",
    Kind.GAUGE,
    "s",
    "Unix time at which the agent was told of the last deployment with this result.",
    _DEPLOYED,
    budget=200,
)
NOTICES = Metric(
    "quaywatch.notices",
    Kind.COUNTER,
    "{notice}",
    "Notices that reached the agent, by what became of them.",
    ("notice", "outcome"),
)

METRICS: tuple[Metric, ...] = (
    TARGET_UP,
    SCRAPE_SUCCESS,
    SCRAPE_DURATION,
    SCRAPE_SAMPLES,
    SCRAPE_ERROR,
    SNAPSHOT_AGE,
    TENANTS,
    TOUR_DURATION,
    SCHEDULE_MISSED,
    CARDINALITY_DROPPED,
    LEASE_HELD,
    LEASE_CHANGES,
    LEASE_UNREACHABLE,
    LEASE_UNCONFIRMED,
    DISCOVERY_UP,
    DISCOVERY_TARGETS,
    DISCOVERY_REFUSED,
    DISCOVERY_LISTS,
    BUILD_INFO,
    START_TIME,
    CONFIG_RELOAD_SUCCESS,
    CONFIG_RELOAD_TIME,
    PROCESS_CPU_TIME,
    PROCESS_MEMORY_USAGE,
    LOOP_LAG,
    PROBE_RUNS,
    PROBE_ATTEMPTS,
    PROBE_FAILURES,
    PROBE_CAUSES,
    PROBE_DURATION,
    PROBE_STEP_DURATION,
    PROBE_SUCCESS,
    PROBE_LAST_RUN_TIME,
    PROBE_LAST_SUCCESS_TIME,
    PROBE_INTERVAL,
    PROBE_RESIDUE,
    PROBE_PERMANENT,
    PROBE_UNDO_FAILURES,
    MAINTENANCE_ACTIVE,
    PROBE_SWEPT,
    PROBE_SWEEP_ERRORS,
    DEPLOYMENTS,
    DEPLOYMENT_TIME,
    NOTICES,
)
"""The whole catalogue of this room."""
