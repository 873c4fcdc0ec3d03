"""Clients that receive a server's write-ahead log and are no standbys."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sandbox.parts.postgres import INSTALLED, Postgres

PUBLICATION = "feed"
"""What a subscriber asks for: it has to be there before the subscriber's slot is."""


def archiving(server: Postgres, directory: Path) -> AbstractContextManager[None]:
    """``pg_receivewal``, which says of each byte that it is written, and never that it is replayed."""
    return _running("pg_receivewal", "--synchronous", f"--dbname={server.superuser_dsn()}", f"--directory={directory}")


def subscribing(server: Postgres, database: str, slot: str) -> AbstractContextManager[None]:
    """A reader of a logical slot, as subscribers and change data capture are."""
    options = ("--option=proto_version=1", f"--option=publication_names={PUBLICATION}", "--file=/dev/null")
    return _running(
        "pg_recvlogical", "--start", f"--dbname={server.superuser_dsn(database)}", f"--slot={slot}", *options
    )


@contextmanager
def _running(program: str, *arguments: str) -> Iterator[None]:
    argv = (f"/usr/lib/postgresql/{INSTALLED.major}/bin/{program}", *arguments)
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
        try:
            yield
        finally:
            client.kill()
