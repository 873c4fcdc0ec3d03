"""The file that the API key of the probe's user is kept in."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from probes.odoo_setup import Prepared, State
from probes.odoo_setup_key import make_key, seconds_left
from quaywatch.drivers.odoo import OdooServer
from quaywatch.errors import AuthError, ConfigError
from quaywatch.secret import Secret

RENEW_WITHIN: Final = 14 * 86_400.0
"""Seconds before its end from which on a key is replaced."""
_DAY: Final = 86_400.0


@dataclass(frozen=True)
class KeyFile:
    """A file with a key; ``open`` makes a driver as the probe's user, with a key or without one."""

    path: Path
    open: Callable[[Secret | None], OdooServer]

    async def kept(self, password: Secret, *, apply: bool) -> Prepared:
        """See that there is a key that lasts, and make one if need be.

        Raises:
            ConfigError: when the file cannot be read or written.
            TargetError: when Odoo does not answer, or makes no key.
        """
        what = f"the API key in {self.path}"
        is_good, note = await self._judged()
        if is_good:
            return Prepared(what, State.THERE, note)
        if not apply:
            return Prepared(what, State.MISSING, note)
        user = self.open(None)
        try:
            self._write(await make_key(user, password))
        finally:
            await user.close()
        is_good, note = await self._judged()
        return Prepared(what, State.MADE if is_good else State.BY_HAND, note)

    async def _judged(self) -> tuple[bool, str]:
        """Whether the key in the file can be used for a while, and a word about it."""
        try:
            key = Secret(self.path.read_text(encoding="utf-8").strip())
        except FileNotFoundError:
            return False, ""
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.path}: cannot be read: {error}") from error
        user = self.open(key)
        try:
            left = await _left(user)
        except AuthError:
            return False, "the one that is there is refused"
        finally:
            await user.close()
        return left is None or left > RENEW_WITHIN, "" if left is None else f"{left / _DAY:.0f} days are left"

    def _write(self, key: Secret) -> None:
        """Put the key there for its owner alone, under its name only when all of it is there."""
        half = self.path.with_name(f".{self.path.name}.new")
        try:
            half.unlink(missing_ok=True)
            number = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(key.reveal() + "\n")
            half.replace(self.path)
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be written: {error.strerror}") from error


async def _left(user: OdooServer) -> float | None:
    """Seconds that the key lasts, after it was used."""
    await user.ping()
    return await seconds_left(user)
