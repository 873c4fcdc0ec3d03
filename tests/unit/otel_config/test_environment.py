"""The environment's variables and the file's keys, merged or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_config.environment import OtlpFile, OtlpSettings, otlp_settings
from otel_config.settings import Compression, Protocol, SignalSettings
from otel_config.wire import Temporality
from quaywatch.errors import ConfigError
from quaywatch.secret import Secret

SAMPLERS = (
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
    "always_on",
    "always_off",
    "traceidratio",
)
HERE = "http://collector:4317"
PAIRS = "name=value pairs with commas between them, percent-encoded"
P = "OTEL_EXPORTER_OTLP_"


def merged(file: OtlpFile | None = None, /, **environ: str) -> OtlpSettings:
    """The settings of this file in this environment."""
    return otlp_settings(file or OtlpFile(), environ)


def metrics(file: OtlpFile | None = None, /, **environ: str) -> SignalSettings:
    """The metrics' settings, with an endpoint so that they are on."""
    found = merged(file, **{f"{P}ENDPOINT": HERE, **environ}).metrics
    assert found is not None
    return found


def faults(file: OtlpFile | None = None, /, **environ: str) -> list[str]:
    """The lines of the error that this must be."""
    with pytest.raises(ConfigError) as error:
        merged(file, **{f"{P}ENDPOINT": HERE, **environ})
    return str(error.value).splitlines()


def test_nothing_said_means_nothing_sent() -> None:
    """Without an endpoint OTLP is off."""
    assert merged().signals == ()


@pytest.mark.parametrize(
    "said", [{f"{P}ENDPOINT": HERE}, {f"{P}TRACES_ENDPOINT": HERE}, {"OTEL_TRACES_EXPORTER": "otlp"}]
)
def test_an_endpoint_or_an_exporter_turns_a_signal_on(said: dict[str, str]) -> None:
    """A common endpoint for all, a signal's own for that one; an exporter asked for goes to the default endpoint."""
    assert "traces" in merged(**said).signals
    assert ("metrics" in merged(**said).signals) == (f"{P}ENDPOINT" in said)


def test_a_file_turns_signals_on_and_off() -> None:
    """The file's word on a signal goes before the environment's."""
    file = OtlpFile(endpoint=HERE, traces=False, logs=True)
    assert merged(file, OTEL_TRACES_EXPORTER="otlp", OTEL_LOGS_EXPORTER="none").signals == ("metrics", "logs")


def test_an_exporter_may_be_none() -> None:
    """`none` turns one signal off."""
    assert merged(**{f"{P}ENDPOINT": HERE, "OTEL_METRICS_EXPORTER": "none"}).signals == ("traces", "logs")


def test_disabled_is_disabled() -> None:
    """OTEL_SDK_DISABLED wins over everything."""
    assert merged(OtlpFile(endpoint=HERE, metrics=True), OTEL_SDK_DISABLED="TRUE").signals == ()


@pytest.mark.parametrize(
    ("environ", "endpoint"),
    [
        ({f"{P}ENDPOINT": "http://c:4318"}, "http://c:4318/v1/metrics"),
        ({f"{P}ENDPOINT": "http://c:4318/"}, "http://c:4318/v1/metrics"),
        ({f"{P}ENDPOINT": "https://c/otlp/"}, "https://c/otlp/v1/metrics"),
        ({f"{P}METRICS_ENDPOINT": "http://c:8428/opentelemetry/v1/metrics"}, "http://c:8428/opentelemetry/v1/metrics"),
        ({f"{P}METRICS_ENDPOINT": "http://c:8428"}, "http://c:8428"),
    ],
)
def test_over_http_the_path_is_added_to_a_base_only(environ: dict[str, str], endpoint: str) -> None:
    """The common endpoint is a base address, a signal's own is taken as it is."""
    assert metrics(**environ, **{f"{P}PROTOCOL": "http/protobuf"}).endpoint == endpoint


