"""The setting for one host: what it mounts is there, and each server's own checker takes its file."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from probes.scripted import probe_of
from quaywatch import __version__
from quaywatch.cli.registry import all_exporters, all_probes
from quaywatch.config import Settings, load_text
from sandbox.parts.binaries import binaries

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "compose"
SECRETS = FOLDER / "secrets"
"""Whoever starts it puts these there; git leaves them alone."""
RUN_SECRETS = "/run/secrets/"
AGENT = 256
"""MiB that an agent without a browser is given wherever it is deployed."""

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
    assert [source for source, _ in binds(compose) if SECRETS not in source.parents and not source.exists()] == []
    for service in compose["services"].values():
        volumes = [volume.partition(":") for volume in service.get("volumes", ())]
        assert all(
            place.endswith(":ro") if name.startswith(".") else name in compose["volumes"] for name, _, place in volumes
        )
        assert set(service.get("secrets", ())) <= set(compose["secrets"])
    assert [told for told in compose["secrets"].values() if SECRETS not in (FOLDER / told["file"]).parents] == []
    assert (FOLDER / ".gitignore").read_text() == f".env\n{SECRETS.name}/\n"


def test_no_variable_is_one_that_shells_keep_to_themselves() -> None:
    """What the file takes from the environment has a default, or is asked for and told of in the documentation."""
    taken = re.findall(r"\$\{([A-Z_]+)(:[-?])", (FOLDER / "compose.yaml").read_text())
    assert dict(taken) == {"HOST_NAME": ":?", "ODOO_NETWORK": ":-"}
    assert "printf 'HOST_NAME=%s\\nODOO_NETWORK=" in (ROOT / "docs/installing.md").read_text()


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
    """With its secrets where they are mounted; Prometheus shows the token that the agent asks for."""
    mounted = {place: source for source, place in binds(compose)}["/run/secrets"]
    assert {path.name for path in settings_in(tmp_path).files} >= {"postgres-password", "page-token"}
    assert (FOLDER / compose["secrets"]["page-token"]["file"]).resolve() == mounted / "page-token"


def test_without_redis_and_janitor_no_secret_of_theirs_is_needed(tmp_path: Path) -> None:
    """The two are taken out of the configuration as its comment says, and the agent asks for three files."""
    config = yaml.safe_load((FOLDER / "quaywatch.yaml").read_text())
    del config["targets"]["cache"], config["targets"]["erp"]["cache"], config["targets"]["erp"]["janitor"]
    settings = settings_in(tmp_path, yaml.safe_dump(config))
    assert {path.name for path in settings.files} == {"postgres-password", "odoo-password", "page-token"}


def settings_in(folder: Path, text: str = "") -> Settings:
    """The agent's settings, with the secrets that they refer to in a folder; the file's own if no text is given."""
    text = text or (FOLDER / "quaywatch.yaml").read_text()
    for name in re.findall(rf"{RUN_SECRETS}([a-z-]+)", text):
        (folder / name).write_text("secret")
    text = text.replace(RUN_SECRETS, f"{folder}/")
    return load_text(text, "quaywatch.yaml", {}, all_exporters(), all_probes(), probe_of)


def test_a_browser_is_recycled_before_the_kernel_kills(compose: Section, tmp_path: Path) -> None:
    """The limit covers the browser's own bound, an agent, and all that can lie in memory; /dev/shm is used."""
    service = compose["services"]["quaywatch"]
    browser = settings_in(tmp_path).browser
    (tmpfs,) = service["tmpfs"]
    in_memory = mebibytes(service["shm_size"]) + mebibytes(tmpfs.partition("size=")[2])
    assert browser.dev_shm
    assert mebibytes(service["mem_limit"]) >= browser.memory / 2**20 + AGENT + in_memory


def mebibytes(size: str) -> int:
    """A size such as 512m."""
    assert size.endswith("m")
    return int(size.removesuffix("m"))


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


def test_prometheus_reads_everything_that_speaks_of_itself(compose: Section) -> None:
    """The agent, the Collector, Alertmanager and Prometheus itself, each a service here; the Collector lets it in."""
    jobs = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())["scrape_configs"]
    targets = {target for job in jobs for told in job["static_configs"] for target in told["targets"]}
    assert targets == {"quaywatch:9464", "collector:8888", "alertmanager:9093", "localhost:9090"}
    assert {target.partition(":")[0] for target in targets} - {"localhost"} <= set(compose["services"])
    (reader,) = yaml.safe_load((FOLDER / "collector.yaml").read_text())["service"]["telemetry"]["metrics"]["readers"]
    assert reader["pull"]["exporter"]["prometheus"] == {"host": "0.0.0.0", "port": 8888}  # noqa: S104 - a container's


def test_alertmanager_takes_its_file(compose: Section) -> None:
    """`amtool check-config` does, and the secrets that it names are below what is mounted."""
    (config,) = [source for source, place in binds(compose) if place == "/etc/alertmanager/alertmanager.yml"]
    done = subprocess.run([binaries().amtool, "check-config", config], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (mounted,) = [place for source, place in binds(compose) if source == SECRETS / "alertmanager"]
    named = re.findall(r"_file: (\S+)", config.read_text())
    assert named
    assert [name for name in named if not name.startswith(f"{mounted}/")] == []


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
