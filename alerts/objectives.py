"""What is promised, and what counts as ill: the records behind ``slo.yaml``. Defaults here and in that file are one.

Durations are in seconds, shares in percent. A record refuses what cannot be meant by a ValueError that begins with the
key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

DAY = 86400
_WHOLE = 100.0
_PATTERN = re.compile(r"[a-z0-9_*?]+")


@dataclass(frozen=True, slots=True)
class Tier:
    """How urgent a symptom is, and whose it is. ``severity`` is that of the symptoms of the tier."""

    severity: Literal["page", "ticket"] = "page"
    team: str = "platform"


@dataclass(frozen=True, slots=True)
class Paging:
    """A flow's symptom shows when ``failures`` of the last ``runs`` runs were bad."""

    failures: int = 3
    runs: int = 3

    def __post_init__(self) -> None:
        if self.failures <= 1:
            raise ValueError("failures: one failure would alarm; 2 or more are expected")
        if self.runs < self.failures:
            raise ValueError(f"runs: {self.failures} of {self.runs} cannot be; {self.failures} or more are expected")


@dataclass(frozen=True, slots=True)
class Unsteady(Paging):
    """What makes a ticket of a flow that fails now and then, if it runs ``every`` seconds or less often.

    A flow that runs seldom has few runs in the time in which it is to be found: fewer failures must do.
    """

    failures: int = 5
    runs: int = 30
    every: float = 0


@dataclass(frozen=True, slots=True)
class Latency:
    """``share`` percent of what succeeds takes at most ``within`` seconds."""

    within: float = 10.0
    share: float = 95.0

    def __post_init__(self) -> None:
        _positive("within", self.within)
        _share("share", self.share)


@dataclass(frozen=True, slots=True)
class FlowObjective:
    """What is promised of a flow: ``availability`` percent of its runs succeed.

    ``slow`` is the tier of its being slow; that of its failing if empty.
    """

    tier: str = "critical"
    availability: float = 99.0
    latency: Latency = field(default_factory=Latency)
    slow: str = ""

    def __post_init__(self) -> None:
        _share("availability", self.availability)

    @property
    def budget(self) -> float:
        """The part of the runs that may fail, from 0 to 1."""
        return round(1 - self.availability / _WHOLE, 9)


@dataclass(frozen=True, slots=True)
class EdgeObjective:
    """What is promised at the edge.

    Args:
        tier: whose it is.
        availability: percent of the requests that are answered.
        latency: how soon those that hurry are.
        errors: how many of them, within five minutes, are worth a look.
        buckets: the bounds that Traefik counts by; what takes longer than one of them is known, nothing between two.
        unhurried: shell patterns of services whose requests are to wait, such as Odoo's long polling.
    """

    tier: str = "critical"
    availability: float = 99.5
    latency: Latency = field(default_factory=lambda: Latency(5.0, 95.0))
    errors: int = 10
    buckets: tuple[float, ...] = (0.1, 0.3, 1.2, 5.0)
    unhurried: tuple[str, ...] = ("*longpolling*", "*websocket*")

    def __post_init__(self) -> None:
        _share("availability", self.availability)
        _positive("errors", self.errors)
        if self.latency.within not in self.buckets:
            known = ", ".join(f"{bound:g}" for bound in self.buckets)
            raise ValueError(f"latency: {self.latency.within:g} s is no bound of Traefik's; one of {known} is expected")

    @property
    def budget(self) -> float:
        """The part of the requests that may fail, from 0 to 1."""
        return round(1 - self.availability / _WHOLE, 9)


@dataclass(frozen=True, slots=True)
class QueueObjective:
    """A due job waits at most ``delay``; ``channels`` has other delays by channel."""

    tier: str = "standard"
    delay: float = 900
    channels: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _positive("delay", self.delay)
        for channel, delay in self.channels.items():
            _positive(f"channels: {channel}", delay)


