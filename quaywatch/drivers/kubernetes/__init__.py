"""The API of Kubernetes over plain REST: Lease objects, and the pods of a node."""

from __future__ import annotations

from .api import ApiAddress
from .lease import KubernetesLease, LeaseAddress, LeaseObject
from .members import KubernetesMembers
from .pods import PREFIX, ExpiredError, NodePods, Pod, PodChange, PodList

__all__ = [
    "PREFIX",
    "ApiAddress",
    "ExpiredError",
    "KubernetesLease",
    "KubernetesMembers",
    "LeaseAddress",
    "LeaseObject",
    "NodePods",
    "Pod",
    "PodChange",
    "PodList",
]
