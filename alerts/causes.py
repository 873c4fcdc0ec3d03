"""Alerts on what stands behind a symptom: tickets, never pages, that last longer than a symptom needs to show."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from .objectives import Causes, Objectives
from .rule import Board, Role, Rule, Service, Severity
from .texts import DURATION, HOLDER, UNREACHED

LASTING = (
    "ArchiverFailing",
    "CheckpointsRequested",
    "RedisMemoryHigh",
    "ResidueLeft",
    "SlotLost",
    "SlotRetainsLog",
    "WraparoundNear",
)
"""Causes that come by themselves and stay for days: no page explains them, and none silences them."""
_TENANT = "environment, target, database"
_TARGET = "environment, target"
_WHOLE = 100
_BUSY = 70.0
"""Percent of the connections from which on one tenant's share is of interest."""


def rules(objectives: Objectives) -> Iterator[Rule]:
    """The rules about causes, by what they are about."""
    told = _Told(objectives.causes)
    for part in (_targets, _locks, _sessions, _replication, _upkeep, _queues, _redis, _own):
        yield from part(told)


class _Told:
    """Makes the rules of causes; ``limits`` are their thresholds."""

    def __init__(self, limits: Causes) -> None:
        self.limits = limits

    def __call__(
        self,
        alert: str,
        expr: str,
        summary: str,
        description: str,
        *,
        board: Board = Board.POSTGRESQL,
        service: Service = Service.ODOO,
        hold: float | None = None,
        selects: tuple[str, ...] = ("environment", "target"),
    ) -> Rule:
        return Rule(
            alert=alert,
            expr=expr,
            hold=self.limits.lasts if hold is None else hold,
            tier=self.limits.tier,
            severity=Severity.TICKET,
            role=Role.CAUSE,
            service=service,
            board=board,
            selects=selects,
            summary=summary,
            description=description,
        )


def _targets(told: _Told) -> Iterator[Rule]:
    yield told(
        "TargetDown",
        "max by (environment, target, kind) (<quaywatch.target.up>) == 0",
        "{{ $labels.kind }} {{ $labels.target }} does not answer",
        f"{{{{ $labels.kind }}}} {{{{ $labels.target }}}} has not answered an agent for minutes.{UNREACHED}"
        " Run quaywatch check.",
        board=Board.SHIPPING,
    )
    yield told(
        "ExporterFailing",
        "max by (environment, target, exporter, database) (<quaywatch.scrape.success>) == 0",
        "{{ $labels.exporter }} cannot read {{ $labels.target }}",
        "{{ $labels.exporter }} has not read {{ $labels.target }} {{ with $labels.database }}(database {{ . }})"
        f" {{{{ end }}}}to the end for minutes: what it tells is missing, and alerts on it are blind.{UNREACHED} Run"
        " quaywatch check.",
        board=Board.QUAYWATCH,
        service=Service.QUAYWATCH,
    )


def _locks(told: _Told) -> Iterator[Rule]:
    limits = told.limits
    yield told(
        "LockWaitLong",
        f"max by ({_TENANT}) (<postgresql.lock.wait.longest>) > {limits.lock_wait:.0f}",
        "A session of {{ $labels.database }} waits long for a lock",
        f"A session of database {{{{ $labels.database }}}} on {{{{ $labels.target }}}} has waited {DURATION} for a"
        f" lock.{HOLDER} End the root blocker, not those who wait.",
    )
    yield told(
        "SessionsBlocked",
        f"max by ({_TARGET}) (<postgresql.lock.waiting>) > {limits.waiting}",
        "Many sessions of {{ $labels.target }} wait for locks",
        "{{ $value }} sessions of {{ $labels.target }} wait for locks.{{ range query (printf `topk(1, max by (database,"
        ' pid, state) (<postgresql.lock.root_blocker.held_up>{environment=%q, target=%q, pid!="other"}))`'
        " $labels.environment $labels.target) }} Process {{ .Labels.pid }} of database {{ .Labels.database }}"
        " ({{ .Labels.state }}) holds {{ .Value }} of them up.{{ end }}",
    )
    yield told(
        "Deadlocks",
        f"sum by ({_TENANT}) (increase(<postgresql.deadlocks>[15m])) >= {limits.deadlocks}",
        "Transactions of {{ $labels.database }} deadlock",
        "PostgreSQL ended about {{ printf `%.0f` $value }} transactions of {{ $labels.database }} within 15 minutes,"
        " since they waited for each other. Odoo tries most again; users see it as slowness or an error.",
        hold=0,
    )


