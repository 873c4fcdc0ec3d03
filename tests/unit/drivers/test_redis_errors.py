"""What redis-py raises becomes ours."""

from __future__ import annotations

import pytest
from redis import exceptions
from redis.asyncio.connection import Connection

from quaywatch.drivers.redis import redis_error
from quaywatch.errors import (
    AuthError,
    ConnectError,
    FaultError,
    ParseError,
    PermissionDeniedError,
    TargetError,
    VersionError,
)


def because(error: exceptions.RedisError, cause: OSError) -> exceptions.RedisError:
    """The error as redis-py raises it while it handles the network's."""
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (exceptions.AuthenticationError("invalid"), AuthError, "user default"),
        (exceptions.NoPermissionError("x"), PermissionDeniedError, r"ACL SETUSER default \+info"),
        (
            exceptions.NoPermissionError("User w has no permissions to run the 'slowlog|len' command"),
            PermissionDeniedError,
            r"ACL SETUSER default \+slowlog\|len",
        ),
        (exceptions.NoPermissionError("No permissions to access a key"), PermissionDeniedError, "default ~<key>"),
        (
            exceptions.NoPermissionError("this user has no permissions to access one of the keys used as arguments"),
            PermissionDeniedError,
            "default ~<key>",
        ),
        (exceptions.BusyLoadingError("x"), ConnectError, "loading"),
        (exceptions.ConnectionError("max number of clients reached"), ConnectError, "maxclients"),
        (exceptions.ConnectionError("Connection closed by server."), ConnectError, "cut"),
        (because(exceptions.ConnectionError(""), ConnectionRefusedError(111, "")), ConnectError, "nobody listens"),
        (exceptions.TimeoutError("x"), ConnectError, "cut"),
        (exceptions.ResponseError("unknown command 'CONFIG', with args"), VersionError, "INFO"),
        (exceptions.ResponseError("DENIED Redis is running in protected mode"), AuthError, "protected"),
        (exceptions.ResponseError("WRONGTYPE Operation against a key"), FaultError, "INFO"),
        (exceptions.ReadOnlyError("x"), FaultError, "INFO"),
        (exceptions.InvalidResponse("Protocol Error"), ParseError, "Redis"),
    ],
)
def test_each_error_has_its_kind(raised: exceptions.RedisError, kind: type[TargetError], words: str) -> None:
    """The class decides the kind, and the remedy names the user."""
    error = redis_error(raised, where="h:6379", user="", command="INFO")
    assert type(error) is kind
    with pytest.raises(kind, match=words):
        raise error


def test_the_library_still_has_what_the_line_builds_on() -> None:
    """Two names of redis-py's connection are not public: a release without them is noticed here."""
    assert callable(Connection._connection_arguments)
    assert Connection()._writer is None
