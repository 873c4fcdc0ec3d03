"""Many tenants in one cluster: databases with the tables of real Odoos that the agent reads, full of made-up work.

A whole Odoo database has more than 60 MB in some 2,000 files, and a thousand of them would take hours and most of a
disk. So a tenant has only the tables that some exporter reads, and a few around them: with all their columns, indexes
and triggers, as Odoo 19 and Odoo 14 themselves made them. Rows are made once, in a template of each edition.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from . import cache, grants
from .parts import odoo
from .parts.odoo import ODOO14, ODOO19, Edition
from .parts.postgres import ODOO_ROLE, Postgres, sql

EDITIONS = (ODOO19, ODOO14)
"""Every second tenant is of one of them."""
_AROUND = frozenset(
    {
        "delivery_price_rule",
        "ir_act_server",
        "queue_job_function",
        "queue_job_lock",
        "res_company",
        "res_users_log",
        "stock_location",
        "stock_move_line",
        "stock_quant",
        "stock_warehouse",
    }
)
# Two at a time: copying is work for disk and processor in turns.
_AT_ONCE = 2
_FIRST_ID = 1_000_000

JOBS = 1000
_STATES = """
case when n <= 930 then 'done' when n <= 945 then 'failed' when n <= 955 then 'cancelled'
     when n <= 960 then 'started' when n <= 965 then 'enqueued' else 'pending' end
"""
_CHANNEL = "(array['root', 'root.stock', 'root.edi', 'root.mail'])[1 + n % 4]"
_NOW = "date_trunc('second', now() at time zone 'utc')"

ROWS: Mapping[str, tuple[int, str]] = {
    "queue_job_channel": (
        3,
        """(array['stock', 'edi', 'mail'])[n] as name, 'root.' || (array['stock', 'edi', 'mail'])[n] as complete_name,
        false as paused, 2 as capacity""",
    ),
    # Three hundred days of done jobs, thinning out towards the past; the rest is of the last hours.
    "queue_job": (
        JOBS,
        f"""md5(n::text) as uuid, 'Export an order' as name, 'queue.job' as model_name, '_test_job' as method_name,
        {_STATES} as state, {_CHANNEL} as channel, (n % 3 = 0 and n > 930)::int as retry, 5 as max_retries,
        case when n between 931 and 945 then 'odoo.exceptions.UserError' end as exc_name,
        10 as priority, made as date_created, made + interval '20 seconds' as date_enqueued,
        case when n <= 960 then made + interval '21 seconds' end as date_started,
        case when n <= 930 then made + interval '23 seconds' end as date_done,
        case when n <= 930 then 2.0 end as exec_time,
        case when n % 10 = 9 and n > 965 then made + interval '2 days' end as eta
        from (select {_NOW} - case when n <= 930 then make_interval(mins => (n * n / 2)) else
                     make_interval(mins => case when n <= 955 then 10 * (n - 930) else n - 955 end) end as made) job""",
    ),
    "mail_mail": (
        200,
        f"""1 as mail_message_id, case when n <= 150 then 'sent' when n <= 180 then 'outgoing' else 'exception' end
        as state, case when n > 180 then 'mail_smtp' end as failure_type, {_NOW} - n * interval '7 minutes' as
        create_date""",
    ),
    "sms_sms": (
        50,
        f"""(array['sent', 'outgoing', 'error'])[1 + n % 3] as state, {_NOW} - n * interval '1 minute' as create_date,
        case when n % 3 = 2 then 'sms_credit' end as failure_type, case when n % 3 = 2 then 'sms_credit' end as
        error_code""",
    ),
    "ir_cron_trigger": (5, f"1 as cron_id, {_NOW} + (n - 2) * interval '10 minutes' as call_at"),
    "ir_cron_progress": (
        20,
        f"1 as cron_id, {_NOW} - n * interval '1 hour' as create_date, (n % 7 = 0)::int as timed_out_counter",
    ),
    "sale_order": (
        500,
        f"""'S' || {_FIRST_ID} + n as name, case when n % 5 = 0 then 'draft' else 'sale' end as state,
        'ref ' || n as client_order_ref, {_NOW} - n * interval '25 minutes' as date_order, null as access_token""",
    ),
    "sale_order_line": (1000, f"{_FIRST_ID} + (n + 1) / 2 as order_id, 1 + n % 9 as product_uom_qty"),
    "stock_picking": (
        500,
        f"""'WH/OUT/T' || n as name, {_FIRST_ID} + n as sale_id, null as backorder_id,
        (array['done', 'done', 'done', 'assigned', 'confirmed', 'waiting', 'cancel', 'done'])[1 + n % 8] as state,
        {_NOW} - n * interval '25 minutes' as scheduled_date,
        case when n % 8 in (0, 1, 2, 7) then {_NOW} - n * interval '20 minutes' end as date_done""",
    ),
    "stock_move": (
        1000,
        f"""{_FIRST_ID} + (n + 1) / 2 as picking_id, {_FIRST_ID} + n as sale_line_id,
        (array['done', 'done', 'done', 'assigned', 'confirmed', 'waiting', 'cancel', 'done'])[1 + (n + 1) / 2 % 8] as
        state""",
    ),
    "res_users_log": (200, f"{_NOW} - n * interval '1 hour' as create_date"),
    "mail_presence": (3, f"n as user_id, 'online' as status, {_NOW} as last_poll, {_NOW} as last_presence"),
    "bus_presence": (3, f"n as user_id, 'online' as status, {_NOW} as last_poll, {_NOW} as last_presence"),
    "res_device_log": (
        10,
        f"'s' || n as session_identifier, 1 + n % 3 as user_id, {_NOW} - n * interval '30 minutes' as last_activity",
    ),
}
"""For each table how many rows are made, and what in the n-th is not as in the first row that Odoo itself made."""
# As if its crons had run all along: they are due one after the other, and none is due yet.
_CRONS = f"""
update ir_cron set lastcall = {_NOW} - interval '1 minute', nextcall = {_NOW} + id * interval '2 hours';
"""
# What is there says what else a row needs; a column that an edition does not have is passed over.
_FILL = """
insert into {table}
select made_row.*
  from generate_series(1, {count}) n
 cross join lateral (select {first} + n as id, {values}) made
 cross join lateral jsonb_populate_record(
       (select one from {table} one order by id limit 1), to_jsonb(made)) made_row;
