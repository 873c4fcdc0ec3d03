"""Quaywatch: observability agent and synthetic transaction monitor for Odoo in logistics."""

__version__ = "0.1.0"
