"""Redis and Valkey in the versions that this machine's Debian does not have, alone and in company.

A server runs in the file system of the Debian release that has it, with a directory of its own mounted into it.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from sandbox.cache import built, mmdebstrap, run
from sandbox.host import in_private_mounts, require, require_root
from sandbox.process import LOOPBACK, Services, Spec, free_port

from .redis import Redis, command

PRIMARY: Final = "main"
"""The name under which a Sentinel watches its primary."""
_PASSWORD: Final = "sandbox"
_USER: Final = ("nobody", "nogroup")
_HOME: Final = Path("/srv")

Settings = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Flavour:
    """A server of one kind and version: its program, and the Debian release that has it; None is this machine's."""

    program: str
    suite: str | None = None


FLAVOURS: Final[Mapping[str, Flavour]] = {
    "redis6": Flavour(program="redis-server", suite="bullseye"),
    "redis7": Flavour(program="redis-server"),
    "redis8": Flavour(program="redis-server", suite="trixie"),
    "valkey8": Flavour(program="valkey-server", suite="trixie"),
}
_PACKAGES: Final = {"bullseye": ("redis-server",), "trixie": ("redis-server", "valkey-server")}


def root(suite: str | None) -> Path:
    """The file system of a Debian release with its servers, made when not yet there: half a minute each."""
    require_root()
    require("redis-server", "mmdebstrap")
    if suite is None:
        return Path("/")
    return built("redis", f"{suite}-1", lambda part: mmdebstrap((suite,), _PACKAGES[suite], part))


def prepare(_progress: object) -> None:
    """Fetch all of them."""
    for flavour in FLAVOURS.values():
        root(flavour.suite)


def start(services: Services, flavour: str, name: str = "", settings: Settings | None = None) -> Redis:
    """Start a server on a free port, in memory only, under ``name`` (the flavour's unless given)."""
    usual = {
        "requirepass": _PASSWORD,
        "masterauth": _PASSWORD,
        "save": '""',
        # Replicas are fed from memory, at once.
        "repl-diskless-sync": "yes",
        "repl-diskless-sync-delay": "0",
        "repl-ping-replica-period": "1",
    }
    return _start(services, FLAVOURS[flavour], name or flavour, {**usual, **(settings or {})})


def start_replica(services: Services, flavour: str, primary: Redis) -> Redis:
    """Start a server that follows ``primary``."""
    return start(services, flavour, f"{flavour}-replica", {"replicaof": f"{primary.host} {primary.port}"})


def start_sentinel(services: Services, flavour: str, primary: Redis) -> Redis:
    """Start a Sentinel that watches ``primary`` as `PRIMARY`, and is enough by itself to say that it is down.

    It waits half a minute before it does, so that a busy machine is no outage, until `let_fail_over` is called.
    """
    settings = {
        "requirepass": _PASSWORD,
        f"sentinel monitor {PRIMARY}": f"{primary.host} {primary.port} 1",
        f"sentinel auth-pass {PRIMARY}": primary.password,
        f"sentinel down-after-milliseconds {PRIMARY}": "30000",
        # One that did not succeed is tried again after twice as long.
        f"sentinel failover-timeout {PRIMARY}": "5000",
    }
    return _start(services, FLAVOURS[flavour], f"{flavour}-sentinel", settings, "--sentinel")


def let_fail_over(sentinel: Redis) -> None:
    """Let a Sentinel say within seconds that its primary is down, and have it replaced."""
    command(sentinel, "SENTINEL", "SET", PRIMARY, "down-after-milliseconds", "1000")


def start_cluster(services: Services, flavour: str) -> tuple[Redis, ...]:
    """Start a Cluster of three nodes without replicas, which have all slots when this returns.

    Redis 7 and later only: an older node talks to the others at its own port plus 10,000, which the kernel may
    have given to anybody's outgoing connection.
    """
    settings = {"cluster-enabled": "yes", "cluster-node-timeout": "2000"}
    nodes = tuple(
        start(services, flavour, f"{flavour}-node{number}", {**settings, "cluster-port": str(free_port())})
        for number in range(3)
    )
    for node in nodes:  # what a creation that failed has left
        command(node, "FLUSHALL")
        command(node, "CLUSTER", "RESET", "HARD")
    addresses = [f"{node.host}:{node.port}" for node in nodes]
    run("redis-cli", "-a", _PASSWORD, "--no-auth-warning", "--cluster", "create", *addresses, "--cluster-yes")
    return nodes


def _start(services: Services, flavour: Flavour, name: str, settings: Settings, *flags: str) -> Redis:
    server = Redis(host=LOOPBACK, port=services.ports(name).get("redis") or free_port(), password=_PASSWORD)
    home = services.state / name
    home.mkdir(exist_ok=True)
    config = home / "redis.conf"
    lines = {"port": str(server.port), "bind": LOOPBACK, "dir": str(_HOME), **settings}
    config.write_text("".join(f"{key} {value}\n" for key, value in lines.items()))
    # A Sentinel writes its configuration anew, a node of a Cluster its view of the others.
    for path in (home, config):
        shutil.chown(path, *_USER)
    argv = _argv(root(flavour.suite), home, (flavour.program, str(_HOME / config.name), *flags))
    ports = {"redis": server.port}
    services.start(Spec(name=name, argv=argv, ports=ports, ready=partial(_answers, server)))
    return server


def _answers(server: Redis) -> bool:
    return command(server, "PING") == "+PONG"


def _argv(place: Path, home: Path, argv: tuple[str, ...]) -> tuple[str, ...]:
    binds = {Path("/proc"): place / "proc", Path("/dev"): place / "dev", home: place / _HOME.relative_to("/")}
    return in_private_mounts(("chroot", f"--userspec={':'.join(_USER)}", str(place), *argv), binds)
