"""The sandbox's telemetry servers, running: what is sent arrives, what is scraped is stored, what is wrong is told."""

import secrets
import subprocess
import time
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import grpc
import pytest
import yaml
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1 import metrics_pb2 as otlp
from opentelemetry.proto.trace.v1 import trace_pb2
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from sandbox.parts import alertmanager, collector, prometheus, recorder, traefik, victoriametrics, webhook
from sandbox.parts.alertmanager import Alertmanager
from sandbox.parts.api import get, post, query, reload
from sandbox.parts.binaries import binaries
from sandbox.parts.collector import Collector
from sandbox.parts.prometheus import Prometheus
from sandbox.parts.recorder import Recorder
from sandbox.parts.records import Event, Link, Log, Span, read_logs, read_points, read_spans
from sandbox.parts.traefik import Traefik
from sandbox.parts.victoriametrics import VictoriaMetrics
from sandbox.parts.webhook import Alert, Webhook, read_notifications
from sandbox.process import Services, until

# The Collector is compiled on a machine that has none yet.
pytestmark = pytest.mark.timeout(1200)
SOON = 60
RETRIED = 60


class Backend(BaseHTTPRequestHandler):
    """Stands where an Odoo would: answers everything with what the edge added to the request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with the trace context that came in."""
        body = self.headers.get("traceparent", "").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Site:
    """Where a backend is."""

    url: str


@dataclass
class World:
    """The telemetry half of the sandbox, as the parts see each other."""

    services: Services
    odoo14: Site
    odoo19: Site
    recorder: Recorder = field(init=False)
    webhook: Webhook = field(init=False)
    victoriametrics: VictoriaMetrics = field(init=False)
    collector: Collector = field(init=False)
    alertmanager: Alertmanager = field(init=False)
    prometheus: Prometheus = field(init=False)
    traefik: Traefik = field(init=False)

    def start(self) -> None:
        """Start every part, after those it needs."""
        self.recorder = recorder.start(self.services, self, print)
        self.webhook = webhook.start(self.services, self, print)
        self.victoriametrics = victoriametrics.start(self.services, self, print)
        self.collector = collector.start(self.services, self, print)
        self.alertmanager = alertmanager.start(self.services, self, print)
        self.prometheus = prometheus.start(self.services, self, print)
        self.traefik = traefik.start(self.services, self, print)


@contextmanager
def backend() -> Iterator[Site]:
    """A running backend."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield Site(f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Every telemetry part, with two backends in the place of the Odoos."""
    services = Services(tmp_path_factory.mktemp("telemetry"))
    with backend() as odoo14, backend() as odoo19:
        world = World(services, odoo14, odoo19)
        try:
            world.start()
            yield world
        finally:
            services.stop_all()


