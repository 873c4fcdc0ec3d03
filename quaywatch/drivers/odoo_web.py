"""Odoo's web server, as its user's browser asks it: a session kept by a cookie, and the reports that only it gives.

API keys open no such session. Each log-in leaves a session's file on the server unless it takes the place of an earlier
one, so there is one session, kept until the server forgets it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import quote, urlencode

from quaywatch.errors import AuthError, ParseError, TargetError, WrongResultError

from .credential import Credential
from .http import Exchanges, HttpAnswer, refuse_gateway
from .json_answers import FEWER, read_json
from .odoo_errors import access_denied, fault, first_line, last_line, login_refused, no_such_database, refuse_status

Form = Literal["pdf", "text", "html"]

_CONTENT_TYPES: Final[Mapping[Form, str]] = {"pdf": "application/pdf", "text": "text/plain", "html": "text/html"}
_JSON: Final = {"Content-Type": "application/json"}
_OK, _FORBIDDEN = 200, 403
_REDIRECTS: Final = range(300, 400)
"""What a report is answered with where nobody is logged in: it leads to the log-in."""
_REFUSED: Final = "odoo.exceptions.AccessDenied"
_SECOND_FACTOR: Final = "the probe's user must have no second factor: with one, a password alone opens no session"


class WebSession:
    """One web session of one user.

    Args:
        http: the server; it must keep cookies.
        where: its name in messages.
        database: the tenant.
        login: the user.
        password: of the user, read anew at each log-in; a refused one is not tried again for long.
    """

    def __init__(self, http: Exchanges, *, where: str, database: str, login: str, password: Credential) -> None:
        self._http = http
        self._where = where
        self._database = database
        self._login = login
        self._password = password
        self._logging_in = asyncio.Lock()
        self._times = 0

    async def log_in(self) -> int:
        """Log in, in place of the session that there was, and ask the server who that is: the user's id.

        Raises:
            AuthError: when the password is refused, or was lately.
            TargetError: mapped from the answer or the network.
        """
        async with self._logging_in:
            uid = await self._opened()
        who = (await self._asked("/web/session/get_session_info", {})).get("uid")
        if who != uid:
            raise WrongResultError(f"{self._where}: the log-in is accepted, and the session is not the user's")
        return uid

    async def call(self, model: str, method: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        """What a method of a model returns to the web client: some methods answer nobody else.

        Raises:
            TargetError: mapped from the answer or the network.
        """
        if self._times == 0:
            await self._log_in_once(0)
        parameters = {"model": model, "method": method, "args": list(arguments), "kwargs": dict(keywords)}
        return await self._result("/web/dataset/call_kw", parameters)

    async def report(self, name: str, records: Sequence[int], form: Form, options: Mapping[str, Any] | None) -> bytes:
        """What a report prints of these records, in the form that is asked for and not empty.

        Raises:
            PermissionDeniedError: when the user may not print it.
            FaultError: when Odoo cannot print it.
            WrongResultError: when the answer is something else, or empty.
            TargetError: mapped from the network.
        """
        what = f"the report {name} as {form}"
        answer = await self._page(_path(name, records, form, options))
        if answer.status == _FORBIDDEN:
            raise access_denied(self._where, f"the user may not print {what}", str(answer.status))
        if answer.status != _OK:
            raise fault(self._where, f"HTTP {answer.status} in place of {what}", str(answer.status))
        if answer.content_type != _CONTENT_TYPES[form]:
            raise WrongResultError(f"{self._where}: {answer.content_type} in place of {what}")
        if not answer.body.strip():
            raise WrongResultError(f"{self._where}: {what} is empty")
        return answer.body

    async def _page(self, path: str) -> HttpAnswer:
        """The answer to a GET of somebody who is logged in; the log-in is done again once where it was forgotten."""
        seen = self._times
        if seen == 0:
            await self._log_in_once(seen)
            seen = self._times
        answer = await self._http.get(path)
        if answer.status in _REDIRECTS:
            await self._log_in_once(seen)
            answer = await self._http.get(path)
        refuse_gateway(answer, self._where)
        return answer

    async def _log_in_once(self, seen: int) -> None:
        """Log in, unless somebody did since the session was the one that was ``seen``."""
        async with self._logging_in:
            if self._times == seen:
                await self._opened()

    async def _opened(self) -> int:
        with self._password.trial() as password:
            who = {"db": self._database, "login": self._login, "password": password}
            uid = (await self._asked("/web/session/authenticate", who)).get("uid")
            if uid is None:
                raise AuthError(f"{self._where}: a password alone does not log {self._login} in", remedy=_SECOND_FACTOR)
        if not isinstance(uid, int):
            raise ParseError(f"{self._where}: the answer to a log-in is no user id")
        self._times += 1
        return uid

    async def _asked(self, path: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """The result of a call by JSON-RPC; an empty one when that is no record."""
        result = await self._result(path, parameters)
        return result if isinstance(result, Mapping) else {}

    async def _result(self, path: str, parameters: Mapping[str, Any]) -> Any:
        answer = await self._http.post(
            path, json.dumps({"jsonrpc": "2.0", "method": "call", "params": parameters}).encode(), _JSON
        )
        refuse_status(answer, self._where)
        content = read_json(answer.body, f"{self._where}: the answer of the web server", FEWER)
        if "error" in content:
            raise self._of_error(content["error"].get("data", {}))
        return content.get("result")

    def _of_error(self, data: Mapping[str, Any]) -> TargetError:
        name = str(data.get("name", ""))
        line = last_line(str(data.get("debug", "")))
        if name == _REFUSED:
            return login_refused(self._where, self._login)
        if f'database "{self._database}" does not exist' in line:
            return no_such_database(self._where, self._database, name)
        return fault(self._where, first_line(str(data.get("message", ""))) or name, name)


def _path(name: str, records: Sequence[int], form: Form, options: Mapping[str, Any] | None) -> str:
    ids = f"/{','.join(map(str, records))}" if records else ""
    query = f"?{urlencode({'options': json.dumps(options)})}" if options is not None else ""
    return f"/report/{form}/{quote(name)}{ids}{query}"
