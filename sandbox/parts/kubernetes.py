"""The API server of Kubernetes over etcd, with nothing behind it: no kubelet, no scheduler, no controllers.

Pods are what whoever writes them says they are. Rights are by RBAC and tokens by service account, as in a cluster.
"""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sandbox.cache import run
from sandbox.host import with_memory_at
from sandbox.kubernetes_build import programs
from sandbox.process import LOOPBACK, Services, Spec, free_port

from .api import get, post

NAME = "kubernetes"
_ETCD = "kubernetes-etcd"
_TOKEN = "sandbox"
_TIMEOUT = 10.0
_PAST = 20
_OFF = "ServiceAccount"
"""The admission that puts a service account into each pod; it needs a controller that makes the accounts."""


@dataclass(frozen=True, kw_only=True)
class Kubernetes:
    """A running API server; `token` may do everything there. Its certificate is good for `127.0.0.1`."""

    url: str
    ca_file: Path
    token: str


def prepare(_progress: object) -> None:
    """Build the programs."""
    programs()


def start(services: Services, _world: object, _progress: object) -> Kubernetes:
    """Start etcd and the API server on free ports, empty."""
    home = services.state / NAME
    home.mkdir(exist_ok=True)
    etcd = _start_etcd(services, home)
    ports = services.ports(NAME) or {"api": free_port()}
    server = Kubernetes(
        url=f"https://{LOOPBACK}:{ports['api']}", ca_file=home / "certificates" / "apiserver.crt", token=_TOKEN
    )
    argv = (str(programs() / "kube-apiserver"), *_flags(home, etcd, ports["api"]))
    services.start(Spec(name=NAME, argv=argv, ports=ports, ready=partial(_ready, server)))
    return server


def _start_etcd(services: Services, home: Path) -> str:
    ports = services.ports(_ETCD) or {"client": free_port(), "peer": free_port()}
    client, peer = (f"http://{LOOPBACK}:{ports[port]}" for port in ("client", "peer"))
    flags = {
        "data-dir": home / "etcd" / "data",
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
    }
    (home / "etcd").mkdir(exist_ok=True)
    argv = with_memory_at(home / "etcd", (str(programs() / "etcd"), *_written(flags)))
    services.start(Spec(name=_ETCD, argv=argv, ports=ports, ready=lambda: _healthy(client)))
    _age(client)
    return client


def _flags(home: Path, etcd: str, port: int) -> tuple[str, ...]:
    key, tokens = home / "account.key", home / "tokens.csv"
    if not key.exists():
        run("openssl", "genrsa", "-out", key, "2048")
    tokens.write_text(f'{_TOKEN},sandbox,1,"system:masters"\n')
    flags = {
        "etcd-servers": etcd,
        "bind-address": LOOPBACK,
        "advertise-address": LOOPBACK,
        "secure-port": port,
        "insecure-port": 0,
        "cert-dir": home / "certificates",
        "service-account-key-file": key,
        "service-account-signing-key-file": key,
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-cluster-ip-range": "10.0.0.0/24",
        "token-auth-file": tokens,
        "authorization-mode": "RBAC",
        "disable-admission-plugins": _OFF,
    }
    return _written(flags)


def _written(flags: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(f"--{name}={value}" for name, value in flags.items())


def _healthy(client: str) -> bool:
    return bool(json.loads(get(f"{client}/health"))["health"] == "true")


def _age(client: str) -> None:
    """Give the cluster a past: versions from before its start are those that an API server has forgotten."""
    for _ in range(_PAST):
        post(f"{client}/v3/kv/put", b'{"key": "cGFzdA=="}')


def _ready(server: Kubernetes) -> bool:
    """Whether it serves, and has made the roles and the namespace that it makes itself."""
    ask(server, "GET", "/readyz?verbose")
    ask(server, "GET", "/api/v1/namespaces/default")
    return True


def ask(
    server: Kubernetes, method: str, path: str, body: object = None, *, kind: str = "application/json"
) -> dict[str, Any]:
    """What the server answers to somebody who may do everything; empty when that is no JSON.

    An HTTPError, which is an OSError, when it refuses.
    """
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": kind}
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data=content, headers=headers, method=method)
    trust = ssl.create_default_context(cafile=server.ca_file)
    with urllib.request.urlopen(request, timeout=_TIMEOUT, context=trust) as response:
        answer = response.read()
    return dict(json.loads(answer)) if answer.startswith(b"{") else {}
