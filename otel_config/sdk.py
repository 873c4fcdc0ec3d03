"""What traces and logs have in common, since the SDK sends both."""

from typing import Any, Final, Protocol

import grpc
import requests
from opentelemetry.exporter.otlp.proto.http import Compression as HttpCompression

from .bounded import bounded
from .grpc_transport import credentials
from .outcomes import Outcomes
from .settings import Compression, SignalSettings

_LET_GO: Final = 0.5


class _Stops(Protocol):
    def shutdown(self) -> Any: ...


class _Flushes(_Stops, Protocol):
    def force_flush(self) -> bool: ...


def grpc_arguments(settings: SignalSettings) -> dict[str, Any]:
    """Arguments of the SDK's gRPC exporters: all of them, so that they ask the environment for nothing.

    Secrets are read now and stay: the SDK cannot change a header later.
    """
    gzip = settings.compression is Compression.GZIP
    return {
        "endpoint": settings.target,
        "insecure": not settings.tls,
        "credentials": credentials(settings) if settings.tls else None,
        "headers": {name: secret.reveal() for name, secret in settings.headers},
        "timeout": settings.timeout,
        "compression": grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression,
    }


def http_arguments(settings: SignalSettings) -> dict[str, Any]:
    """Arguments of the SDK's HTTP exporters: as `grpc_arguments`."""
    files = {
        "certificate_file": settings.ca_file,
        "client_certificate_file": settings.cert_file,
        "client_key_file": settings.key_file,
    }
    gzip = settings.compression is Compression.GZIP
    return {
        "endpoint": settings.endpoint,
        "headers": {name: secret.reveal() for name, secret in settings.headers},
        "timeout": settings.timeout,
        "compression": HttpCompression.Gzip if gzip else HttpCompression.NoCompression,
        "session": _session(settings.endpoint) if settings.ca_file else None,
        **{name: str(path) for name, path in files.items() if path},
    }


def _session(endpoint: str) -> requests.Session:
    """A session that takes only proxies from the environment.

    Left to itself it would let ``REQUESTS_CA_BUNDLE`` win over the authority that is configured.
    """
    session = requests.Session()
    session.trust_env = False
    session.proxies = requests.utils.get_environ_proxies(endpoint)
    return session


async def flush(provider: _Flushes, outcomes: Outcomes, within: float) -> bool:
    """Whether everything was delivered within so many seconds; the SDK itself says yes also when nothing was."""
    before = outcomes.failures
    return await bounded(provider.force_flush, within) and outcomes.failures == before


async def close(provider: _Flushes, exporter: _Stops | None, outcomes: Outcomes, within: float) -> None:
    """Flush and stop, within so many seconds in any case."""
    await flush(provider, outcomes, max(0.0, within - _LET_GO))
    if exporter is not None:
        # Before the provider, which would wait half a minute for an export that hangs.
        await bounded(exporter.shutdown, _LET_GO / 2)
    await bounded(provider.shutdown, _LET_GO / 2)
