"""The types of single values: secrets, numbers, addresses, names."""

from __future__ import annotations

import re
import ssl
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from quaywatch.secret import Secret

from .references import FileText
from .sentences import refusal

_LISTEN = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\[\]:]*)):(?P<port>\d{1,5})")
_HEADER = re.compile(r"[A-Za-z0-9-]+")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_HIGHEST_PORT = 65535


def refuse_truth(value: Any) -> Any:
    """The value, unless it is true or false: Python takes these for 1 and 0."""
    if isinstance(value, bool):
        raise refusal("truth")
    return value


Number = Annotated[float, BeforeValidator(refuse_truth)]
Whole = Annotated[int, BeforeValidator(refuse_truth)]
Seconds = Annotated[Number, Field(gt=0)]
Port = Annotated[Whole, Field(ge=1, le=_HIGHEST_PORT)]
Text = Annotated[str, Field(min_length=1)]
TargetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""A name of an object in Kubernetes."""
KeyPrefix = Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]*$")]
"""What keys of objects begin with, in letters that are written in no two ways."""
Installation = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,39}$")]


def _secret(value: Any) -> Secret:
    if isinstance(value, Secret):
        return value
    if isinstance(value, FileText):
        if not value:
            raise refusal("secret_file", path=str(value.path))
        return Secret.of_file(value.path)
    if isinstance(value, str):
        return Secret(str(value))  # a plain text: a library need not take a subclass of str, such as `Referred`
    raise refusal("secret")


SecretText = Annotated[Secret, PlainValidator(_secret), WithJsonSchema({"type": "string"})]
"""A text that is never shown; one that is a file is read anew when it is used."""


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        port_fits = parts.port != 0
    except ValueError:
        raise refusal("url") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_fits:
        raise refusal("url")
    if parts.password is not None:
        raise refusal("url_password")
    return value.rstrip("/")


Url = Annotated[Text, AfterValidator(_url)]


class Listen(NamedTuple):
    """Where the agent's own page listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether nobody but this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def _listen(value: Any) -> Listen:
    if isinstance(value, Listen):
        return value
    found = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    if found is None or int(found["port"]) > _HIGHEST_PORT:
        raise refusal("listen")
    return Listen(found["six"] or found["host"] or "0.0.0.0", int(found["port"]))  # noqa: S104 - as the user wrote it


ListenText = Annotated[Listen, PlainValidator(_listen), PlainSerializer(str), WithJsonSchema({"type": "string"})]
"""``HOST:PORT``; without a host, all addresses."""


def _host_name(value: str) -> str:
    if not _HOST_NAME.fullmatch(value):
        raise refusal("host_name")
    return value.lower()


HostName = Annotated[Text, AfterValidator(_host_name)]
"""A name such as ``status.example``, without scheme and port."""


def _ca_file(value: str) -> str:
    try:
        ssl.create_default_context(cafile=value)
    except OSError as error:
        raise refusal("ca_file", path=value, why=error.strerror or "it holds no certificate") from None
    return value


CaFile = Annotated[Text, AfterValidator(_ca_file)]
"""A file of certificates that can be loaded."""


def _pattern(value: str) -> str:
    if not value:
        raise refusal("pattern_empty")
    return value


Pattern = Annotated[str, AfterValidator(_pattern)]
"""A shell pattern for names."""


def _header(value: str) -> str:
    if not _HEADER.fullmatch(value):
        raise refusal("header")
    return value


HeaderName = Annotated[str, AfterValidator(_header)]


def _absolute(value: Path) -> Path:
    if not value.is_absolute():
        raise refusal("spool", path=str(value))
    return value


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