class Shop:
    """A little thing to scrape."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.backlog = Gauge("shop_backlog", "Orders waiting.", registry=registry)
        self.orders = Counter("shop_orders", "Orders taken.", registry=registry)
        self._server, self._thread = start_http_server(0, "127.0.0.1", registry)
        self.address = f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def shop(world: World) -> Iterator[Shop]:
    """A little thing to scrape that Prometheus knows of."""
    shop = Shop()
    prometheus.set_targets(world.prometheus, [shop.address])
    yield shop
    prometheus.set_targets(world.prometheus, [])
    shop.close()


def attribute(key: str, value: str) -> KeyValue:
    """An OTLP attribute of a string."""
    return KeyValue(key=key, value=AnyValue(string_value=value))


def push(url: str, request: Message) -> None:
    """Send one request by OTLP/HTTP."""
    post(url, request.SerializeToString(), {"Content-Type": "application/x-protobuf"})


def call(endpoint: str, signal: str, request: Message) -> None:
    """Send one request by OTLP/gRPC; `signal` is such as `trace.v1.TraceService`."""
    method = f"/opentelemetry.proto.collector.{signal}/Export"
    with grpc.insecure_channel(endpoint) as channel:
        export: Any = channel.unary_unary(method, request_serializer=lambda message: message.SerializeToString())
        export(request, timeout=SOON)


def metrics(*metrics: otlp.Metric) -> ExportMetricsServiceRequest:
    """A request with these metrics, of a resource named test."""
    request = ExportMetricsServiceRequest()
    part = request.resource_metrics.add()
    part.resource.attributes.append(attribute("service.name", "test"))
    part.scope_metrics.add(metrics=metrics).scope.name = "tests"
    return request


def gauge(name: str, value: float | None, unit: str = "") -> otlp.Metric:
    """A gauge of the target main, now; without a value, the point that ends its series."""
    metric = otlp.Metric(name=name, unit=unit)
    point = metric.gauge.data_points.add(time_unix_nano=time.time_ns())
    point.attributes.append(attribute("target", "main"))
    if value is None:
        point.flags = otlp.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
    else:
        point.as_double = value
    return metric


def counter(name: str, value: int) -> otlp.Metric:
    """A cumulative counter that began a second ago."""
    metric = otlp.Metric(name=name)
    metric.sum.is_monotonic = True
    metric.sum.aggregation_temporality = otlp.AGGREGATION_TEMPORALITY_CUMULATIVE
    now = time.time_ns()
    metric.sum.data_points.add(time_unix_nano=now, start_time_unix_nano=now - 10**9, as_int=value)
    return metric


def histogram(name: str) -> otlp.Metric:
    """A cumulative histogram of three observations, one in each bucket."""
    metric = otlp.Metric(name=name, unit="s")
    metric.histogram.aggregation_temporality = otlp.AGGREGATION_TEMPORALITY_CUMULATIVE
    point = metric.histogram.data_points.add(time_unix_nano=time.time_ns(), count=3, sum=1.5)
    point.explicit_bounds.extend([0.1, 1.0])
    point.bucket_counts.extend([1, 1, 1])
    return metric


def one_span(trace_id: bytes, **fields: Any) -> ExportTraceServiceRequest:
    """A request with one span of a quarter of a second."""
    request = ExportTraceServiceRequest()
    part = request.resource_spans.add()
    part.resource.attributes.append(attribute("service.name", "test"))
    now = time.time_ns()
    span = trace_pb2.Span(
        trace_id=trace_id,
        span_id=secrets.token_bytes(8),
        start_time_unix_nano=now - 250_000_000,
        end_time_unix_nano=now,
        **fields,
    )
    part.scope_spans.add(spans=[span]).scope.name = "tests"
    return request


def recorded(world: World, trace_id: bytes) -> list[Span]:
    """The spans of one trace that the recorder has."""
    return [span for span in read_spans(world.recorder.file) if span.trace_id == trace_id.hex()]


def values(url: str, promql: str) -> list[float]:
    """What a query gives, without the labels."""
    return [value for _, value in query(url, promql)]


def version(*argv: str | Path) -> str:
    """The first line of what a program says, asked for its version."""
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return (done.stdout + done.stderr).splitlines()[0]


def test_the_programs_are_the_versions_the_sandbox_claims() -> None:
    """Prometheus and Traefik are of series 3, and Alertmanager, the Collector and the tools are those of today."""
    tools = binaries()
    assert version(prometheus.programs() / "prometheus", "--version").startswith("prometheus, version 3.")
    assert version(tools.promtool, "--version").startswith("promtool, version 3.")
    assert version(tools.amtool, "--version").startswith("amtool, version 0.3")
    assert version(collector.program(), "--version").startswith("collector version 0.")
    assert version(traefik.program(), "version").split() == [
        "Version:",
        *version(traefik.program(), "version").split()[1:],
    ]


def stored(world: World, promql: str) -> list[float]:
    """What the metric store answers, without the labels."""
    return [value for _, value in victoriametrics.query(world.victoriametrics, promql)]


def test_metrics_reach_the_store_under_prometheus_names(world: World) -> None:
    """A gauge in seconds, a counter and a histogram sent by OTLP/HTTP are found under the names dashboards ask for."""
    sent = metrics(gauge("trip.age", 7.5, "s"), counter("trip.starts", 3), histogram("trip.duration"))
    push(f"{world.collector.http}/v1/metrics", sent)
    assert until(lambda: stored(world, "trip_age_seconds") == [7.5], within=SOON)
    [(labels, _)] = victoriametrics.query(world.victoriametrics, "trip_age_seconds")
    assert labels == {"__name__": "trip_age_seconds", "target": "main", "service_name": "test"}
    assert stored(world, "trip_starts_total") == [3]
    assert stored(world, "trip_duration_seconds_count") == [3]
    assert stored(world, 'trip_duration_seconds_bucket{le="0.1"}') == [1]


def test_metrics_reach_the_store_by_grpc(world: World) -> None:
    """A gauge sent by OTLP/gRPC is in the store, the unit 1 as a ratio; and so it is for who asks without a flush."""
    call(world.collector.grpc, "metrics.v1.MetricsService", metrics(gauge("trip.load", 2, "1")))
    assert until(lambda: stored(world, "trip_load_ratio") == [2], within=SOON)
    assert until(lambda: values(world.victoriametrics.url, "trip_load_ratio") == [2], within=SOON)


def test_a_point_without_a_value_ends_its_series(world: World) -> None:
    """A series is gone from the store as soon as its no-recorded-value point came through."""
    address = f"{world.collector.http}/v1/metrics"
    push(address, metrics(gauge("trip.vanishing", 1)))
    assert until(lambda: stored(world, "trip_vanishing") == [1], within=SOON)
    push(address, metrics(gauge("trip.vanishing", None)))
    assert until(lambda: stored(world, "trip_vanishing") == [], within=SOON)


def test_a_span_reaches_the_recorder_whole(world: World) -> None:
    """Ids, times, status, attributes, events and links of a span are read back as they were sent."""
    trace, parent, other = secrets.token_bytes(16), secrets.token_bytes(8), secrets.token_bytes(16)
    nested = AnyValue()
    nested.array_value.values.extend([AnyValue(int_value=1), AnyValue(bool_value=True), AnyValue()])
    event = trace_pb2.Span.Event(name="cause", time_unix_nano=10**18, attributes=[attribute("cause", "lock")])
    sent = one_span(
        trace,
        parent_span_id=parent,
        name="confirm",
        kind=trace_pb2.Span.SPAN_KIND_CLIENT,
        status=trace_pb2.Status(code=trace_pb2.Status.STATUS_CODE_ERROR, message="stalled"),
        attributes=[attribute("probe", "order-create"), KeyValue(key="list", value=nested)],
        events=[event],
        links=[trace_pb2.Span.Link(trace_id=other, span_id=parent)],
    )
    call(world.collector.grpc, "trace.v1.TraceService", sent)
    assert until(lambda: bool(recorded(world, trace)), within=SOON)
    [span] = recorded(world, trace)
    assert (span.name, span.kind, span.parent_id) == ("confirm", "client", parent.hex())
    assert (span.status, span.status_message) == ("error", "stalled")
    assert span.duration == pytest.approx(0.25, abs=1e-6)
    assert span.attributes == {"probe": "order-create", "list": [1, True, None]}
    assert span.events == (Event(name="cause", time=1e9, attributes={"cause": "lock"}),)
    assert span.links == (Link(trace_id=other.hex(), span_id=parent.hex(), attributes={}),)
    assert (span.resource, span.scope) == ({"service.name": "test"}, "tests")


def test_a_log_record_reaches_the_recorder_with_its_trace(world: World) -> None:
    """A log record's body, severity, attributes and trace id are read back as they were sent."""
    trace = secrets.token_bytes(16)
    request = ExportLogsServiceRequest()
    log = LogRecord(
        time_unix_nano=10**18,
        severity_text="WARN",
        severity_number=13,  # type: ignore[arg-type]
        body=AnyValue(string_value="orders stall"),
        attributes=[attribute("cause", "lock_wait")],
        trace_id=trace,
    )
    request.resource_logs.add().scope_logs.add(log_records=[log])
    push(f"{world.collector.http}/v1/logs", request)

    def found() -> list[Log]:
        return [log for log in read_logs(world.recorder.file) if log.trace_id == trace.hex()]

    assert until(lambda: bool(found()), within=SOON)
    [seen] = found()
    assert (seen.time, seen.severity, seen.severity_number) == (1e9, "WARN", 13)
    assert (seen.body, seen.attributes) == ("orders stall", {"cause": "lock_wait"})


