"""VictoriaMetrics: the store that metrics are pushed to, by OTLP, and a PromQL answerer for dashboards.

Debian's Prometheus has no OTLP receiver, so push goes here and pull to Prometheus.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sandbox.cache import built, fetch_deb
from sandbox.process import LOOPBACK, Services, Spec, free_port

from . import api

NAME = "victoriametrics"
_FLAGS = (
    "-retentionPeriod=1d",
    "-memory.allowedBytes=256MiB",
    # Names as users see them behind a Collector: dots to underscores, unit and `_total` added.
    "-opentelemetry.usePrometheusNaming",
    # A point counts from the moment it is stored, not 30 s later, and no answer is an earlier one's.
    "-search.latencyOffset=0s",
    "-search.disableCache",
)


@dataclass(frozen=True, kw_only=True)
class VictoriaMetrics:
    """A running store: `url` answers PromQL and has a UI at `/vmui`, `otlp` takes OTLP/HTTP metrics."""

    url: str

    @property
    def otlp(self) -> str:
        """Where OTLP/HTTP metrics are posted to."""
        return f"{self.url}/opentelemetry/v1/metrics"


def programs() -> Path:
    """The directory of `victoria-metrics`, `vmalert` and their kin, fetched when not yet there."""
    return built("victoriametrics", "trixie-1", _fetch) / "usr" / "bin"


def _fetch(part: Path) -> None:
    fetch_deb("victoria-metrics", "trixie", part)


def prepare(_progress: object) -> None:
    """Fetch the programs."""
    programs()


def start(services: Services, _world: object, _progress: object) -> VictoriaMetrics:
    """Start an empty store, or the one that was, on a free port.

    A new series is found some 10 s after it came, a new point of a known one after some 4 s: caches that no flag
    turns off. `query` does not wait for them.
    """
    ports = services.ports(NAME) or {"http": free_port()}
    address = f"{LOOPBACK}:{ports['http']}"
    argv = (
        str(programs() / "victoria-metrics"),
        f"-httpListenAddr={address}",
        f"-storageDataPath={services.state / NAME}",
        *_FLAGS,
    )
    services.start(Spec(name=NAME, argv=argv, ports=ports, ready=partial(api.answers, f"http://{address}/health")))
    return VictoriaMetrics(url=f"http://{address}")


def query(store: VictoriaMetrics, promql: str) -> list[tuple[dict[str, str], float]]:
    """As `api.query`, but asked after the store made visible what it took until a second ago."""
    api.get(f"{store.url}/internal/force_flush")
    return api.query(store.url, promql)
