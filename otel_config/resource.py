"""Who is speaking: the resource attributes of everything that leaves."""

import platform
from collections.abc import Mapping
from typing import Final
from uuid import UUID, uuid5

from .settings import OtlpSettings

SERVICE_NAME: Final = "quaywatch"
# The namespace that OpenTelemetry's conventions give for instance ids made from names.
_NAMESPACE: Final = UUID("4d63009a-8d0f-11ee-aad7-4c796ed8e320")


def resource_attributes(
    settings: OtlpSettings,
    *,
    version: str,
    environment: str,
    installation: str = "",
    host: str | None = None,
    listens: str = "",
) -> dict[str, str]:
    """The attributes that an agent of this version bears.

    From the weakest source to the strongest: the defaults, ``OTEL_RESOURCE_ATTRIBUTES`` (by which our manifests
    tell a pod who it is), ``OTEL_SERVICE_NAME``, and the configuration file, whose ``environment`` is
    ``deployment.environment.name``.

    ``service.instance.id`` stays the same over restarts on the same host (in the same pod) with the same
    ``installation`` name, and tells agents apart that share a host: no two of them listen on the same address,
    which is ``listens``.
    """
    host = host or platform.node()
    told = dict(settings.resource)
    identity = "/".join((installation, environment, told.get("k8s.namespace.name", ""), host, listens))
    attributes = {
        "service.name": SERVICE_NAME,
        "service.version": version,
        "service.instance.id": str(uuid5(_NAMESPACE, identity)),
        "host.name": host,
        **told,
        **({"service.name": settings.service_name} if settings.service_name else {}),
        **({"deployment.environment.name": environment} if environment else {}),
    }
    return {name: value for name, value in attributes.items() if value}


def of_metrics(resource: Mapping[str, str]) -> dict[str, str]:
    """The attributes that metrics bear: all but the version.

    Stores that make labels of resource attributes would begin every series anew with each upgrade. The version of an
    agent is the metric ``quaywatch.build.info``.
    """
    return {name: value for name, value in resource.items() if name != "service.version"}
