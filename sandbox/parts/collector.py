"""An OpenTelemetry Collector: what the agent and Traefik send by OTLP goes to the metric store and the recorder.

The programs of the registries are the Collector's libraries in Debian, so the sandbox builds its own from them
(`collector_build/main.go`), once, in a file system that is thrown away afterwards.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from sandbox.cache import built, mmdebstrap, run
from sandbox.host import require
from sandbox.process import LOOPBACK, Services, Spec, accepts, free_port

from .recorder import Recorder
from .victoriametrics import VictoriaMetrics

NAME = "collector"
_SOURCE = Path(__file__).parents[1] / "collector_build" / "main.go"
_LIBRARIES = "golang-opentelemetry-collector-dev"
_PORTS = ("grpc", "http", "metrics")


class Stores(Protocol):
    """What the Collector needs of the world: where metrics go, and where traces and logs go."""

    @property
    def victoriametrics(self) -> VictoriaMetrics:
        """The store of metrics."""

    @property
    def recorder(self) -> Recorder:
        """The store of traces and logs."""


@dataclass(frozen=True, kw_only=True)
class Collector:
    """A running Collector: OTLP/gRPC (`host:port`, no TLS), OTLP/HTTP (a base URL), its own metrics' page."""

    grpc: str
    http: str
    metrics: str


def program() -> Path:
    """The Collector, built when not yet there: three minutes the first time.

    Also a checker: `collector validate --config file:PATH` knows the core's OTLP receiver, its
    memory_limiter processor and its debug, otlp_grpc and otlp_http exporters.
    """
    return built("collector", "sid-1", _build) / "collector"


def _build(part: Path) -> None:
    require("mmdebstrap")
    root = part / "root"
    mmdebstrap(["sid"], ["golang-go", _LIBRARIES], root)
    source = root / "build" / "src" / "collector"
    source.mkdir(parents=True)
    shutil.copy(_SOURCE, source)
    package = run("chroot", root, "dpkg-query", "-W", "-f", "${Version}", _LIBRARIES)
    _compile(root, package.partition("-")[0])
    shutil.move(root / "build" / "collector", part)
    shutil.rmtree(root)


def _compile(root: Path, version: str) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/build",
        "GOROOT": "/usr/lib/go",  # which go cannot find by itself without /proc
        "GOPATH": "/build:/usr/share/gocode",
        "GO111MODULE": "off",
        "GOTELEMETRY": "off",
        "CGO_ENABLED": "0",
    }
    setting = [f"{name}={value}" for name, value in environment.items()]
    flags = f"-s -w -X main.version={version}"
    go = ("nice", "go", "build", "-trimpath", "-ldflags", flags, "-o", "/build/collector", "collector")
    run("chroot", root, "env", "-i", *setting, *go)


def prepare(_progress: object) -> None:
    """Build the program."""
    program()


def start(services: Services, world: Stores, _progress: object) -> Collector:
    """Start the Collector on free ports, in front of the world's VictoriaMetrics and recorder."""
    ports = services.ports(NAME) or {port: free_port() for port in _PORTS}
    config = services.state / NAME / "config.yaml"
    config.parent.mkdir(exist_ok=True)
    config.write_text(yaml.safe_dump(_config(ports, world), sort_keys=False))
    argv = (str(program()), "--config", f"file:{config}")
    services.start(Spec(name=NAME, argv=argv, ports=ports, ready=lambda: all(map(accepts, ports.values()))))
    return Collector(
        grpc=f"{LOOPBACK}:{ports['grpc']}",
        http=f"http://{LOOPBACK}:{ports['http']}",
        metrics=f"http://{LOOPBACK}:{ports['metrics']}/metrics",
    )


def _config(ports: dict[str, int], world: Stores) -> dict[str, Any]:
    protocols = {name: {"endpoint": f"{LOOPBACK}:{ports[name]}"} for name in ("grpc", "http")}
    batched = {"sending_queue": {"batch": {"flush_timeout": "200ms"}}}
    return {
        "receivers": {"otlp": {"protocols": protocols}},
        "processors": {"memory_limiter": {"check_interval": "1s", "limit_mib": 256}},
        "exporters": {
            "otlp_http/metrics": {"metrics_endpoint": world.victoriametrics.otlp, **batched},
            "otlp_grpc/recorder": {"endpoint": world.recorder.endpoint, "tls": {"insecure": True}, **batched},
        },
        "service": {
            "telemetry": {"metrics": {"level": "normal", "readers": [_own_metrics(ports["metrics"])]}},
            "pipelines": {
                "metrics": _pipeline("otlp_http/metrics"),
                "traces": _pipeline("otlp_grpc/recorder"),
                "logs": _pipeline("otlp_grpc/recorder"),
            },
        },
    }


def _pipeline(exporter: str) -> dict[str, list[str]]:
    return {"receivers": ["otlp"], "processors": ["memory_limiter"], "exporters": [exporter]}


def _own_metrics(port: int) -> dict[str, Any]:
    return {"pull": {"exporter": {"prometheus": {"host": LOOPBACK, "port": port}}}}
