"""The file's telemetry settings and the environment's, merged: the file wins where both say it.

Every variable of OpenTelemetry's specification for OTLP exporters is respected or refused, none is ignored. The merge
is a list of small resolvers, one for each setting, each of which looks into the file and at its variables. A variable
for one signal goes before the one for all; an empty one counts as not set.

A signal is sent when somebody names an endpoint, or asks for it: in the file, or by ``OTEL_METRICS_EXPORTER=otlp`` and
its kin. ``OTEL_SDK_DISABLED`` turns everything off, whatever else is said.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from quaywatch.errors import ConfigError
from quaywatch.secret import Secret

from . import parsing
from .catalogue import Signal
from .encoding import BATCH_BYTES
from .parsing import Parse
from .queue import QUEUE_BYTES
from .settings import LINES_EVERY, SPANS_EVERY, Compression, OtlpSettings, Protocol, SignalSettings
from .wire import Temporality

__all__ = ["OtlpFile", "OtlpSettings", "otlp_settings"]

T = TypeVar("T")
_ENDPOINTS: Final = {Protocol.GRPC: "http://localhost:4317", Protocol.HTTP: "http://localhost:4318"}
_TEMPORALITIES: Final = {
    "cumulative": Temporality.CUMULATIVE,
    "delta": Temporality.DELTA,
    "lowmemory": Temporality.DELTA,
}
_SAMPLERS: Final = {
    name: name
    for name in (
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
        "always_on",
        "always_off",
        "traceidratio",
    )
}
"""What the SDK, which reads the variables itself, can do; for what it does not know it would take the first, and for a
share that is none it would take all."""

_QUEUE: Final = "telemetry.otlp.queue in the agent's own configuration file, in bytes"
_NOT_READ: Final = {
    "OTEL_CONFIG_FILE": "the agent's own configuration file",
    "OTEL_EXPERIMENTAL_CONFIG_FILE": "the agent's own configuration file",
    **{f"OTEL_{kind}_MAX_QUEUE_SIZE": _QUEUE for kind in ("BSP", "BLRP")},
    **{
        f"OTEL_{kind}_MAX_EXPORT_BATCH_SIZE": "no value, since batches are bounded in bytes" for kind in ("BSP", "BLRP")
    },
    **{f"OTEL_{kind}_EXPORT_TIMEOUT": "OTEL_EXPORTER_OTLP_TIMEOUT" for kind in ("BSP", "BLRP")},
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT": "no value, since lines of the log are sent whole",
    "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT": "no value, since lines of the log are sent whole",
}
"""Variables that ask for what there is not, and what there is instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpFile:
    """What the configuration file says about OTLP; None where it says nothing. Times in seconds, sizes in bytes.

    ``endpoint`` is the base address for all signals; ``/v1/metrics`` and its kin are added with ``http/protobuf``.
    """

    endpoint: str | None = None
    protocol: str | None = None
    headers: Mapping[str, Secret] | None = None
    compression: str | None = None
    timeout: float | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    insecure: bool | None = None
    temporality: str | None = None
    interval: float | None = None
    batch_bytes: int | None = None
    queue_bytes: int | None = None
    spool: Path | None = None
    metrics: bool | None = None
    traces: bool | None = None
    logs: bool | None = None


def otlp_settings(file: OtlpFile, environ: Mapping[str, str]) -> OtlpSettings:
    """The settings that file and environment make together.

    Raises:
        ConfigError: with one line for each value that is not allowed: ``environment: NAME: what is wrong, what is
            allowed``, or ``telemetry.otlp.KEY: ...``.
    """
    reader = _Reader(file, environ)
    resolved = OtlpSettings(
        metrics=_signal(reader, "metrics"),
        traces=_signal(reader, "traces"),
        logs=_signal(reader, "logs"),
        temporality=_temporality(reader),
        interval=_interval(reader),
        spans_every=reader.variable(parsing.milliseconds, ("OTEL_BSP_SCHEDULE_DELAY",), SPANS_EVERY),
        lines_every=reader.variable(parsing.milliseconds, ("OTEL_BLRP_SCHEDULE_DELAY",), LINES_EVERY),
        batch_bytes=file.batch_bytes or BATCH_BYTES,
        queue_bytes=file.queue_bytes or QUEUE_BYTES,
        spool=file.spool,
        service_name=reader.variable(parsing.text, ("OTEL_SERVICE_NAME",), ""),
        resource=reader.variable(parsing.resource, ("OTEL_RESOURCE_ATTRIBUTES",), ()),
    )
    _refuse_what_we_lack(reader)
    if reader.faults:
        raise ConfigError("\n".join(reader.faults))
    return resolved


class _Reader:
    """Looks values up and parses them; what is not allowed becomes a fault, and the default goes on."""

    def __init__(self, file: OtlpFile, environ: Mapping[str, str]) -> None:
        self.file = file
        self._environ = environ
        self.faults: list[str] = []

    def is_set(self, *names: str) -> str | None:
        """The first of these variables that is set."""
        return next((name for name in names if self._environ.get(name, "").strip()), None)

    def variable(self, parse: Parse[T], names: tuple[str, ...], default: T) -> T:
        """The first of these variables that is set, parsed."""
        name = self.is_set(*names)
        if name is None:
            return default
        return self.parsed(parse, self._environ[name].strip(), f"environment: {name}", default)

    def either(self, parse: Parse[T], key: str, names: tuple[str, ...], default: T) -> T:
        """A text of the file under this key, or else of one of these variables, parsed."""
        written = getattr(self.file, key)
        if written is None:
            return self.variable(parse, names, default)
        return self.parsed(parse, str(written), f"telemetry.otlp.{key}", default)

    def parsed(self, parse: Parse[T], text: str, place: str, default: T) -> T:
        """The text parsed; a fault at this place when it is not allowed."""
        try:
            return parse(text)
        except ValueError as error:
            self.fault(f"{place}: {error}")
            return default

    def fault(self, line: str) -> None:
        """One more line of the error; the same is said once, though three signals may meet it."""
        if line not in self.faults:
            self.faults.append(line)


