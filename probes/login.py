"""login: the probe's user logs in over RPC, and to the web server with its password.

The driver shows a refused password to Odoo once in ten minutes, so that a wrong one locks nobody out. Each log-in
leaves a row in ``res_users_log``, of which Odoo's own daily clean-up keeps the last one of each user; the web session
takes the place of the last one opened so. There is nothing to undo.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from quaywatch.contract import Odoo, Probe, SweepOrder, Swept, TargetKind, Transaction, Transport
from quaywatch.errors import WrongResultError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Which ways of logging in are tried."""

    web: bool = field(
        default=True, metadata={"help": "whether to log in to the web server too, which takes a password, not a key"}
    )


async def run(odoo: Odoo, options: Options, tx: Transaction) -> None:
    """Log in both ways, as the same user."""
    async with tx.step("rpc"):
        user = await odoo.log_in()
    if options.web:
        async with tx.step("web"):
            await _same_user(odoo, user)


async def _same_user(odoo: Odoo, user: int) -> None:
    visitor = await odoo.log_in_web()
    if visitor != user:
        raise WrongResultError(f"over RPC the user has the id {user}, on the web {visitor}")


async def sweep(_odoo: Odoo, _options: Options, _order: SweepOrder) -> Swept:
    """Nothing: Odoo deletes the rows of ``res_users_log`` by itself and lets no user of ours count them."""
    return Swept()


PROBE: Probe[Odoo, Options] = Probe(
    name="login",
    flow="login",
    transport=Transport.RPC,
    drives=TargetKind.ODOO,
    options=Options,
    steps=("rpc", "web"),
    run=run,
    sweep=sweep,
    every=300.0,
)
