"""Alerts on what stands behind a flow, and on the agent itself. Their thresholds are here, each once."""

from __future__ import annotations

from collections.abc import Iterator

from .rule import Role, Rule, Service, Severity

HOLD = 300
"""Seconds a cause must last: longer than a symptom needs to show, so that the symptom silences its causes."""
LOCK_WAIT = 60
"""Seconds of waiting for a lock. Odoo's own requests give up after 60 to 120."""
REPLICA_AGE = 300
"""Seconds a standby may be behind."""
REPLICA_BYTES = 1024**3
"""Bytes of write-ahead log a standby may be behind."""
QUEUE_AGE = 900
"""Seconds a job may wait past its time."""
REDIS_UTILIZATION = 0.9
"""Share of Redis' limit."""

_FOR = "{{ humanizeDuration $value }}"


def rules() -> Iterator[Rule]:
    """The rules about causes, then the one about the agent."""
    yield from _targets()
    yield from _locks()
    yield from _replication()
    yield from _queues()
    yield from _redis()
    yield from _agent()


def _cause(alert: str, expr: str, summary: str, description: str) -> Rule:
    return Rule(
        alert=alert,
        expr=expr,
        hold=HOLD,
        severity=Severity.TICKET,
        role=Role.CAUSE,
        summary=summary,
        description=description,
    )


def _targets() -> Iterator[Rule]:
    yield _cause(
        "TargetDown",
        "max by (environment, target, kind) (<quaywatch.target.up>) == 0",
        "{{ $labels.kind }} {{ $labels.target }} does not answer",
        "{{ $labels.kind }} {{ $labels.target }} has not answered an agent for five minutes.{{ range query (printf"
        " `topk(1, sum by (reason) (increase(<quaywatch.scrape.error>{environment=%q, target=%q}[10m])) > 0)`"
        " $labels.environment $labels.target) }} Reason: {{ .Labels.reason }}.{{ end }} Run quaywatch check.",
    )


def _locks() -> Iterator[Rule]:
    yield _cause(
        "LockWaitLong",
        f"max by (environment, target, database) (<postgresql.lock.wait.longest>) > {LOCK_WAIT}",
        "A session of {{ $labels.database }} waits long for a lock",
        f"A session of database {{{{ $labels.database }}}} on {{{{ $labels.target }}}} has waited {_FOR} for a"
        " lock.{{ range query (printf `topk(1, max by (pid, state) (<postgresql.lock.root_blocker.age>"
        '{environment=%q, target=%q, database=%q, pid!="other"}))` $labels.environment $labels.target'
        " $labels.database) }} Root blocker: process {{ .Labels.pid }} ({{ .Labels.state }}), its transaction open for"
        " {{ humanizeDuration .Value }}.{{ end }} End the root blocker, not those who wait.",
    )


def _replication() -> Iterator[Rule]:
    yield _cause(
        "ReplicaDisconnected",
        "max by (environment, target) (<postgresql.replication.receiver.connected>) == 0",
        "Standby {{ $labels.target }} is cut off from its primary",
        "Standby {{ $labels.target }} does not receive from its primary: what is read from it is old, and it is no"
        " refuge if the primary fails. Its log says why it cannot connect.",
    )
    yield _cause(
        "StandbyMissing",
        "max by (environment, target) (<postgresql.replication.standbys.expected>)"
        ' > max by (environment, target) (<postgresql.replication.standbys>{state="streaming"})',
        "Primary {{ $labels.target }} lacks a standby",
        "Primary {{ $labels.target }} should have {{ $value }} streaming standbys and has fewer. Look at the standbys,"
        " then at the write-ahead log that slots keep for them.",
    )
    yield _cause(
        "ReplicaStale",
        f"max by (environment, target) (<postgresql.replication.replay.age>) > {REPLICA_AGE}",
        "Standby {{ $labels.target }} shows old data",
        f"Standby {{{{ $labels.target }}}} is {_FOR} behind. Replay is paused, held up by a query, or the line to"
        " the primary is cut or too slow.",
    )
    yield _cause(
        "ReplicaBehind",
        "max by (environment, target, standby) (<postgresql.replication.standby.lag>"
        f'{{stage="replay"}}) > {REPLICA_BYTES}',
        "Standby {{ $labels.standby }} of {{ $labels.target }} falls behind",
        "Standby {{ $labels.standby }} has yet to replay {{ humanize1024 $value }}B of {{ $labels.target }}'s log."
        " The stage at which the bytes pile up says where: sent is the line, replay the standby itself.",
    )


def _queues() -> Iterator[Rule]:
    yield _cause(
        "QueueStalled",
        f"max by (environment, target, database, channel) (<odoo.queue.oldest.age>) > {QUEUE_AGE}",
        "Jobs of {{ $labels.database }} wait in channel {{ $labels.channel }}",
        f"The oldest due job of channel {{{{ $labels.channel }}}} in database {{{{ $labels.database }}}} has waited"
        f" {_FOR}. The runner is dead, the channel is full of stuck jobs, or more comes in than is done.",
    )
    yield _cause(
        "QueueRunnerDead",
        "max by (environment, target, database) (<odoo.queue.runner.alive>) == 0"
        " and max by (environment, target, database) (<odoo.queue.live>) > 0",
        "No job runner serves {{ $labels.database }}",
        "Database {{ $labels.database }} on {{ $labels.target }} has jobs and no job runner. Start an Odoo server that"
        " loads queue_job server-wide.",
    )


def _redis() -> Iterator[Rule]:
    yield _cause(
        "RedisMemoryHigh",
        f"max by (environment, target) (<redis.memory.utilization>) > {REDIS_UTILIZATION}",
        "Redis {{ $labels.target }} is almost full",
        "Redis {{ $labels.target }} uses {{ humanizePercentage $value }} of its limit.{{ range query (printf"
        " `max by (policy) (<redis.memory.policy>{environment=%q, target=%q})` $labels.environment $labels.target) }}"
        " Its policy is {{ .Labels.policy }}: noeviction refuses writes when it is full, others throw keys out,"
        " sessions among them.{{ end }} Raise the limit or find what grows.",
    )


def _agent() -> Iterator[Rule]:
    yield Rule(
        alert="AgentAbsent",
        expr="absent(<quaywatch.start.time>)",
        hold=HOLD,
        severity=Severity.PAGE,
        role=Role.SYMPTOM,
        service=Service.QUAYWATCH,
        summary="No Quaywatch agent is heard",
        description="Nothing of any agent has reached this store for five minutes: neither flows nor causes are"
        " watched. The agents are down, or what they send does not arrive.",
    )
