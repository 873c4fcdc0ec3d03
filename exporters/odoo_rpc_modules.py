"""Whether the versions of Odoo's code are those of the database, over Odoo's RPC: only the server knows its code.

Off until it is turned on: before version 16 the target's user must be in the group Administration / Access Rights, from
then on any user will do. While the base differs, Odoo runs none of the database's crons and says so in its log alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quaywatch.contract import Exporter, Kind, Metric, Odoo, Sample, TargetKind

from .odoo_modules import INSTALLED_STATE, WAITING_STATES

SKEWED = Metric(
    "odoo.rpc.modules.skewed",
    Kind.UPDOWN,
    "{module}",
    "Installed modules of which the server's code has another version than the database, or is not there.",
)
BASE_SKEWED = Metric(
    "odoo.rpc.base.skewed",
    Kind.GAUGE,
    "",
    "1 while the base of the server's code has another version than the database, so that no cron runs, else 0.",
)
WAITING = Metric(
    "odoo.rpc.modules.waiting",
    Kind.UPDOWN,
    "{module}",
    "Modules that wait to be installed, upgraded or removed, by state. 0 in all of them when nothing is under way.",
    ("state",),
)

_MODEL = "ir.module.module"
_OF_DATABASE, _OF_CODE = "latest_version", "installed_version"
"""Odoo's own names, which say the opposite of what they hold."""
_STATES = (INSTALLED_STATE, *WAITING_STATES)


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(odoo: Odoo, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """The installed modules of the database, and those that wait."""
    modules: Sequence[Mapping[str, Any]] = await odoo.call(
        _MODEL,
        "search_read",
        domain=[("state", "in", list(_STATES))],
        fields=["name", "state", _OF_DATABASE, _OF_CODE],
    )
    states = Counter(module["state"] for module in modules)
    for state in WAITING_STATES:
        yield WAITING(states[state], state.replace(" ", "_"))
    installed = [module for module in modules if module["state"] == INSTALLED_STATE]
    skewed = {module["name"] for module in installed if module[_OF_DATABASE] != module[_OF_CODE]}
    yield SKEWED(len(skewed))
    yield BASE_SKEWED(int("base" in skewed))


EXPORTER: Exporter[Odoo, Options, None] = Exporter(
    name="odoo_rpc_modules",
    reads=TargetKind.ODOO,
    metrics=(SKEWED, BASE_SKEWED, WAITING),
    options=Options,
    collect=collect,
    state=lambda: None,
    every=300.0,
    on=False,
    node_local=False,
)
