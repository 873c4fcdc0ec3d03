"""A secret that logs in, and what is remembered of its refusal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from quaywatch.errors import AuthError
from quaywatch.secret import Secret

from .network import revealed

REFUSAL_HOLDS: Final = 600.0
"""Seconds for which a text that was refused is not shown to the server again."""


class Credential:
    """Gives the text to log in with, unless the server just refused that very text.

    Servers count refused logins: Odoo locks out everybody at the agent's address after a few of them. So a refusal is
    answered from memory until the secret's text changes or `REFUSAL_HOLDS` seconds have passed.
    """

    def __init__(self, secret: Secret, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._secret = secret
        self._monotonic = monotonic
        self._refusal: tuple[float, Secret, AuthError] | None = None

    def text(self) -> str:
        """The secret's text at this moment.

        Raises:
            AuthError: the one that was remembered for this text, or when the secret's file cannot be read.
        """
        text = revealed(self._secret)
        self._repeat_refusal(Secret(text))
        return text

    @contextmanager
    def trial(self) -> Iterator[str]:
        """The text, shown to the server in the block: an `AuthError` from it is remembered.

        Raises:
            AuthError: as `text` does, or as the block does.
        """
        text = self.text()
        try:
            yield text
        except AuthError as error:
            self._refusal = (self._monotonic(), Secret(text), error)
            raise

    def _repeat_refusal(self, wanted: Secret) -> None:
        if self._refusal is None:
            return
        since, tried, error = self._refusal
        if tried == wanted and self._monotonic() - since < REFUSAL_HOLDS:
            raise AuthError(error.what, remedy=error.remedy, code=error.code) from error
