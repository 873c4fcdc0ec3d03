"""The cases of every alert: what is ill, and what it looks like when all is well. One row for each alert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.alerts.case import Case, Clock, Count, Level

HOUR, DAY, GIB = 3600, 86400, 1024**3
_FLOW = '{probe="order_create"}'
_OF_FLOW = 'quaywatch.probe.runs{probe="order_create", outcome="%s"}'
_SLOT = 'postgresql.replication.slot.wal_status{slot="west", status="%s"}'
_BATCHES = 'quaywatch.export.batches{target="", instance="node-1", signal="traces", outcome="%s"}'
_EVERY = {f"quaywatch.probe.interval{_FLOW}": Level(60, 60)}


def _runs(outcome: str, *, after: int, over: int) -> Case:
    """A flow that runs every minute, of which each run comes out so."""
    return Case({**_EVERY, _OF_FLOW % outcome: Count(0.25)}, after=after, over=over)


def _within_the_hour(outcome: str) -> Case:
    """A flow of which each run comes out so, and an alert on several within an hour."""
    return Case({**_EVERY, _OF_FLOW % outcome: Count(1)}, step=60, well=10, after=165, over=HOUR + 60)


def _level(series: str, ill: float | None, well: float | None, **more: Any) -> Case:
    return Case({series: Level(ill, well)}, **more)


CASES: Mapping[str, Case] = {
    # flows
    "FlowFailing": _runs("failure", after=160, over=330),
    "FlowFailingEverywhere": Case(
        {
            f'quaywatch.probe.{name}{{target="{target}", probe="order_create"{more}}}': shape
            for target in ("acme", "west", "east")
            for name, more, shape in (
                ("interval", "", Level(60, 60)),
                ("runs", ', outcome="failure"', Count(0.25)),
            )
        },
        after=160,
        over=330,
    ),
    "FlowUnsteady": _runs("failure", after=250, over=1860),
    "FlowSlow": Case(
        {
            **_EVERY,
            f"quaywatch.probe.duration:count{_FLOW}": Count(0.25, 0.25),
            'quaywatch.probe.duration:bucket{probe="order_create", le="10.0"}': Count(0, 0.25),
        },
        after=160,
        over=330,
    ),
    "FlowInvalid": _runs("invalid", after=160, over=330),
    "FlowRunsMissed": _runs("missed", after=160, over=330),
    "FlowNotMeasured": Case({**_EVERY, f"quaywatch.probe.last_run.time{_FLOW}": Clock()}, after=195),
    "FlowFlaky": _within_the_hour("flaky"),
    "FlowUncleaned": _within_the_hour("cleanup_failed"),
    "FlowAbsent": _level(f"quaywatch.probe.interval{_FLOW}", None, 60, after=300, silent=True),
    "FlowBudgetBurning": Case(
        {f"quaywatch.probe.interval{_FLOW}": Level(60, 60), _OF_FLOW % "failure": Count(4)},
        step=240,
        well=370,
        after=43 * 60,
        over=30 * HOUR,
    ),
    # the watching itself
    "AgentAbsent": _level('quaywatch.start.time{target=""}', None, 5, after=300, silent=True),
    "TargetAbsent": _level('quaywatch.target.up{kind="postgres"}', None, 0, after=300, silent=True),
    "Watchdog": Case({}, always=True),
    "ApiKeyExpiring": _level('odoo.api_key.remaining{key="1"}', 13 * DAY, 15 * DAY),
    "ExporterFailing": _level('quaywatch.scrape.success{exporter="redis_memory"}', 0, 1),
    "DiscoveryFailing": _level('quaywatch.discovery.up{target="", instance="node-1"}', 0, 1),
    "ConfigRefused": _level('quaywatch.config.reload.success{target="", instance="node-1"}', 0, 1),
    "TelemetryLost": Case({_BATCHES % "poison": Count(0.1), _BATCHES % "sent": Count(0.1, 0.1)}, after=15, over=900),
    "LeasesUnreachable": _level('quaywatch.lease.unreachable{target="", instance="node-1"}', 1, 0),
    "SeriesDropped": Case(
        {'quaywatch.cardinality.dropped{metric="redis.queue.length"}': Count(3)}, step=60, well=10, after=60, over=HOUR
    ),
    "SweepFailing": Case(
        {'quaywatch.probe.sweep.errors{probe="order_create", reason="auth"}': Count(1)},
        step=60,
        well=10,
        after=165,
        over=HOUR + 60,
    ),
    "ResidueLeft": Case({f"quaywatch.probe.residue{_FLOW}": Level(2, 0)}, step=60, well=10),
    # the edge
    "EdgeErrors": Case(
        {
            'traefik.entrypoint.requests{entrypoint="web", code_class="2xx"}': Count(240, 360),
            'traefik.entrypoint.requests{entrypoint="web", code_class="5xx"}': Count(120),
        },
        step=60,
        well=75,
        after=430,
        over=HOUR,
    ),
    "EdgeSlow": Case(
        {
            f'traefik.service.request.duration:{part}{{service="{service}"{le}}}': count
            for service, fast in (("odoo@file", Count(80, 90)), ("odoo-longpolling@file", Count(0, 0)))
            for part, le, count in (
                ("bucket", ', le="1.2"', Count(0, 0)),
                ("bucket", ', le="5.0"', fast),
                ("count", "", Count(90, 90)),
            )
        },
        after=135,
        over=200,
    ),
    "EdgeErrorsOfOneTenant": Case(
        {
            'traefik.router.requests{router="a", host="acme.example", code_class="2xx"}': Count(5, 10),
            'traefik.router.requests{router="a", host="acme.example", code_class="5xx"}': Count(5),
            'traefik.router.requests{router="b", host="west.example", code_class="2xx"}': Count(10, 10),
            'traefik.router.requests{router="c", host="east.example", code_class="2xx"}': Count(10, 10),
        },
        after=45,
        over=330,
    ),
    "EdgeBudgetBurning": Case(
        {
            'traefik.entrypoint.requests{entrypoint="web", code_class="2xx"}': Count(900, 1000),
            'traefik.entrypoint.requests{entrypoint="web", code_class="5xx"}': Count(100),
        },
        step=240,
        well=370,
        after=4700,
        over=30 * HOUR,
    ),
    "CertificateExpiring": _level('tls.certificate.remaining{host="erp.example"}', 13 * DAY, 15 * DAY),
    "CertificateUnusable": _level('tls.certificate.verified{host="erp.example"}', 0, 1),
    # Odoo's own work
    "QueueStalled": _level('odoo.queue.oldest.age{database="acme", channel="root"}', 901, 899),
    "StalledEverywhere": Case(
        {
            f'odoo.queue.oldest.age{{database="{database}", channel="{channel}"}}': Level(ill, well)
            for database, channel, ill, well in (
                ("acme", "root", 901, 901),
                ("acme", "root.mail", 901, 901),
                ("west", "root", 901, 901),
                ("east", "root", 901, 899),
                ("north", "root", 899, 899),
            )
        }
        | {
            f'quaywatch.scrape.success{{exporter="odoo_queue", database="{database}"}}': Level(1, 1)
            for database in ("acme", "west", "east", "north")
        }
    ),
    "QueueRunnerDead": Case(
        {
            'odoo.queue.runner.alive{database="acme"}': Level(0, 1),
            'odoo.queue.live{database="acme"}': Level(7, 7),
        }
    ),
    "CronsOverdue": _level('odoo.cron.overdue.longest{database="acme"}', 3601, 1799),
    "CronsDeactivated": _level('odoo.cron.switched_off{database="acme"}', 1, 0),
    "CronsSkipped": _level('odoo.cron.skipped{database="acme"}', 1, 0),
    "MailStuck": _level('odoo.mail.oldest.age{database="acme", state="outgoing"}', 3601, 1799),
    "EdiStuck": _level('odoo.edi.oldest.age{database="acme", state="to_send"}', 7201, 7199),
    "OrdersWithoutPicking": _level('odoo.orders.without_delivery.oldest.age{database="acme"}', 1801, 1799),
    # PostgreSQL
    "TargetDown": _level('quaywatch.target.up{kind="redis"}', 0, 1),
    "LockWaitLong": _level('postgresql.lock.wait.longest{database="acme"}', 74, 59),
    "SessionsBlocked": _level("postgresql.lock.waiting", 11, 10),
    "Deadlocks": Case({'postgresql.deadlocks{database="acme"}': Count(0.1)}, after=435, over=900),
    "IdleInTransaction": _level(
        'postgresql.transaction.oldest.age{database="acme", state="idle in transaction"}', 301, 299
    ),
    "ConnectionsSaturated": Case(
        {"postgresql.connection.used": Level(90, 80), "postgresql.connection.usable": Level(100, 100)}
    ),
    "NoisyNeighbour": Case(
        {
            'postgresql.session.open{database="acme", state="active"}': Level(60, 20),
            'postgresql.session.open{database="west", state="active"}': Level(20, 20),
            "postgresql.connection.used": Level(80, 80),
            "postgresql.connection.usable": Level(100, 100),
        }
    ),
    "WraparoundNear": _level('postgresql.wraparound.utilization{database="acme", ids="transaction"}', 0.5, 0.3),
    "CheckpointsRequested": Case(
        {
            'postgresql.checkpoint.count{trigger="requested"}': Count(0.2),
            'postgresql.checkpoint.count{trigger="timed"}': Count(0.08, 0.08),
        },
        step=60,
        well=75,
        after=1815,
        over=HOUR,
    ),
    # recovery
    "ReplicaStale": _level("postgresql.replication.replay.age", 301, 299),
    "NoStandbyStreams": Case(
        {
            "postgresql.replication.standbys.expected": Level(2, 2),
            'postgresql.replication.standbys{state="streaming"}': Level(0, 1),
            # One that should pass its log on and does not is a standby itself.
            'postgresql.replication.standbys.expected{target="middle"}': Level(1, 1),
            'postgresql.replication.standbys{target="middle", state="streaming"}': Level(0, 0),
            'postgresql.replication.receiver.connected{target="middle"}': Level(1, 1),
        }
    ),
    "ReplicaDisconnected": _level("postgresql.replication.receiver.connected", 0, 1),
    "StandbyMissing": Case(
        {
            "postgresql.replication.standbys.expected": Level(2, 2),
            'postgresql.replication.standbys{state="streaming"}': Level(1, 2),
        }
    ),
    "ReplicaBehind": _level('postgresql.replication.standby.lag{standby="west", stage="replay"}', 2 * GIB, GIB),
    "SlotRetainsLog": _level('postgresql.replication.slot.retained{slot="west"}', 11 * GIB, GIB),
    "SlotLost": _level(_SLOT % "lost", 1, 0),
    "ArchiverFailing": _level("postgresql.archiver.failing", 1, 0),
    "BackupTooOld": _level('quaywatch.backup.age{backup="main", repository="1", type="full"}', 2 * DAY, DAY),
    "BackupFailing": _level('quaywatch.backup.ok{backup="main", repository="1"}', 0, 1),
    "RestoreTestTooOld": _level('quaywatch.restore_test.age{backup="main"}', 40 * DAY, DAY),
    "RestoreTestMissing": _level("quaywatch.restore_test.known", 0, 1),
    # Redis
    "RedisMemoryHigh": _level("redis.memory.utilization", 0.91, 0.89),
    "RedisEvicts": Case({"redis.keys.evicted": Count(1)}, after=15, over=600),
}
BRANCHES: Mapping[tuple[str, str], Case] = {
    ("ArchiverFailing", "backlog"): _level("postgresql.archiver.backlog.age", 901, 899),
    ("CertificateUnusable", "tomorrow"): _level('tls.certificate.remaining{host="erp.example"}', DAY - 1, DAY + 1),
    ("CronsDeactivated", "by-somebody"): _level('odoo.cron.inactive{database="acme"}', 3, 2),
    ("RestoreTestTooOld", "failed"): _level('quaywatch.restore_test.ok{backup="main"}', 0, 1),
    ("SlotLost", "unreserved"): _level(_SLOT % "unreserved", 1, 0),
    ("TelemetryLost", "outage"): Case(
        {_BATCHES % "outage": Count(0.1), _BATCHES % "sent": Count(0, 0.1)}, after=870, over=900
    ),
}
"""The cases of alerts that are true for another reason, too: what that is."""
