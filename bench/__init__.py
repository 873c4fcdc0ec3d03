"""Quaywatch beside the exporters it replaces: the same servers, the same families, cycles in turn, in one run."""
