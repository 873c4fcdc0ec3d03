"""Which flows are run, with options that suit the sandbox, and in which order."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final, Literal

from probes import PROBES, label_print, login, order_create, portal_lookup, shipment_confirm, stock_reserve
from quaywatch.contract import Odoo, Probe, Transport
from sandbox import seed

ODOO14: Final = "odoo14"
PER_SHIPMENT: Final = 2
"""Of the product, so that a shipment that went twice shows."""
BROWSER_EVERY: Final = 10
_SEED: Final = 20

Flow = tuple[Probe[Odoo, Any], Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """One run: its number, which is its tick too, its probe, and whether its process is killed meanwhile."""

    number: int
    probe: str
    is_killed: bool


def flows(server: str) -> Mapping[str, Flow]:
    """Every flow by the name of its probe, over RPC and in a browser, for the Odoo of this name."""
    options = _options(server)
    return {probe.name: (probe, options[probe.flow]) for probe in PROBES if probe.flow in options}


def _options(server: str) -> dict[str, Any]:
    customer, light, kept = seed.PARTNER, seed.PRODUCT, seed.STORABLE
    shipped = shipment_confirm.Options(partner=customer, product=kept, quantity=PER_SHIPMENT, location=seed.PLACE)
    # Only one of the two has what makes PDFs.
    paper: Literal["pdf", "html"] = "pdf" if server == ODOO14 else "html"
    return {
        "order-create": order_create.Options(partner=customer, product=light),
        "stock-reserve": stock_reserve.Options(partner=customer, product=kept),
        "label-print": label_print.Options(partner=customer, product=kept, paper=paper),
        "portal-lookup": portal_lookup.Options(partner=customer, product=light),
        "login": login.Options(),
        "shipment-confirm": shipped,
    }


def in_browser(names: Sequence[str]) -> list[str]:
    """Those of these probes that need a browser."""
    known = {probe.name for probe in PROBES if probe.transport is Transport.BROWSER}
    return [name for name in names if name in known]


def turns(names: Sequence[str], count: int, *, killed_every: int) -> Iterator[Turn]:
    """So many runs of these probes in turn: every tenth in a browser where there is one, one of so many killed."""
    browser = in_browser(names)
    over_rpc = [name for name in names if name not in browser]
    plain, killed, clicked = (cycle(_shuffled(some)) for some in (over_rpc, names, browser or over_rpc))
    for number in range(1, count + 1):
        is_killed = number % killed_every == 0
        chosen = killed if is_killed else clicked if number % BROWSER_EVERY == 1 else plain
        yield Turn(number, next(chosen), is_killed)


def _shuffled(names: Sequence[str]) -> list[str]:
    """The same for each trial, so that one can be repeated."""
    return random.Random(_SEED).sample(names, len(names))  # noqa: S311 - no secret
