"""A small real OTLP back end, over gRPC and over HTTP, which answers as it is told and keeps what it took."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import grpc
import grpc.aio
from aiohttp import web
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

from otel_config.settings import Protocol
from sandbox.process import free_port

LOOPBACK = "127.0.0.1"
PROTOBUF = "application/x-protobuf"
_SERVICES: Mapping[str, tuple[str, Any, Any]] = {
    "metrics": ("metrics.v1.MetricsService", metrics.ExportMetricsServiceRequest, metrics.ExportMetricsServiceResponse),
    "traces": ("trace.v1.TraceService", traces.ExportTraceServiceRequest, traces.ExportTraceServiceResponse),
    "logs": ("logs.v1.LogsService", logs.ExportLogsServiceRequest, logs.ExportLogsServiceResponse),
}
_REJECTED = {"metrics": "rejected_data_points", "traces": "rejected_spans", "logs": "rejected_log_records"}
Signal = Literal["metrics", "traces", "logs"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server says to one request: yes, with a number of rejected points, or an error for either protocol.

    An HTTP error is a protobuf message as the protocol has it, or ``plain`` text as a proxy's.
    """

    rejected: int = 0
    message: str = ""
    code: grpc.StatusCode | None = None
    status: int = 200
    pause: int | None = None
    plain: bool = False


@dataclass(kw_only=True)
class Took:
    """One request the server said yes to."""

    request: Any
    headers: Mapping[str, str]
    compressed: bool
    size: int


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """Files of the server's side of TLS; with ``client_ca`` a client must show a certificate of that authority."""

    certificate: bytes
    key: bytes
    context: ssl.SSLContext
    client_ca: bytes | None = None


@dataclass
class OtlpServer:
    """Listens on one port, which it keeps over `stop` and `start`."""

    protocol: Protocol
    tls: Certificates | None = None
    port: int = 0
    answers: deque[Answer] = field(default_factory=deque)
    metrics: list[Took] = field(default_factory=list)
    traces: list[Took] = field(default_factory=list)
    logs: list[Took] = field(default_factory=list)
    requests: int = 0
    _stop: Any = None

    def __post_init__(self) -> None:
        self.port = self.port or free_port()

    @property
    def address(self) -> str:
        """The base address for a client."""
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}"

    async def start(self) -> None:
        """Listen."""
        self._stop = await (self._start_grpc() if self.protocol is Protocol.GRPC else self._start_http())

    async def stop(self) -> None:
        """Be gone: connections are refused."""
        stop, self._stop = self._stop, None
        if stop is not None:
            await stop()

    async def _start_grpc(self) -> Any:
        server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        server.add_generic_rpc_handlers(tuple(self._handler(signal) for signal in _SERVICES))
        if self.tls is None:
            server.add_insecure_port(f"{LOOPBACK}:{self.port}")
        else:
            pair, ca = [(self.tls.key, self.tls.certificate)], self.tls.client_ca
            with_tls = grpc.ssl_server_credentials(pair, root_certificates=ca, require_client_auth=ca is not None)
            server.add_secure_port(f"{LOOPBACK}:{self.port}", with_tls)
        await server.start()
        return lambda: server.stop(grace=None)

    def _handler(self, signal: str) -> grpc.GenericRpcHandler:
        name, request_type, response_type = _SERVICES[signal]

        async def export(payload: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            answer = self._next()
            if answer.code is not None:
                context.set_trailing_metadata(_details(answer))
                await context.abort(answer.code, answer.message)
            metadata = {str(name): str(value) for name, value in context.invocation_metadata() or ()}
            compressed = "gzip" in metadata.get("grpc-encoding", "gzip")
            self._keep(signal, request_type.FromString(payload), metadata, len(payload), compressed=compressed)
            return _response(signal, response_type, answer)

        method: Any = grpc.unary_unary_rpc_method_handler(
            export,
            request_deserializer=lambda payload: payload,
            response_serializer=lambda response: response.SerializeToString(),
        )
        return grpc.method_handlers_generic_handler(f"opentelemetry.proto.collector.{name}", {"Export": method})

    async def _start_http(self) -> Any:
        application = web.Application(client_max_size=64 << 20)
        application.router.add_post("/v1/{signal}", self._export)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        context = self.tls.context if self.tls else None
        await web.TCPSite(runner, LOOPBACK, self.port, ssl_context=context).start()
        return runner.cleanup

    async def _export(self, request: web.Request) -> web.Response:
        signal = request.match_info["signal"]
        _, request_type, response_type = _SERVICES[signal]
        answer = self._next()
        if answer.status != 200:
            headers = {} if answer.pause is None else {"Retry-After": str(answer.pause)}
            if answer.plain:
                return web.Response(status=answer.status, text=answer.message, headers=headers)
            said = Status(message=answer.message).SerializeToString()
            return web.Response(status=answer.status, body=said, content_type=PROTOBUF, headers=headers)
        body = await request.read()  # aiohttp has taken the compression off
        compressed = request.headers.get("Content-Encoding") == "gzip"
        self._keep(signal, request_type.FromString(body), dict(request.headers), len(body), compressed=compressed)
        encoded = _response(signal, response_type, answer).SerializeToString()
        return web.Response(body=encoded, content_type=PROTOBUF)

    def _next(self) -> Answer:
        self.requests += 1
        return self.answers.popleft() if self.answers else Answer()

    def _keep(self, signal: str, request: Any, headers: Mapping[str, str], size: int, *, compressed: bool) -> None:
        lower = {name.lower(): value for name, value in headers.items()}
        getattr(self, signal).append(Took(request=request, headers=lower, compressed=compressed, size=size))


def _response(signal: str, response_type: Any, answer: Answer) -> Any:
    response = response_type()
    if answer.rejected or answer.message:
        response.partial_success.error_message = answer.message
    if answer.rejected:
        setattr(response.partial_success, _REJECTED[signal], answer.rejected)
    return response


def _details(answer: Answer) -> tuple[tuple[str, bytes], ...]:
    if answer.pause is None:
        return ()
    pause = RetryInfo()
    pause.retry_delay.seconds = answer.pause
    detail = AnyMessage()
    detail.Pack(pause)
    return (("grpc-status-details-bin", Status(details=[detail]).SerializeToString()),)
