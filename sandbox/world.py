"""The sandbox as a whole: its parts and what they need of each other, brought up, looked at and taken down.

python -m sandbox up            everything
python -m sandbox up odoo19     that, and what it needs
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, TypeVar

import psutil
from pydantic import TypeAdapter

from .cache import SandboxError, locked
from .parts import (
    alertmanager,
    collector,
    kubernetes,
    odoo,
    postgres,
    prometheus,
    recorder,
    redis,
    traefik,
    victoriametrics,
    webhook,
)
from .parts.alertmanager import Alertmanager
from .parts.collector import Collector
from .parts.kubernetes import Kubernetes
from .parts.odoo import Odoo
from .parts.postgres import Postgres
from .parts.prometheus import Prometheus
from .parts.recorder import Recorder
from .parts.redis import Redis
from .parts.traefik import Traefik
from .parts.victoriametrics import VictoriaMetrics
from .parts.webhook import Webhook
from .process import Services
from .progress import Progress

_FILE = "world.json"
_AT_ONCE = 2
T = TypeVar("T")


def state_directory() -> Path:
    """Where a sandbox keeps itself: `QUAYWATCH_SANDBOX_STATE`, else `.sandbox` in the project's root."""
    chosen = os.environ.get("QUAYWATCH_SANDBOX_STATE")
    return Path(chosen) if chosen else Path(__file__).parents[1] / ".sandbox"


@dataclass(frozen=True, kw_only=True)
class World:
    """Every address and credential of one sandbox. A part that is not up raises `SandboxError` when asked for.

    `"redis" in world` asks whether it is.
    """

    state: Path
    endpoints: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, state: Path | None = None) -> "World":
        """The world that was last saved in `state`; one without parts when there was none."""
        place = (state or state_directory()).absolute()
        try:
            saved: dict[str, Any] = json.loads((place / _FILE).read_text())
        except FileNotFoundError:
            saved = {}
        return cls(state=place, endpoints={name: _revive(name, value) for name, value in saved.items()})

    def save(self) -> None:
        """Write the world to its state directory."""
        (self.state / _FILE).write_text(json.dumps(self.plain(), indent=1))

    def plain(self) -> dict[str, Any]:
        """All endpoints as JSON would have them."""
        plain: dict[str, Any] = TypeAdapter(dict[str, Any]).dump_python(dict(self.endpoints), mode="json")
        return plain

    @property
    def services(self) -> Services:
        """The processes behind the parts."""
        return Services(self.state)

    @property
    def postgres(self) -> Postgres:
        """The primary."""
        return self._get("postgres", Postgres)

    @property
    def standby(self) -> Postgres:
        """The streaming standby, which can only be read."""
        return self._get("standby", Postgres)

    @property
    def redis(self) -> Redis:
        """Redis."""
        return self._get("redis", Redis)

    @property
    def odoo14(self) -> Odoo:
        """Odoo 14, asked directly."""
        return self._get("odoo14", Odoo)

    @property
    def odoo19(self) -> Odoo:
        """Odoo 19, asked directly."""
        return self._get("odoo19", Odoo)

    @property
    def recorder(self) -> Recorder:
        """Where spans and log records end up."""
        return self._get("recorder", Recorder)

    @property
    def victoriametrics(self) -> VictoriaMetrics:
        """Where pushed metrics end up."""
        return self._get("victoriametrics", VictoriaMetrics)

    @property
    def collector(self) -> Collector:
        """The OTel Collector before both of these."""
        return self._get("collector", Collector)

    @property
    def traefik(self) -> Traefik:
        """The edge in front of both Odoos."""
        return self._get("traefik", Traefik)

    @property
    def webhook(self) -> Webhook:
        """Where notifications end up."""
        return self._get("webhook", Webhook)

    @property
    def alertmanager(self) -> Alertmanager:
        """The router of alerts."""
        return self._get("alertmanager", Alertmanager)

    @property
    def prometheus(self) -> Prometheus:
        """The scraper of what is pulled, and the evaluator of rules."""
        return self._get("prometheus", Prometheus)

    @property
    def kubernetes(self) -> Kubernetes:
        """An API server of Kubernetes, with no node behind it."""
        return self._get("kubernetes", Kubernetes)

    def __contains__(self, name: str) -> bool:
        return name in self.endpoints

    def _get(self, name: str, kind: type[T]) -> T:
        endpoint = self.endpoints.get(name)
        if not isinstance(endpoint, kind):
            raise SandboxError(f"{name} is not up in {self.state}; start it: python -m sandbox up {name}")
        return endpoint


@dataclass(frozen=True, kw_only=True)
class Part:
    """One server: how its cache is filled, how it is started, and whom it must find running."""

    endpoint: type
    prepare: Callable[[Progress], None]
    start: Callable[[Services, World, Progress], object]
    needs: tuple[str, ...] = ()
    aside: bool = False
    """Whether it is started only when it is named."""


def _odoo(edition: odoo.Edition) -> Part:
    return Part(
        endpoint=Odoo,
        prepare=partial(odoo.prepare, edition),
        start=partial(odoo.start, edition),
        needs=("postgres",),
    )