def _sessions(told: _Told) -> Iterator[Rule]:
    limits = told.limits
    idle = '{state=~"idle in transaction.*"}'
    yield told(
        "IdleInTransaction",
        f"max by ({_TENANT}) (<postgresql.transaction.oldest.age>{idle}) > {limits.idle_in_transaction:.0f}",
        "A transaction of {{ $labels.database }} is open and does nothing",
        f"A transaction of {{{{ $labels.database }}}} on {{{{ $labels.target }}}} is open for {DURATION}, and its"
        " session does nothing. It keeps its locks and holds vacuum up.",
    )
    used = f"max by ({_TARGET}) (<postgresql.connection.used>) / max by ({_TARGET}) (<postgresql.connection.usable>)"
    yield told(
        "ConnectionsSaturated",
        f"{used} > {limits.connections / _WHOLE:g}",
        "{{ $labels.target }} runs out of connections",
        "{{ humanizePercentage $value }} of the connections that {{ $labels.target }} can give are taken: when none is"
        " left, Odoo answers with errors.",
    )
    active = '<postgresql.session.open>{state="active"}'
    share = f"max by ({_TENANT}) ({active}) / on (environment, target) group_left () (sum by ({_TARGET}) ("
    share += f"max by ({_TENANT}) ({active})))"
    others = f"count by ({_TARGET}) (max by ({_TENANT}) (<postgresql.session.open>)) > 1"
    yield told(
        "NoisyNeighbour",
        f"{share} > {limits.tenant / _WHOLE:g}\nand on (environment, target) {used} > {_BUSY / _WHOLE:g}"
        f"\nand on (environment, target) {others}",
        "{{ $labels.database }} takes {{ $labels.target }} from the other tenants",
        "{{ humanizePercentage $value }} of the sessions that work on {{ $labels.target }} are those of"
        " {{ $labels.database }}, while its connections run out: one tenant's load makes the others slow.",
        board=Board.TENANTS,
    )


def _replication(about: _Told) -> Iterator[Rule]:
    limits = about.limits
    told = partial(about, board=Board.REPLICATION, service=Service.RECOVERY)
    yield told(
        "ReplicaDisconnected",
        f"max by ({_TARGET}) (<postgresql.replication.receiver.connected>) == 0",
        "Standby {{ $labels.target }} is cut off from its primary",
        "Standby {{ $labels.target }} does not receive from its primary: what is read from it is old, and it is no"
        " refuge if the primary fails. Its log says why it cannot connect.",
    )
    yield told(
        "StandbyMissing",
        f"max by ({_TARGET}) (<postgresql.replication.standbys.expected>)"
        f' > max by ({_TARGET}) (<postgresql.replication.standbys>{{state="streaming"}})',
        "Primary {{ $labels.target }} lacks a standby",
        "Primary {{ $labels.target }} should have {{ $value }} streaming standbys and has fewer. Look at the standbys,"
        " then at the write-ahead log that slots keep for them.",
    )
    yield told(
        "ReplicaBehind",
        "max by (environment, target, standby) (<postgresql.replication.standby.lag>"
        f'{{stage="replay"}}) > {limits.replica:.0f}',
        "Standby {{ $labels.standby }} of {{ $labels.target }} falls behind",
        "Standby {{ $labels.standby }} has yet to replay {{ humanize1024 $value }}B of {{ $labels.target }}'s log."
        " The stage at which the bytes pile up says where: sent is the line, replay the standby itself.",
    )
    by = "environment, target, slot"
    yield told(
        "SlotRetainsLog",
        f"max by ({by}) (<postgresql.replication.slot.retained>) > {limits.slot:.0f}",
        "Slot {{ $labels.slot }} of {{ $labels.target }} fills the disk",
        "{{ $labels.target }} keeps {{ humanize1024 $value }}B of write-ahead log for the slot {{ $labels.slot }},"
        " whose reader is away or too slow. When the disk is full, the primary stops.",
    )
    yield told(
        "SlotLost",
        f'max by ({by}, status) (<postgresql.replication.slot.wal_status>{{status=~"unreserved|lost"}}) == 1',
        "Slot {{ $labels.slot }} of {{ $labels.target }} is {{ $labels.status }}",
        "The write-ahead log that the slot {{ $labels.slot }} of {{ $labels.target }} needs is {{ $labels.status }}:"
        " unreserved may go at the next checkpoint, lost has gone, and its reader must be made anew.",
        hold=0,
    )


