"""The servers that are read: PostgreSQL with as many tenants as are wanted, and Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from sandbox.parts import postgres, redis
from sandbox.parts.postgres import Postgres, sql
from sandbox.parts.redis import Redis
from sandbox.process import Services

TABLES: Final = 20
ROWS: Final = 50
_TEMPLATE: Final = "tenant"
_AT_ONCE: Final = 2
_SETTINGS: Final[Mapping[str, str]] = {
    "shared_buffers": "2GB",  # the catalogues of a thousand tenants fit, as they do in production
    "max_connections": "1200",  # a peer keeps a session in each database
    "autovacuum": "off",  # it would visit them as well, and be taken for a tool
    "checkpoint_timeout": "1h",
    "archive_mode": "on",
    "archive_command": "true",
    "log_connections": "on",
    "log_disconnections": "on",
    "pg_stat_statements.max": "50000",
    "pg_stat_statements.track_planning": "on",
}
_TABLE: Final = """
create table operation_{n} (
    id serial primary key, name text not null, state text, partner_id int, body text, write_date timestamp
);
create index on operation_{n} (state, write_date);
create index on operation_{n} (partner_id);
insert into operation_{n} (name, state, partner_id, body, write_date)
select 'OUT/' || i, 'done', i % 7, repeat('x', 100), now() from generate_series(1, {rows}) i;
delete from operation_{n} where id % 5 = 0;
analyze operation_{n};
"""


@dataclass(frozen=True, kw_only=True)
class Servers:
    """What both sides read."""

    services: Services
    postgres: Postgres
    redis: Redis

    @property
    def log(self) -> Path:
        """PostgreSQL's log, which tells of every connection."""
        return self.services.log(postgres.PRIMARY)

    @property
    def pid(self) -> int:
        """PostgreSQL's first process.

        Raises:
            RuntimeError: when it does not run.
        """
        pid = self.services.pid(postgres.PRIMARY)
        if pid is None:
            raise RuntimeError("PostgreSQL does not run")
        return pid

    def role(self, name: str) -> None:
        """Make a role that may watch, as each tool has one of its own, its name the password."""
        sql(self.postgres, f"create role {name} login password '{name}' in role pg_monitor")

    def names(self) -> list[str]:
        """The tenants that are there."""
        return sql(self.postgres, "select datname from pg_database where datname like 'tenant\\_%'").split()

    def tenants(self, wanted: int) -> None:
        """Make databases until there are so many."""
        asyncio.run(_clones(self.postgres, [f"tenant_{n:04}" for n in range(len(self.names()), wanted)]))
        sql(self.postgres, "checkpoint")


@contextmanager
def servers(state: Path) -> Iterator[Servers]:
    """Servers of our own in ``state``, which end with the block."""
    services = Services(state)
    postgres.prepare(None)
    redis.prepare(None)
    try:
        made = Servers(
            services=services,
            postgres=postgres.start_primary(services, postgres.PRIMARY, postgres.INSTALLED, _SETTINGS),
            redis=redis.start(services, None, None),
        )
        _template(made.postgres)
        yield made
    finally:
        services.stop_all()


def _template(server: Postgres) -> None:
    sql(server, f"create database {_TEMPLATE}")
    sql(server, "".join(_TABLE.format(n=n, rows=ROWS) for n in range(TABLES)), _TEMPLATE)
    sql(server, "vacuum", _TEMPLATE)
    # Nobody may enter it any more, and it is no tenant.
    sql(server, f"alter database {_TEMPLATE} with is_template true allow_connections false")
    sql(server, "select pg_create_physical_replication_slot('spare')")


async def _clones(server: Postgres, names: list[str]) -> None:
    async with asyncpg.create_pool(server.superuser_dsn(), min_size=_AT_ONCE, max_size=_AT_ONCE) as pool:
        await asyncio.gather(*(pool.execute(f'create database "{name}" template {_TEMPLATE}') for name in names))