PARTS: Mapping[str, Part] = {
    "postgres": Part(endpoint=Postgres, prepare=postgres.prepare, start=postgres.start),
    "standby": Part(
        endpoint=Postgres,
        prepare=postgres.prepare,
        start=postgres.start_standby,
        needs=("postgres",),
    ),
    "redis": Part(endpoint=Redis, prepare=redis.prepare, start=redis.start),
    "odoo14": _odoo(odoo.ODOO14),
    "odoo19": _odoo(odoo.ODOO19),
    "recorder": Part(endpoint=Recorder, prepare=recorder.prepare, start=recorder.start),
    "victoriametrics": Part(
        endpoint=VictoriaMetrics,
        prepare=victoriametrics.prepare,
        start=victoriametrics.start,
    ),
    "collector": Part(
        endpoint=Collector,
        prepare=collector.prepare,
        start=collector.start,
        needs=("recorder", "victoriametrics"),
    ),
    "traefik": Part(
        endpoint=Traefik,
        prepare=traefik.prepare,
        start=traefik.start,
        needs=("odoo14", "odoo19", "collector"),
    ),
    "webhook": Part(endpoint=Webhook, prepare=webhook.prepare, start=webhook.start),
    "alertmanager": Part(
        endpoint=Alertmanager,
        prepare=alertmanager.prepare,
        start=alertmanager.start,
        needs=("webhook",),
    ),
    "prometheus": Part(
        endpoint=Prometheus,
        prepare=prometheus.prepare,
        start=prometheus.start,
        needs=("alertmanager",),
    ),
    "kubernetes": Part(endpoint=Kubernetes, prepare=kubernetes.prepare, start=kubernetes.start, aside=True),
}


def with_needs(names: Iterable[str]) -> list[str]:
    """These parts and all they need, in the order of `PARTS`; when none is named, all that do not stand aside."""
    wanted: set[str] = set()
    pending = list(names) or [name for name, part in PARTS.items() if not part.aside]
    while pending:
        name = pending.pop()
        if name not in PARTS:
            raise SandboxError(f"there is no part {name!r}; there are {', '.join(PARTS)}")
        wanted.add(name)
        pending.extend(need for need in PARTS[name].needs if need not in wanted)
    return [name for name in PARTS if name in wanted]


def up(names: Iterable[str] = (), *, state: Path | None = None, progress: Progress | None = None) -> World:
    """Bring these parts up, with all they need, and leave alone those that run; the world afterwards.

    The cache is filled first, two parts at a time. `SandboxError` when a part cannot be built or started; parts
    already started then stay, and calling it again goes on from there.
    """
    place = (state or state_directory()).absolute()
    telling = progress or Progress(quiet=True)
    place.mkdir(parents=True, exist_ok=True)
    with locked(place / "lock"):
        world = World.load(place)
        missing = [name for name in with_needs(names) if not _runs(world, name)]
        fill({name: PARTS[name].prepare for name in missing}, telling)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for wave in _waves(missing):
                started = _all(pool.submit(_start, name, world, telling) for name in wave)
                world = replace(world, endpoints={**world.endpoints, **dict(started)})
                world.save()
    return world


def down(*, state: Path | None = None, delete: bool = False) -> None:
    """Stop everything that runs in `state`, last started first; with `delete` its data goes too."""
    place = (state or state_directory()).absolute()
    if not place.is_dir():
        return
    with locked(place / "lock"):
        Services(place).stop_all()
        (place / _FILE).unlink(missing_ok=True)
    if delete:
        shutil.rmtree(place)


@dataclass(frozen=True, kw_only=True)
class Status:
    """How one part stands. `memory` is the resident memory of its processes, in bytes."""

    name: str
    pid: int | None
    ports: Mapping[str, int]
    memory: int
    frozen: bool

    @property
    def word(self) -> str:
        """One word for it."""
        if not self.pid:
            return "stopped"
        return "frozen" if self.frozen else "running"


def status(*, state: Path | None = None) -> list[Status]:
    """How each part stands that was ever started in `state`, in the order of `PARTS`."""
    place = (state or state_directory()).absolute()
    if not place.is_dir():
        return []
    services = Services(place)
    known = set(services.names())
    return [_status(services, name) for name in PARTS if name in known]


def _status(services: Services, name: str) -> Status:
    pid = services.pid(name)
    memory, frozen = _memory(pid) if pid else 0, services.frozen(name)
    return Status(name=name, pid=pid, ports=services.ports(name), memory=memory, frozen=frozen)


def _memory(pid: int) -> int:
    try:
        leader = psutil.Process(pid)
        return sum(process.memory_info().rss for process in (leader, *leader.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0


def _runs(world: World, name: str) -> bool:
    return name in world.endpoints and world.services.alive(name)


def fill(prepares: Mapping[str, Callable[[Progress], object]], progress: Progress) -> None:
    """Fill the cache by these, two at a time, in this order; `SandboxError` when one cannot be fetched or built."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        _all(pool.submit(_prepare, name, prepare, progress) for name, prepare in prepares.items())


def _prepare(name: str, prepare: Callable[[Progress], object], progress: Progress) -> None:
    with progress.step(f"{name}: prepare"):
        prepare(progress)


def _start(name: str, world: World, progress: Progress) -> tuple[str, object]:
    with progress.step(f"{name}: start"):
        return name, PARTS[name].start(world.services, world, progress)


def _waves(names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """These parts in groups, each of which needs only parts of the groups before it."""
    chosen = set(names)
    sorter = TopologicalSorter({name: chosen.intersection(PARTS[name].needs) for name in chosen})
    sorter.prepare()
    while sorter.is_active():
        ready = sorter.get_ready()
        yield tuple(name for name in PARTS if name in ready)
        sorter.done(*ready)


def _all(futures: Iterable[Any]) -> list[Any]:
    """What all of them gave, once all have ended; the first failure otherwise."""
    pending = list(futures)
    failures = [failure for future in pending if (failure := future.exception())]
    if failures:
        raise failures[0]
    return [future.result() for future in pending]


def _revive(name: str, value: Any) -> object:
    return TypeAdapter(PARTS[name].endpoint).validate_python(value)