"""
_OTHERS = """
select coalesce('drop table ' || string_agg(format('%%I', relname), ', ') || ' cascade;', '')
  from pg_class
 where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relname not in (%s);
"""


def names(count: int, *, first: int = 0) -> list[str]:
    """How so many tenants are called; numbers begin with `first`."""
    return [f"tenant_{number:04}" for number in range(first, first + count)]


def prepare(server: Postgres) -> None:
    """Make the templates of all editions in `server`, anew: the ages of their rows count from now."""
    for edition in EDITIONS:
        _make_template(server, edition)


def add(server: Postgres, databases: Iterable[str]) -> None:
    """Make these tenants, of one edition after the other; `prepare` must have been called."""
    databases = list(databases)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        shares = [databases[share::_AT_ONCE] for share in range(_AT_ONCE)]
        list(pool.map(partial(_copy, server), (template(edition) for edition in EDITIONS), shares))


def counts(server: Postgres, database: str) -> dict[str, int]:
    """How many rows each table of a tenant has."""
    tables = sql(server, "select tablename from pg_tables where schemaname = 'public' order by 1", database)
    statement = " union all ".join(
        f"select '{table} ' || count(*) from public.{table}" for table in tables.splitlines()
    )
    rows = (row.split(" ") for row in sql(server, statement, database).splitlines())
    return {table: int(count) for table, count in rows}


def _copy(server: Postgres, template: str, databases: Sequence[str]) -> None:
    # Without fsync its two checkpoints cost less than a log of every page: 50 ms a tenant against 90 with two cores.
    statement = f'create database "%s" template "{template}" owner {ODOO_ROLE} strategy file_copy;'
    sql(server, "\n".join(statement % one for one in databases))


def template(edition: Edition) -> str:
    """What the database is called that tenants of an edition are copied from."""
    return f"tenant_template_{edition.name}"


def _make_template(server: Postgres, edition: Edition) -> None:
    name = template(edition)
    tables = _tables(server, edition)
    sql(server, f"update pg_database set datistemplate = false where datname = '{name}'")
    sql(server, f"drop database if exists {name}")
    sql(server, f"create database {name} owner {ODOO_ROLE}")
    sql(server, tables.read_text(), name)
    there = counts(server, name)
    filled = [_fill(table, *made) for table, made in ROWS.items() if table in there]
    sql(
        server,
        "\n".join(["set session_replication_role = replica;", *filled, _CRONS, "vacuum (analyze, freeze);"]),
        name,
    )
    grants.grant(server, name)
    sql(server, f"alter database {name} is_template true")


def _fill(table: str, count: int, values: str) -> str:
    return _FILL.format(table=table, count=count, first=_FIRST_ID, values=values)


def _tables(server: Postgres, edition: Edition) -> Path:
    """A dump of an Odoo database's tables that are kept, with what Odoo put into them; made once per machine."""
    kept = sorted(_AROUND | grants.declared().keys())
    version = hashlib.sha256(" ".join([odoo.template(edition).name, *kept]).encode()).hexdigest()[:12]
    home = cache.built(f"{edition.name}-tables", version, partial(_dump_tables, server, edition, kept))
    return home / "tables.sql"


def _dump_tables(server: Postgres, edition: Edition, kept: Sequence[str], part: Path) -> None:
    whole = f"{edition.name}_whole"
    sql(server, f"drop database if exists {whole}")
    sql(server, f"create database {whole}")
    cache.run("pg_restore", "--jobs=2", f"--dbname={server.superuser_dsn(whole)}", odoo.template(edition) / "dump")
    sql(server, sql(server, _OTHERS % ", ".join(f"'{table}'" for table in kept), whole), whole)
    # What the modules say of themselves is most of what they take, and read by nobody.
    sql(server, "update ir_module_module set description = null, icon = null", whole)
    cache.run("pg_dump", "--no-privileges", f"--file={part / 'tables.sql'}", server.superuser_dsn(whole))
    sql(server, f"drop database {whole}")