def test_the_recorder_takes_metrics_point_by_point(world: World) -> None:
    """What a sender says directly to the recorder is read back with its start time, flags and buckets."""
    sent = metrics(gauge("raw.age", None, "s"), counter("raw.starts", 4), histogram("raw.duration"))
    call(world.recorder.endpoint, "metrics.v1.MetricsService", sent)
    points = {point.name: point for point in read_points(world.recorder.file)}
    assert points["raw.age"].no_value
    assert (points["raw.age"].value, points["raw.age"].attributes) == (None, {"target": "main"})
    starts = points["raw.starts"]
    assert (starts.value, starts.monotonic, starts.temporality) == (4, True, "cumulative")
    assert starts.time - starts.start == pytest.approx(1, abs=1e-6)
    duration = points["raw.duration"]
    assert (duration.value, duration.count) == (1.5, 3)
    assert (duration.bounds, duration.buckets) == ((0.1, 1.0), (1, 1, 1))


def test_spans_sent_while_the_recorder_is_away_come_later(world: World) -> None:
    """The Collector keeps what it could not hand over, and what was recorded before stays."""
    before, during = secrets.token_bytes(16), secrets.token_bytes(16)
    call(world.collector.grpc, "trace.v1.TraceService", one_span(before, name="before"))
    assert until(lambda: bool(recorded(world, before)), within=SOON)
    world.services.stop(recorder.NAME)
    call(world.collector.grpc, "trace.v1.TraceService", one_span(during, name="during"))
    assert recorded(world, during) == []
    world.services.resume(recorder.NAME)
    assert until(lambda: bool(recorded(world, during)), within=RETRIED)
    assert len(recorded(world, before)) == 1


