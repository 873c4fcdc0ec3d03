"""The state of a Redis or Valkey Cluster as one of its nodes sees it; nothing where cluster mode is off.

Whether it is on stands in ``INFO``; ``CLUSTER INFO`` needs a right beyond that: ``ACL SETUSER <user> +cluster|info``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from quaywatch.contract import Exporter, Kind, Metric, Redis, Sample, TargetKind

from .redis_info import plain, words

OK = Metric("redis.cluster.ok", Kind.GAUGE, "", "1 if this node serves queries, 0 if it deems the cluster failed.")
ASSIGNED = Metric("redis.cluster.slots_assigned", Kind.GAUGE, "{slots}", "Slots that some node has; all are 16384.")
SLOTS_OK = Metric("redis.cluster.slots_ok", Kind.GAUGE, "{slots}", "Slots whose node is well.")
SLOTS_PFAIL = Metric("redis.cluster.slots_pfail", Kind.GAUGE, "{slots}", "Slots whose node this node cannot reach.")
SLOTS_FAIL = Metric("redis.cluster.slots_fail", Kind.GAUGE, "{slots}", "Slots whose node most nodes cannot reach.")
NODES = Metric("redis.cluster.known_nodes", Kind.GAUGE, "{node}", "Nodes that this node knows, itself included.")
SIZE = Metric("redis.cluster.size", Kind.GAUGE, "{node}", "Primaries that have slots.")
EPOCH = Metric(
    "redis.cluster.current_epoch",
    Kind.GAUGE,
    "{epoch}",
    "The cluster's epoch; it grows with each election of a primary.",
)

_PLAIN: Final = {
    "cluster_slots_assigned": ASSIGNED,
    "cluster_slots_ok": SLOTS_OK,
    "cluster_slots_pfail": SLOTS_PFAIL,
    "cluster_slots_fail": SLOTS_FAIL,
    "cluster_known_nodes": NODES,
    "cluster_size": SIZE,
    "cluster_current_epoch": EPOCH,
}


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(server: Redis, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """The cluster, seen from this node.

    Raises:
        ParseError: when a number is none.
    """
    if (await server.info("cluster")).get("cluster_enabled") != "1":
        return
    lines = (line.partition(":") for line in (await server.command("CLUSTER", "INFO")).splitlines())
    state = {name: value for name, _, value in lines}
    for sample in (*words(state, {"cluster_state": (OK, "ok")}), *plain(state, _PLAIN)):
        yield sample


EXPORTER: Exporter[Redis, Options, None] = Exporter(
    name="redis_cluster",
    reads=TargetKind.REDIS,
    metrics=(OK, *_PLAIN.values()),
    options=Options,
    collect=collect,
    state=lambda: None,
)
