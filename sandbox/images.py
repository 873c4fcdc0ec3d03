"""Images built from the Dockerfile without a registry, and run as a cluster would run them.

Debian's published base image cannot be pulled here, so one like it is made from the same packages. Layers that do not
hold the project's own code are kept in the cache: later builds take seconds.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from sandbox import cache, host

_ROOT = Path(__file__).parents[1]
TARGETS = ("agent", "browser")
BASE = "localhost/stand-in:bookworm-slim"
_KEPT = ("packages", "browser-packages", "agent-base", "browser-base")
"""Stages without our own code. A name keeps them, and those they stand on, when the images are removed."""
_KEEPER = "localhost/kept"
_SUITES = ("bookworm", "bookworm-updates", "bookworm-security")
_CONTEXT = ("Dockerfile", "locks", "deploy/image")
"""What the stages are made of, beside our own code."""
_UNITS = {"kB": 1e3, "MB": 1e6, "GB": 1e9}
_SLIM = """\
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/info/*
path-exclude=/usr/share/lintian/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
"""
_KEEPS_NO_PACKAGES = """\
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
"""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image in the store: how it is to be run, its labels, and its size beyond the base's, in bytes."""

    name: str
    command: tuple[str, ...]
    environment: tuple[str, ...]
    user: str
    health: tuple[str, ...]
    labels: Mapping[str, str]
    size: int


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A container that a runtime can start: root file system read-only, no capability, a user without a name."""

    directory: Path
    root: Path

    def program(self, name: str) -> tuple[str, ...]:
        """The command that starts it under a name of its own, in the network of the machine."""
        return (*self._runtime(), "run", "--bundle", str(self.directory), name)

    def inside(self, name: str, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """What a command inside the running container says."""
        return subprocess.run([*self._runtime(), "exec", name, *argv], capture_output=True, text=True, check=False)

    def _runtime(self) -> tuple[str, ...]:
        return ("runc", "--rootless=true", "--root", str(self.directory / "state"))  # without cgroups if need be


def store() -> tuple[str, ...]:
    """The builder's command with the store that all builds of this machine share."""
    host.require("buildah", "mmdebstrap", "runc")
    home = cache.cache_root() / "images-1"
    return ("buildah", "--root", f"{home}/root", "--runroot", f"{home}/run", "--storage-driver", "overlay")


def prepare(_progress: object) -> None:
    """Build the base and the stages that are kept: some minutes the first time, and when locks or Dockerfile change."""
    with tempfile.TemporaryDirectory() as context, _alone():
        _lay_out(Path(context), _ROOT)
        _have_stages(Path(context))


@contextmanager
def _alone() -> Iterator[None]:
    """One process of the machine builds and uses images at a time; there is a base."""
    with cache.locked(cache.cache_root() / "locks" / "images"):
        cache.run(*store(), "rm", "--all")  # what a killed process left
        _have_base()
        yield


@contextmanager
def built(root: Path, wheel: Path, context: Path, version: str) -> Iterator[dict[str, Image]]:
    """Both images by target, from the Dockerfile of `root` and a wheel; `context` is an empty directory to build in.

    They are removed at the end. One process of the machine builds and uses images at a time.
    """
    _lay_out(context, root)
    shutil.copy(wheel, context / "dist")
    with _alone():
        _have_stages(context)
        names = {target: f"localhost/quaywatch:{target}" for target in TARGETS}
        for target, name in names.items():
            _build(context, target, name, "--build-arg", f"VERSION={version}")
        try:
            yield {target: _image(name) for target, name in names.items()}
        finally:
            cache.run(*store(), "rmi", *names.values())
            cache.run(*store(), "rmi", "--prune")


@contextmanager
def mounted(image: Image) -> Iterator[Path]:
    """The root file system of a container of an image."""
    container = cache.run(*store(), "from", "--pull-never", image.name).strip()
    try:
        yield Path(cache.run(*store(), "mount", container).strip())
    finally:
        cache.run(*store(), "rm", container)


def bundle(
    image: Image,
    root: Path,
    directory: Path,
    binds: Mapping[str, Path],
    command: Sequence[str] = (),
    *,
    shared: str = "64m",
) -> Bundle:
    """A container of an image in an empty directory; `binds` are read-only, `command` comes instead of the image's.

    It gets what the restricted profile of Kubernetes leaves: no capability, no new privilege, a root file system that
    is read-only. `/tmp` and `/dev/shm` are its own, in memory; `shared` is the latter's size, as mount(8) has it.
    """
    argv = [*image.command[: image.command.index("quaywatch") + 1], *command] if command else list(image.command)
    user = int(image.user.partition(":")[0])
    process = {
        "user": {"uid": user, "gid": user},
        "args": argv,
        "env": list(image.environment),
        "cwd": "/",
        "noNewPrivileges": True,
        "capabilities": {},
    }
    spaces = [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")]
    mounts = [*_own_mounts(shared), *(_bind(what, at) for at, what in binds.items())]
    directory.mkdir(exist_ok=True)
    (directory / "config.json").write_text(
        json.dumps(
            {
                "ociVersion": "1.0.2",
                "process": process,
                "root": {"path": str(root), "readonly": True},
                "mounts": mounts,
                "linux": {"namespaces": spaces},
            }
        )
    )
    return Bundle(directory=directory, root=root)


def _own_mounts(shared: str) -> list[dict[str, Any]]:
    memory = {"type": "tmpfs", "source": "tmpfs"}
    return [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", **memory, "options": ["nosuid", "mode=755", "size=64k"]},
        {"destination": "/dev/shm", **memory, "options": ["nosuid", "nodev", "mode=1777", f"size={shared}"]},  # noqa: S108 - inside
        {"destination": "/tmp", **memory, "options": ["nosuid", "nodev", "mode=1777", "size=512m"]},  # noqa: S108 - inside
    ]


def _bind(what: Path, at: str) -> dict[str, Any]:
    return {"destination": at, "type": "bind", "source": str(what), "options": ["bind", "ro"]}


def _lay_out(context: Path, root: Path) -> None:
    for name in _CONTEXT:
        source = root / name
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, context / name)
    (context / "dist").mkdir()


def _have_base() -> None:
    if BASE in _names():
        return
    root = cache.built("image-base", "2", _debian) / "root"
    container = cache.run(*store(), "from", "scratch").strip()
    cache.run("cp", "--archive", f"{root}/.", cache.run(*store(), "mount", container).strip())
    cache.run(*store(), "commit", "--quiet", "--rm", container, BASE)


def _debian(part: Path) -> None:
    """A file system like that of Debian's published slim image, which unpacks and keeps as little."""
    root = part / "root"
    cache.mmdebstrap(["bookworm"], ["ca-certificates"], root)
    (root / "etc/dpkg/dpkg.cfg.d/docker").write_text(_SLIM)
    (root / "etc/apt/apt.conf.d/docker-clean").write_text(_KEEPS_NO_PACKAGES)
    (root / "etc/apt/sources.list").write_text("".join(f"{line}\n" for line in _sources()))


def _sources() -> list[str]:
    """The machine's own sources of bookworm, with its updates: the published image has those too."""
    shape = f"$(RELEASE) deb [signed-by={cache.KEYRING}] $(REPO_URI) $(RELEASE) $(COMPONENT)"
    listed = cache.run("apt-get", "indextargets", "--format", shape, "Created-By: Packages").splitlines()
    return [line for release, _, line in (line.partition(" ") for line in listed) if release in _SUITES]


def _have_stages(context: Path) -> None:
    """Build the stages that are kept, unless they are there from the very same files; those of others go."""
    digest = sha256()
    for path in sorted(path for name in _CONTEXT for path in [context / name, *(context / name).rglob("*")]):
        digest.update(str(path.relative_to(context)).encode() + (path.read_bytes() if path.is_file() else b""))
    wanted = {f"{_KEEPER}:{stage}-{digest.hexdigest()[:16]}": stage for stage in _KEPT}
    there = {name for name in _names() if name.startswith(_KEEPER)}
    for name in wanted.keys() - there:
        _build(context, wanted[name], name)
    if stale := there - wanted.keys():
        cache.run(*store(), "rmi", *stale)


def _names() -> list[str]:
    return cache.run(*store(), "images", "--format", "{{.Name}}:{{.Tag}}").splitlines()


def _build(context: Path, target: str, name: str, *more: str) -> None:
    options = ("--layers", "--format", "docker", "--isolation", "chroot", "--pull-never", "--quiet")
    certificates = ("--volume", "/etc/ssl/certs:/etc/ssl/certs:O")
    given = ("--build-arg", f"BASE={BASE}", *more)
    cache.run(*store(), "bud", *options, *certificates, *given, "--target", target, "--tag", name, context)


def _image(name: str) -> Image:
    told = json.loads(cache.run(*store(), "inspect", "--type", "image", name))["Docker"]["config"]
    return Image(
        name=name,
        command=(*told["Entrypoint"], *told["Cmd"]),
        environment=tuple(told["Env"]),
        user=told["User"],
        health=tuple(told["Healthcheck"]["Test"]),
        labels=told["Labels"],
        size=_size(name) - _size(BASE),
    )


def _size(name: str) -> int:
    (listed,) = json.loads(cache.run(*store(), "images", "--json", name))
    number, unit = listed["size"].split()
    return int(float(number) * _UNITS[unit])
