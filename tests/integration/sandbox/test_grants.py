"""What the watching role may read of Odoo's databases."""

from __future__ import annotations

import pytest

from sandbox.grants import declared
from sandbox.parts.postgres import sql
from sandbox.world import World

PARTS = ("odoo14", "odoo19")
_THERE = "select table_name || ' ' || column_name from information_schema.columns where table_schema = 'public'"
_READABLE = """
select c.relname || ' ' || a.attname
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
   and has_column_privilege('quaywatch', c.oid, a.attnum, 'select')
"""


@pytest.mark.parametrize("database", ["odoo14", "odoo19"])
def test_the_watching_role_holds_what_is_declared_and_no_more(database: str, world: World) -> None:
    """Every declared column that this version has, whatever an older template granted."""
    there = set(sql(world.postgres, _THERE, database).splitlines())
    wanted = {f"{table} {column}" for table, columns in declared().items() for column in columns}
    assert len(wanted & there) > 50
    assert set(sql(world.postgres, _READABLE, database).splitlines()) == wanted & there
