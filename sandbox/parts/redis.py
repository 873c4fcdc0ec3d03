"""Redis: one server with a password and a limit, in memory only."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BufferedRWPair
from pathlib import Path

from sandbox.host import require
from sandbox.process import LOOPBACK, Services, Spec, free_port

NAME = "redis"
MAXMEMORY = 32 * 1024 * 1024
_PASSWORD = "sandbox"


@dataclass(frozen=True, kw_only=True)
class Redis:
    """A running Redis; its default user has `password`."""

    host: str
    port: int
    password: str

    @property
    def url(self) -> str:
        """Its address, with the password."""
        return f"redis://:{self.password}@{self.host}:{self.port}/0"


def prepare(_progress: object) -> None:
    """Install the server, if the machine has none."""
    require("redis-server")


def start(services: Services, _world: object, _progress: object) -> Redis:
    """Start Redis on a free port. Keys with a time to live are evicted at the limit, others are refused there."""
    server = Redis(host=LOOPBACK, port=services.ports(NAME).get("redis") or free_port(), password=_PASSWORD)
    settings = {
        "port": str(server.port),
        "bind": LOOPBACK,
        "requirepass": server.password,
        "maxmemory": str(MAXMEMORY),
        "maxmemory-policy": "volatile-lru",
        "save": "",
        "appendonly": "no",
    }
    flags = [word for key, value in settings.items() for word in (f"--{key}", value)]
    spec = Spec(
        name=NAME,
        argv=("redis-server", *flags),
        ports={"redis": server.port},
        user="nobody",
        cwd=Path("/"),
        ready=partial(_answers, server),
    )
    services.start(spec)
    return server


def _answers(server: Redis) -> bool:
    return command(server, "PING") == "+PONG"


def command(server: Redis, *words: str) -> str:
    """The first line that Redis answers to one command, in its wire format: `+OK`, `-OOM ...`, `:3`, `$5`."""
    with _asked(server, words) as wire:
        return wire.readline().decode().rstrip()


def info(server: Redis, section: str) -> dict[str, str]:
    """What Redis reports in one section of `INFO`."""
    with _asked(server, ("INFO", section)) as wire:
        size = int(wire.readline().removeprefix(b"$"))
        lines = wire.read(size).decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


@contextmanager
def _asked(server: Redis, words: tuple[str, ...]) -> Iterator[BufferedRWPair]:
    """The answer to one command, to be read on."""
    with socket.create_connection((server.host, server.port), timeout=60) as line, line.makefile("rwb") as wire:
        wire.write(_encoded(("AUTH", server.password)) + _encoded(words))
        wire.flush()
        wire.readline()
        yield wire


def _encoded(words: tuple[str, ...]) -> bytes:
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
