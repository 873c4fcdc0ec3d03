"""browser_login: the web client is opened and logged in to through a real browser; nothing is changed."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from quaywatch.contract import Odoo, Probe, SweepOrder, Swept, TargetKind, Transaction, Transport

from .odoo_pages import web_client


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """There is nothing to choose."""


async def run(odoo: Odoo, _options: Options, tx: Transaction) -> None:
    """Log in, see the menu, log out."""
    async with AsyncExitStack() as stack:
        async with tx.step("prepare"):
            client = await stack.enter_async_context(web_client(odoo, tx))
        async with tx.step("login"):
            await client.sign_in()


async def sweep(_odoo: Odoo, _options: Options, _order: SweepOrder) -> Swept:
    """Nothing is left that could be found."""
    return Swept()


PROBE: Probe[Odoo, Options] = Probe(
    name="browser_login",
    flow="login",
    transport=Transport.BROWSER,
    drives=TargetKind.ODOO,
    options=Options,
    steps=("prepare", "login"),
    run=run,
    sweep=sweep,
    every=300.0,
    deadline=90.0,
)
