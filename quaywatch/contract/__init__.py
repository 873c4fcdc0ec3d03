"""The contract between the rooms: what an exporter, a probe and a metric are.

Standard library only; every record is frozen. An exporter is a record with a plain async function of *(driver, options,
state)* that yields samples; a probe is a record with an async function of *(driver, options, transaction)*. Neither
schedules, retries, exports nor logs configuration: the runtime owns time, the sinks own the wire.

Units follow UCUM as OpenTelemetry uses it: ``s``, ``By``, ``1`` for true ratios, ``{job}`` for counted things and the
empty unit for 0/1 states. Times are seconds, times of day Unix seconds.
"""

from __future__ import annotations

from .backups import Backup, BackupReport, Backups, BackupSet, RestoreTest
from .browser import Browser, Page, SignIn
from .metrics import (
    Attributes,
    Distribution,
    Exemplar,
    Former,
    Kind,
    Meter,
    Metric,
    Sample,
    Series,
    Snapshot,
    Stability,
    Value,
)
from .targets import (
    Answer,
    Certificate,
    Cluster,
    Driver,
    Http,
    Odoo,
    Postgres,
    Reach,
    Reason,
    Redis,
    Requests,
    Row,
    Target,
    TargetKind,
)
from .visits import Phase, Trouble, Visit
from .work import (
    Exporter,
    ExporterTask,
    Grant,
    Outcome,
    Per,
    Probe,
    ProbeTask,
    SweepOrder,
    Swept,
    Transaction,
    Transport,
    Watched,
)

__all__ = [
    "Answer",
    "Attributes",
    "Backup",
    "BackupReport",
    "BackupSet",
    "Backups",
    "Browser",
    "Certificate",
    "Cluster",
    "Distribution",
    "Driver",
    "Exemplar",
    "Exporter",
    "ExporterTask",
    "Former",
    "Grant",
    "Http",
    "Kind",
    "Meter",
    "Metric",
    "Odoo",
    "Outcome",
    "Page",
    "Per",
    "Phase",
    "Postgres",
    "Probe",
    "ProbeTask",
    "Reach",
    "Reason",
    "Redis",
    "Requests",
    "RestoreTest",
    "Row",
    "Sample",
    "Series",
    "SignIn",
    "Snapshot",
    "Stability",
    "SweepOrder",
    "Swept",
    "Target",
    "TargetKind",
    "Transaction",
    "Transport",
    "Trouble",
    "Value",
    "Visit",
    "Watched",
]
