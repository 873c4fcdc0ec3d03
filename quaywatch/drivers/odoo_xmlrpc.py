"""Odoo over XML-RPC, every version: the standard library's marshalling, our HTTP.

The user's id is asked once: each login writes a row on the server, calls do not.
"""

from __future__ import annotations

import asyncio
import xmlrpc.client
from collections.abc import Mapping, Sequence
from typing import Any, Final
from xml.parsers.expat import ExpatError

from quaywatch.errors import AuthError, InternalError, ParseError, TargetError

from .credential import Credential
from .http import Exchanges
from .odoo_errors import access_denied, fault, first_line, last_line, login_refused, no_such_database, refuse_status

_HEADERS: Final = {"Content-Type": "text/xml"}
_DOCUMENT_TYPE: Final = b"<!DOCTYPE"
_APPLICATION_ERROR, _WARNING, _ACCESS_DENIED, _ACCESS_ERROR = 1, 2, 3, 4
"""Odoo's fault codes."""
_LONG: Final = 128 * 1024
"""Bytes of an answer that take some 10 ms to read. The longest that is taken takes a second or two, in Python's own
code, which lets other threads go on."""
_NOTHING: Final = "cannot marshal None"
"""Odoo could not send the None that a method returned: the work is done and committed."""


class XmlRpc:
    """``execute_kw`` as one user.

    Args:
        http: the server.
        where: its name in messages.
        database: the tenant.
        login: the user.
        credential: password or API key, read anew at each call; a refused one is not tried again for long.
    """

    def __init__(self, http: Exchanges, *, where: str, database: str, login: str, credential: Credential) -> None:
        self._http = http
        self._where = where
        self._database = database
        self._login = login
        self._credential = credential
        self._logging_in = asyncio.Lock()
        self._uid: int | None = None

    async def execute(self, model: str, method: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        """What a method returns; a refused login is tried once more from the start, since passwords rotate.

        Raises:
            TargetError: mapped from the fault, the HTTP status or the network.
        """
        uid = await self._logged_in()
        try:
            return await self._execute(uid, self._credential.text(), model, method, arguments, keywords)
        except AuthError:
            self._uid = None
        uid = await self._logged_in()
        with self._credential.trial() as text:
            return await self._execute(uid, text, model, method, arguments, keywords)

    async def log_in(self) -> int:
        """Log in, also where the user's id is known already; it is the answer.

        Raises:
            TargetError: mapped from the fault, the HTTP status or the network.
        """
        async with self._logging_in:
            self._uid = await self._log_in()
            return self._uid

    async def _execute(
        self, uid: int, text: str, model: str, method: str, arguments: Sequence[Any], keywords: Mapping[str, Any]
    ) -> Any:
        parameters = (self._database, uid, text, model, method, list(arguments), dict(keywords))
        return await self._exchange("object", "execute_kw", parameters)

    async def _logged_in(self) -> int:
        async with self._logging_in:
            if self._uid is None:
                self._uid = await self._log_in()
            return self._uid

    async def _log_in(self) -> int:
        with self._credential.trial() as text:
            parameters: tuple[Any, ...] = (self._database, self._login, text, {})
            uid = await self._exchange("common", "authenticate", parameters)
            if not uid:
                raise login_refused(self._where, self._login)
        if not isinstance(uid, int):
            raise ParseError(f"{self._where}: the answer to a login is no user id")
        return uid

    async def _exchange(self, service: str, method: str, parameters: tuple[Any, ...]) -> Any:
        body = _marshalled(method, parameters)
        answer = await self._http.post(f"/xmlrpc/2/{service}", body, _HEADERS)
        refuse_status(answer, self._where)
        try:
            return await _read(answer.body, self._where)
        except xmlrpc.client.Fault as error:
            if error.faultCode == _APPLICATION_ERROR and _NOTHING in last_line(str(error.faultString)):
                return None
            raise self._of_fault(error) from error

    def _of_fault(self, error: xmlrpc.client.Fault) -> TargetError:
        code, text = error.faultCode, str(error.faultString)
        line = last_line(text) if code == _APPLICATION_ERROR else first_line(text)
        if code == _ACCESS_DENIED:
            return login_refused(self._where, self._login, str(code))
        if code == _ACCESS_ERROR:
            return access_denied(self._where, line, str(code))
        if code == _APPLICATION_ERROR and f'database "{self._database}" does not exist' in line:
            return no_such_database(self._where, self._database, str(code))
        return fault(self._where, line, str(code))


def _marshalled(method: str, parameters: tuple[Any, ...]) -> bytes:
    try:
        return xmlrpc.client.dumps(parameters, method, allow_none=True).encode()
    except (TypeError, OverflowError, UnicodeEncodeError) as error:
        raise InternalError(f"XML-RPC cannot express an argument: {type(error).__name__}") from error


async def _read(body: bytes, where: str) -> Any:
    """What an answer says; a long one is read beside the event loop."""
    if len(body) < _LONG:
        return _unmarshalled(body, where)
    return await asyncio.to_thread(_unmarshalled, body, where)


def _unmarshalled(body: bytes, where: str) -> Any:
    # Without a document type there are no entities that could blow up.
    text = b"" if _DOCUMENT_TYPE in body else body
    try:
        (result,), _ = xmlrpc.client.loads(text, use_builtin_types=True)
    except xmlrpc.client.Fault:
        raise
    except (ExpatError, xmlrpc.client.Error, ValueError, TypeError, LookupError) as error:
        remedy = "check that the url leads to Odoo itself"
        raise ParseError(f"{where}: the answer is not XML-RPC", remedy=remedy) from error
    return result
