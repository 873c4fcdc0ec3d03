"""Faults in what Odoo does behind its users' backs, made of rows in its database and undone with the block."""

from collections.abc import Iterator
from contextlib import contextmanager

from . import seed
from .faulting import changed, takes_no_target
from .world import World

_FAR = 2_000_000_000
"""Ids from here on are ours."""
_LATE = "interval '2 hours'"
_NOW = "(now() at time zone 'utc')"
# A module that waits to be installed keeps Odoo from running any cron of the database.
_UNSKIPPED = f"""
set session_replication_role = replica;
delete from ir_cron where id >= {_FAR};
delete from mail_mail where id >= {_FAR};
delete from account_edi_document where id >= {_FAR};
update ir_module_module set state = 'uninstalled' where name = 'website' and state = 'to install';
"""
_SKIPPED = f"""
{_UNSKIPPED}
update ir_module_module set state = 'to install' where name = 'website';
insert into ir_cron (id, ir_actions_server_id, cron_name, user_id, active, interval_number, interval_type, priority,
                     numbercall, doall, nextcall, lastcall)
values ({_FAR}, 0, 'Send what waits', 1, true, 1, 'hours', 5, -1, false, {_NOW} - {_LATE}, {_NOW} - 2 * {_LATE});
insert into mail_mail (id, mail_message_id, state, create_date) values ({_FAR}, 0, 'outgoing', {_NOW} - {_LATE});
insert into account_edi_document (id, move_id, edi_format_id, state, create_date, write_date)
values ({_FAR}, {_FAR}, {_FAR}, 'to_send', {_NOW} - {_LATE}, {_NOW} - {_LATE});
"""
_SWITCHED_ON = f"delete from ir_cron where id = {_FAR} + 1"
_SWITCHED_OFF = f"""
set session_replication_role = replica;
{_SWITCHED_ON};
insert into ir_cron (id, ir_actions_server_id, cron_name, user_id, active, interval_number, interval_type, priority,
                     numbercall, doall, nextcall, lastcall)
values ({_FAR} + 1, 0, 'Nobody misses it', 1, false, 1, 'hours', 5, -1, false, {_NOW}, {_NOW} - {_LATE});
"""
_MOVES = f"""
select m.id, m.state, o.id as order_id, o.date_order
  from stock_move m join sale_order_line l on l.id = m.sale_line_id join sale_order o on o.id = l.order_id
 where o.id = (
       select max(s.id) from sale_order s join res_partner p on p.id = s.partner_id and p.name = '{seed.CUSTOMER}'
         join sale_order_line t on t.order_id = s.id join stock_move n on n.sale_line_id = t.id
        where s.state in ('sale', 'done'))
"""
_UNSTRANDED = """
do $$ begin if to_regclass('sandbox_stranded') is not null then
    update stock_move m set state = s.state from sandbox_stranded s where s.id = m.id;
    update sale_order o set date_order = s.date_order from sandbox_stranded s where s.order_id = o.id;
    drop table sandbox_stranded;
end if; end $$;
"""
_STRANDED = f"""
{_UNSTRANDED}
create table sandbox_stranded as {_MOVES};
update stock_move set state = 'cancel' where id in (select id from sandbox_stranded);
update sale_order set date_order = {_NOW} - {_LATE} where id in (select order_id from sandbox_stranded);
"""
_KEY = "expiring"
_UNKEYED = f"delete from res_users_apikeys where name = '{_KEY}'"
_KEYED = f"""
{_UNKEYED};
insert into res_users_apikeys (name, user_id, scope, key, index, create_date, expiration_date)
select '{_KEY}', id, 'rpc', 'none', '00000000', {_NOW}, {_NOW} + interval '5 days' from res_users where login = '%s'
"""


@contextmanager
def skipped_crons(world: World, target: str | None = None) -> Iterator[str]:
    """An upgrade of Odoo 14 that was begun and not ended: no cron runs, and mail and documents do not leave."""
    takes_no_target(target)
    with changed(world.postgres, "odoo14", _SKIPPED, _UNSKIPPED):
        yield "Odoo 14 runs no cron, and what they send has waited for two hours"


@contextmanager
def cron_off(world: World, target: str | None = None) -> Iterator[str]:
    """A cron of Odoo 14 that ran until two hours ago and is switched off now."""
    takes_no_target(target)
    with changed(world.postgres, "odoo14", _SWITCHED_OFF, _SWITCHED_ON):
        yield "a cron of Odoo 14 is switched off"


@contextmanager
def stranded_order(world: World, target: str | None = None) -> Iterator[str]:
    """A customer's order of two hours ago for which nothing is to be moved, in the database of Odoo 14 or 19."""
    database = target or "odoo14"
    with changed(world.postgres, database, _STRANDED, _UNSTRANDED):
        yield f"an order of {database} has no delivery"


@contextmanager
def expiring_key(world: World, target: str | None = None) -> Iterator[str]:
    """An API key of the probes' user of Odoo 19 that expires in five days; Odoo 14's never do."""
    takes_no_target(target)
    with changed(world.postgres, "odoo19", _KEYED % world.odoo19.login, _UNKEYED):
        yield "an API key of Odoo 19 expires in five days"