def test_a_half_written_line_is_not_read(tmp_path: Path) -> None:
    """A reader that comes while a record is being written sees the records before it."""
    file = tmp_path / "records.jsonl"
    assert read_spans(file) == []
    file.write_text('{"record": "Log", "ti')
    assert read_logs(file) == []


def test_the_collector_counts_what_it_took(world: World) -> None:
    """The Collector's own metrics are on a page that Prometheus can scrape."""
    call(world.collector.grpc, "trace.v1.TraceService", one_span(secrets.token_bytes(16), name="counted"))
    assert "otelcol_receiver_accepted_spans" in get(world.collector.metrics)


def test_prometheus_scrapes_the_targets_it_is_given(world: World, shop: Shop) -> None:
    """A target set is scraped, one taken away is forgotten."""
    shop.backlog.set(41)
    url = world.prometheus.url
    assert until(lambda: values(url, "shop_backlog") == [41], within=SOON)
    [(labels, _)] = query(url, "shop_backlog")
    assert (labels["job"], labels["instance"]) == (prometheus.JOB, shop.address)
    assert values(url, "scalar(shop_backlog) + 1") == [42]
    prometheus.set_targets(world.prometheus, [])
    assert until(lambda: values(url, "shop_backlog") == [], within=SOON)


RULES = """
groups:
  - name: shop
    rules:
      - alert: Backlog
        expr: shop_backlog > 10
        labels: {severity: page}
        annotations: {summary: "{{ $value }} orders wait"}
"""


def test_an_alert_reaches_the_webhook_and_is_resolved(world: World, shop: Shop) -> None:
    """A rule that fires is told to the webhook through Alertmanager, and so is its end."""
    (world.prometheus.rules / "shop.yml").write_text(RULES)
    reload(world.prometheus.url)
    shop.backlog.set(12)

    def told() -> dict[str, Alert]:
        sent = read_notifications(world.webhook.file)
        return {alert.status: alert for notification in sent for alert in notification.alerts}

    assert until(lambda: "firing" in told(), within=SOON)
    alert = told()["firing"]
    assert (alert.name, alert.labels["severity"]) == ("Backlog", "page")
    assert alert.annotations == {"summary": "12 orders wait"}
    shop.backlog.set(0)
    assert until(lambda: "resolved" in told(), within=SOON)


