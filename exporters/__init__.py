"""The exporters: one file for each thing that is read, one row here for each file."""

from __future__ import annotations

from typing import Any

from quaywatch.contract import Exporter

from .odoo_queue import EXPORTER as ODOO_QUEUE
from .postgres_locks import EXPORTER as POSTGRES_LOCKS
from .postgres_replication import EXPORTER as POSTGRES_REPLICATION
from .redis_memory import EXPORTER as REDIS_MEMORY

EXPORTERS: tuple[Exporter[Any, Any, Any], ...] = (
    POSTGRES_LOCKS,
    POSTGRES_REPLICATION,
    REDIS_MEMORY,
    ODOO_QUEUE,
)
"""Every exporter that comes in the box."""
