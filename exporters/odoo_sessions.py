"""Who is in an Odoo database: people with an open page, and from version 18 on the sessions that were in use.

Read by SQL, once per tenant. Sessions themselves are files or Redis keys; the database knows presence, which browsers
refresh about once a minute, and a log of devices, which Odoo refreshes at most once an hour for a session. Neither
addresses nor devices are read. Users that the probes log in as are left out by their logins.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from quaywatch.contract import Exporter, Grant, Kind, Metric, Per, Postgres, Sample, TargetKind

from .odoo_tables import IDS, columns

ONLINE = Metric(
    "odoo.users.online", Kind.GAUGE, "{user}", "Users whose browser asked for news within the last two minutes."
)
SESSIONS = Metric(
    "odoo.sessions.recent",
    Kind.GAUGE,
    "{session}",
    "Sessions in use within the last two hours, up to an hour late. Absent before Odoo 18.",
)
USERS = Metric(
    "odoo.sessions.users.recent",
    Kind.GAUGE,
    "{user}",
    "Users of the sessions in use within the last two hours. Absent before Odoo 18.",
)

GRANTS = (
    Grant("bus_presence", ("user_id", "last_poll")),
    Grant("mail_presence", ("user_id", "last_poll")),
    Grant("res_device_log", ("session_identifier", "user_id", "last_activity", "revoked")),
    Grant("res_users", ("id", "login")),
)

EXCLUDED = "select id::text as id from public.res_users where login = any($1::text[])"
_ONLINE = """
select count(distinct user_id) as users
  from public.:presence
 where last_poll > (now() at time zone 'utc') - interval '2 minutes' and user_id <> all(:ids)
"""
ONLINE_MAIL = _ONLINE.replace(":presence", "mail_presence").replace(":ids", IDS)
ONLINE_BUS = _ONLINE.replace(":presence", "bus_presence").replace(":ids", IDS)
DEVICES = """
select count(distinct session_identifier) as sessions, count(distinct user_id) as users
  from public.res_device_log
 where last_activity > (now() at time zone 'utc') - interval '2 hours'
   and revoked is not true and user_id <> all(:ids)
""".replace(":ids", IDS)


@dataclass(frozen=True, slots=True)
class Options:
    """What a configuration may tune."""

    exclude_users: tuple[str, ...] = field(
        default=(), metadata={"help": "logins that are not counted: those of the probes' users"}
    )


async def collect(session: Postgres, options: Options, _state: None) -> AsyncIterator[Sample]:
    """The users and sessions of the database that ``session`` is in."""
    there = await columns(session, "mail_presence", "bus_presence", "res_device_log")
    if not any(there.values()):
        return
    excluded = await _excluded(session, options)
    online = _online(there)
    if online:
        (presence,) = await session.fetch(online, excluded)
        yield ONLINE(presence["users"])
    if there["res_device_log"]:
        (devices,) = await session.fetch(DEVICES, excluded)
        yield SESSIONS(devices["sessions"])
        yield USERS(devices["users"])


def _online(there: Mapping[str, frozenset[str]]) -> str:
    """Where presence is kept: by the module mail from Odoo 19 on, before by the module bus."""
    if there["mail_presence"]:
        return ONLINE_MAIL
    return ONLINE_BUS if there["bus_presence"] else ""


async def _excluded(session: Postgres, options: Options) -> list[str]:
    if not options.exclude_users:
        return []
    return [row["id"] for row in await session.fetch(EXCLUDED, list(options.exclude_users))]


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="odoo_sessions",
    reads=TargetKind.POSTGRES,
    metrics=(ONLINE, SESSIONS, USERS),
    options=Options,
    collect=collect,
    state=lambda: None,
    per=Per.DATABASE,
    every=60.0,
    grants=GRANTS,
)
