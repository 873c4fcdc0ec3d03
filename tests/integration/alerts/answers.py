"""Flows of a user's own that keep canned answers in Odoo, each of which a fault in the database strikes in another way.

They are none of the probes' orders, so that those can be broken at the same time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sandbox.parts import postgres
from sandbox.parts.postgres import sql
from sandbox.process import until
from sandbox.world import World

SLOW, SHAKY, KEPT, HELD = "slow_answer", "shaky_answer", "kept_answer", "held_answer"
NAMES = (SLOW, SHAKY, KEPT, HELD)
"""Each makes a record and deletes it again."""
_DATABASE = "odoo14"
_KEEPER = "answer-import"
_KEY = 20_000_001
_HEALED = f"""
drop trigger if exists sandbox_answers on mail_shortcode;
drop function if exists sandbox_answers();
drop sequence if exists sandbox_turns;
delete from mail_shortcode where source like 'quaywatch/%/{KEPT}/%';
"""  # noqa: S608 - own words
_STRUCK = f"""
{_HEALED}
create sequence sandbox_turns;
create function sandbox_answers() returns trigger language plpgsql security definer as $$
begin
    if tg_op = 'DELETE' then
        if old.source like '%/{KEPT}/%' then raise exception 'it is kept'; end if;
        if old.source like '%/{HELD}/%' then perform pg_advisory_xact_lock({_KEY}); end if;
        return old;
    end if;
    if new.source like '%/{SLOW}/%' then perform pg_sleep(1.2); end if;
    if new.source like '%/{SHAKY}/%' and nextval('sandbox_turns') % 2 = 1 then raise exception 'try again'; end if;
    return new;
end $$;
create trigger sandbox_answers before insert or delete on mail_shortcode
    for each row execute function sandbox_answers();
"""


def flows() -> dict[str, Any]:
    """What the configuration says of each."""
    model = {"model": "mail.shortcode"}
    save = {**model, "method": "create", "args": [{"source": "${mark}", "substitution": "Thank you"}]}
    delete = {**model, "method": "unlink", "args": [["${steps.save.id}"]]}
    flow = {
        "kind": "odoo",
        "steps": [{"name": "save", "call": save, "save": {"id": "$"}, "undo": {"call": delete}}],
        "sweep": [{**model, "field": "source"}],
    }
    return dict.fromkeys(NAMES, flow)


def probes(targets: list[str], every: float) -> dict[str, Any]:
    """How often each is run, in seconds; the shaky one is tried again."""
    usual = {"targets": targets, "every": every}
    return {name: {**usual, "deadline": every * 0.9} for name in NAMES} | {
        SHAKY: {**usual, "deadline": every * 0.4, "attempts": 2}
    }


@contextmanager
def struck(world: World) -> Iterator[None]:
    """One is saved slowly, one only when tried again; one is not deleted, and the deletion of one waits for a lock."""
    sql(world.postgres, _STRUCK, _DATABASE)
    try:
        statements = f"begin; select pg_advisory_xact_lock({_KEY});"
        with postgres.session(world.postgres, statements, _DATABASE, _KEEPER):
            held = f"select 1 from pg_locks where locktype = 'advisory' and granted and objid = {_KEY}"  # noqa: S608 - own words
            assert until(lambda: bool(sql(world.postgres, held)), within=30)
            yield
    finally:
        sql(world.postgres, _HEALED, _DATABASE)
