"""What tools say of backups, and restore jobs of their tests, as records of ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from quaywatch.contract import Backup, BackupSet, RestoreTest
from quaywatch.errors import ParseError

Parse = Callable[[bytes], tuple[BackupSet, ...]]
"""Makes backups of a tool's output."""

_LONGEST_NAME: Final = 100
_NOTHING: Final = (b"", b"null")
_DELTA: Final = re.compile(r"_D_[0-9A-F]{24}")
"""What WAL-G puts into the name of a backup that builds on another."""


def _moment(value: Any) -> Any:
    """Unix seconds, or a day and time with its zone."""
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError("Unix seconds or a time such as 2026-01-31T04:00:00Z is expected") from error
    if moment.tzinfo is None:
        raise ValueError("the time has no zone; one such as 2026-01-31T04:00:00Z is expected")
    return moment.timestamp()


_Moment = Annotated[float, BeforeValidator(_moment), Field(gt=0, allow_inf_nan=False)]
_Size = Annotated[int, Field(ge=0)]
_Name = Annotated[str, Field(max_length=_LONGEST_NAME)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


def _listed(value: Any) -> Any:
    """One is a list of one."""
    return [value] if isinstance(value, dict) else value


def _read(shape: Any, text: bytes, what: str) -> Any:
    try:
        return TypeAdapter(shape).validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "all of it"
        raise ParseError(f"{what}: {place}: {first['msg'].removeprefix('Value error, ')}") from error


# --- pgBackRest -------------------------------------------------------------------------------------------------------


class _Span(_Model):
    start: float
    stop: float


class _Stored(_Model):
    delta: _Size | None = None


class _Info(_Model):
    size: _Size | None = None
    repository: _Stored = _Stored()


class _Origin(_Model):
    repo_key: Annotated[int, Field(alias="repo-key")] = 1


class _PgBackup(_Model):
    type: _Name
    timestamp: _Span
    error: bool | None = None
    info: _Info = _Info()
    database: _Origin = _Origin()

    def record(self) -> Backup:
        return Backup(
            type=self.type,
            began=self.timestamp.start,
            ended=self.timestamp.stop,
            size=self.info.size,
            stored=self.info.repository.delta,
            ok=not self.error,
        )


class _Held(_Model):
    held: bool = False


class _Locks(_Model):
    backup: _Held = _Held()


class _Status(_Model):
    code: int
    lock: _Locks | None = None


class _Repository(_Model):
    key: int
    status: _Status


class _Stanza(_Model):
    name: _Name
    status: _Status
    repo: tuple[_Repository, ...] = ()
    backup: tuple[_PgBackup, ...] = ()

    def sets(self) -> list[BackupSet]:
        """One for each repository; up to release 2.31 there is none by itself, and one in all."""
        running = self.status.lock.backup.held if self.status.lock else None
        repositories = self.repo or (_Repository(key=1, status=self.status),)
        return [
            BackupSet(
                name=self.name,
                repository=str(one.key),
                ok=one.status.code == 0,
                running=running,
                backups=tuple(backup.record() for backup in self.backup if backup.database.repo_key == one.key),
            )
            for one in repositories
        ]


def parse_pgbackrest(text: bytes) -> tuple[BackupSet, ...]:
    """The output of ``pgbackrest info --output=json``: a set for each stanza and repository.

    Raises:
        ParseError: when it is something else, or tells of no stanza.
    """
    stanzas: tuple[_Stanza, ...] = _read(tuple[_Stanza, ...], text, "pgbackrest info")
    if not stanzas:
        raise ParseError("pgbackrest info tells of no stanza", remedy="name it: --stanza=NAME")
    return tuple(one for stanza in stanzas for one in stanza.sets())


# --- WAL-G ------------------------------------------------------------------------------------------------------------


class _WalgBackup(_Model):
    backup_name: str
    time: Annotated[_Moment | None, Field(validation_alias=AliasChoices("time", "modification_time"))] = None
    start_time: _Moment | None = None
    finish_time: _Moment | None = None
    uncompressed_size: _Size | None = None
    compressed_size: _Size | None = None

    @model_validator(mode="after")
    def _is_dated(self) -> _WalgBackup:
        if self.time is None and self.finish_time is None:
            raise ValueError("neither finish_time nor time is given; one of the two is expected")
        return self

    def record(self) -> Backup:
        return Backup(
            type="delta" if _DELTA.search(self.backup_name) else "full",
            began=self.start_time,
            ended=self.finish_time or self.time or 0.0,
            size=self.uncompressed_size,
            stored=self.compressed_size,
        )


def parse_walg(text: bytes) -> tuple[BackupSet, ...]:
    """The output of ``wal-g backup-list --json``, with ``--detail`` or without: one set.

    Without backups some releases print nothing, or null.

    Raises:
        ParseError: when it is something else.
    """
    told = text.strip()
    found: tuple[_WalgBackup, ...] = _read(
        tuple[_WalgBackup, ...], b"[]" if told in _NOTHING else told, "wal-g backup-list"
    )
    return (BackupSet(backups=tuple(backup.record() for backup in found)),)


# --- our own ----------------------------------------------------------------------------------------------------------


class _Plain(_Model):
    name: _Name = ""
    type: _Name = "full"
    started: _Moment | None = None
    finished: _Moment
    size: _Size | None = None
    stored: _Size | None = None
    ok: bool = True

    def record(self) -> Backup:
        return Backup(
            type=self.type, began=self.started, ended=self.finished, size=self.size, stored=self.stored, ok=self.ok
        )


def parse_plain(text: bytes) -> tuple[BackupSet, ...]:
    """One backup, or a list of them, as any job may write it: a set for each name.

    Raises:
        ParseError: saying which key, and what is expected.
    """
    shape = Annotated[tuple[_Plain, ...], BeforeValidator(_listed)]
    found: tuple[_Plain, ...] = _read(shape, text, "the report of backups")
    names = dict.fromkeys(one.name for one in found)
    return tuple(
        BackupSet(name=name, backups=tuple(one.record() for one in found if one.name == name)) for name in names
    )


class _Test(_Model):
    name: Annotated[_Name, Field(min_length=1)]
    started: _Moment
    finished: _Moment
    recovery_point: _Moment | None = None
    ok: bool
    size: _Size | None = None

    @model_validator(mode="after")
    def _in_order(self) -> _Test:
        if self.finished < self.started:
            raise ValueError("finished is before started; a later time is expected")
        if self.recovery_point is not None and self.recovery_point > self.finished:
            raise ValueError("recovery_point is after finished; an earlier time is expected")
        return self

    def record(self) -> RestoreTest:
        return RestoreTest(
            name=self.name,
            ok=self.ok,
            began=self.started,
            ended=self.finished,
            recovery_point=self.recovery_point,
            size=self.size,
        )


def parse_restore_tests(text: bytes) -> tuple[RestoreTest, ...]:
    """One test, or a list of them, as restore jobs tell it.

    Raises:
        ParseError: saying which key, and what is expected.
    """
    shape = Annotated[tuple[_Test, ...], BeforeValidator(_listed)]
    found: tuple[_Test, ...] = _read(shape, text, "the report of a restore test")
    return newest(one.record() for one in found)


def newest(tests: Iterable[RestoreTest]) -> tuple[RestoreTest, ...]:
    """Of each thing that was restored the last test, and the last successful one."""
    kept: dict[tuple[str, bool], RestoreTest] = {}
    for test in sorted(tests, key=lambda one: one.ended):
        kept[test.name, False] = test
        if test.ok:
            kept[test.name, True] = test
    return tuple(dict.fromkeys(kept.values()))


def dump_restore_tests(tests: Iterable[RestoreTest]) -> bytes:
    """Tests in the form that `parse_restore_tests` reads."""
    models = [
        _Test(
            name=one.name,
            ok=one.ok,
            started=one.began,
            finished=one.ended,
            recovery_point=one.recovery_point,
            size=one.size,
        )
        for one in tests
    ]
    return TypeAdapter(list[_Test]).dump_json(models, indent=1)
