"""What the targets of one agent share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry.trace import Tracer

from quaywatch.clock import Clock
from quaywatch.contract import Meter

from .leases import Leases
from .maintenance import Maintenance
from .probing import OnSuspicion, RunRecord
from .readings import Collection
from .schedule import Scheduler


@dataclass(frozen=True, slots=True)
class Tools:
    """What the targets of one agent share.

    ``on_run`` hears of every tick of a probe that was run or skipped, ``on_left`` of every target left;
    ``on_suspicion`` is asked about steps that are slow or fail.
    """

    installation: str
    scheduler: Scheduler
    collection: Collection
    leases: Leases
    meter: Meter
    tracer: Tracer
    clock: Clock
    on_run: Callable[[RunRecord], None]
    on_left: Callable[[str], None]
    on_suspicion: OnSuspicion | None
    maintenance: Maintenance