def test_the_files_endpoint_is_a_base_and_wins() -> None:
    """Over gRPC as it is, over HTTP with the signal's path; both environment variables lose."""
    environ = {f"{P}ENDPOINT": "http://other:1", f"{P}METRICS_ENDPOINT": "http://other:2"}
    assert metrics(OtlpFile(endpoint=HERE), **environ).endpoint == HERE
    http = OtlpFile(endpoint="http://c:4318", protocol="http/protobuf")
    assert merged(http, **environ).logs == SignalSettings(endpoint="http://c:4318/v1/logs", protocol=Protocol.HTTP)


@pytest.mark.parametrize(
    ("endpoint", "insecure", "tls", "target"),
    [
        ("http://c:4317", "false", False, "c:4317"),
        ("https://c:4317", "true", True, "c:4317"),
        ("https://c", "true", True, "c:4317"),
        ("c:4317", "false", True, "c:4317"),
        ("c:4317", "true", False, "c:4317"),
        ("[::1]:4317", "true", False, "[::1]:4317"),
    ],
)
def test_over_grpc_the_scheme_decides_on_tls(endpoint: str, insecure: str, tls: bool, target: str) -> None:  # noqa: FBT001
    """Where there is no scheme, INSECURE does."""
    found = metrics(**{f"{P}ENDPOINT": endpoint, f"{P}INSECURE": insecure})
    assert (found.tls, found.target) == (tls, target)


SIGNAL_VARIABLES = [
    ("PROTOCOL", "http/protobuf", "grpc", lambda found: found.protocol, Protocol.GRPC),
    ("COMPRESSION", "gzip", "none", lambda found: found.compression, Compression.NONE),
    ("TIMEOUT", "1000", "2500", lambda found: found.timeout, 2.5),
    ("INSECURE", "false", "true", lambda found: found.insecure, True),
    (
        "HEADERS",
        "a=1",
        "api-key=a%20b,x=y",
        lambda found: found.headers,
        (("api-key", Secret("a b")), ("x", Secret("y"))),
    ),
]


@pytest.mark.parametrize("signal", ["metrics", "traces", "logs"])
@pytest.mark.parametrize(
    ("what", "common", "own", "read", "expected"), SIGNAL_VARIABLES, ids=lambda value: str(value)[:12]
)
def test_a_signals_own_variable_goes_first(
    signal: str, what: str, common: str, own: str, read: object, expected: object
) -> None:
    """For each setting: the common variable is read, and the signal's own goes before it."""
    environ = {f"{P}ENDPOINT": HERE, f"{P}{what}": common, f"{P}{signal.upper()}_{what}": own}
    assert callable(read)
    assert read(getattr(merged(**environ), signal)) == expected
    only_common = {f"{P}ENDPOINT": HERE, f"{P}{what}": own}
    assert read(getattr(merged(**only_common), signal)) == expected


def test_the_file_goes_before_the_environment(tmp_path: Path) -> None:
    """Every key that both have."""
    pem = tmp_path / "pem"
    pem.write_text("")
    file = OtlpFile(
        protocol="grpc", headers={"A": Secret("file")}, compression="none", timeout=3.0, ca_file=pem, cert_file=pem,
        key_file=pem, insecure=True, temporality="delta", interval=5.0, metrics=True,
    )  # fmt: skip
    environ = {
        f"{P}ENDPOINT": "c:4317", f"{P}PROTOCOL": "http/protobuf", f"{P}HEADERS": "a=environment,b=environment",
        f"{P}COMPRESSION": "gzip", f"{P}TIMEOUT": "9000", f"{P}INSECURE": "false",
        f"{P}METRICS_TEMPORALITY_PREFERENCE": "cumulative",
        "OTEL_METRIC_EXPORT_INTERVAL": "60000", f"{P}CERTIFICATE": __file__,
    }  # fmt: skip
    settings = merged(file, **environ)
    assert settings.metrics == SignalSettings(
        endpoint="c:4317", headers=(("a", Secret("file")), ("b", Secret("environment"))),
        compression=Compression.NONE, timeout=3.0, ca_file=pem,
        cert_file=pem, key_file=pem, insecure=True,
    )  # fmt: skip
    assert (settings.temporality, settings.interval) == (Temporality.DELTA, 5.0)


