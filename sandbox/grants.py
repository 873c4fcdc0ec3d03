"""What the watching role may read of an Odoo database: the columns that the exporters declare, and no others."""

from collections import defaultdict

from exporters import EXPORTERS

from .parts.postgres import Postgres, sql

_THERE = """
select table_name || ' ' || column_name from information_schema.columns where table_schema = 'public';
"""


def grant(server: Postgres, database: str) -> None:
    """Let the watching role read what is declared, as far as this version of Odoo has it, and nothing more."""
    there = set(sql(server, _THERE, database).splitlines())
    statements = [f"revoke all on all tables in schema public from {server.user};"]
    for table, columns in declared().items():
        present = sorted(column for column in columns if f"{table} {column}" in there)
        if present:
            statements.append(f"grant select ({', '.join(present)}) on public.{table} to {server.user};")
    sql(server, "\n".join(["begin;", *statements, "commit;"]), database)


def declared() -> dict[str, set[str]]:
    """The columns by table that some exporter declares."""
    columns: defaultdict[str, set[str]] = defaultdict(set)
    for exporter in EXPORTERS:
        for one in exporter.grants:
            columns[one.table].update(one.columns)
    return columns
