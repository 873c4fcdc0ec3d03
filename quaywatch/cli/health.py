"""``quaywatch health``: asks the agent that runs beside it whether it is alive, for a container's health check."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Final

from quaywatch.config import listens
from quaywatch.errors import InternalError

from .terminal import Console

ANSWERS_WITHIN: Final = 5.0
"""Seconds for the answer."""
_NEAR: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - all addresses are asked by the nearest of them


def execute(arguments: Namespace, console: Console, environ: Mapping[str, str]) -> int:
    """Ask ``/healthz`` where the configuration says that the agent listens.

    Raises:
        ConfigError: when the configuration does not say where.
        InternalError: when no agent answers there in time, or not with 200.
    """
    listen = listens(arguments.config, environ)
    connection = HTTPConnection(_NEAR.get(listen.host, listen.host), listen.port, timeout=ANSWERS_WITHIN)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        raise InternalError(f"no agent answers on {listen}: {error}") from error
    finally:
        connection.close()
    if status != 200:  # noqa: PLR2004 - HTTP's own number
        raise InternalError(f"what listens on {listen} answers with {status}; is it the agent?")
    console.say(f"the agent on {listen} is alive")
    return 0
