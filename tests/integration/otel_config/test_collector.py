"""The Collector configurations that users start from: an agent beside Odoo, a gateway before the stores."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

import otel_config
from otel_config.settings import SPANS_EVERY
from probes import PROBES
from quaywatch.runtime.probing.suspicion import ASK_WITHIN
from sandbox.cache import SandboxError
from sandbox.parts import collector
from sandbox.parts.api import post
from sandbox.parts.postgres import sql
from sandbox.parts.records import read_spans
from sandbox.parts.victoriametrics import query
from sandbox.process import free_port
from sandbox.world import World

# The Collector is compiled on a machine that has none yet.
pytestmark = pytest.mark.timeout(1200)
PARTS = ("odoo19", "recorder", "victoriametrics")
FOLDER = Path(otel_config.__file__).parent / "collector"
NOT_BUILT_IN = {"agent": {"file_log", "file_storage", "resource_detection"}, "gateway": {"tail_sampling"}}
"""What the core's libraries do not have, and so the sandbox's Collector neither."""
WITHIN = 30.0
STORES = {
    "GATEWAY": "localhost:4317",
    "METRICS_ENDPOINT": "http://localhost:8428/opentelemetry",
    "TRACES_ENDPOINT": "localhost:4317",
    "LOGS_ENDPOINT": "http://localhost:3100/otlp",
}
SECTIONS = ("extensions", "receivers", "processors", "exporters")
BATCH_WAIT = 1.0
"""Seconds that a batch may wait in an agent's Collector."""

Config = dict[str, Any]


def config_of(name: str) -> Config:
    """One of the configurations."""
    loaded: Config = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    return loaded


def components() -> set[str]:
    """The types of everything that is built into the sandbox's Collector."""
    told = yaml.safe_load(subprocess.check_output([str(collector.program()), "components"], text=True))
    return {part["name"] for section in SECTIONS for part in told[section]}


def types(config: Config) -> set[str]:
    """The types of a configuration's components."""
    return {part.partition("/")[0] for section in SECTIONS for part in config.get(section, ())}


def without(config: Config, missing: set[str]) -> Config:
    """The configuration without components of these types, and without pipelines that nothing comes into then."""

    def stays(part: str) -> bool:
        return part.partition("/")[0] not in missing

    def left(pipeline: Config) -> Config:
        return {section: list(filter(stays, parts)) for section, parts in pipeline.items()}

    service = config["service"]
    pipelines = {name: left(pipeline) for name, pipeline in service["pipelines"].items()}
    return {
        **{name: {part: told for part, told in config.get(name, {}).items() if stays(part)} for name in SECTIONS},
        "service": {
            **service,
            "extensions": list(filter(stays, service.get("extensions", ()))),
            "pipelines": {name: pipeline for name, pipeline in pipelines.items() if pipeline["receivers"]},
        },
    }


@pytest.fixture(params=NOT_BUILT_IN)
def named(request: pytest.FixtureRequest) -> str:
    """The name of each configuration."""
    return str(request.param)


def validated(
    config: Config, folder: Path, environ: Mapping[str, str], *beside: Path
) -> subprocess.CompletedProcess[str]:
    """What the Collector says to a configuration, with other files over it."""
    file = folder / "collector.yaml"
    file.write_text(yaml.safe_dump(config))
    files = [word for path in (file, *beside) for word in ("--config", f"file:{path}")]
    argv = [str(collector.program()), "validate", *files]
    return subprocess.run(argv, env=dict(environ), capture_output=True, text=True, check=False)


def test_only_what_is_named_here_is_not_proved(named: str) -> None:
    """Every other component is in the sandbox's Collector."""
    assert types(config_of(named)) - components() == NOT_BUILT_IN[named]


def test_what_is_built_in_is_valid(named: str, tmp_path: Path) -> None:
    """With the stores named, as its comments ask for; without them it does not send into nowhere."""
    config = without(config_of(named), NOT_BUILT_IN[named])
    done = validated(config, tmp_path, STORES)
    assert done.returncode == 0, done.stderr
    assert validated(config, tmp_path, {}).returncode != 0


def test_without_a_log_store_the_gateway_is_valid(tmp_path: Path) -> None:
    """With the file over it that the setting for one host has; its pipeline of logs has another exporter then."""
    over = Path(__file__).parents[3] / "deploy/compose/collector.yaml"
    done = validated(without(config_of("gateway"), NOT_BUILT_IN["gateway"]), tmp_path, STORES, over)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(over.read_text())["service"]["pipelines"] == {"logs": {"exporters": ["debug"]}}


