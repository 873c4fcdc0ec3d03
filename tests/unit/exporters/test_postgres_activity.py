"""Activity: rows in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from exporters.postgres_activity import ACTIVITY, CONNECTIONS, EXPORTER, LIMITS
from quaywatch.contract import Postgres, Row, Value
from quaywatch.errors import PermissionDeniedError

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Postgres]


def answers(sessions: Sequence[Row] = (), limits: Sequence[Row] = (), **others: Any) -> dict[str, Sequence[Row]]:
    """What a cluster answers."""
    connections = {"used": 7, "hidden": False, "usable": 97, **others}
    return {CONNECTIONS: [connections], ACTIVITY: sessions, LIMITS: limits}


def group(state: str, *, sessions: int = 1, state_age: float | None = 1.0, oldest: float | None = None) -> Row:
    """Sessions of one database and state."""
    return {"database": "acme", "state": state, "sessions": sessions, "state_age": state_age, "oldest": oldest}


async def test_a_quiet_cluster_says_what_is_used_and_usable(postgres: Make, read: Read) -> None:
    """Row 9: the limits are always there; without limits of their own databases and roles say nothing."""
    assert await read(EXPORTER, postgres(answers())) == {
        ("postgresql.connection.used",): 7,
        ("postgresql.connection.usable",): 97,
    }


async def test_idle_in_transaction_has_an_age_of_its_own(postgres: Make, read: Read) -> None:
    """Row 7: the oldest transaction by state; idle sessions are counted and have no age."""
    rows = [group("idle", sessions=5, state_age=900.0), group("idle in transaction", state_age=60.0, oldest=74.0)]
    found = await read(EXPORTER, postgres(answers(rows)))
    assert found["postgresql.session.open", "acme", "idle"] == 5
    assert found["postgresql.transaction.oldest.age", "acme", "idle in transaction"] == 74.0
    assert found["postgresql.session.state.longest", "acme", "idle in transaction"] == 60.0
    assert ("postgresql.session.state.longest", "acme", "idle") not in found
    assert ("postgresql.transaction.oldest.age", "acme", "idle") not in found


async def test_a_clock_that_was_set_back_makes_no_negative_age(postgres: Make, read: Read) -> None:
    """No age is below 0."""
    found = await read(EXPORTER, postgres(answers([group("active", state_age=-0.1, oldest=-0.1)])))
    assert found["postgresql.transaction.oldest.age", "acme", "active"] == 0.0
    assert found["postgresql.session.state.longest", "acme", "active"] == 0.0


async def test_limits_of_databases_and_roles_stand_beside_their_use(postgres: Make, read: Read) -> None:
    """Row 9: a tenant at its own limit shows though the cluster has room."""
    limits = [
        {"whose": "database", "name": "acme", "allowed": 20, "used": 20},
        {"whose": "role", "name": "odoo", "allowed": 50, "used": 3},
    ]
    found = await read(EXPORTER, postgres(answers(limits=limits)))
    assert found["postgresql.database.connection.limit", "acme"] == 20
    assert found["postgresql.database.connection.used", "acme"] == 20
    assert found["postgresql.role.connection.limit", "odoo"] == 50
    assert found["postgresql.role.connection.used", "odoo"] == 3


async def test_what_may_not_be_seen_is_an_error(postgres: Make, read: Read) -> None:
    """Sessions without contents are never counted as sessions without a state."""
    with pytest.raises(PermissionDeniedError, match="pg_monitor"):
        await read(EXPORTER, postgres(answers(hidden=True)))
