"""Servers that outlive the command which started them, kept by their state directory and never by a bare pid.

For each service the state directory holds `log/<name>.log` and `run/<name>.json`: what was started, its ports,
its pid and the moment that process was born. A pid is only trusted together with that moment, so a number that
the kernel gave to somebody else meanwhile is never signalled.
"""

import fcntl
import json
import os
import pwd
import secrets
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import psutil

from .cache import SandboxError, cache_root

LOOPBACK = "127.0.0.1"
# Below the kernel's range for outgoing connections: a stopped server finds its port free when it comes back.
_PORTS = range(20_000, 32_000)
_STOP_WITHIN = 20.0
_TICK = 0.05
_given_ports: set[int] = set()
_claiming = threading.Lock()


def free_port() -> int:
    """A loopback TCP port nobody listens on, given to nobody else on the machine while this process lives."""
    while True:
        port = _PORTS[secrets.randbelow(len(_PORTS))]
        if _claim(port) and _can_bind(port):
            return port


def _claim(port: int) -> bool:
    # A lock on one byte of a file each: nobody else gets it, nobody waits, and the kernel lets go of a dead one's.
    # One thread at a time: a second handle of that file would, when it is closed, let go of what the first one holds.
    with _claiming:
        if port in _given_ports:
            return False
        try:
            fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError:
            return False
        _given_ports.add(port)
        return True


@cache
def _claims() -> BinaryIO:
    # Open for good: closing it would let go of every claim.
    locks = cache_root() / "locks"
    locks.mkdir(exist_ok=True)
    return (locks / "ports").open("ab")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def accepts(port: int) -> bool:
    """Whether somebody accepts TCP connections on the loopback `port`."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


def until(condition: Callable[[], bool], *, within: float) -> bool:
    """Whether `condition` came true within so many seconds of asking. An OSError counts as no."""
    deadline = time.monotonic() + within
    while True:
        with suppress(OSError):
            if condition():
                return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_TICK)


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What to start, and how to tell that it is there.

    `ready` is asked until it returns True, `ready_within` seconds at most; an OSError counts as not yet. `env`
    is added to an almost empty environment. `user` is the account it runs as, the caller's when None.
    """

    name: str
    argv: tuple[str, ...]
    ready: Callable[[], bool]
    ports: Mapping[str, int] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    cwd: Path | None = None
    stop_signal: int = signal.SIGTERM
    ready_within: float = 180


