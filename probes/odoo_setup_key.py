"""An API key of the probe's user, made as the user would make it: in a web session, with the password once more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from quaywatch.errors import ParseError
from quaywatch.secret import Secret

KEY: Final = "res.users.apikeys"
DAYS: Final = 90
"""How long a key lasts, from 18 on: as long as Odoo lets a user who is no administrator choose."""
NAME: Final = "quaywatch"
EXPIRES: Final = "expiration_date"
_FORM: Final = "res.users.apikeys.description"
_QUESTION: Final = "res.users.identitycheck"
_TIME: Final = "%Y-%m-%d %H:%M:%S"


class WebUser(Protocol):
    """A user at the web client."""

    async def call_web(self, model: str, method: str, *arguments: Any, **keywords: Any) -> Any:
        """What a method of a model returns to the web client."""
        ...

    async def call(self, model: str, method: str, *arguments: Any, **keywords: Any) -> Any:
        """What a method of a model returns over RPC."""
        ...

    async def fields(self, model: str) -> frozenset[str]:
        """The names of a model's fields."""
        ...


async def make_key(user: WebUser, password: Secret) -> Secret:
    """A new key for RPC; it is shown once, here.

    Raises:
        TargetError: when Odoo refuses.
    """
    wanted: dict[str, Any] = {"name": NAME}
    if "duration" in await user.fields(_FORM):
        wanted["duration"] = str(DAYS)
    form = await user.call_web(_FORM, "create", wanted)
    question = await user.call_web(_FORM, "make_key", [form])
    if isinstance(question, Mapping) and question.get("res_model") == _QUESTION:
        question = await _answered(user, question["res_id"], password)
    try:
        return Secret(question["context"]["default_key"])
    except (KeyError, TypeError) as error:
        raise ParseError("Odoo made no API key, or did not show it") from error


async def _answered(user: WebUser, question: int, password: Secret) -> Any:
    """What Odoo goes on with when the password was given again: as a field before 18, in the context from then on."""
    if "password" in await user.fields(_QUESTION):
        await user.call_web(_QUESTION, "write", [question], {"password": password.reveal()})
    return await user.call_web(_QUESTION, "run_check", [question], context={"password": password.reveal()})


async def seconds_left(user: WebUser) -> float | None:
    """How long the newest key of this name lasts; None where keys last for ever."""
    if EXPIRES not in await user.fields(KEY):
        return None
    rows = await user.call(KEY, "search_read", [("name", "=", NAME)], fields=[EXPIRES], order="id desc", limit=1)
    if not rows or not rows[0][EXPIRES]:
        return None
    end = datetime.strptime(rows[0][EXPIRES], _TIME).replace(tzinfo=UTC)
    return (end - datetime.now(UTC)).total_seconds()