@dataclass(frozen=True, slots=True)
class BusinessObjective:
    """How long mail, electronic documents, crons and confirmed orders may wait.

    ``deactivated`` is the tier of crons that were switched off.
    """

    tier: str = "standard"
    deactivated: str = "background"
    mail: float = 3600
    edi: float = 7200
    cron: float = 1800
    picking: float = 1800

    def __post_init__(self) -> None:
        for name in ("mail", "edi", "cron", "picking"):
            _positive(name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class RecoveryObjective:
    """How much may be lost (``point``), and how old the newest backup and the last restore test may be.

    ``backups`` is the tier of backups and restore tests, ``tier`` that of standbys.
    """

    tier: str = "standard"
    point: float = 300
    backups: str = "background"
    backup: float = 93600
    restore_test: float = 35 * DAY

    def __post_init__(self) -> None:
        for name in ("point", "backup", "restore_test"):
            _positive(name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class CertificateObjective:
    """How long before its end a certificate, or an API key of ours, is to be renewed."""

    tier: str = "standard"
    renewed: float = 14 * DAY

    def __post_init__(self) -> None:
        _positive("renewed", self.renewed)


@dataclass(frozen=True, slots=True)
class Watching:
    """The watching itself: how long it may be silent altogether."""

    tier: str = "standard"
    silence: float = 300

    def __post_init__(self) -> None:
        _positive("silence", self.silence)


@dataclass(frozen=True, slots=True)
class Causes:
    """From where on something is a cause. Causes make tickets, and never page.

    Args:
        tier: whose team gets them.
        lasts: how long a cause must last: longer than a symptom needs to show, so that the symptom silences it.
        lock_wait: the longest wait for a lock; Odoo's own requests give up after 60 to 120 s.
        waiting: sessions that wait for locks at once.
        idle_in_transaction: how long a transaction may be open with nothing done in it.
        connections: percent of the usable connections.
        slot: bytes of write-ahead log kept for one replication slot.
        replica: bytes of write-ahead log a standby has yet to replay.
        archive: how long a file may wait to be archived.
        ids: percent of the transaction or multixact ids.
        deadlocks: deadlocks within 15 minutes.
        redis: percent of Redis' limit.
        tenant: percent of the active sessions that one tenant has while connections run out.
        residue: how long records of probes may be left over.
    """

    tier: str = "background"
    lasts: float = 300
    lock_wait: float = 60
    waiting: int = 10
    idle_in_transaction: float = 300
    connections: float = 85.0
    slot: float = 10 * 1024**3
    replica: float = 1024**3
    archive: float = 900
    ids: float = 40.0
    deadlocks: int = 3
    redis: float = 90.0
    tenant: float = 60.0
    residue: float = 3600

    def __post_init__(self) -> None:
        for name in ("connections", "ids", "redis", "tenant"):
            _share(name, getattr(self, name))
        for name in ("lock_wait", "waiting", "idle_in_transaction", "slot", "replica", "archive", "deadlocks"):
            _positive(name, getattr(self, name))


def _tiers() -> dict[str, Tier]:
    return {
        "critical": Tier("page", "logistics"),
        "standard": Tier("page", "platform"),
        "background": Tier("ticket", "platform"),
    }


def _flows() -> dict[str, FlowObjective]:
    return {
        "*portal_lookup": FlowObjective("standard", 99.0, Latency(5.0, 95.0)),
        "*shipment_confirm": FlowObjective("critical", 90.0, Latency(30.0, 90.0)),
        "*": FlowObjective(),
    }


@dataclass(frozen=True, slots=True)
class Objectives:
    """The whole of ``slo.yaml``.

    Args:
        flows: by shell pattern of the probe's name; the first that fits is the flow's.
        pages: when a flow fails, is slow or is not measured.
        tickets: when a flow fails now and then, by how often it runs.
        settle: how long what is read now and then must be ill.
        keep: how long an alert goes on firing after its condition ended, so that it does not flap.
    """

    tiers: Mapping[str, Tier] = field(default_factory=_tiers)
    pages: Paging = field(default_factory=Paging)
    tickets: tuple[Unsteady, ...] = (Unsteady(), Unsteady(3, 15, 120), Unsteady(2, 6, 300))
    settle: float = 60
    keep: float = 120
    flows: Mapping[str, FlowObjective] = field(default_factory=_flows)
    edge: EdgeObjective = field(default_factory=EdgeObjective)
    queues: QueueObjective = field(default_factory=QueueObjective)
    business: BusinessObjective = field(default_factory=BusinessObjective)
    recovery: RecoveryObjective = field(default_factory=RecoveryObjective)
    certificates: CertificateObjective = field(default_factory=CertificateObjective)
    watching: Watching = field(default_factory=Watching)
    causes: Causes = field(default_factory=Causes)

    def __post_init__(self) -> None:
        if all(one.every for one in self.tickets):
            raise ValueError("tickets: none is for flows that run often; one without `every` is expected")
        for pattern, flow in self.flows.items():
            if not _PATTERN.fullmatch(pattern):
                raise ValueError(f"flows: {pattern!r} fits no probe; small letters, digits, _, * and ? are expected")
            self._tier_exists(f"flows: {pattern}", flow.tier)
            self._tier_exists(f"flows: {pattern}: slow", flow.slow or flow.tier)
        for name in ("edge", "queues", "business", "recovery", "certificates", "watching", "causes"):
            self._tier_exists(name, getattr(self, name).tier)
        self._tier_exists("business: deactivated", self.business.deactivated)
        self._tier_exists("recovery: backups", self.recovery.backups)

    def tickets_of(self, every: float) -> Unsteady:
        """What makes a ticket of a flow that runs so often, in seconds."""
        return max((one for one in self.tickets if one.every <= every), key=lambda one: one.every)

    def _tier_exists(self, key: str, tier: str) -> None:
        if tier not in self.tiers:
            raise ValueError(f"{key}: there is no tier {tier}; one of {', '.join(self.tiers)} is expected")


def _positive(name: str, value: float) -> None:
    if value <= 0:
        raise ValueError(f"{name}: {value:g} is out of range; more than 0 is expected")


def _share(name: str, value: float) -> None:
    if not 0 < value < _WHOLE:
        raise ValueError(f"{name}: {value:g} is out of range; percent between 0 and 100 are expected")
