"""The scheduled actions (crons) over Odoo's RPC, for databases that cannot be read by SQL.

Off until it is turned on: the target's user must be in the group Administration / Settings; anybody else gets an error,
never a part. The metrics, the options and what they mean are those of `odoo_cron`, which tells more at less cost where
the database can be reached: of late triggers and of time-outs nothing is known here. One call reads all crons, another
one whether modules wait. It goes through an Odoo worker: when Odoo stands still, so does this.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from quaywatch.contract import Exporter, Odoo, Row, Sample, TargetKind

from .odoo_cron import OF_CRONS, SKIPPED, Memory, Options, failures_of, samples_of
from .odoo_modules import WAITING_STATES
from .odoo_rpc import Domain, since

_MODEL, _MODULES = "ir.cron", "ir.module.module"
_ALL: Domain = [("active", "in", [True, False])]
"""Odoo leaves out those that are switched off unless it is asked for them by name."""
_FIELDS = ("cron_name", "active", "nextcall", "lastcall", "numbercall", "failure_count", "first_failure_date")
_UNFINISHED: Domain = [
    "|",
    ("state", "in", list(WAITING_STATES)),
    "&",
    ("name", "=", "base"),
    ("latest_version", "=", False),
]


async def collect(odoo: Odoo, options: Options, memory: Memory) -> AsyncIterator[Sample]:
    """The crons of the database.

    Raises:
        PermissionDeniedError: when this user may not see them.
    """
    fields = [name for name in _FIELDS if name in await odoo.fields(_MODEL)]
    english = {"lang": "en_US"}
    found = await odoo.call(_MODEL, "search_read", domain=_ALL, fields=fields, context=english)
    crons = [_row(cron) for cron in found]
    for sample in samples_of(crons, options, memory):
        yield sample
    if "failure_count" in fields:
        for sample in failures_of(crons, options, memory):
            yield sample
    yield SKIPPED(int(bool(await odoo.call(_MODULES, "search_count", _UNFINISHED))))


def _row(cron: Mapping[str, Any]) -> Row:
    """A cron as `odoo_cron` reads it. Before Odoo 18 one may have no more calls left, and is then never run."""
    return {
        "id": cron["id"],
        "name": cron["cron_name"] or str(cron["id"]),
        "active": cron["active"] and cron.get("numbercall", -1) != 0,
        "late": since(cron["nextcall"], _MODEL, "nextcall"),
        "idle": _since(cron, "lastcall"),
        "failures": cron.get("failure_count"),
        "failing": _since(cron, "first_failure_date"),
    }


def _since(cron: Mapping[str, Any], moment: str) -> float | None:
    """How long ago a moment was, None where there was none."""
    return since(cron[moment], _MODEL, moment) if cron.get(moment) else None


EXPORTER: Exporter[Odoo, Options, Memory] = Exporter(
    name="odoo_rpc_crons",
    reads=TargetKind.ODOO,
    metrics=OF_CRONS,
    options=Options,
    collect=collect,
    state=Memory,
    every=60.0,
    on=False,
    node_local=False,
)
