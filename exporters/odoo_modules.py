"""The modules of an Odoo database: those that wait for an installation, upgrade or removal, and the base's version.

Read by SQL, once per tenant. While a module waits, Odoo runs no crons; a module left waiting is an upgrade that broke.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from quaywatch.contract import Exporter, Grant, Kind, Metric, Per, Postgres, Sample, TargetKind

from .odoo_tables import columns

INSTALLED = Metric("odoo.modules.installed", Kind.UPDOWN, "{module}", "Modules that are installed.")
WAITING = Metric(
    "odoo.modules.waiting",
    Kind.UPDOWN,
    "{module}",
    "Modules that wait to be installed, upgraded or removed, by state. 0 in all of them when nothing is under way.",
    ("state",),
)
VERSION = Metric(
    "odoo.version.info",
    Kind.GAUGE,
    "",
    "1 for the version of the base module that the database was last brought to, such as 19.0.1.3.",
    ("version",),
)

GRANTS = (Grant("ir_module_module", ("name", "state", "latest_version")),)

STATES = """
select state, count(*) as modules, max(latest_version) filter (where name = 'base') as version
  from public.ir_module_module
 where state in ('installed', 'to install', 'to upgrade', 'to remove')
 group by 1
"""

INSTALLED_STATE = "installed"
WAITING_STATES = ("to install", "to upgrade", "to remove")
"""While a module is in one of these, Odoo runs no crons."""


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(session: Postgres, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """The modules of the database that ``session`` is in."""
    if not (await columns(session, "ir_module_module"))["ir_module_module"]:
        return
    rows = {row["state"]: row for row in await session.fetch(STATES)}
    yield INSTALLED(rows[INSTALLED_STATE]["modules"] if INSTALLED_STATE in rows else 0)
    for state in WAITING_STATES:
        yield WAITING(rows[state]["modules"] if state in rows else 0, state.replace(" ", "_"))
    for row in rows.values():
        if row["version"]:
            yield VERSION(1, row["version"])


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="odoo_modules",
    reads=TargetKind.POSTGRES,
    metrics=(INSTALLED, WAITING, VERSION),
    options=Options,
    collect=collect,
    state=lambda: None,
    per=Per.DATABASE,
    every=60.0,
    grants=GRANTS,
)