def test_memory_is_limited_first_and_metrics_are_left_as_they_are(named: str) -> None:
    """In every pipeline; and metrics pass nothing else, which could resample them."""
    for signal, pipeline in config_of(named)["service"]["pipelines"].items():
        assert pipeline["processors"][0] == "memory_limiter"
        assert signal != "metrics" or pipeline["processors"] == ["memory_limiter"]


def test_exporters_make_the_batches(named: str) -> None:
    """Each by its own queue, no larger than a receiver of gRPC takes by itself; no pipeline has a processor for it."""
    config = config_of(named)
    for exporter in config["exporters"].values():
        batch = exporter["sending_queue"]["batch"]
        assert (batch["flush_timeout"], batch["sizer"]) == (f"{BATCH_WAIT:g}s", "bytes")
        assert batch["min_size"] < batch["max_size"] < 4 << 20
    assert "batch" not in types(config)


def test_failed_probes_are_kept() -> None:
    """The outcomes that are kept are those of the contract other than success and what did not run."""
    policies = config_of("gateway")["processors"]["tail_sampling"]["policies"]
    (outcomes,) = [one["string_attribute"] for one in policies if one["name"] == "probes that did not succeed"]
    assert outcomes == {"key": "quaywatch.outcome", "values": ["failure", "invalid", "flaky", "cleanup_failed"]}
    assert {"status_codes": ["ERROR"]} in [one.get("status_code") for one in policies]


def test_a_trace_is_judged_when_the_longest_run_is_over() -> None:
    """Its outcome has come by then: after steps, undoing and asking, what waits on the way, and half as much again."""
    wait = config_of("gateway")["processors"]["tail_sampling"]["decision_wait"]
    longest = max(probe.deadline + probe.undo_within for probe in PROBES)
    assert float(wait.removesuffix("s")) > 1.5 * (longest + ASK_WITHIN + SPANS_EVERY + BATCH_WAIT)


def test_lines_of_the_log_are_read_once_and_from_somewhere() -> None:
    """After a start each file is read from where it was left, refused lines come again, and records name the host."""
    agent = config_of("agent")
    files = [receiver for receiver in agent["receivers"] if receiver.startswith("file_log/")]
    for receiver in files:
        told = agent["receivers"][receiver]
        assert told["storage"] in agent["service"]["extensions"]
        assert told["retry_on_failure"] == {"enabled": True, "max_elapsed_time": 0}
    reading = agent["service"]["pipelines"]["logs/files"]
    assert (reading["receivers"], "resource_detection" in reading["processors"]) == (files, True)


@contextmanager
def running(name: str, folder: Path, **environ: str) -> Iterator[str]:
    """The real Collector with what it has of a configuration; the base address of its OTLP/HTTP."""
    config = folder / f"{name}.yaml"
    config.write_text(yaml.safe_dump(without(config_of(name), NOT_BUILT_IN[name])))
    # An address of its own, since the ports are those that everybody knows.
    listen = f"127.{1 + secrets.randbelow(254)}.{secrets.randbelow(256)}.2"
    own = {"LISTEN": listen, "OWN_METRICS": str(free_port()), "INSECURE": "true"}
    argv = [str(collector.program()), "--config", f"file:{config}"]
    with subprocess.Popen(argv, env={**own, **environ}, stderr=subprocess.DEVNULL) as process:
        try:
            yield listen
        finally:
            process.terminate()
            assert process.wait(20) == 0


def sent(address: str, signal: str, body: Config) -> bool:
    """Whether a body was taken."""
    try:
        post(f"http://{address}:4318/v1/{signal}", json.dumps(body).encode(), {"Content-Type": "application/json"})
    except OSError:
        return False
    return True


def until(condition: Any, what: str) -> None:
    """Wait for it, looking often."""
    end = time.monotonic() + WITHIN
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def test_what_an_agent_is_sent_arrives_in_the_stores(world: World, tmp_path: Path) -> None:
    """A span and a metric go through both Collectors."""
    name, now = f"trial_{secrets.token_hex(4)}", str(time.time_ns())
    ids = {"traceId": secrets.token_hex(16), "spanId": secrets.token_hex(8)}
    span = {**ids, "name": name, "kind": 1, "startTimeUnixNano": now, "endTimeUnixNano": now}
    point = {"asInt": 7, "timeUnixNano": now}
    stores = {**STORES, "METRICS_ENDPOINT": world.victoriametrics.otlp.removesuffix("/v1/metrics")}
    with ExitStack() as stack:
        gateway = stack.enter_context(
            running("gateway", tmp_path, **{**stores, "TRACES_ENDPOINT": world.recorder.endpoint})
        )
        agent = stack.enter_context(running("agent", tmp_path, GATEWAY=f"{gateway}:4317"))
        spans = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
        until(lambda: sent(agent, "traces", spans), "the agent takes nothing")
        metric = {"name": name, "gauge": {"dataPoints": [point]}}
        assert sent(agent, "metrics", {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]})
        until(lambda: name in {one.name for one in read_spans(world.recorder.file)}, "the span does not arrive")
        until(lambda: query(world.victoriametrics, name), "the metric does not arrive")


