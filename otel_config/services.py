"""The services of OTLP: how each is called over gRPC, and what its answers say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from .catalogue import Signal
from .outcome import Sent, short


@dataclass(frozen=True, slots=True)
class Service:
    """One signal's service. ``response`` decodes an answer, which counts what it ``rejected`` in a field of its own."""

    method: str
    response: Callable[[bytes], Any]
    rejected: str

    def taken(self, response: Any) -> Sent:
        """What a decoded answer means."""
        partial = response.partial_success
        return Sent(getattr(partial, self.rejected), short(partial.error_message))


def _method(service: str) -> str:
    return f"/opentelemetry.proto.collector.{service}/Export"


SERVICES: Final[Mapping[Signal, Service]] = {
    "metrics": Service(
        _method("metrics.v1.MetricsService"), ExportMetricsServiceResponse.FromString, "rejected_data_points"
    ),
    "traces": Service(_method("trace.v1.TraceService"), ExportTraceServiceResponse.FromString, "rejected_spans"),
    "logs": Service(_method("logs.v1.LogsService"), ExportLogsServiceResponse.FromString, "rejected_log_records"),
}
