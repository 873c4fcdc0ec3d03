"""The probes: one file for each business flow, one row here for each file."""

from __future__ import annotations

from typing import Any

from quaywatch.contract import Probe

from .browser_label_print import PROBE as BROWSER_LABEL_PRINT
from .browser_login import PROBE as BROWSER_LOGIN
from .browser_order_create import PROBE as BROWSER_ORDER_CREATE
from .browser_portal_lookup import PROBE as BROWSER_PORTAL_LOOKUP
from .browser_shipment_confirm import PROBE as BROWSER_SHIPMENT_CONFIRM
from .browser_stock_reserve import PROBE as BROWSER_STOCK_RESERVE
from .label_print import PROBE as LABEL_PRINT
from .login import PROBE as LOGIN
from .order_create import PROBE as ORDER_CREATE
from .portal_lookup import PROBE as PORTAL_LOOKUP
from .shipment_confirm import PROBE as SHIPMENT_CONFIRM
from .stock_reserve import PROBE as STOCK_RESERVE

PROBES: tuple[Probe[Any, Any], ...] = (
    ORDER_CREATE,
    STOCK_RESERVE,
    LABEL_PRINT,
    SHIPMENT_CONFIRM,
    PORTAL_LOOKUP,
    LOGIN,
    BROWSER_LOGIN,
    BROWSER_ORDER_CREATE,
    BROWSER_STOCK_RESERVE,
    BROWSER_LABEL_PRINT,
    BROWSER_SHIPMENT_CONFIRM,
    BROWSER_PORTAL_LOOKUP,
)
"""Every probe that comes in the box."""
