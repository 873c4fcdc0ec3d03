"""How each alert is proved to fire and to resolve in a real Prometheus: by a fault in the sandbox, or from samples."""

from __future__ import annotations

from collections.abc import Mapping

from tests.alerts.cases import CASES

BY_FAULT: Mapping[str, str] = {
    "FlowFailing": "Odoo is stopped",
}
"""The alerts that a real fault raises, and which."""

FROM_SAMPLES = sorted({*CASES} - {*BY_FAULT})
"""The others: samples are served to Prometheus."""