class Services:
    """The services of one state directory."""

    def __init__(self, state: Path) -> None:
        self.state = state.absolute()
        for room in ("run", "log"):
            (self.state / room).mkdir(parents=True, exist_ok=True)

    def start(self, spec: Spec) -> int:
        """Start `spec` in a session of its own and wait until it is ready; its pid.

        A service of that name which already runs is left alone. `SandboxError` with the end of its log when
        it dies or is not ready in time; it is ended then.
        """
        running = self._process(spec.name)
        if running is not None:
            return running.pid
        pid = self._spawn(spec)
        if not until(lambda: not self.alive(spec.name) or spec.ready(), within=spec.ready_within):
            self._give_up(spec, f"was not ready after {spec.ready_within:.0f} s")
        if not self.alive(spec.name):
            self._give_up(spec, "ended while starting")
        return pid

    def resume(self, name: str, argv: tuple[str, ...] | None = None) -> int:
        """Start a stopped service once more as before, on the same ports; ready when these accept.

        With `argv` that is what is started, and what the service is from then on.
        """
        record = self._required(name)
        ports: dict[str, int] = record["ports"]
        spec = Spec(
            name=name,
            argv=argv or tuple(record["argv"]),
            ready=lambda: all(map(accepts, ports.values())),
            ports=ports,
            env=record["env"],
            user=record["user"],
            cwd=Path(record["cwd"]),
            stop_signal=record["stop_signal"],
        )
        return self.start(spec)

    def stop(self, name: str) -> None:
        """End a service by its own stop signal, and by force after 20 s. Fine if it does not run."""
        process = self._process(name)
        if process is None:
            return
        family = _family(process)
        _signal([process], int(self._required(name)["stop_signal"]))
        _signal(family, signal.SIGCONT)
        if not until(lambda: not self.alive(name), within=_STOP_WITHIN):
            _signal(family, signal.SIGKILL)
        # A port may go on accepting for a moment after its process is over.
        ports = self.ports(name).values()
        until(lambda: not self.alive(name) and not any(map(accepts, ports)), within=_STOP_WITHIN)
        self._forget_pid(name)

    def kill(self, name: str, number: int) -> None:
        """Send a signal to a service and all its descendants. `SandboxError` when it does not run."""
        process = self._process(name)
        if process is None:
            raise SandboxError(f"{name} does not run in {self.state}")
        _signal(_family(process), number)

    def alive(self, name: str) -> bool:
        """Whether the very process that was started under this name still lives."""
        return self._process(name) is not None

    def frozen(self, name: str) -> bool:
        """Whether the service is stopped by SIGSTOP, which takes effect some time after it was sent."""
        process = self._process(name)
        return process is not None and process.status() == psutil.STATUS_STOPPED

    def pid(self, name: str) -> int | None:
        """The pid of a running service."""
        process = self._process(name)
        return process.pid if process else None

    def names(self) -> list[str]:
        """Every service ever started here, in the order of their starts."""
        records = [(json.loads(path.read_text())["at"], path.stem) for path in self._run_files()]
        return [name for _, name in sorted(records)]

    def ports(self, name: str) -> dict[str, int]:
        """The ports a service was last started with; none for one never started."""
        record = self._record(name)
        return dict(record["ports"]) if record else {}

    def argv(self, name: str) -> tuple[str, ...]:
        """What a service was last started as. `SandboxError` for one never started."""
        return tuple(self._required(name)["argv"])

    def log(self, name: str) -> Path:
        """Where the service's output goes."""
        return self.state / "log" / f"{name}.log"

    def stop_all(self) -> None:
        """Stop everything that runs, last started first."""
        for name in reversed(self.names()):
            self.stop(name)

    def _run_files(self) -> Iterator[Path]:
        return (self.state / "run").glob("*.json")

    def _record(self, name: str) -> dict[str, Any] | None:
        path = self.state / "run" / f"{name}.json"
        try:
            record: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        return record

    def _required(self, name: str) -> dict[str, Any]:
        record = self._record(name)
        if record is None:
            raise SandboxError(f"{name} was never started in {self.state}")
        return record

    def _process(self, name: str) -> psutil.Process | None:
        record = self._record(name)
        if record is None or record["pid"] is None:
            return None
        try:
            process = psutil.Process(record["pid"])
            if _born(process.pid) != record["born"]:
                return None
            if process.status() != psutil.STATUS_ZOMBIE:
                return process
        except psutil.NoSuchProcess:
            return None
        with suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)
        return None

    def _spawn(self, spec: Spec) -> int:
        with self.log(spec.name).open("ab") as log:
            child = subprocess.Popen(
                spec.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=spec.cwd or self.state,
                env=_environment(spec),
                start_new_session=True,
                **_identity(spec.user),
            )
        # It may outlive us; if not, it is reaped by its pid. Its handle must not expect to wait for it.
        child.returncode = 0
        self._write(spec, child.pid)
        return child.pid

    def _write(self, spec: Spec, pid: int) -> None:
        record = {
            "pid": pid,
            "born": _born(pid),
            "at": time.time(),
            "argv": spec.argv,
            "ports": dict(spec.ports),
            "env": dict(spec.env),
            "user": spec.user,
            "cwd": str(spec.cwd or self.state),
            "stop_signal": int(spec.stop_signal),
        }
        self._save(spec.name, record)

    def _forget_pid(self, name: str) -> None:
        self._save(name, {**self._required(name), "pid": None})

    def _save(self, name: str, record: Mapping[str, Any]) -> None:
        path = self.state / "run" / f"{name}.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(record, indent=1))
        fresh.replace(path)

    def _give_up(self, spec: Spec, why: str) -> None:
        self.stop(spec.name)
        tail = "\n".join(self.log(spec.name).read_text(errors="replace").splitlines()[-25:])
        raise SandboxError(f"{spec.name} {why}; the end of {self.log(spec.name)}:\n{tail}")


def _environment(spec: Spec) -> dict[str, str]:
    base = {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "LANG": "C.UTF-8", "HOME": "/"}
    return {**base, **spec.env}


def _identity(user: str | None) -> dict[str, Any]:
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _born(pid: int) -> int | None:
    """A process's birth in kernel ticks since boot, which no set clock can move; None if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[19])


def _family(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return [process]


def _signal(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
