"""PostgreSQL in the versions that this machine's Debian does not have, each from the Debian release that has it.

A server needs its release's libraries and nothing else of it, so its packages are unpacked and not configured.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from sandbox import cache
from sandbox.host import require
from sandbox.process import LOOPBACK, Services

from . import postgres
from .postgres import INSTALLED, Postgres, Programs, start_follower, start_primary

SUITES: Final = {13: "bullseye", 17: "trixie", 18: "sid"}
"""The Debian release of each major version that has to be fetched."""
MAJORS: Final = tuple(sorted((*SUITES, INSTALLED.major)))
"""Every major version there is."""
# The directories of a Debian file system, the encoding's rules, and the shell by which initdb starts the server.
_AROUND: Final = ("base-files", "libc-bin", "dash")


def programs(major: int) -> Programs:
    """PostgreSQL of this major version, fetched when not yet there: half a minute each."""
    if major == INSTALLED.major:
        return INSTALLED
    return Programs(
        major=major, root=cache.built(f"postgres{major}-root", f"{SUITES[major]}-2", partial(_fetch, major))
    )


def prepare(_progress: object) -> None:
    """Install and fetch all versions, those to be fetched at the same time."""
    postgres.prepare(_progress)
    require("mmdebstrap")
    with ThreadPoolExecutor(len(SUITES)) as pool:
        list(pool.map(programs, SUITES))


def start(services: Services, major: int, settings: Mapping[str, str] | None = None) -> Postgres:
    """Start a primary of this major version; `settings` go before the usual ones."""
    return start_primary(services, f"postgres-{major}", programs(major), settings)


def start_standby(services: Services, major: int, primary: Postgres) -> Postgres:
    """Start a standby of a primary of this major version."""
    return start_follower(services, f"standby-{major}", programs(major), primary)


def _fetch(major: int, part: Path) -> None:
    cache.mmdebstrap([SUITES[major]], (*_AROUND, f"postgresql-{major}"), part, variant="extract")
    shell = part / "bin" / "sh"
    if not shell.is_symlink():
        shell.symlink_to("dash")
    users = Path("/etc/passwd").read_text().splitlines()
    # initdb asks for the name of the user it runs as; up to 14 a server sends its statistics to a host "localhost".
    (part / "etc" / "passwd").write_text("".join(f"{user}\n" for user in users if user.startswith("postgres:")))
    (part / "etc" / "hosts").write_text(f"{LOOPBACK} localhost\n")
    (part / "etc" / "nsswitch.conf").write_text("hosts: files\n")
