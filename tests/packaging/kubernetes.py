"""What manifests are held against: Kubernetes' schemas, the operator's, and the restricted pod security profile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator
from kubernetes_validate import utils as schemas
from packaging.version import Version
from referencing import Registry, Resource

Manifest = dict[str, Any]

_VERSIONS: Final = {schemas.major_minor(version): version for version in schemas.all_versions()}
MINORS: Final = sorted(_VERSIONS, key=Version)[-3:]
"""The three newest minors of Kubernetes."""
OPERATOR: Final = "monitoring.coreos.com/v1"


def documents(text: str) -> list[Manifest]:
    """The manifests of a text."""
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]


# --- schemas ----------------------------------------------------------------------------------------------------------


def faults(manifest: Manifest, minor: str) -> list[str]:
    """What a version of Kubernetes would refuse of a manifest, fields that it does not know included."""
    validator = _operators() if manifest["apiVersion"] == OPERATOR else _validator(minor, *_kind(manifest))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(manifest)]


def _kind(manifest: Manifest) -> tuple[str, str]:
    group, _, version = manifest["apiVersion"].rpartition("/")
    return manifest["kind"].lower(), f"{group.partition('.')[0]}-{version}" if group else version


@cache
def _validator(minor: str, kind: str, version: str) -> Draft202012Validator:
    return Draft202012Validator(_schema(minor, f"{kind}-{version}"), registry=_definitions(minor))


@cache
def _definitions(minor: str) -> Registry[Any]:
    empty: Registry[Any] = Registry()
    contents = Resource.from_contents(_schema(minor, "_definitions"))
    crawled: Registry[Any] = empty.with_resource("_definitions.json", contents).crawl()
    return crawled


def _schema(minor: str, name: str) -> Any:
    folder = f"kubernetes-json-schema/v{_VERSIONS[minor]}-local-strict"
    return schemas.schema_contents(f"{folder}/{name}.json", minor)


def _closed(required: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required.split(),
        "properties": properties,
        "additionalProperties": False,
    }


_TEXT: Final = {"type": "string"}
_TEXTS: Final = {"type": "object", "additionalProperties": _TEXT}
_DURATION: Final = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$"}
_SELECTOR: Final = _closed("", matchLabels=_TEXTS, matchExpressions={"type": "array"})
_NAMESPACES: Final = _closed("matchNames", matchNames={"type": "array", "items": _TEXT})
_RELABELING: Final = _closed(
    "",
    action=_TEXT,
    regex=_TEXT,
    replacement=_TEXT,
    separator=_TEXT,
    sourceLabels={"type": "array", "items": _TEXT},
    targetLabel=_TEXT,
)
_ENDPOINT: Final = _closed(
    "port",
    port=_TEXT,
    path=_TEXT,
    interval=_DURATION,
    scrapeTimeout=_DURATION,
    honorLabels={"type": "boolean"},
    authorization=_closed("credentials", type=_TEXT, credentials=_closed("key", name=_TEXT, key=_TEXT)),
    relabelings={"type": "array", "items": _RELABELING},
    metricRelabelings={"type": "array", "items": _RELABELING},
)
_RULE: Final = _closed(
    "expr",
    **{"alert": _TEXT, "record": _TEXT, "expr": {"type": ["string", "integer"]}, "for": _DURATION},
    keep_firing_for=_DURATION,
    labels=_TEXTS,
    annotations=_TEXTS,
)
_GROUP: Final = _closed("name", name=_TEXT, interval=_DURATION, rules={"type": "array", "items": _RULE})


def _monitor(endpoints: str) -> dict[str, Any]:
    listed = {endpoints: {"type": "array", "minItems": 1, "items": _ENDPOINT}}
    return _closed(f"selector {endpoints}", selector=_SELECTOR, namespaceSelector=_NAMESPACES, **listed)


_SPECS: Final = {
    "ServiceMonitor": _monitor("endpoints"),
    "PodMonitor": _monitor("podMetricsEndpoints"),
    "PrometheusRule": _closed("groups", groups={"type": "array", "items": _GROUP}),
}
"""What we use of the operator's kinds, after its reference of the API; nothing else passes."""


@cache
def _operators() -> Draft202012Validator:
    metadata = _closed("name labels", name=_TEXT, namespace=_TEXT, labels=_TEXTS, annotations=_TEXTS)
    kinds = [
        _closed("apiVersion kind metadata spec", apiVersion=_TEXT, kind={"const": kind}, metadata=metadata, spec=spec)
        for kind, spec in _SPECS.items()
    ]
    return Draft202012Validator({"oneOf": kinds})


# --- pods -------------------------------------------------------------------------------------------------------------


def pods(manifests: Iterable[Manifest]) -> Iterator[Manifest]:
    """The specification of every pod that the manifests start."""
    for manifest in manifests:
        if manifest["kind"] == "Pod":
            yield manifest["spec"]
        elif "template" in manifest.get("spec", {}):
            yield manifest["spec"]["template"]["spec"]


def containers(pod: Manifest) -> list[Manifest]:
    """All containers of a pod, of whatever sort."""
    return [*pod.get("initContainers", []), *pod["containers"], *pod.get("ephemeralContainers", [])]


_VOLUMES: Final = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
)
_SYSCTLS: Final = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
_SELINUX: Final = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
_SECCOMP: Final = frozenset({"RuntimeDefault", "Localhost"})
_APPARMOR: Final = frozenset({None, "RuntimeDefault", "Localhost"})


def beyond_restricted(pod: Manifest) -> list[str]:
    """What of a pod the restricted profile of the pod security standards forbids; its controls, one by one."""
    context = pod.get("securityContext", {})
    found = [key for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key)]
    kinds = {kind for volume in pod.get("volumes", []) for kind in volume if kind != "name"}
    found += [f"volume {kind}" for kind in sorted(kinds - _VOLUMES)]
    found += [f"sysctl {entry['name']}" for entry in context.get("sysctls", []) if entry["name"] not in _SYSCTLS]
    found += _of_anybody(context)
    for container in containers(pod):
        found += [f"{container['name']}: {what}" for what in _of_container(container, context)]
    return found


def _of_anybody(context: Manifest) -> Iterator[str]:
    """What is forbidden wherever it is said, in a pod or in a container."""
    options = context.get("seLinuxOptions", {})
    if options.get("type", "") not in _SELINUX or options.get("user") or options.get("role"):
        yield "seLinuxOptions"
    if context.get("appArmorProfile", {}).get("type") not in _APPARMOR:
        yield "appArmorProfile"
    if context.get("windowsOptions", {}).get("hostProcess"):
        yield "hostProcess"


def _of_container(container: Manifest, pod: Manifest) -> Iterator[str]:
    own = container.get("securityContext", {})
    both = {**pod, **own}
    yield from _of_anybody(own)
    yield from _of_privileges(own)
    if both.get("runAsNonRoot") is not True or both.get("runAsUser") == 0:
        yield "may run as root"
    if both.get("seccompProfile", {}).get("type") not in _SECCOMP:
        yield "seccompProfile"
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield "hostPort"
    handlers = [container.get(f"{name}Probe", {}) for name in ("liveness", "readiness", "startup")]
    handlers += container.get("lifecycle", {}).values()
    if any(handler.get(way, {}).get("host") for handler in handlers for way in ("httpGet", "tcpSocket")):
        yield "a host in a probe"


def _of_privileges(own: Manifest) -> Iterator[str]:
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if own.get("procMount", "Default") != "Default":
        yield "procMount"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "capabilities"
