"""What the dashboards take from the alerts: from where on something is bad, told once, in the objectives."""

from __future__ import annotations

from alerts import Objectives
from alerts.flows import promises
from dashboards import Levels, Promise

_WHOLE = 100.0


def levels(objectives: Objectives) -> Levels:
    """The levels of the dashboards for these objectives."""
    causes, business, recovery = objectives.causes, objectives.business, objectives.recovery
    return Levels(
        flows=tuple(
            Promise(one.matchers, one.objective.budget, one.objective.latency.within)
            for one in promises(objectives.flows, ())
        ),
        edge_budget=objectives.edge.budget,
        edge_within=objectives.edge.latency.within,
        queue=objectives.queues.delay,
        cron=business.cron,
        recovery_point=recovery.point,
        backup=recovery.backup,
        restore_test=recovery.restore_test,
        certificate=objectives.certificates.renewed,
        lock_wait=causes.lock_wait,
        waiting=causes.waiting,
        idle_in_transaction=causes.idle_in_transaction,
        connections=causes.connections / _WHOLE,
        slot=causes.slot,
        replica=causes.replica,
        ids=causes.ids / _WHOLE,
        redis=causes.redis / _WHOLE,
        tenant=causes.tenant / _WHOLE,
    )
