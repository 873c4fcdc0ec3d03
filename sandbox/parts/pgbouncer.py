"""PgBouncer in transaction mode: a server's sessions lent to many clients, each for one transaction."""

import shutil
from dataclasses import replace
from pathlib import Path

from sandbox.host import as_user, in_private_mounts, require
from sandbox.process import LOOPBACK, Services, Spec, accepts, free_port

from .postgres import ODOO_PASSWORD, ODOO_ROLE, Postgres

NAME = "pgbouncer"
_HOME = Path("/var/lib/postgresql")
"""Where the pooler, which refuses root, finds its files."""


def prepare(_progress: object) -> None:
    """Install it, if the machine has none."""
    require("pgbouncer")


def start(services: Services, server: Postgres, *, pool_size: int = 2) -> Postgres:
    """Start a pooler before `server`: the same roles and databases at another port.

    It keeps at most `pool_size` sessions for each pair of role and database.
    """
    prepare(None)
    port = services.ports(NAME).get(NAME) or free_port()
    room = services.state / NAME
    room.mkdir(exist_ok=True)
    shutil.chown(room, "postgres", "postgres")
    (room / "users").write_text("".join(f'"{user}" "{password}"\n' for user, password in _users(server).items()))
    (room / "settings").write_text(_settings(server, port, pool_size))
    argv = in_private_mounts(as_user("postgres", ["pgbouncer", f"{_HOME}/settings"]), {room: _HOME})
    services.start(Spec(name=NAME, argv=argv, ports={NAME: port}, ready=lambda: accepts(port), cwd=Path("/")))
    return replace(server, host=LOOPBACK, port=port)


def _users(server: Postgres) -> dict[str, str]:
    return {
        server.user: server.password,
        server.superuser: server.superuser_password,
        ODOO_ROLE: ODOO_PASSWORD,
    }


def _settings(server: Postgres, port: int, pool_size: int) -> str:
    return (
        f"[databases]\n* = host={server.host} port={server.port}\n"
        f"[pgbouncer]\nlisten_addr={LOOPBACK}\nlisten_port={port}\nunix_socket_dir=\nauth_type=plain\n"
        f"auth_file={_HOME}/users\npool_mode=transaction\ndefault_pool_size={pool_size}\n"
    )