# --- log files --------------------------------------------------------------------------------------------------------


class LogFile:
    """A log receiver's own rules, applied as the receiver applies them: entries, their fields, their severities."""

    def __init__(self, receiver: str) -> None:
        told = config_of("agent")["receivers"][receiver]
        (parser,) = [step for step in told["operators"] if step["type"] == "regex_parser"]
        self._start = re.compile(f"(?m)(?={told['multiline']['line_start_pattern']})")
        self._entry = re.compile(parser["regex"])
        levels = parser["severity"]["mapping"].items()
        self._severities = {
            word: level for level, words in levels for word in (words if isinstance(words, list) else [words])
        }

    def entries(self, text: str) -> list[dict[str, str | None]]:
        """The fields of each entry, its severity as OpenTelemetry has it; one that does not fit is an error."""
        found = []
        for entry in filter(str.strip, self._start.split(text)):
            fields = self._entry.match(entry)
            assert fields, entry
            found.append({**fields.groupdict(), "level": self._severities.get(fields["severity"])})
        return found


def test_odoos_log_is_read_line_by_line(world: World) -> None:
    """Every entry of a real Odoo 19's log has a severity, those about its database name it, none is lost."""
    text = (world.state / "log" / "odoo19.log").read_text()
    entries = LogFile("file_log/odoo").entries(text)
    assert {entry["level"] for entry in entries} <= {"debug", "info", "warn", "error", "fatal"}
    assert {entry["database"] for entry in entries} >= {"?", world.odoo19.database}
    assert len(entries) == len(re.findall(r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,", text))


def test_a_traceback_belongs_to_its_line() -> None:
    """What Odoo writes below an error is part of it."""
    line = "2026-11-21 17:34:54,100 12 ERROR acme odoo.http: Exception during request handling. \n"
    trace = 'Traceback (most recent call last):\n  File "x", line 1\nValueError: x\n'
    (first, second) = LogFile("file_log/odoo").entries(line + trace + line)
    assert (first["level"], first["database"], first["logger"]) == ("error", "acme", "odoo.http")
    assert str(first["message"]).endswith("ValueError: x\n")
    assert "Traceback" not in str(second["message"])


def test_postgresqls_log_is_read_without_what_customers_said(world: World) -> None:
    """With Debian's prefix every entry has its severity and database; a statement's text is in none that is kept."""
    log = world.state / "log" / "postgres.log"
    sql(world.postgres, "alter system set log_line_prefix = '%m [%p] %q%u@%d '; select pg_reload_conf()")
    before = log.stat().st_size
    try:
        secret = f"secret_{secrets.token_hex(4)}"
        ask = f"set log_min_duration_statement = 0;\nselect 1 as {secret};\nselect 1 / 0 as {secret}"
        until(lambda: "%d" in sql(world.postgres, "show log_line_prefix"), "the server does not reload")
        with pytest.raises(SandboxError, match="division by zero"):
            sql(world.postgres, ask, world.odoo19.database)
        until(lambda: "division by zero" in log.read_text()[before:], "the error is not logged")
    finally:
        sql(world.postgres, "alter system reset log_line_prefix; select pg_reload_conf()")
    text = log.read_bytes()[before:].decode()
    mine = [entry for entry in LogFile("file_log/postgresql").entries(text) if entry["user"]]
    assert secret in text
    assert {(entry["severity"], entry["level"]) for entry in mine} >= {("LOG", "info"), ("ERROR", "error")}
    assert world.odoo19.database in {entry["database"] for entry in mine}
    (dropped,) = [
        re.findall(r'"(\w+)"', step["expr"])
        for step in config_of("agent")["receivers"]["file_log/postgresql"]["operators"]
        if step["type"] == "filter"
    ]
    assert [entry for entry in mine if entry["severity"] not in dropped and secret in str(entry["message"])] == []
    assert {entry["severity"] for entry in mine if entry["level"] is None} <= set(dropped)
