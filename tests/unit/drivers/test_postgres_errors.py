"""PostgreSQL's errors become ours by SQLSTATE."""

from __future__ import annotations

import ssl

import asyncpg
import pytest

from quaywatch.drivers.postgres import PostgresAddress, PostgresCluster
from quaywatch.drivers.postgres_errors import grant_for, of_sqlstate, postgres_errors
from quaywatch.errors import (
    AuthError,
    ConnectError,
    DeadlineError,
    FaultError,
    InternalError,
    LockTimeoutError,
    ParseError,
    PermissionDeniedError,
    TargetError,
    VersionError,
)


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("08006", ConnectError),
        ("08P01", ConnectError),
        ("0A000", VersionError),
        ("22012", FaultError),
        ("23505", FaultError),
        ("25006", FaultError),
        ("28000", AuthError),
        ("28P01", AuthError),
        ("3D000", ConnectError),
        ("40001", FaultError),
        ("42501", PermissionDeniedError),
        ("42601", FaultError),
        ("42703", VersionError),
        ("42883", VersionError),
        ("42P01", VersionError),
        ("53200", FaultError),
        ("53300", ConnectError),
        ("55000", FaultError),
        ("55P03", LockTimeoutError),
        ("57014", DeadlineError),
        ("57P01", ConnectError),
        ("57P03", ConnectError),
        ("XX000", FaultError),
        ("", FaultError),
    ],
)
def test_each_state_has_its_kind(state: str, kind: type[TargetError]) -> None:
    """An SQLSTATE decides the kind and stays readable as the code."""
    error = of_sqlstate(state, "m", where="h:1/d", role="r")
    assert type(error) is kind
    assert error.code == state
    assert str(error).startswith("h:1/d: ")


def test_a_cancelled_statement_says_when_a_lock_was_the_cause() -> None:
    """The lock time-out goes before the statement's."""
    error = of_sqlstate("57014", "canceling statement due to lock timeout", where="", role="r")
    assert isinstance(error, LockTimeoutError)


@pytest.mark.parametrize("state", ["22P02", "23505", "P0001", "XX000"])
def test_a_message_that_may_quote_a_datum_is_left_out(state: str) -> None:
    """Classes of errors that quote values pass on no words of the server's."""
    assert "Smith" not in str(of_sqlstate(state, 'value "Smith"', where="h", role="r"))


@pytest.mark.parametrize(
    ("message", "grant"),
    [
        ("permission denied for schema app", "GRANT USAGE ON SCHEMA app TO qw;"),
        ("permission denied for function pg_ls_waldir", "GRANT EXECUTE ON FUNCTION pg_ls_waldir TO qw;"),
        ('permission denied for database "Acme"', 'GRANT CONNECT ON DATABASE "Acme" TO qw;'),
        ("must be superuser or a member of pg_monitor", "GRANT pg_monitor TO qw;"),
    ],
)
def test_a_denial_tells_the_grant_that_lifts_it(message: str, grant: str) -> None:
    """The remedy is SQL that can be pasted."""
    assert grant_for(message, "qw") == grant
    assert grant in str(of_sqlstate("42501", message, where="h", role="qw"))


@pytest.mark.parametrize("kind", ["table", "view", "materialized view", "foreign table", "relation"])
def test_a_whole_table_is_never_asked_for(kind: str) -> None:
    """A table holds more than is read; the command that knows the columns is named instead."""
    remedy = of_sqlstate("42501", f"permission denied for {kind} queue_job", where="h", role="qw").remedy
    assert "quaywatch check --sql" in remedy
    assert "GRANT" not in remedy


def test_a_role_with_an_odd_name_is_quoted() -> None:
    """The SQL of a remedy is right for any role."""
    assert grant_for("permission denied for schema s", 'qu"ay').endswith('TO "qu""ay";')


def test_a_pooler_that_refuses_settings_is_named() -> None:
    """PgBouncer's refusal of a startup parameter tells the option that helps."""
    error = of_sqlstate("08P01", "unsupported startup parameter: lock_timeout", where="h", role="r")
    assert "pooled" in error.remedy


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (asyncpg.InvalidPasswordError("no"), AuthError),
        (ConnectionRefusedError(111, "refused"), ConnectError),
        (ssl.SSLCertVerificationError("x"), ConnectError),
        (asyncpg.InterfaceError("connection is closed"), ConnectError),
        (asyncpg.InterfaceError("unsupported authentication method requested by the server: GSS"), AuthError),
        (asyncpg.ClientConfigurationError("invalid"), InternalError),
        (asyncpg.InternalClientError("?"), ParseError),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "?"), ParseError),
    ],
)
def test_whatever_the_library_raises_is_mapped(raised: Exception, kind: type[Exception]) -> None:
    """No exception of asyncpg's or the network's passes the border."""
    with pytest.raises(kind) as caught, postgres_errors("h", role="r"):
        raise raised
    assert caught.value.__cause__ is raised


@pytest.mark.parametrize(
    "raised",
    [asyncpg.InterfaceError("connection is closed"), ConnectionResetError(104, "reset"), ConnectionResetError()],
)
def test_a_cut_connection_says_where_to_look(raised: Exception) -> None:
    """Whichever way the end is noticed, the remedy is the same."""
    with pytest.raises(ConnectError, match="the connection was cut") as caught, postgres_errors("h", role="r"):
        raise raised
    assert "log at the other end" in caught.value.remedy


def test_the_version_is_unknown_before_the_first_answer() -> None:
    """A cluster that was never reached has no version, rather than a wrong one."""
    with pytest.raises(ConnectError):
        _ = PostgresCluster(PostgresAddress(host="h")).version


def test_a_pooler_gets_no_settings_it_would_refuse() -> None:
    """Behind a pooler a session sets nothing that would outlast its transactions."""
    assert PostgresAddress(host="h", pooled=True).settings == {}
    assert PostgresAddress(host="h").settings["default_transaction_read_only"] == "on"


def test_the_server_gives_up_a_little_before_the_client() -> None:
    """A slow statement ends on the server, so that the session survives it."""
    limits = PostgresAddress(host="h", answer_within=2.0, lock_within=0.1).limits
    assert limits == {"jit_above_cost": "-1", "statement_timeout": "1800", "lock_timeout": "100"}
