"""How each alert is proved to fire and to resolve in a real Prometheus: by a fault in the sandbox, or from samples.

python -m tests.alerts.proofs       writes it into docs/objectives.md
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.page import put
from tests.alerts.cases import CASES

BY_FAULT: Mapping[str, Mapping[str, str]] = {
    "backlog": {
        "ArchiverFailing": "the archive takes no file of the log",
        "BackupFailing": "the backup's job reports a failure",
        "BackupTooOld": "the newest backup that is reported is of the day before yesterday",
        "CertificateExpiring": "a server's certificate expires in five days",
        "CertificateUnusable": "a server's certificate is for another name",
        "ConfigRefused": "the agent's file gets a key that it does not know",
        "CronsDeactivated": "a cron is switched off",
        "CronsOverdue": "a cron waits for two hours",
        "CronsSkipped": "a module waits to be installed",
        "Deadlocks": "two sessions deadlock",
        "EdgeErrorsOfOneTenant": "one of three shops behind Traefik answers with errors",
        "EdgeSlow": "one of three shops behind Traefik takes 2.5 s",
        "EdiStuck": "a document waits for two hours",
        "MailStuck": "a mail waits for two hours",
        "QueueStalled": "25 jobs have been due for half an hour",
        "RedisEvicts": "Redis throws keys out",
        "RedisMemoryHigh": "Redis is filled to its limit",
        "ReplicaBehind": "a standby does not replay, while 10 MB are written",
        "ReplicaStale": "a standby does not replay",
        "RestoreTestMissing": "a restore job never tells",
        "RestoreTestTooOld": "a restore job tells of a failure",
        "ExporterFailing": "a table of orders that is locked cannot be read",
        "FlowFailing": "a table of orders is locked",
        "FlowFlaky": "a trigger refuses every other record of a flow, which tries twice",
        "FlowNotMeasured": "a lock holds up what a flow undoes, for several of its intervals",
        "FlowRunsMissed": "a lock holds up what a flow undoes, for several of its intervals",
        "FlowSlow": "a trigger takes a second for each record of a flow",
        "FlowUncleaned": "a trigger refuses to delete what a flow made",
        "IdleInTransaction": "the session that locks it does nothing",
        "LockWaitLong": "a session waits for it",
        "SessionsBlocked": "a session and the flow's own wait for it",
    },
    "outage": {
        "EdgeBudgetBurning": "Odoo is stopped behind Traefik",
        "EdgeErrors": "Odoo is stopped behind Traefik",
        "FlowBudgetBurning": "Odoo is stopped",
        "FlowFailing": "Odoo is stopped",
        "FlowFailingEverywhere": "Odoo is stopped, which three targets share",
        "FlowUnsteady": "Odoo is stopped",
        "NoStandbyStreams": "the only standby is cut off",
        "OrdersWithoutPicking": "a customer's order of two hours ago has nothing to pick",
        "ReplicaDisconnected": "a standby is cut off",
        "SlotRetainsLog": "a standby is cut off, while 8 MB are written",
        "StandbyMissing": "a standby is cut off",
        "TargetDown": "Odoo is stopped",
    },
    "silence": {
        "AgentAbsent": "the agent is stopped",
        "FlowAbsent": "the agent is stopped",
        "TargetAbsent": "the agent is stopped",
    },
}
"""The alerts that real faults raise, by what is broken at a time, with the fault of each."""

PAGE = Path(__file__).parents[2] / "docs" / "objectives.md"
FAULTS = [(name, alert) for name, alerts in BY_FAULT.items() for alert in alerts]
"""Each of them."""
FROM_SAMPLES = sorted({*CASES} - {alert for _, alert in FAULTS})
"""The others: samples are served to Prometheus."""
WHY: Mapping[str, str] = {
    "ApiKeyExpiring": "keys never expire in Odoo 14, which the trial is made on",
    "CheckpointsRequested": "timed checkpoints are 30 s apart at least, too long for half an hour that is hurried",
    "ConnectionsSaturated": "connections that run out would strike whatever else is tried on the same server",
    "DiscoveryFailing": "the trial has no API server of Kubernetes; the tests of discovery have one",
    "FlowInvalid": "a refused password is not tried again for ten minutes, and so does not end in the trial",
    "LeasesUnreachable": "the keeper of the leases is the server that everything else is tried on",
    "NoisyNeighbour": "connections that run out would strike whatever else is tried on the same server",
    "QueueRunnerDead": "no runner of Odoo 14, which the trial is made on, gives a sign of life",
    "ResidueLeft": "what is left is counted every ten minutes, too seldom for the trial",
    "SeriesDropped": "nothing in the trial has more series than it may",
    "SlotLost": "a slot that is lost stays so, and its standby would have to be made anew",
    "StalledEverywhere": "the trial has one database with work that waits",
    "SweepFailing": "sweeps are made every ten minutes, too seldom for the trial",
    "TelemetryLost": "the trial's agent is read, and pushes nothing",
    "Watchdog": "it always fires",
    "WraparoundNear": "half a billion transactions are too many for the trial",
}
"""Why no fault raises them."""


def table() -> str:
    """Who is proved how, for the page of objectives."""
    lines = [f"| {alert} | {_raised_by(alert)} |\n" for alert in sorted(CASES)]
    return "| Alert | Raised by |\n|---|---|\n" + "".join(lines)


def _raised_by(alert: str) -> str:
    return "; ".join(BY_FAULT[name][alert] for name, one in FAULTS if one == alert) or (f"samples: {WHY[alert]}")


if __name__ == "__main__":
    put(PAGE, "proofs", table())
