"""What the sandbox asks of the machine: root, Debian's packages, and mounts that only one process sees."""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from .cache import RETRIES, SandboxError, cache_root, locked, run

_NO_CLUSTER = Path("/etc/postgresql-common/createcluster.conf")
_POLICY = Path("/usr/sbin/policy-rc.d")
_MEMORY = Path("/dev/shm")  # noqa: S108 - what is made in it has a name that nobody guesses
_FORBID_STARTS = "#!/bin/sh\nexit 101\n"


def require_root() -> None:
    """`SandboxError` unless run by root, who alone may bind mounts and change users."""
    if os.geteuid():
        raise SandboxError("the sandbox mounts and changes users, so it must be run by root (a container will do)")


def require(*packages: str) -> None:
    """Install those of these Debian packages which the machine lacks, without starting any of their servers."""
    if all(map(_installed, packages)):
        return
    require_root()
    with locked(cache_root() / "locks" / "apt"):
        missing = [package for package in packages if not _installed(package)]
        if missing:
            _install(missing)


def _installed(package: str) -> bool:
    asked = ("dpkg-query", "--show", "--showformat=${db:Status-Status}", package)
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    return answer.stdout == "installed"


def _install(packages: Sequence[str]) -> None:
    if not _NO_CLUSTER.exists():
        _NO_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
        _NO_CLUSTER.write_text("create_main_cluster = false\n")
    forbidden = not _POLICY.exists()
    if forbidden:
        _POLICY.write_text(_FORBID_STARTS)
        _POLICY.chmod(0o755)
    try:
        again = ("-o", f"Acquire::Retries={RETRIES}")
        quietly = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q")
        run(*quietly, "update", *again)
        run(*quietly, "install", *again, "-y", "-o", "DPkg::Lock::Timeout=300", "--no-install-recommends", *packages)
    finally:
        if forbidden:
            _POLICY.unlink()


def in_private_mounts(argv: Sequence[str], binds: Mapping[Path, Path]) -> tuple[str, ...]:
    """`argv`, run where each key of `binds` is also found at the path it maps to.

    Nobody else sees the mounts and they end with the process, whatever ends it: nothing is left to unmount. The
    process keeps the pid that was started. Needs root.
    """
    mounts = [f"mount --rbind {shlex.quote(str(what))} {shlex.quote(str(at))}" for what, at in binds.items()]
    return ("unshare", "--mount", "sh", "-c", " && ".join([*mounts, f"exec {shlex.join(argv)}"]))


def with_memory_at(place: Path, argv: Sequence[str]) -> tuple[str, ...]:
    """`argv`, run where `place` is an empty directory in memory that nobody else sees and that ends with the process.

    For a server that waits for the disk at every write and whose data nobody needs afterwards. Needs root.
    """
    mounted = f"mount -t tmpfs tmpfs {shlex.quote(str(place))}"
    return ("unshare", "--mount", "sh", "-c", f"{mounted} && exec {shlex.join(argv)}")


def as_user(user: str, argv: Sequence[str]) -> tuple[str, ...]:
    """`argv`, run as `user` and nothing but `user`."""
    return ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *argv)


@contextmanager
def in_memory(prefix: str) -> Iterator[Path]:
    """A new directory that is deleted with all that is in it, in memory where Linux has a place for that.

    For clusters of hundreds of databases: on a disk their files take longer to make and to delete than to use.
    """
    place = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix=prefix, dir=place, ignore_cleanup_errors=True) as directory:
        yield Path(directory)
