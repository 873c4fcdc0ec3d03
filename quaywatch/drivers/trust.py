"""TLS made of files that are renewed while the agent runs."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterable, Iterator
from pathlib import Path

from quaywatch.errors import ConfigError


class Trust:
    """A client's TLS: whom it trusts, and what it shows of itself. It is made anew once a file has changed.

    Args:
        ca_file: authorities to trust instead of the system's.
        cert_file: the client's own certificate, where servers ask for one.
        key_file: its key.
        verified: whether the server's certificate is looked at.
    """

    def __init__(
        self,
        ca_file: str | Path | None = None,
        *,
        cert_file: str | Path | None = None,
        key_file: str | Path | None = None,
        verified: bool = True,
    ) -> None:
        self._ca_file = ca_file
        self._cert_file = cert_file
        self._key_file = key_file
        self._verified = verified
        self._made: ssl.SSLContext | None = None
        self._made_of: tuple[bytes, ...] = ()

    def context(self) -> ssl.SSLContext:
        """By the files as they are now, or as they last could be read: whoever renews them may be half-way.

        Raises:
            ConfigError: when they could never be read.
        """
        found = digests(self._files())
        if self._made is not None and found == self._made_of:
            return self._made
        try:
            self._made, self._made_of = self._read(), found
        except OSError as error:
            if self._made is None:
                raise self._unreadable() from error
        return self._made

    def _files(self) -> Iterator[Path]:
        system = ssl.get_default_verify_paths()
        for file in (self._ca_file or system.cafile, self._cert_file, self._key_file):
            if file is not None:
                yield Path(file)

    def _read(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._ca_file)
        if self._cert_file is not None:
            context.load_cert_chain(self._cert_file, self._key_file)
        if not self._verified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _unreadable(self) -> ConfigError:
        files = ", ".join(map(str, filter(None, (self._ca_file, self._cert_file, self._key_file))))
        return ConfigError(f"{files}: no certificates can be read from it, a PEM file is allowed")


def digests(files: Iterable[Path]) -> tuple[bytes, ...]:
    """What differs when the files do; nothing of one that cannot be read."""
    return tuple(map(_digest, files))


def _digest(file: Path) -> bytes:
    try:
        return hashlib.sha256(file.read_bytes()).digest()
    except OSError:
        return b""
