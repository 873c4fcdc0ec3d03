"""What the dashboards take from the alerts: from where on something is bad, told once, in the objectives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from alerts import Flow, Objectives
from alerts.budget import BURNS
from alerts.patterns import regex
from alerts.promises import LATE_AFTER, promises
from alerts.symptoms import FAST_BURNS
from dashboards import Levels, Promise

_WHOLE: Final = 100.0


def levels(objectives: Objectives, flows: Sequence[Flow] = ()) -> Levels:
    """The levels of the dashboards for these objectives, and for these flows if they are known."""
    decided = list(promises(objectives.flows, flows)) or list(promises(objectives.flows, ()))
    causes, business, recovery = objectives.causes, objectives.business, objectives.recovery
    return Levels(
        flows=tuple(
            Promise(
                regex([one.pattern]),
                one.objective.budget,
                one.objective.latency.within,
                one.objective.latency.share / _WHOLE,
            )
            for one in decided
        ),
        edge_budget=objectives.edge.budget,
        edge_within=objectives.edge.latency.within,
        queue=objectives.queues.delay,
        burning=BURNS[0][0],
        late=float(LATE_AFTER),
        cron=business.cron,
        mail=business.mail,
        documents=business.edi,
        picking=business.picking,
        recovery_point=recovery.point,
        archive=causes.archive,
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
        tenant_errors=FAST_BURNS[0][0] * objectives.edge.budget,
    )
