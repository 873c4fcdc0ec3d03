"""The setting for one host: what it mounts is there, and each server's own checker takes its file."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_config import __file__ as otel_config
from probes.scripted import probe_of
from quaywatch import __version__
from quaywatch.cli.registry import all_exporters, all_probes
from quaywatch.config import load_text
from sandbox.parts.binaries import binaries

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "compose"
RUN_SECRETS = "/run/secrets/"

Section = dict[str, Any]


@pytest.fixture(scope="module")
def compose() -> Section:
    """The file itself."""
    loaded: Section = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    return loaded


def binds(compose: Section) -> Iterator[tuple[Path, str]]:
    """What of the project is mounted, and where."""
    for service in compose["services"].values():
        for volume in service.get("volumes", ()):
            source, _, place = volume.partition(":")
            if source.startswith("."):
                yield (FOLDER / source).resolve(), place.removesuffix(":ro")


def test_everything_that_is_mounted_is_there(compose: Section) -> None:
    """Paths of the project exist, volumes and secrets are declared, and nothing of the project can be written."""
    assert [source for source, _ in binds(compose) if not source.exists()] == []
    for service in compose["services"].values():
        volumes = [volume.partition(":") for volume in service.get("volumes", ())]
        assert all(
            place.endswith(":ro") if name.startswith(".") else name in compose["volumes"] for name, _, place in volumes
        )
        assert set(service.get("secrets", ())) <= set(compose["secrets"])


def test_every_container_is_hardened(compose: Section) -> None:
    """Root file systems are read-only, no capability is left, and nothing but loopback of the host is listened on."""
    for service in compose["services"].values():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert [port for port in service.get("ports", ()) if not port.startswith("127.0.0.1:")] == []


def test_images_have_versions(compose: Section) -> None:
    """Quaywatch's is this one, and no other is whatever is newest."""
    images = {name: service["image"].partition(":")[2] for name, service in compose["services"].items()}
    assert images.pop("quaywatch") == f"{__version__}-browser"
    assert [name for name, tag in images.items() if tag in {"", "latest"}] == []


def test_the_agents_configuration_is_valid(compose: Section, tmp_path: Path) -> None:
    """With its secrets in place; it needs those that the container gets, and no other."""
    text = (FOLDER / "quaywatch.yaml").read_text()
    secrets = compose["services"]["quaywatch"]["secrets"]
    for name in secrets:
        (tmp_path / name).write_text("secret")
    settings = load_text(
        text.replace(RUN_SECRETS, f"{tmp_path}/"), "quaywatch.yaml", {}, all_exporters(), all_probes(), probe_of
    )
    assert {path.name for path in settings.files} == set(secrets)


def test_the_collector_takes_both_files() -> None:
    """The second one gives the pipeline of logs an exporter that there is; all others are the gateway's."""
    gateway = yaml.safe_load((Path(otel_config).parent / "collector/gateway.yaml").read_text())
    here = yaml.safe_load((FOLDER / "collector.yaml").read_text())
    assert set(here["service"]["pipelines"]) <= set(gateway["service"]["pipelines"])
    assert set(here["service"]["pipelines"]["logs"]["exporters"]) <= set(here["exporters"])


def test_prometheus_takes_its_file_and_the_rules(tmp_path: Path) -> None:
    """`promtool check config`, with the paths of the container where they come from."""
    text = (FOLDER / "prometheus.yaml").read_text()
    (tmp_path / "page-token").write_text("secret")
    config = tmp_path / "prometheus.yaml"
    config.write_text(
        text.replace("/etc/prometheus/rules", f"{ROOT}/alerts/rules").replace(RUN_SECRETS, f"{tmp_path}/")
    )
    done = subprocess.run([binaries().promtool, "check", "config", config], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "rules found" in done.stdout


def test_grafana_finds_data_and_dashboards(compose: Section) -> None:
    """Each data source is a service here, traces are found from exemplars, and the dashboards' folder is mounted."""
    sources = yaml.safe_load((FOLDER / "grafana/datasources.yaml").read_text())["datasources"]
    assert {source["url"].split("//")[1].partition(":")[0] for source in sources} <= set(compose["services"])
    uids = {source["uid"] for source in sources}
    (metrics,) = [source["jsonData"] for source in sources if source["type"] == "prometheus"]
    assert [
        link["datasourceUid"] for link in metrics["exemplarTraceIdDestinations"] if link["datasourceUid"] not in uids
    ] == []
    (provider,) = yaml.safe_load((FOLDER / "grafana/dashboards.yaml").read_text())["providers"]
    assert (ROOT / "dashboards/json", provider["options"]["path"]) in set(binds(compose))
