"""The agent at work: it owns time, the snapshot, the leases, the probes' runs and the page that shows them.

Exporters and probes are plain functions; whatever decides when they run, for how long, on which agent, and what is
shown of them stands here. This room knows the drivers, and none of its siblings.
"""
