"""From where on something is bad: the one set of numbers that alerts and dashboards share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Promise:
    """What is promised of some flows.

    Args:
        probes: regular expression of these flows' names, as a whole.
        budget: part of the runs that may fail, from 0 to 1.
        within: seconds that a run may take.
        share: part of the successful runs that take no longer, from 0 to 1.
    """

    probes: str
    budget: float
    within: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Where a panel turns red. Durations are in seconds, sizes in bytes, shares from 0 to 1.

    Args:
        flows: what is promised of the flows; of those that fit a flow, the first decides.
        burning: how many times too fast a budget may be spent over a day.
        late: intervals that a flow may go without a run.
        edge_budget: part of the requests that may fail.
        edge_within: how long a request may take.
        queue: how long a due job may wait.
        cron: how late a cron may be.
        mail: how long mail may wait to be sent.
        documents: how long electronic documents may wait to be sent.
        picking: how long a confirmed order may have nothing to pick.
        recovery_point: how much may be lost.
        archive: how long a file of the log may wait to be archived.
        backup: age of the newest backup.
        restore_test: age of the last successful restore test.
        certificate: time left when a certificate or an API key is to be renewed.
        lock_wait: the longest wait for a lock.
        waiting: sessions that wait for locks at once.
        idle_in_transaction: how long a transaction may be open with nothing done in it.
        connections: share of the usable connections.
        slot: log kept for one replication slot.
        replica: log that a standby has yet to replay.
        ids: share of the transaction or multixact ids.
        redis: share of Redis' limit.
        tenant: share of the active sessions that one tenant has.
        tenant_errors: part of the requests of one tenant's users that may fail.
    """

    flows: tuple[Promise, ...]
    burning: float
    late: float
    edge_budget: float
    edge_within: float
    queue: float
    cron: float
    mail: float
    documents: float
    picking: float
    recovery_point: float
    archive: float
    backup: float
    restore_test: float
    certificate: float
    lock_wait: float
    waiting: float
    idle_in_transaction: float
    connections: float
    slot: float
    replica: float
    ids: float
    redis: float
    tenant: float
    tenant_errors: float
