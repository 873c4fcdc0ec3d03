"""The Dockerfile builds, and both images run probes as nobody in particular, where nothing can be written."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from quaywatch import __version__
from sandbox import agent, images
from sandbox.images import Bundle, Image
from sandbox.process import free_port
from sandbox.testing import shared_world

# A machine that has built no image yet fetches Chromium.
pytestmark = pytest.mark.timeout(900)
ROOT = Path(__file__).parents[2]
CONFIG = "/etc/quaywatch/quaywatch.yaml"
SIZES = {"agent": 150e6, "browser": 700e6}
"""Bytes beyond the base's, at most."""
NAME = "quaywatch"
PATIENCE = 180.0
"""Seconds until a busy machine has started an agent."""
SHELLS = ("/usr/bin/dash", "/usr/bin/bash")


@pytest.fixture(scope="module")
def built(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Image]]:
    """Both images, built from the Dockerfile on a stand-in for the base that cannot be pulled here."""
    with images.built(ROOT, wheel, tmp_path_factory.mktemp("context"), __version__) as made:
        yield made


@pytest.fixture(scope="module")
def roots(built: Mapping[str, Image]) -> Iterator[Mapping[str, Path]]:
    """The root file system of each."""
    with images.mounted(built["agent"]) as slim, images.mounted(built["browser"]) as browser:
        yield {"agent": slim, "browser": browser}


def test_the_dockerfile_follows_the_linter() -> None:
    """Every rule of hadolint that is not switched off beside its line."""
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_base_is_pinned() -> None:
    """The argument that names the base has a digest."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    (base,) = [line for line in lines if line.startswith("ARG BASE=")]
    assert len(base.partition("@sha256:")[2]) == 64


@pytest.mark.parametrize("target", images.TARGETS)
def test_the_image_is_small(
    built: Mapping[str, Image], target: str, record_property: Callable[[str, object], None]
) -> None:
    """What comes beside the base stays below its bound, and is printed."""
    record_property("figure", f"image {target}: {built[target].size / 1e6:.0f} MB beside the base")
    assert built[target].size < SIZES[target]


@pytest.mark.parametrize("target", images.TARGETS)
def test_the_image_tells_what_it_is(built: Mapping[str, Image], target: str) -> None:
    """Labels, a user by number who is not root, a process that reaps others, and a health check without a shell."""
    image = built[target]
    assert image.labels["org.opencontainers.image.version"] == __version__
    assert image.labels["org.opencontainers.image.base.name"] == images.BASE
    assert datetime.fromisoformat(image.labels["org.opencontainers.image.created"]).tzinfo
    assert image.user == "65532:65532"
    assert image.command == ("tini", "--", "quaywatch", "run", "--config", CONFIG)
    assert image.health == ("CMD", "quaywatch", "health")


@pytest.mark.parametrize("target", images.TARGETS)
def test_the_image_holds_no_build_tools(roots: Mapping[str, Path], target: str) -> None:
    """Neither compiler nor installer is shipped, nor packages or lists that an installer left."""
    root = roots[target]
    programs = {path.name for folder in ("usr/bin", "opt/quaywatch/bin") for path in (root / folder).iterdir()}
    assert not programs & {"gcc", "cc", "make", "pip", "pip3"}
    assert [*(root / "var/lib/apt/lists").glob("*_*"), *(root / "var/cache/apt").rglob("*.deb")] == []


@pytest.mark.parametrize("target", images.TARGETS)
def test_the_image_lists_what_it_is_made_of(roots: Mapping[str, Path], target: str) -> None:
    """Every Debian package and every distribution of the lock, with its version; Chromium in the one that has it."""
    bill = json.loads((roots[target] / "usr/share/sbom/quaywatch.cdx.json").read_text())
    assert (bill["bomFormat"], bill["metadata"]["component"]["version"]) == ("CycloneDX", __version__)
    listed = {part["purl"].partition("@")[0] for part in bill["components"]}
    status = (roots[target] / "var/lib/dpkg/status").read_text()
    debian = {line.removeprefix("Package: ") for line in status.splitlines() if line.startswith("Package: ")}
    locked = {"agent": "runtime.txt", "browser": "browser.txt"}[target]
    pinned = [line for line in (ROOT / "locks" / locked).read_text().splitlines() if "==" in line]
    python = {line.partition("==")[0].lower() for line in pinned}
    expected = {f"pkg:deb/debian/{name}".replace("+", "%2B") for name in debian} | {
        f"pkg:pypi/{name}" for name in python | {"quaywatch"}
    }
    assert listed == expected
    assert ("pkg:deb/debian/chromium-headless-shell" in listed) is (target == "browser")


@pytest.mark.parametrize("target", images.TARGETS)
def test_bytecode_is_shipped(roots: Mapping[str, Path], target: str) -> None:
    """No start compiles what it cannot keep, and the bytecode holds whatever time the files have."""
    packages = roots[target] / "opt/quaywatch/lib/python3.11/site-packages"
    compiled = (packages / "quaywatch/__pycache__/__init__.cpython-311.pyc").read_bytes()
    assert int.from_bytes(compiled[4:8], "little") & 0b1, "it is checked by time"


@pytest.fixture
def binds(tmp_path: Path) -> dict[str, Path]:
    """What both get beside their root: a configuration for a real Odoo; and nothing where their shells are."""
    settings = agent.configuration(shared_world("odoo19"), f"127.0.0.1:{free_port()}")
    orders = settings["probes"]["order_create"]
    settings["probes"]["browser_order_create"] = {**orders, "every": 300, "deadline": 120}
    settings["probes"]["browser_login"] = {"targets": orders["targets"], "deadline": 120}
    settings["probes"]["order_create"] = {**orders, "every": 300, "deadline": 60}
    config = tmp_path / "quaywatch.yaml"
    config.write_text(yaml.safe_dump(settings))
    config.chmod(0o644)
    return {CONFIG: config, **dict.fromkeys(SHELLS, Path("/dev/null"))}


@contextmanager
def running(bundle: Bundle, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The container's own command, until the end of the block."""
    with log.open("wb") as output, subprocess.Popen(bundle.program(NAME), stdout=output, stderr=output) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def test_the_agent_runs_and_a_probe_succeeds(
    built: Mapping[str, Image], roots: Mapping[str, Path], binds: Mapping[str, Path], tmp_path: Path
) -> None:
    """Started by its own command: it is found alive, an order goes through a real Odoo, nothing can be written."""
    bundle = images.bundle(built["agent"], roots["agent"], tmp_path / "bundle", binds)
    log = tmp_path / "log"
    with running(bundle, log) as process:
        end = time.monotonic() + PATIENCE
        while (alive := bundle.inside(NAME, built["agent"].health[1:])).returncode:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, alive.stderr
        ordered = bundle.inside(NAME, ["quaywatch", "probe", "order_create", "--config", CONFIG])
        assert (ordered.returncode, "success" in ordered.stdout) == (0, True), ordered.stdout + ordered.stderr
        assert bundle.inside(NAME, ["id", "-u"]).stdout == "65532\n"
        assert bundle.inside(NAME, ["touch", "/opt/quaywatch/new"]).stderr.endswith("Read-only file system\n")
        assert bundle.inside(NAME, ["sh", "-c", "exit 0"]).returncode != 0
    assert process.returncode == 0, log.read_text()


