"""The Dockerfile builds, and the image runs a probe as nobody in particular."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from quaywatch import __version__
from sandbox import agent, cache, host
from sandbox.testing import shared_world

ROOT = Path(__file__).parents[2]
BASE = "localhost/stand-in:bookworm"

Buildah = Callable[..., str]


def debian(part: Path) -> None:
    """A file system like the one of Debian's published base image."""
    cache.mmdebstrap(["bookworm"], ["ca-certificates"], part / "root")


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    """The image builder, with a store of its own that is emptied at the end."""
    host.require("buildah", "mmdebstrap")
    store = tmp_path_factory.mktemp("images")
    command = ["buildah", "--root", str(store / "root"), "--runroot", str(store / "run"), "--storage-driver", "vfs"]

    def run(*words: str | Path) -> str:
        done = subprocess.run([*command, *words], capture_output=True, text=True, check=False, cwd=ROOT)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout.strip()

    yield run
    run("rm", "--all")
    run("rmi", "--all", "--force")


@pytest.fixture(scope="module")
def image(buildah: Buildah, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image, built from the Dockerfile on a stand-in for the base that cannot be pulled here."""
    container = buildah("from", "scratch")
    root = cache.built("image-base", "1", debian) / "root"
    subprocess.run(["cp", "--archive", f"{root}/.", buildah("mount", container)], check=True)
    buildah("commit", "--quiet", container, BASE)
    context = tmp_path_factory.mktemp("context")
    for name in ("Dockerfile", "locks"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, context / name)
    (context / "dist").mkdir()
    shutil.copy(wheel, context / "dist")
    certificates = ["--volume", "/etc/ssl/certs:/etc/ssl/certs:ro"]
    build = ["bud", "--isolation", "chroot", "--pull-never", "--build-arg", f"BASE={BASE}", *certificates]
    buildah(*build, "--tag", "quaywatch:test", context)
    return "quaywatch:test"


@pytest.fixture(scope="module")
def container(buildah: Buildah, image: str) -> str:
    """A container of the image."""
    return buildah("from", "--pull-never", image)


def test_the_dockerfile_follows_the_linter() -> None:
    """Every rule of hadolint that is not switched off beside its line."""
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_says_its_version_as_nobody(buildah: Buildah, container: str) -> None:
    """The image's user is not root, has no name and no home, and the program works for it."""
    run = ["run", "--isolation", "chroot", container, "--"]
    assert buildah(*run, "id", "-u") == "65532"
    assert buildah(*run, "quaywatch", "--version") == f"quaywatch {__version__}"


def test_the_image_holds_no_build_tools(buildah: Buildah, container: str) -> None:
    """Neither compiler nor installer is shipped."""
    root = Path(buildah("mount", container))
    programs = {path.name for folder in ("usr/bin", "opt/quaywatch/bin") for path in (root / folder).iterdir()}
    assert not programs & {"gcc", "cc", "make", "pip", "pip3"}


def test_the_image_runs_a_probe(buildah: Buildah, container: str, tmp_path: Path) -> None:
    """One order is created in a real Odoo by the program in the image, every step green."""
    world = shared_world("odoo19")
    config = tmp_path / "quaywatch.yaml"
    config.write_text(yaml.safe_dump(agent.configuration(world, "127.0.0.1:9464")))
    config.chmod(0o644)
    volume = ["--volume", f"{config}:/etc/quaywatch/quaywatch.yaml:ro"]
    command = ["quaywatch", "probe", "order_create", "--target", "erp19", "--config", "/etc/quaywatch/quaywatch.yaml"]
    said = buildah("run", "--isolation", "chroot", *volume, container, "--", *command)
    assert "success" in said