def test_certificates_are_read_for_each_signal(tmp_path: Path) -> None:
    """CA, certificate and key, the signal's own first."""
    common, own = tmp_path / "common", tmp_path / "own"
    common.write_text("")
    own.write_text("")
    environ = {f"{P}{what}": str(common) for what in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")}
    found = metrics(**environ, **{f"{P}METRICS_CERTIFICATE": str(own)})
    assert (found.ca_file, found.cert_file, found.key_file) == (own, common, common)


@pytest.mark.parametrize(
    ("word", "temporality"), [("cumulative", "cumulative"), ("Delta", "delta"), ("lowmemory", "delta")]
)
def test_the_temporality_preference(word: str, temporality: str) -> None:
    """All three words, in any case."""
    assert merged(**{f"{P}METRICS_TEMPORALITY_PREFERENCE": word}).temporality == temporality


def test_interval_and_service_come_from_the_environment() -> None:
    """Milliseconds become seconds; the resource is decoded."""
    found = merged(
        OTEL_METRIC_EXPORT_INTERVAL="30000",
        OTEL_SERVICE_NAME="watch",
        OTEL_RESOURCE_ATTRIBUTES="team=a%2Cb, k8s.pod.name=p-1",
        OTEL_BSP_SCHEDULE_DELAY="500",
        OTEL_BLRP_SCHEDULE_DELAY="2000",
    )
    assert (found.interval, found.service_name) == (30.0, "watch")
    assert (found.spans_every, found.lines_every) == (0.5, 2.0)
    assert found.resource == (("team", "a,b"), ("k8s.pod.name", "p-1"))


def test_the_readers_timeout_counts_for_metrics() -> None:
    """OTEL_METRIC_EXPORT_TIMEOUT is the metrics' time-out where no exporter's is set."""
    assert metrics(OTEL_METRIC_EXPORT_TIMEOUT="4000").timeout == 4.0
    assert metrics(**{"OTEL_METRIC_EXPORT_TIMEOUT": "4000", f"{P}TIMEOUT": "5000"}).timeout == 5.0


@pytest.mark.parametrize("share", ["0.1x", "1.5", "-0.1", "nan", "10%"])
@pytest.mark.parametrize("sampler", ["traceidratio", "ParentBased_TraceIdRatio"])
def test_a_share_of_traces_is_a_share(sampler: str, share: str) -> None:
    """The SDK would take all of them instead, and say so where nobody looks."""
    told = f"environment: OTEL_TRACES_SAMPLER_ARG: {share!r} is no share, allowed: a number from 0 to 1"
    assert faults(OTEL_TRACES_SAMPLER=sampler, OTEL_TRACES_SAMPLER_ARG=share) == [told]


@pytest.mark.parametrize(("sampler", "argument"), [("traceidratio", "0.25"), ("traceidratio", ""), ("always_on", "x")])
def test_a_sampler_with_what_it_takes_is_fine(sampler: str, argument: str) -> None:
    """Without a share it is all of them; those that take none do not look at it, as the specification has it."""
    variables = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}
    assert otlp_settings(OtlpFile(), variables) == otlp_settings(OtlpFile(), {})


