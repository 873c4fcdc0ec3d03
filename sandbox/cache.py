"""The cache of what is expensive to make: file systems, programs, database templates; once per machine.

Everything comes from the machine's own apt sources, by package name. A recipe's version is a word in the code
that calls `built`; whoever changes the recipe changes the word, and the old directory is no longer looked at.
"""

import fcntl
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
RETRIES = 5
"""How often apt asks a mirror again that did not answer."""
# A mirror may be a frozen copy, whose release files have run out; and its files lie where only root may look.
APT_OPTIONS = (
    'Acquire::Check-Valid-Until "false"',
    'APT::Sandbox::User "root"',
    f'Acquire::Retries "{RETRIES}"',
    'APT::Update::Error-Mode "any"',  # a list that could not be fetched is no list
)


class SandboxError(Exception):
    """The sandbox could not do what it was asked; the message says what, and where to look."""


def cache_root() -> Path:
    """The directory everything cached lies below: `QUAYWATCH_SANDBOX_CACHE`, else in the user's own cache."""
    chosen = os.environ.get("QUAYWATCH_SANDBOX_CACHE")
    root = Path(chosen) if chosen else Path.home() / ".cache" / "quaywatch-sandbox"
    root.mkdir(parents=True, exist_ok=True)
    return root.resolve()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold `path` as a lock file: one holder on the machine, let go even when the holder is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def is_built(name: str, version: str) -> bool:
    """Whether `built` would return at once."""
    return (cache_root() / f"{name}-{version}").is_dir()


def built(name: str, version: str, build: Callable[[Path], None]) -> Path:
    """The directory `<cache>/<name>-<version>`, made by `build` the first time it is asked for.

    `build` fills an empty directory beside it, which gets its name only when complete: a killed build leaves
    nothing that looks done, and the next one sweeps its remains. Two processes never build the same thing.
    """
    final = cache_root() / f"{name}-{version}"
    with locked(cache_root() / "locks" / final.name):
        if not final.is_dir():
            part = final.with_name(f"{final.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            build(part)
            part.rename(final)
    return final


def run(*argv: str | Path, cwd: Path | None = None) -> str:
    """The output of a program that must succeed; `SandboxError` with the end of what it said otherwise."""
    words = [str(word) for word in argv]
    done = subprocess.run(words, cwd=cwd, text=True, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise SandboxError(f"{' '.join(words[:4])} ... ended with {done.returncode}:\n{said}")
    return done.stdout


def mirror() -> str:
    """The address of this machine's Debian mirror, asked of apt, which reads both formats of sources."""
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    shape = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    for line in run("apt-get", "indextargets", "--format", shape, "Created-By: Packages").splitlines():
        if line.endswith(f" {release} main"):
            return line.split(" ", 1)[0]
    raise SandboxError(f"no mirror of Debian {release} main in this machine's apt sources")


def source_line(suite: str, kind: str = "deb") -> str:
    """One line of a sources.list that names `suite` on this machine's mirror: its packages, or their sources."""
    return f"{kind} [signed-by={KEYRING}] {mirror()} {suite} main"


def fetch_deb(package: str, suite: str, into: Path) -> Path:
    """Unpack `package` of another Debian suite into `into`, without installing anything; returns `into`.

    Dependencies are not fetched. The suite's package lists are kept in the cache, not in the machine's own.
    """
    into.mkdir(parents=True, exist_ok=True)
    options = _private_apt(suite)
    with locked(cache_root() / "locks" / f"deb-{suite}-{package}"):
        debs = cache_root() / "debs" / suite / package
        shutil.rmtree(debs, ignore_errors=True)
        debs.mkdir(parents=True)
        run("apt-get", *options, "download", f"{package}/{suite}", cwd=debs)
        run("dpkg", "-x", next(debs.glob("*.deb")), into)
        shutil.rmtree(debs)
    return into


def fetch_source(package: str, suite: str, into: Path) -> Path:
    """Unpack the source of `package` in a Debian suite into `into`, without Debian's changes; returns `into`."""
    into.mkdir(parents=True, exist_ok=True)
    options = _private_apt(suite, "deb-src")
    with locked(cache_root() / "locks" / f"source-{suite}-{package}"):
        archives = cache_root() / "sources" / suite / package
        shutil.rmtree(archives, ignore_errors=True)
        archives.mkdir(parents=True)
        run("apt-get", *options, "source", "--download-only", "--only-source", package, cwd=archives)
        run("tar", "-x", "--strip-components=1", "-f", next(archives.glob("*.orig.tar.*")), "-C", into)
        shutil.rmtree(archives)
    return into


def _private_apt(suite: str, kind: str = "deb") -> list[str]:
    """The options that make apt use lists of `suite` in the cache, fetched if they are not there."""
    name = "apt" if kind == "deb" else "apt-source"
    home = built(name, f"{suite}-1", lambda part: _update(part, suite, kind))
    return _apt_options(home)


def _update(home: Path, suite: str, kind: str) -> None:
    (home / "lists" / "partial").mkdir(parents=True)
    (home / "archives" / "partial").mkdir(parents=True)
    (home / "sources.list").write_text(source_line(suite, kind) + "\n")
    run("apt-get", *_apt_options(home), "update")


def _apt_options(home: Path) -> list[str]:
    settings = [
        *(option.replace(" ", "=").replace('"', "") for option in APT_OPTIONS),
        f"Dir::Etc::SourceList={home / 'sources.list'}",
        "Dir::Etc::SourceParts=/dev/null",
        "Dir::Etc::Preferences=/dev/null",
        "Dir::Etc::PreferencesParts=/dev/null",
        f"Dir::State::Lists={home / 'lists'}",
        f"Dir::Cache={home}",
        f"Dir::Cache::Archives={home / 'archives'}",
    ]
    return [word for setting in settings for word in ("-o", setting)]


def mmdebstrap(
    suites: Sequence[str],
    include: Sequence[str],
    into: Path,
    default_release: str | None = None,
    variant: str = "apt",
) -> None:
    """Fill `into` with a Debian file system of the first of `suites`, with `include` installed.

    With several suites `default_release` says whose packages win where both have one. The variant `extract` only
    unpacks `include` and what that depends on, which is quick, and enough for a program that needs no configuring.
    """
    release = [f'APT::Default-Release "{default_release}"'] if default_release else []
    options = [f"--aptopt={option}" for option in (*APT_OPTIONS, 'APT::Install-Recommends "false"', *release)]
    packages = f"--include={','.join(include)}"
    sources = [source_line(suite) for suite in suites]
    # It ends with us, and its mounts with it, so that nobody sweeps a killed build that goes on or through a mount.
    private = ("setpriv", "--pdeathsig=TERM", "unshare", "--mount")
    run(*private, "mmdebstrap", "--mode=root", f"--variant={variant}", *options, packages, suites[0], into, *sources)
