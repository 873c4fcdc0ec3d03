"""Odoo over JSON-2, from version 19 on, with an API key.

JSON-2 takes named arguments, and the records apart as ``ids``. Callers speak as in ``execute_kw``; positional
arguments get their names here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from quaywatch.errors import InternalError, ParseError, TargetError

from .credential import Credential
from .http import GATEWAY_STATUSES, Exchanges, HttpAnswer, refuse_gateway
from .json_answers import FEWER, read_json
from .odoo_errors import access_denied, fault, first_line, login_refused, no_such_database, strange_status

_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404
_MODEL_METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    "create": ("vals_list",),
    "default_get": ("fields",),
    "fields_get": ("allfields", "attributes"),
    "get_param": ("key", "default"),
    "name_create": ("name",),
    "name_search": ("name", "domain", "operator", "limit"),
    "search": ("domain", "offset", "limit", "order"),
    "search_count": ("domain", "limit"),
    "search_read": ("domain", "fields", "offset", "limit", "order"),
    "set_param": ("key", "value"),
}
"""Methods of the model itself: what their positional arguments are called."""
_RECORD_METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    "copy": ("default",),
    "has_access": ("operation",),
    "read": ("fields", "load"),
    "write": ("vals",),
}
"""Methods of records: what their positional arguments after the ids are called; others take none."""


class Json2:
    """Methods of models as the user that an API key belongs to.

    Args:
        http: the server.
        where: its name in messages.
        database: the tenant.
        login: the user, for messages.
        key: the API key, read anew at each call; a refused one is not tried again for long.
    """

    def __init__(self, http: Exchanges, *, where: str, database: str, login: str, key: Credential) -> None:
        self._http = http
        self._where = where
        self._database = database
        self._login = login
        self._key = key

    async def execute(self, model: str, method: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        """What a method returns, as ``execute_kw`` would give it.

        Raises:
            TargetError: mapped from the HTTP status or the network.
        """
        single = method == "create" and bool(arguments) and isinstance(arguments[0], Mapping)
        named = {**named_arguments(method, [[arguments[0]]] if single else arguments), **keywords}
        with self._key.trial() as key:
            answer = await self._http.post(f"/json/2/{model}/{method}", _marshalled(named), self._headers(key))
            result = self._result(answer)
        return result[0] if single else result

    async def log_in(self) -> int:
        """The id of the user that the key belongs to; each call logs in with it, this one as well.

        Raises:
            TargetError: mapped from the HTTP status or the network.
        """
        context = await self.execute("res.users", "context_get", (), {})
        uid = context.get("uid") if isinstance(context, Mapping) else None
        if not isinstance(uid, int):
            raise ParseError(f"{self._where}: the answer to a log-in is no user id")
        return uid

    def _headers(self, key: str) -> dict[str, str]:
        return {
            "Authorization": f"bearer {key}",
            "Content-Type": "application/json",
            "X-Odoo-Database": self._database,
        }

    def _result(self, answer: HttpAnswer) -> Any:
        if answer.status in GATEWAY_STATUSES:
            refuse_gateway(answer, self._where)
        if answer.content_type != "application/json":
            raise self._of_page(answer)
        content = read_json(answer.body, f"{self._where}: the answer", FEWER)
        if answer.status != _OK:
            raise self._of_status(answer.status, content)
        return content

    def _of_page(self, answer: HttpAnswer) -> TargetError:
        if answer.status == _NOT_FOUND:
            return no_such_database(self._where, self._database, str(answer.status))
        return strange_status(answer, self._where)

    def _of_status(self, status: int, content: Any) -> TargetError:
        message = first_line(str(content.get("message", ""))) if isinstance(content, Mapping) else ""
        if status == _UNAUTHORIZED:
            return login_refused(self._where, self._login, str(status))
        if status == _FORBIDDEN:
            return access_denied(self._where, message, str(status))
        return fault(self._where, message or f"HTTP {status}", str(status))


def named_arguments(method: str, arguments: Sequence[Any]) -> dict[str, Any]:
    """The positional arguments of ``execute_kw`` by their names in JSON-2.

    Raises:
        InternalError: when one has no known name; the caller then has to name it.
    """
    names = _MODEL_METHODS.get(method, ("ids", *_RECORD_METHODS.get(method, ())))
    if len(arguments) > len(names):
        raise InternalError(f"{method} is called with {len(arguments)} positional arguments, JSON-2 knows {names}")
    named = dict(zip(names, arguments, strict=False))
    if isinstance(named.get("ids"), int):
        named["ids"] = [named["ids"]]
    return named


def _marshalled(named: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(named, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InternalError(f"JSON cannot express an argument: {type(error).__name__}") from error