def _names(signal: Signal, what: str) -> tuple[str, ...]:
    return (f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what}", f"OTEL_EXPORTER_OTLP_{what}")


def _signal(reader: _Reader, signal: Signal) -> SignalSettings | None:
    if not _is_on(reader, signal):
        return None
    protocol = _protocol(reader, signal)
    return SignalSettings(
        endpoint=_endpoint(reader, signal, protocol),
        protocol=protocol,
        headers=_headers(reader, signal),
        compression=_compression(reader, signal),
        timeout=_timeout(reader, signal),
        insecure=_insecure(reader, signal),
        **_certificates(reader, signal),
    )


def _is_on(reader: _Reader, signal: Signal) -> bool:
    if reader.variable(parsing.flag, ("OTEL_SDK_DISABLED",), default=False):
        return False
    exporter = reader.variable(parsing.exporter, (f"OTEL_{signal.upper()}_EXPORTER",), "")
    written: bool | None = getattr(reader.file, signal)
    if written is not None:
        return written
    if exporter:
        return exporter == "otlp"
    return reader.file.endpoint is not None or reader.is_set(*_names(signal, "ENDPOINT")) is not None


def _protocol(reader: _Reader, signal: Signal) -> Protocol:
    spoken = {str(protocol): protocol for protocol in Protocol}
    return reader.either(parsing.one_of(spoken), "protocol", _names(signal, "PROTOCOL"), Protocol.GRPC)


def _endpoint(reader: _Reader, signal: Signal, protocol: Protocol) -> str:
    whole = partial(parsing.endpoint, with_scheme=protocol is Protocol.HTTP)
    path = f"/v1/{signal}" if protocol is Protocol.HTTP else ""
    own, common = _names(signal, "ENDPOINT")
    if reader.file.endpoint is None and reader.is_set(own):
        return reader.variable(whole, (own,), "")
    base = reader.either(whole, "endpoint", (common,), _ENDPOINTS[protocol])
    return base.rstrip("/") + path


def _headers(reader: _Reader, signal: Signal) -> tuple[tuple[str, Secret], ...]:
    """Merged name by name, in lower case: the file's go before the environment's."""
    none: tuple[tuple[str, Secret], ...] = ()
    told = (*reader.variable(parsing.headers, _names(signal, "HEADERS"), none), *(reader.file.headers or {}).items())
    return tuple({name.lower(): value for name, value in told}.items())


def _compression(reader: _Reader, signal: Signal) -> Compression:
    known = {str(compression): compression for compression in Compression}
    return reader.either(parsing.one_of(known), "compression", _names(signal, "COMPRESSION"), Compression.GZIP)


def _timeout(reader: _Reader, signal: Signal) -> float:
    if reader.file.timeout is not None:
        return reader.file.timeout
    names = _names(signal, "TIMEOUT")
    return reader.variable(
        parsing.milliseconds, (*names, "OTEL_METRIC_EXPORT_TIMEOUT") if signal == "metrics" else names, 10.0
    )


def _insecure(reader: _Reader, signal: Signal) -> bool:
    if reader.file.insecure is not None:
        return reader.file.insecure
    return reader.variable(parsing.flag, _names(signal, "INSECURE"), default=False)


def _certificates(reader: _Reader, signal: Signal) -> dict[str, Path | None]:
    names = {"ca_file": "CERTIFICATE", "cert_file": "CLIENT_CERTIFICATE", "key_file": "CLIENT_KEY"}
    files = {key: reader.either(parsing.file, key, _names(signal, what), None) for key, what in names.items()}
    if (files["cert_file"] is None) != (files["key_file"] is None):
        place = (
            "telemetry.otlp.cert_file, key_file"
            if reader.file.cert_file or reader.file.key_file
            else ("environment: OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE, OTEL_EXPORTER_OTLP_CLIENT_KEY")
        )
        reader.fault(f"{place}: one is there without the other, allowed: both or neither")
    return files


def _temporality(reader: _Reader) -> Temporality:
    name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
    return reader.either(parsing.one_of(_TEMPORALITIES), "temporality", (name,), Temporality.CUMULATIVE)


def _interval(reader: _Reader) -> float:
    if reader.file.interval is not None:
        return reader.file.interval
    return reader.variable(parsing.milliseconds, ("OTEL_METRIC_EXPORT_INTERVAL",), 15.0)


def _refuse_what_we_lack(reader: _Reader) -> None:
    """Variables that ask for what there is not: silence would look like consent."""
    histogram = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
    explicit = parsing.one_of({"explicit_bucket_histogram": True})
    reader.variable(explicit, (histogram,), default=True)
    sampler = reader.variable(parsing.one_of(_SAMPLERS), ("OTEL_TRACES_SAMPLER",), default="")
    if sampler.endswith("ratio"):
        reader.variable(parsing.share, ("OTEL_TRACES_SAMPLER_ARG",), default=1.0)
    for name, instead in _NOT_READ.items():
        if reader.is_set(name):
            reader.fault(f"environment: {name}: is not read, allowed: {instead}")
