"""Pods of the node in the running agent, and in what `quaywatch check` says of them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import yaml

from sandbox.parts.redis import Redis
from sandbox.world import World
from tests.integration.cli.agent import PROGRAM, RunningAgent, running, until
from tests.integration.runtime.cluster import Namespace, namespace

PARTS = ("kubernetes", "redis")
pytestmark = pytest.mark.timeout(900)
"""The API server is compiled the first time."""
NODE = "worker-1"
PROMISED = 5.0
"""Seconds in which a pod that came is read, and one that went is not; a busy machine may be late once."""


@pytest.fixture
def here(world: World) -> Iterator[Namespace]:
    """A namespace."""
    with namespace(world.kubernetes) as made:
        yield made


@pytest.fixture
def configuration(world: World, here: Namespace, tmp_path: Path) -> dict[str, Any]:
    """One target by name, and the pods of a node."""
    redis = world.redis
    server = {"host": redis.host, "port": redis.port, "password": redis.password}
    return {
        "targets": {"cache": {"kind": "redis", **server}},
        "discovery": {
            "node": NODE,
            "url": here.server.url,
            "token_file": str(here.token(tmp_path / "token")),
            "ca_file": str(here.server.ca_file),
            "credentials": {"cache": {"namespaces": [here.name], "password": redis.password}},
        },
    }


def run(here: Namespace, name: str, server: Redis, **changed: str) -> None:
    """A pod that runs the sandbox's Redis."""
    annotations = {"kind": "redis", "port": str(server.port), "credential": "cache", **changed}
    here.run(name, node=NODE, address=server.host, **annotations)


def up(agent: RunningAgent, target: str) -> float | None:
    """Whether a target is said to be up; None when nothing is said of it."""
    return agent.metric("quaywatch_target_up", target=target)


def followed(agent: RunningAgent, target: str, expected: float | None) -> float:
    """The seconds until this is said of a target."""
    began = time.monotonic()
    until(lambda: up(agent, target) == expected, f"{target} up {expected}")
    return time.monotonic() - began


def test_pods_come_and_go_in_the_running_agent(
    world: World, here: Namespace, configuration: dict[str, Any], tmp_path: Path
) -> None:
    """Each change is followed within 5 s; the named target is read on; a wrong annotation harms nobody."""
    with running(tmp_path, configuration) as agent:
        until(lambda: up(agent, "cache") == 1 and agent.metric("quaywatch_discovery_up") == 1, "start")
        run(here, "first", world.redis)
        took = [followed(agent, f"{here.name}.first", 1)]
        run(here, "wrong", world.redis, port="many")
        until(lambda: bool(agent.events("a pod is not watched")), "the refusal")
        (told,) = agent.events("a pod is not watched")
        assert f"pod {here.name}/wrong: quaywatch.io/port: 'many'" in told["why"]
        here.annotate("first", credential=None)
        took.append(followed(agent, f"{here.name}.first", 0))
        here.annotate("wrong", port=str(world.redis.port))
        took.append(followed(agent, f"{here.name}.wrong", 1))
        here.end("first")
        took.append(followed(agent, f"{here.name}.first", None))
        assert agent.metric("quaywatch_schedule_missed_total", target="cache", job="redis_memory") == 0
        assert agent.metric("quaywatch_discovery_targets") == 1
        assert agent.metric("quaywatch_scrape_error_total", target="cache") == 0
    assert median(took) < PROMISED


def test_check_names_what_is_wrong_with_pods(
    world: World, here: Namespace, configuration: dict[str, Any], tmp_path: Path
) -> None:
    """Pods are examined as targets are; one that is refused is told with its annotation, and the code says so."""
    path = tmp_path / "quaywatch.yaml"
    path.write_text(yaml.safe_dump({"environment": "test", "installation": "acme", **configuration}))
    run(here, "good", world.redis)
    run(here, "wrong", world.redis, credential="cash")
    argv = [PROGRAM, "check", "--config", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=180, check=False)
    assert f"discovery: 1 pods of {NODE} are watched, 1 are refused" in done.stdout
    assert f"pod {here.name}/wrong: quaywatch.io/credential: there is no credential cash" in done.stdout
    assert (f"{here.name}.good" in done.stdout, done.returncode) == (True, 1)
