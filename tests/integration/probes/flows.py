"""Every flow over RPC with the options that suit the sandbox."""

from __future__ import annotations

from typing import Any

from probes import label_print, login, portal_lookup, shipment_confirm, stock_reserve
from quaywatch.contract import Odoo as Contract
from quaywatch.contract import Probe
from sandbox.parts.odoo import Odoo
from sandbox.seed import PARTNER, PLACE, PRODUCT, STORABLE


def labels(server: Odoo) -> label_print.Options:
    """Three labels, and paper where the server has wkhtmltopdf: only one of them has."""
    paper: Any = "pdf" if server.database == "odoo14" else "html"
    return label_print.Options(partner=PARTNER, product=STORABLE, copies=3, paper=paper)


SHIPMENT = shipment_confirm.Options(partner=PARTNER, product=STORABLE, quantity=2, location=PLACE)


def flows(server: Odoo) -> dict[Probe[Contract, Any], Any]:
    """Each flow with its options."""
    return {
        stock_reserve.PROBE: stock_reserve.Options(partner=PARTNER, product=STORABLE, quantity=3),
        label_print.PROBE: labels(server),
        portal_lookup.PROBE: portal_lookup.Options(partner=PARTNER, product=PRODUCT),
        login.PROBE: login.Options(),
        shipment_confirm.PROBE: SHIPMENT,
    }
