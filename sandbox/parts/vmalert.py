"""vmalert: works out for VictoriaMetrics what rules record, and writes it there, as Prometheus does by itself."""

from functools import partial
from pathlib import Path

from sandbox.process import LOOPBACK, Services, Spec, free_port

from .api import answers
from .victoriametrics import VictoriaMetrics, programs

NAME = "vmalert"


def start(services: Services, store: VictoriaMetrics, rules: Path) -> None:
    """Start it on the rules of a file; what they alert of is told to nobody. Stop it by its name."""
    port = free_port()
    address = f"{LOOPBACK}:{port}"
    argv = (
        str(programs() / "vmalert"),
        f"-rule={rules}",
        f"-datasource.url={store.url}",
        f"-remoteWrite.url={store.url}",
        "-notifier.blackhole",
        f"-httpListenAddr={address}",
    )
    ready = partial(answers, f"http://{address}/health")
    services.start(Spec(name=NAME, argv=argv, ports={"http": port}, ready=ready))
