"""Services: real processes, started, known again, and never mistaken for somebody else's."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import psutil
import pytest

from sandbox.cache import SandboxError
from sandbox.process import LOOPBACK, Services, Spec, accepts, free_port, until

SOON = 10


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """Services in a directory of their own, all ended afterwards."""
    services = Services(tmp_path)
    yield services
    services.stop_all()


def web(name: str = "web") -> Spec:
    """A small web server."""
    port = free_port()
    argv = ("/usr/bin/python3", "-m", "http.server", str(port), "--bind", LOOPBACK)
    return Spec(name=name, argv=argv, ports={"http": port}, cwd=Path("/"), ready=partial(accepts, port))


def sleeper(name: str, *argv: str) -> Spec:
    """Something that runs without listening."""
    return Spec(name=name, argv=argv or ("sleep", "600"), ready=lambda: True)


def test_a_service_is_ready_when_start_returns(services: Services) -> None:
    """The port accepts at once, and the record bears the pid."""
    spec = web()
    pid = services.start(spec)
    assert accepts(spec.ports["http"])
    assert services.pid("web") == pid
    assert services.ports("web") == spec.ports


def test_a_running_service_is_left_alone(services: Services) -> None:
    """A second start, even by another process's hand, gives the same pid."""
    spec = web()
    assert services.start(spec) == Services(services.state).start(spec)


def test_a_stopped_service_comes_back_on_its_port(services: Services) -> None:
    """`stop` closes the port, `resume` opens the same one, by another process."""
    spec = web()
    first = services.start(spec)
    services.stop("web")
    assert not accepts(spec.ports["http"])
    assert services.resume("web") != first
    assert accepts(spec.ports["http"])


def test_a_service_outlives_who_started_it(services: Services) -> None:
    """It leads a session of its own, which no terminal's end reaches."""
    pid = services.start(sleeper("sleep"))
    assert os.getsid(pid) == pid


def test_a_reused_pid_is_not_taken_for_the_service(services: Services) -> None:
    """A process that merely has the recorded number is not alive for us, and stopping does not touch it."""
    services.start(sleeper("sleep"))
    record = services.state / "run" / "sleep.json"
    known = json.loads(record.read_text())
    services.stop("sleep")
    with subprocess.Popen(["sleep", "600"]) as stranger, ExitStack() as ends:
        ends.callback(stranger.kill)
        # A number comes round again ticks later at the earliest.
        record.write_text(json.dumps({**known, "pid": stranger.pid, "born": known["born"] - 1}))
        assert not services.alive("sleep")
        services.stop("sleep")
        with pytest.raises(SandboxError, match="does not run"):
            services.kill("sleep", signal.SIGKILL)
        assert stranger.poll() is None


def test_a_killed_service_is_not_alive(services: Services) -> None:
    """Not even while it is a zombie that nobody has waited for."""
    pid = services.start(sleeper("sleep"))
    psutil.Process(pid).kill()
    assert until(lambda: not services.alive("sleep"), within=SOON)


def test_a_service_that_dies_while_starting_shows_its_log(services: Services) -> None:
    """The error bears the end of what it said."""
    spec = Spec(name="bad", argv=("sh", "-c", "echo no licence; exit 3"), ready=lambda: False)
    with pytest.raises(SandboxError, match=r"(?s)bad ended while starting.*no licence"):
        services.start(spec)


def test_a_service_that_never_gets_ready_is_ended(services: Services) -> None:
    """After its time the start fails, and the process is gone."""
    spec = Spec(name="slow", argv=("sleep", "600"), ready=lambda: False, ready_within=0.2)
    with pytest.raises(SandboxError, match="slow was not ready after"):
        services.start(spec)
    assert not services.alive("slow")


def test_a_frozen_service_can_be_stopped(services: Services) -> None:
    """`stop` thaws what a fault froze, so that the signal arrives."""
    services.start(sleeper("sleep"))
    services.kill("sleep", signal.SIGSTOP)
    services.stop("sleep")
    assert not services.alive("sleep")


def test_a_signal_reaches_the_children(services: Services) -> None:
    """`kill` strikes the whole family."""
    pid = services.start(sleeper("family", "sh", "-c", "sleep 600 & wait"))
    assert until(lambda: bool(psutil.Process(pid).children()), within=SOON)
    child = psutil.Process(pid).children()[0]
    services.kill("family", signal.SIGSTOP)
    assert until(lambda: child.status() == psutil.STATUS_STOPPED, within=SOON)


def test_all_stop_last_started_first(services: Services) -> None:
    """`names` is the order of starts, also after a restart; `stop_all` leaves nothing."""
    for name in ("first", "second", "third"):
        services.start(sleeper(name))
    services.stop("first")
    services.resume("first")
    assert services.names() == ["second", "third", "first"]
    services.stop_all()
    assert not any(map(services.alive, services.names()))


def test_a_user_of_its_own(services: Services) -> None:
    """A service runs as the user it names, and with none of the caller's groups."""
    pid = services.start(Spec(name="modest", argv=("sleep", "600"), user="nobody", cwd=Path("/"), ready=lambda: True))
    process = psutil.Process(pid)
    assert process.username() == "nobody"
    assert process.environ().keys() <= {"PATH", "LANG", "HOME"}


def test_ports_are_given_once() -> None:
    """A process never gets the same port twice, nor one that another process was given and does not listen on yet."""
    program = "from sandbox.process import free_port; print(*(free_port() for _ in range(300)), flush=True); input()"
    with subprocess.Popen(
        (sys.executable, "-c", program), cwd=Path(__file__).parents[3], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        theirs = {int(port) for port in other.stdout.readline().split()}
        ours = [free_port() for _ in range(300)]
        other.communicate(b"\n")
    assert len(theirs) == len(set(ours)) == len(ours)
    assert not theirs & set(ours)
