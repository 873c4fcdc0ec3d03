"""An OTLP/gRPC server that writes every span, log record and metric point it is sent to a file of JSON lines.

It stands where a trace store and a log store would. `records.read_spans`, `read_logs` and `read_points` read its file.

    python -m sandbox.parts.recorder --port 4317 --file records.jsonl
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import grpc
import grpc.aio
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

from sandbox.process import LOOPBACK, Services, Spec, accepts, free_port

from .records import Log, Point, Span, line, logs_of, points_of, spans_of

NAME = "recorder"
# A batch of the Collector's may be larger than gRPC's usual 4 MiB.
_OPTIONS = (("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 64 << 20))
_STOP_WITHIN = 2.0

_Record = Span | Log | Point
_Unary = Callable[[Any, Any], Awaitable[Any]]


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """A running recorder: `endpoint` takes OTLP/gRPC without TLS, `file` is where it writes."""

    endpoint: str
    file: Path


def prepare(_progress: object) -> None:
    """Nothing to fetch: the recorder is this module."""


def start(services: Services, _world: object, _progress: object) -> Recorder:
    """Start the recorder on a free port, with its file in the state directory."""
    ports = services.ports(NAME) or {"grpc": free_port()}
    file = services.state / NAME / "records.jsonl"
    file.parent.mkdir(exist_ok=True)
    argv = (sys.executable, "-m", __name__, "--port", str(ports["grpc"]), "--file", str(file))
    root = Path(__file__).parents[2]
    services.start(Spec(name=NAME, argv=argv, ports=ports, cwd=root, ready=lambda: accepts(ports["grpc"])))
    return Recorder(endpoint=f"{LOOPBACK}:{ports['grpc']}", file=file)


def handlers(write: Callable[[Iterable[_Record]], None]) -> tuple[grpc.GenericRpcHandler, ...]:
    """The three services of OTLP, each of which gives what it received to `write` before it answers."""

    async def export_traces(request: traces.ExportTraceServiceRequest, _context: object) -> Any:
        write(spans_of(request.resource_spans))
        return traces.ExportTraceServiceResponse()

    async def export_logs(request: logs.ExportLogsServiceRequest, _context: object) -> Any:
        write(logs_of(request.resource_logs))
        return logs.ExportLogsServiceResponse()

    async def export_metrics(request: metrics.ExportMetricsServiceRequest, _context: object) -> Any:
        write(points_of(request.resource_metrics))
        return metrics.ExportMetricsServiceResponse()

    return (
        _service("trace.v1.TraceService", export_traces, traces.ExportTraceServiceRequest),
        _service("logs.v1.LogsService", export_logs, logs.ExportLogsServiceRequest),
        _service("metrics.v1.MetricsService", export_metrics, metrics.ExportMetricsServiceRequest),
    )


def _service(name: str, export: _Unary, request: Any) -> grpc.GenericRpcHandler:
    method: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(
        export,
        request_deserializer=request.FromString,
        response_serializer=lambda response: response.SerializeToString(),
    )
    return grpc.method_handlers_generic_handler(f"opentelemetry.proto.collector.{name}", {"Export": method})


def _write(out: TextIO, records: Iterable[_Record]) -> None:
    out.write("".join(map(line, records)))
    out.flush()


async def serve(port: int, file: Path) -> None:
    """Record into `file`, appending, until the process is told to end."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    with file.open("a") as out:
        server = grpc.aio.server(options=_OPTIONS)
        server.add_generic_rpc_handlers(handlers(partial(_write, out)))
        server.add_insecure_port(f"{LOOPBACK}:{port}")
        await server.start()
        await stopped.wait()
        await server.stop(_STOP_WITHIN)


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="recorder", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True)
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.file))


if __name__ == "__main__":
    main()
