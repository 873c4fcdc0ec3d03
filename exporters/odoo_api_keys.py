"""How long the API keys of the target's own user last, over Odoo's RPC: from Odoo 18 on they expire.

An expired key looks like a wrong password, and Odoo deletes it: from then on nothing of it is read. Every internal user
may read the names and dates of its own keys. Which of several is in use Odoo does not tell.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from quaywatch.contract import Exporter, Kind, Metric, Odoo, Sample, TargetKind
from quaywatch.errors import ParseError

from .odoo_rpc import fields_of

REMAINING = Metric(
    "odoo.api_key.remaining",
    Kind.GAUGE,
    "s",
    "Time until an API key of the target's user expires, by the agent's clock; none for a key that never does.",
    ("key",),
)

MODEL: Final = "res.users.apikeys"
EXPIRES: Final = "expiration_date"
_MOST: Final = 20
"""Keys of one user that are told of, those that expire first."""
_DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Options:
    """What a configuration may tune."""

    warn_within: float = field(
        default=14 * _DAY, metadata={"help": "seconds before a key expires from which on `quaywatch check` says so"}
    )


async def collect(odoo: Odoo, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """The keys that expire, the sooner one where two have the same name."""
    told: set[str] = set()
    for name, seconds in await _keys(odoo):
        if name not in told:
            told.add(name)
            yield REMAINING(seconds, name)


async def check(odoo: Odoo, options: Options) -> AsyncIterator[str]:
    """A sentence for each key that expires soon."""
    for name, seconds in await _keys(odoo):
        if seconds < options.warn_within:
            when = f"expires in {seconds / _DAY:.1f} days" if seconds > 0 else "has expired"
            yield (
                f"the API key {name!r} {when}: make a new one with `quaywatch setup odoo --api-key-file`,"
                " and delete it if it is not in use"
            )


async def _keys(odoo: Odoo) -> list[tuple[str, float]]:
    """Names of the user's keys that expire, and in how many seconds; the first to expire comes first."""
    if EXPIRES not in await fields_of(odoo, MODEL):
        return []
    ours = [(EXPIRES, "!=", False)]  # Odoo shows a user no keys but its own
    fields = ["name", EXPIRES]
    rows = await odoo.call(MODEL, "search_read", domain=ours, fields=fields, order=EXPIRES, limit=_MOST)
    return [(row["name"], _seconds_until(row[EXPIRES])) for row in rows]


def _seconds_until(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except (TypeError, ValueError) as error:
        raise ParseError(f"{MODEL}.{EXPIRES} is no time") from error
    return (moment - datetime.now(UTC)).total_seconds()


EXPORTER: Exporter[Odoo, Options, None] = Exporter(
    name="odoo_api_keys",
    reads=TargetKind.ODOO,
    metrics=(REMAINING,),
    options=Options,
    collect=collect,
    state=lambda: None,
    every=300.0,
    check=check,
    node_local=False,
)