def test_an_empty_variable_is_not_set() -> None:
    """As the specification has it."""
    assert metrics(**{f"{P}PROTOCOL": "", f"{P}TIMEOUT": " ", "OTEL_METRICS_EXPORTER": ""}) == SignalSettings(
        endpoint=HERE
    )


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (f"{P}PROTOCOL", "http/json", "'http/json' is not supported, allowed: grpc, http/protobuf"),
        (f"{P}LOGS_PROTOCOL", "thrift", "'thrift' is not supported, allowed: grpc, http/protobuf"),
        (f"{P}COMPRESSION", "zstd", "'zstd' is not supported, allowed: gzip, none"),
        (f"{P}TIMEOUT", "10s", "'10s' is no time, allowed: a whole number of milliseconds above 0"),
        (f"{P}TIMEOUT", "0", "'0' is no time, allowed: a whole number of milliseconds above 0"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "-5", "'-5' is no time, allowed: a whole number of milliseconds above 0"),
        (f"{P}INSECURE", "yes", "'yes' is not supported, allowed: true, false"),
        ("OTEL_SDK_DISABLED", "1", "'1' is not supported, allowed: true, false"),
        ("OTEL_METRICS_EXPORTER", "prometheus", "'prometheus' is not supported, allowed: otlp, none"),
        (
            "OTEL_TRACES_SAMPLER",
            "jaeger_remote",
            f"'jaeger_remote' is not supported, allowed: {', '.join(SAMPLERS)}",
        ),
        ("OTEL_TRACES_EXPORTER", "otlp,console", "'otlp,console' is not supported, allowed: otlp, none"),
        (
            f"{P}METRICS_TEMPORALITY_PREFERENCE",
            "both",
            "'both' is not supported, allowed: cumulative, delta, lowmemory",
        ),
        (
            f"{P}METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            "base2_exponential_bucket_histogram",
            "'base2_exponential_bucket_histogram' is not supported, allowed: explicit_bucket_histogram",
        ),
        (
            f"{P}ENDPOINT",
            "collector",
            "'collector' is no address, allowed: http://host:port or https://host:port, or host:port",
        ),
        (
            f"{P}ENDPOINT",
            "ftp://c:1",
            "'ftp://c:1' is no address, allowed: http://host:port or https://host:port, or host:port",
        ),
        ("OTEL_CONFIG_FILE", "otel.yaml", "is not read, allowed: the agent's own configuration file"),
        (
            "OTEL_BSP_MAX_QUEUE_SIZE",
            "4096",
            "is not read, allowed: telemetry.otlp.queue in the agent's own configuration file, in bytes",
        ),
        ("OTEL_BLRP_EXPORT_TIMEOUT", "4096", "is not read, allowed: OTEL_EXPORTER_OTLP_TIMEOUT"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "team",
            f"pair 1 is not a name, '=' and a value, allowed: {PAIRS}",
        ),
    ],
)
def test_what_is_not_supported_is_refused_by_name(name: str, value: str, said: str) -> None:
    """One line: where, what is wrong, what is allowed."""
    assert faults(**{name: value}) == [f"environment: {name}: {said}"]


def test_over_http_an_endpoint_needs_its_scheme() -> None:
    """`host:port` is enough for gRPC only."""
    [line] = faults(**{f"{P}ENDPOINT": "c:4318", f"{P}PROTOCOL": "http/protobuf"})
    assert line == f"environment: {P}ENDPOINT: 'c:4318' is no address, allowed: http://host:port or https://host:port"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (f"{P}HEADERS", "authorization=Bearer s3cret\u00e9"),
        (f"{P}HEADERS", "x=1,s3cret"),
        (f"{P}ENDPOINT", "https://me:s3cret@host:4317"),
    ],
)
def test_a_fault_never_shows_a_secret(name: str, value: str) -> None:
    """The line says which variable, not what it holds."""
    [line] = faults(**{name: value})
    assert line.startswith(f"environment: {name}: ")
    assert "s3cret" not in line


def test_certificates_come_whole_and_readable(tmp_path: Path) -> None:
    """A missing file and a certificate without its key are both told."""
    (tmp_path / "cert").write_text("")
    missing = str(tmp_path / "none")
    lines = faults(**{f"{P}CERTIFICATE": missing, f"{P}CLIENT_CERTIFICATE": str(tmp_path / "cert")})
    assert lines == [
        f"environment: {P}CERTIFICATE: {missing!r} cannot be read (No such file or directory), allowed: a PEM file",
        f"environment: {P}CLIENT_CERTIFICATE, {P}CLIENT_KEY: one is there without the other, allowed: both or neither",
    ]


def test_all_faults_are_told_at_once() -> None:
    """Each once, of the file too."""
    assert faults(OtlpFile(protocol="http/json"), **{f"{P}COMPRESSION": "zstd", "OTEL_LOGS_EXPORTER": "console"}) == [
        "telemetry.otlp.protocol: 'http/json' is not supported, allowed: grpc, http/protobuf",
        f"environment: {P}COMPRESSION: 'zstd' is not supported, allowed: gzip, none",
        "environment: OTEL_LOGS_EXPORTER: 'console' is not supported, allowed: otlp, none",
    ]


def test_settings_never_show_a_secret() -> None:
    """Headers are secrets in every print."""
    assert "s3cret" not in repr(metrics(**{f"{P}HEADERS": "authorization=s3cret"}))
