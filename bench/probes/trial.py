"""The trial: order-create by Quaywatch and by the bare script in turn, first one first, then the other."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from probes import browser_order_create, order_create
from sandbox import seed
from sandbox.parts.odoo import Odoo

from .bare import Script, browser
from .ours import Agent

CUSTOMER, PRODUCT = "Probe Customer", "Probe Parcel"
"""What is typed into the web client: the names behind the references that the probes are configured with."""
_WARM_UP: Final = 2

Took = dict[str, float]
Run = Callable[[], Awaitable[Took]]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """What was measured of both, ours first: seconds of each step, pair by pair, and of a run its calls over RPC.

    ``processor`` is the time in seconds for which a run keeps this process at work, the median.
    """

    server: str
    transport: str
    ours: Sequence[Took]
    bare: Sequence[Took]
    calls: tuple[float, float]
    processor: tuple[float, float]
    suspicions: int


async def over_rpc(server: Odoo, version: int, pairs: int, say: Say) -> Pairs:
    """So many pairs over RPC; the probe knows customer and product by their references, as it is configured usually."""
    options = order_create.Options(partner=seed.PARTNER, product=seed.PRODUCT)
    agent, script = Agent(server), Script(server, version)

    async def probe() -> Took:
        await agent.run(order_create.PROBE, options)
        return agent.took

    async def bare() -> Took:
        script.run()
        return dict(script.took)

    try:
        return await _pairs("RPC", agent, script, (probe, bare), pairs, say)
    finally:
        await agent.close()


async def in_browser(server: Odoo, version: int, pairs: int, say: Say) -> Pairs:
    """So many pairs in a browser. By the product's price the script sees that Odoo has filled in the line."""
    server.admin().call("product.product", "write", [server.product_id], {"list_price": 2.0})
    options = order_create.Options(partner=seed.PARTNER, product=seed.PRODUCT)
    agent, script = Agent(server), Script(server, version)

    async def probe() -> Took:
        await agent.run(browser_order_create.PROBE, options)
        return agent.took

    try:
        async with browser() as chromium:

            async def bare() -> Took:
                await script.click(chromium, CUSTOMER, PRODUCT)
                return dict(script.took)

            return await _pairs("browser", agent, script, (probe, bare), pairs, say)
    finally:
        await agent.close()


async def _pairs(transport: str, agent: Agent, script: Script, both: tuple[Run, Run], pairs: int, say: Say) -> Pairs:
    probe, bare = both
    for _ in range(_WARM_UP):
        await probe()
        await bare()
    asked = agent.calls, script.calls
    ours, theirs = list[Took](), list[Took]()
    processor: tuple[list[float], list[float]] = ([], [])
    for turn in range(pairs):
        for run, into, busy in ((probe, ours, processor[0]), (bare, theirs, processor[1]))[:: -1 if turn % 2 else 1]:
            began = time.process_time()
            into.append(await run())
            busy.append(time.process_time() - began)
        say(f"{agent.server.database}: {transport}: {sum(ours[-1].values()):.3f} s, {sum(theirs[-1].values()):.3f} s")
    calls = (agent.calls - asked[0]) / pairs, (script.calls - asked[1]) / pairs
    return Pairs(
        server=agent.server.database,
        transport=transport,
        ours=ours,
        bare=theirs,
        calls=calls,
        processor=(median(processor[0]), median(processor[1])),
        suspicions=agent.suspicions,
    )
