"""Flows of the user's own among the commands, and in a reload."""

from __future__ import annotations

from argparse import Namespace

import pytest

from probes.scripted import probe_of
from quaywatch.cli.flows import flows_of
from quaywatch.cli.frame import Frame
from quaywatch.cli.plan import plan
from quaywatch.config import Settings, load_text
from quaywatch.errors import ConfigError
from tests.unit.config.registry import EXPORTERS, PROBES

TEXT = """
environment: test
installation: acme
targets: {api: {kind: http, url: http://api}}
flows:
  look: {kind: http, steps: [{name: see, request: {path: /a, headers: {X-Key: "${env:KEY}"}}}]}
  other: {kind: http, steps: [{name: see, request: {path: /b}}]}
  idle: {kind: http, steps: [{name: see, request: {path: /c}}]}
probes:
  look: {targets: [api]}
  other: {targets: [api]}
"""


def settings(text: str = TEXT, key: str = "key") -> Settings:
    """The settings of a text."""
    return load_text(text, "test.yaml", {"KEY": key}, EXPORTERS, PROBES, probe_of)


def fingerprint(given: Settings) -> str:
    """That of the only target."""
    (watched,) = plan(given)
    return watched.fingerprint


def arguments(flow: str) -> Namespace:
    """What a command was asked."""
    return Namespace(flow=flow, target=[], config="test.yaml")


def test_several_flows_run_on_one_target() -> None:
    """Each is a probe of its own name, with its own steps; one that stands nowhere below probes is known."""
    given = settings()
    assert [(task.probe.name, task.probe.steps) for task in given.probes["api"]] == [
        ("look", ("see",)),
        ("other", ("see",)),
    ]
    assert list(given.flows) == ["look", "other", "idle"]


def test_a_reload_sees_what_changed() -> None:
    """The same text leaves the target alone; a path, a type or a secret does not; no new frame is needed."""
    same, path, kind, key = settings(), TEXT.replace("/a", "/d"), TEXT.replace("path: /a", "path: /a, json: 1"), "new"
    assert settings() == same
    assert fingerprint(settings()) == fingerprint(same)
    changed = [fingerprint(one) for one in (settings(path), settings(kind), settings(key=key))]
    assert fingerprint(same) not in changed
    number, truth = (TEXT.replace("path: /a", f"path: /a, json: {word}") for word in ("1", "true"))
    assert fingerprint(settings(number)) != fingerprint(settings(truth))
    assert Frame(same, {}).takes(settings(path))


def test_a_command_finds_a_flow_by_its_name() -> None:
    """Known flows are named to whoever mistypes one; one that runs nowhere is told to be."""
    assert [flow.task.probe.name for flow in flows_of(settings(), arguments("look"))] == ["look"]
    with pytest.raises(ConfigError, match="there is no probe luke") as caught:
        flows_of(settings(), arguments("luke"))
    assert "look, other, idle" in caught.value.remedy
    with pytest.raises(ConfigError, match="the probe idle runs on none"):
        flows_of(settings(), arguments("idle"))
    with pytest.raises(ConfigError, match="no probe goes through look in a browser"):
        flows_of(settings(), arguments("look"), in_browser=True)