def as_shipped() -> tuple[dict[str, bool], str]:
    """How the manifests have the browser run: its table of the configuration, and the size of its `/dev/shm`."""
    overlay = yaml.safe_load((ROOT / "deploy/kustomize/overlays/browser/quaywatch.yaml").read_text())
    pod = yaml.safe_load((ROOT / "deploy/kustomize/components/browser/browser.yaml").read_text())["spec"]["template"]
    (shm,) = [one["emptyDir"] for one in pod["spec"]["volumes"] if one["name"] == "quaywatch-shm"]
    return overlay["browser"], shm["sizeLimit"].replace("Mi", "m")


def test_the_browser_runs_a_probe_as_it_ships(
    built: Mapping[str, Image], roots: Mapping[str, Path], binds: Mapping[str, Path], tmp_path: Path
) -> None:
    """With the settings and the shared memory of the manifests it places an order in a real Odoo, every step green."""
    settings, shared = as_shipped()
    assert (settings, shared) == ({"sandbox": False, "dev_shm": True}, "512m")
    config = yaml.safe_load(binds[CONFIG].read_text())
    binds[CONFIG].write_text(yaml.safe_dump({**config, "browser": settings}))
    command = ("probe", "order_create", "--browser", "--config", CONFIG)
    bundle = images.bundle(built["browser"], roots["browser"], tmp_path / "bundle", binds, command, shared=shared)
    done = subprocess.run(bundle.program(NAME), capture_output=True, text=True, check=False)
    assert (done.returncode, "success" in done.stdout) == (0, True), done.stdout + done.stderr


def test_the_browser_runs_in_its_own_sandbox(
    built: Mapping[str, Image], roots: Mapping[str, Path], binds: Mapping[str, Path], tmp_path: Path
) -> None:
    """Where the container lets it, it shuts itself in, and needs no more shared memory than any container has."""
    command = ("probe", "login", "--browser", "--config", CONFIG)
    bundle = images.bundle(built["browser"], roots["browser"], tmp_path / "bundle", binds, command)
    done = subprocess.run(bundle.program(NAME), capture_output=True, text=True, check=False)
    assert (done.returncode, "success" in done.stdout) == (0, True), done.stdout + done.stderr