def test_broken_rules_are_refused(world: World) -> None:
    """A reload of rules that do not parse is an error for who asked, and not a silent one."""
    broken = world.prometheus.rules / "broken.yml"
    broken.write_text("groups: [{name: a, rules: [{alert: A, expr: '('}]}]")
    with pytest.raises(urllib.error.HTTPError) as refused:
        reload(world.prometheus.url)
    refused.value.close()
    broken.unlink()
    reload(world.prometheus.url)


def test_alertmanager_routes_as_it_is_configured(world: World) -> None:
    """A configuration given later is followed at once, and one that is wrong is refused."""
    usual = world.alertmanager.config.read_text()
    config = yaml.safe_load(usual)
    config["receivers"][0]["webhook_configs"][0]["url"] = f"{world.webhook.url}/on-call"
    alertmanager.configure(world.alertmanager, yaml.safe_dump(config))
    amtool = (binaries().amtool, f"--alertmanager.url={world.alertmanager.url}")
    subprocess.run([*amtool, "alert", "add", "Routed", "site=harbour"], check=True)

    def paths() -> set[str]:
        sent = read_notifications(world.webhook.file)
        return {each.path for each in sent if each.alerts[0].name == "Routed"}

    assert until(lambda: paths() == {"/on-call"}, within=SOON)
    with pytest.raises(urllib.error.HTTPError) as refused:
        alertmanager.configure(world.alertmanager, "route: {}")
    refused.value.close()
    alertmanager.configure(world.alertmanager, usual)


def test_traefik_stands_in_front_of_both_and_joins_the_trace(world: World) -> None:
    """A request through either entry point reaches the backend in the caller's trace, which has Traefik's spans."""
    for url in (world.traefik.odoo14, world.traefik.odoo19):
        trace = secrets.token_bytes(16)
        parent = f"00-{trace.hex()}-{secrets.token_hex(8)}-01"
        arrived = get(f"{url}/web", {"traceparent": parent})
        assert arrived.split("-")[1] == trace.hex()
        assert arrived != parent
        assert until(lambda trace=trace: bool(recorded(world, trace)), within=SOON)  # type: ignore[misc]
        assert {span.resource["service.name"] for span in recorded(world, trace)} == {"traefik"}


def test_traefik_counts_requests_and_tells_which_backend_is_up(world: World) -> None:
    """Traefik's page has requests by service and router, and the health of each backend."""
    get(f"{world.traefik.odoo19}/web")

    def page() -> str:
        return get(world.traefik.metrics)

    assert 'traefik_service_requests_total{code="200",method="GET",protocol="http",service="odoo19@file"}' in page()
    assert 'router="odoo19@file"' in page()
    assert until(lambda: page().count("traefik_service_server_up{") == 2, within=SOON)


def test_a_started_part_is_found_again(world: World) -> None:
    """Starting what runs gives the same endpoints and the same process."""
    pid = world.services.pid(collector.NAME)
    assert collector.start(world.services, world, print) == world.collector
    assert world.services.pid(collector.NAME) == pid
    assert prometheus.start(world.services, world, print) == world.prometheus


def test_the_tools_judge_rules_and_configurations(world: World, tmp_path: Path) -> None:
    """promtool, vmalert and amtool accept what is right and refuse what is not."""
    tools = binaries()
    right, wrong = tmp_path / "right.yml", tmp_path / "wrong.yml"
    right.write_text(RULES)
    wrong.write_text("groups: [{name: a, rules: [{alert: A, expr: '('}]}]")
    checks: list[tuple[Path, ...] | tuple[Any, ...]] = [
        (tools.promtool, "check", "rules"),
        (tools.vmalert, "-dryRun", "-rule"),
    ]
    for check in checks:
        assert subprocess.run([*check, right], check=False, capture_output=True).returncode == 0
        assert subprocess.run([*check, wrong], check=False, capture_output=True).returncode != 0
    assert subprocess.run([tools.amtool, "check-config", world.alertmanager.config], check=False).returncode == 0
    assert subprocess.run([tools.amtool, "check-config", wrong], check=False).returncode != 0
