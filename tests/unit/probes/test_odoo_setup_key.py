"""An API key is made as each version wants it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from probes.odoo_setup_key import DAYS, EXPIRES, KEY, NAME, make_key, seconds_left
from quaywatch.errors import ParseError
from quaywatch.secret import Secret
from tests.unit.probes.versions import VERSIONS

FORM, QUESTION = "res.users.apikeys.description", "res.users.identitycheck"
PASSWORD = Secret("pw")


class FakePreferences:
    """What a user's preferences do on a version: from 18 on keys end and the password comes with the answer."""

    def __init__(self, version: int, *, asks: bool = True) -> None:
        self.modern = version >= 18
        self.asks = asks
        self.form: dict[str, Any] = {}
        self.written = ""
        self.rows: list[dict[str, Any]] = []

    async def fields(self, model: str) -> frozenset[str]:
        """What differs."""
        names = {
            FORM: {"name", *(["duration"] if self.modern else [])},
            QUESTION: {"request", *([] if self.modern else ["password"])},
            KEY: {"name", *([EXPIRES] if self.modern else [])},
        }
        return frozenset(names[model])

    async def call(self, model: str, method: str, *_arguments: Any, **_keywords: Any) -> Any:
        """The user's keys."""
        assert (model, method) == (KEY, "search_read")
        return self.rows

    async def call_web(self, model: str, method: str, *arguments: Any, **keywords: Any) -> Any:
        """Fill in the form, ask for the password, show the key to whoever knows it."""
        if method == "create":
            self.form = arguments[0]
            return 1
        if (model, method) == (FORM, "make_key") and self.asks:
            return {"type": "ir.actions.act_window", "res_model": QUESTION, "res_id": 5}
        if method == "write":
            self.written = arguments[1]["password"]
            return True
        known = keywords["context"]["password"] if self.modern and self.asks else self.written
        shown = {"default_key": "k" * 40} if known == PASSWORD.reveal() or not self.asks else {}
        return {"type": "ir.actions.act_window", "context": shown}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("asks", [True, False], ids=["asks", "asked lately"])
async def test_a_key_is_made(version: int, *, asks: bool) -> None:
    """Whether Odoo wants the password once more or not; with an end where there has to be one."""
    user = FakePreferences(version, asks=asks)
    assert (await make_key(user, PASSWORD)).reveal() == "k" * 40
    assert user.form == {"name": NAME} | ({"duration": str(DAYS)} if version >= 18 else {})


async def test_a_key_that_is_not_shown_is_an_error() -> None:
    """With a wrong password there is none."""
    with pytest.raises(ParseError, match="no API key"):
        await make_key(FakePreferences(19), Secret("wrong"))


async def test_what_is_left_of_a_key() -> None:
    """Seconds from 18 on; before, and without a key of ours, nothing is known to end."""
    user = FakePreferences(18)
    assert await seconds_left(user) is None
    user.rows = [{EXPIRES: (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%d %H:%M:%S")}]
    assert await seconds_left(user) == pytest.approx(2 * 86_400, abs=5)
    assert await seconds_left(FakePreferences(17)) is None