def _upkeep(told: _Told) -> Iterator[Rule]:
    limits = told.limits
    waiting = f"max by ({_TARGET}) (<postgresql.archiver.backlog.age>) > {limits.archive:.0f}"
    yield told(
        "ArchiverFailing",
        f"max by ({_TARGET}) (<postgresql.archiver.failing>) == 1\nor\n{waiting}",
        "{{ $labels.target }} does not archive its log",
        "{{ $labels.target }} cannot archive its write-ahead log, or is far behind with it: backups end at the last"
        " file that was archived, and the disk fills. The server's log has the command's error.",
        board=Board.REPLICATION,
        service=Service.RECOVERY,
    )
    yield told(
        "WraparoundNear",
        f"max by (environment, target, database, ids) (<postgresql.wraparound.utilization>) > {limits.ids / _WHOLE:g}",
        "{{ $labels.database }} uses up its {{ $labels.ids }} ids",
        "{{ humanizePercentage $value }} of the {{ $labels.ids }} ids of {{ $labels.database }} on {{ $labels.target }}"
        " are used up: vacuum does not keep up, or something holds it back. At 100 % the server takes no more writes.",
    )
    count = '<postgresql.checkpoint.count>{trigger="requested"}[1h]'
    requested = f"sum by ({_TARGET}) (increase({count}))"
    every = f"sum by ({_TARGET}) (increase(<postgresql.checkpoint.count>[1h]))"
    yield told(
        "CheckpointsRequested",
        f"{requested} / ({every} > 0) > 0.5\nand {requested} > 6",
        "{{ $labels.target }} writes more than its checkpoints are made for",
        "{{ humanizePercentage $value }} of the checkpoints of {{ $labels.target }} within the last hour came because"
        " max_wal_size was reached, and not as planned: the disk does more than it needs to, and all writes are"
        " slower.",
    )


def _queues(told: _Told) -> Iterator[Rule]:
    yield told(
        "QueueRunnerDead",
        f"max by ({_TENANT}) (<odoo.queue.runner.alive>) == 0\nand max by ({_TENANT}) (<odoo.queue.live>) > 0",
        "No job runner serves {{ $labels.database }}",
        "Database {{ $labels.database }} on {{ $labels.target }} has jobs and no job runner. Start an Odoo server that"
        " loads queue_job server-wide.",
        board=Board.QUEUES,
    )


def _redis(told: _Told) -> Iterator[Rule]:
    policy = (
        "{{ range query (printf `max by (policy) (<redis.memory.policy>{environment=%q, target=%q}) == 1`"
        " $labels.environment $labels.target) }} Its policy is {{ .Labels.policy }}: noeviction refuses writes when it"
        " is full, others throw keys out, sessions among them.{{ end }}"
    )
    yield told(
        "RedisMemoryHigh",
        f"max by ({_TARGET}) (<redis.memory.utilization>) > {told.limits.redis / _WHOLE:g}",
        "Redis {{ $labels.target }} is almost full",
        f"Redis {{{{ $labels.target }}}} uses {{{{ humanizePercentage $value }}}} of its limit.{policy} Raise the"
        " limit or find what grows.",
        board=Board.REDIS,
    )
    yield told(
        "RedisEvicts",
        f"sum by ({_TARGET}) (increase(<redis.keys.evicted>[10m])) > 0",
        "Redis {{ $labels.target }} throws keys out",
        "Redis {{ $labels.target }} threw out about {{ printf `%.0f` $value }} keys within ten minutes, to stay within"
        " its limit. If sessions are kept there, users are logged out.",
        board=Board.REDIS,
        hold=0,
    )


def _own(told: _Told) -> Iterator[Rule]:
    by = "environment, instance"
    yield told(
        "DiscoveryFailing",
        f"min by ({by}) (<quaywatch.discovery.up>) == 0\nor\nmax by ({by}) (<quaywatch.discovery.refused>) > 0",
        "{{ if $value }}Pods are refused{{ else }}Pods are not followed{{ end }}",
        "The agent{{ with $labels.instance }} {{ . }}{{ end }} {{ if $value }}has refused pods of its node for minutes,"
        " {{ $value }} now, since their annotations are wrong: nothing watches them.{{ else }}has not followed the pods"
        " of its node for minutes: those that came meanwhile are not watched, and those that went seem to be"
        " down.{{ end }} Its log says why; so does quaywatch check.",
        board=Board.QUAYWATCH,
        service=Service.QUAYWATCH,
        selects=("environment",),
    )
    yield told(
        "ResidueLeft",
        "max by (environment, target, probe) (<quaywatch.probe.residue>) > 0",
        "{{ $labels.probe }} leaves records behind on {{ $labels.target }}",
        "{{ $value }} records of past runs of {{ $labels.probe }} still stand on {{ $labels.target }} and could be"
        " erased. The sweep cannot: a janitor is missing, or a right of the probe's user. Run"
        " quaywatch sweep --dry-run.",
        board=Board.QUAYWATCH,
        service=Service.QUAYWATCH,
        hold=told.limits.residue,
    )
