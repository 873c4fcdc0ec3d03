"""An Odoo database over its RPC, as one user: versions 14 and later, XML-RPC or JSON-2."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from quaywatch.contract import Browser
from quaywatch.errors import ConfigError, FaultError, ParseError, TargetError, VersionError
from quaywatch.secret import Secret

from .credential import Credential
from .deadline import deadline
from .http import Exchanges, HttpAddress, HttpAnswer, HttpServer, refuse_gateway
from .json_answers import read_json
from .odoo_json2 import Json2
from .odoo_web import Form, WebSession
from .odoo_xmlrpc import XmlRpc

_JSON2_SINCE: Final = 19
_UNKNOWN_MODEL: Final = ("2", "404")
"""What asking for the fields of a model that is not there is answered with: XML-RPC's fault, JSON-2's status."""
_OK: Final = 200
_LEARNED_FOR: Final = 600.0
"""Seconds for which an Odoo is taken for what it was: it may be upgraded, or get a module, while the agent runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OdooAddress:
    """Where an Odoo database is and how to log in.

    Args:
        url: scheme, host, port and the path in front of Odoo's own.
        database: the tenant.
        login: the user.
        password: of the user; read anew at each call.
        api_key: of the user, where there is one: it goes before the password, and JSON-2 needs it.
        janitor_login: the user who may delete; empty for none.
        janitor_password: password or API key of that user.
        ca_file: certificates that are trusted instead of the system's.
        answer_within: seconds for one call, logging in included.
        transport: JSON-2 where version and key allow it, or always the one that is named.

    Raises:
        ConfigError: for JSON-2 without an API key, or a janitor without a password.
    """

    url: str
    database: str
    login: str
    password: Secret
    api_key: Secret | None = None
    janitor_login: str = ""
    janitor_password: Secret | None = None
    ca_file: str | None = None
    answer_within: float = 10.0
    transport: Literal["auto", "xmlrpc", "json2"] = "auto"

    def __post_init__(self) -> None:
        if self.transport == "json2" and self.api_key is None:
            raise ConfigError(f"{self.url}: transport json2 needs an API key")
        if self.janitor_login and self.janitor_password is None:
            raise ConfigError(f"{self.url}: the janitor needs a password")

    @property
    def where(self) -> str:
        """The address in one word, for messages."""
        return f"{self.url} {self.database}"


class OdooServer:
    """An Odoo database, as the address's user.

    Refused credentials are answered for from memory until their text changes, or for ten minutes of ``monotonic``.
    ``browser`` is its web client as the same user, where there is one.
    """

    def __init__(
        self,
        address: OdooAddress,
        *,
        http: Exchanges | None = None,
        browser: Browser | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        place = HttpAddress(url=address.url, ca_file=address.ca_file, answer_within=address.answer_within)
        self._http = http or HttpServer(place)
        # A visitor without a cookie leaves a session's file at each visit before Odoo 16.
        self._visitor = http or HttpServer(replace(place, cookies=True))
        # One to work in, and one for logging in alone, so that this throws nobody out.
        self._web, self._entrance = (http or HttpServer(replace(place, cookies=True)) for _ in range(2))
        self._browser = browser
        self._monotonic = monotonic
        self._learned = _Learned(monotonic())
        self._janitor = _janitor(address, self._http, monotonic)
        who = {"where": address.where, "database": address.database, "login": address.login}
        credential = Credential(address.api_key or address.password, monotonic=monotonic)
        self._xmlrpc = XmlRpc(self._http, **who, credential=credential)
        self._json2 = Json2(self._http, **who, key=credential) if address.api_key else None
        password = Credential(address.password, monotonic=monotonic) if address.api_key else credential
        self._session = WebSession(self._web, **who, password=password)
        self._log_ins = WebSession(self._entrance, **who, password=password)

    @property
    def database(self) -> str:
        """The tenant database."""
        return self._address.database

    async def ping(self) -> None:
        """Log in if need be, and have the database count something; an Odoo that cannot may come back as another.

        Raises:
            TargetError: within ``answer_within`` seconds.
        """
        try:
            await self.call("res.users", "search_count", [])
        except TargetError:
            self._learned = _Learned(self._monotonic())
            raise

    async def version(self) -> int:
        """The major version, such as 14 or 19; remembered for ten minutes, or until a ping fails.

        Raises:
            TargetError: within ``answer_within`` seconds.
        """
        async with deadline(self._address.answer_within, f"{self._address.where}: its version"):
            learned = self._fresh()
            if learned.version is None:
                learned.version = await self._ask_version()
            return learned.version

    async def call(self, model: str, method: str, *arguments: Any, **keywords: Any) -> Any:
        """``execute_kw``: what a method of a model returns. None also where Odoo's XML-RPC cannot send None.

        Over JSON-2 methods of records take the ids first and other arguments by name, but for the everyday ones.

        Raises:
            TargetError: within ``answer_within`` seconds. The server may still do the work of a call that was too slow.
        """
        async with deadline(self._address.answer_within, f"{self._address.where}: {model}.{method}"):
            transport = await self._transport()
            return await transport.execute(model, method, arguments, keywords)

    async def fields(self, model: str) -> frozenset[str]:
        """The names of a model's fields; remembered for ten minutes, or until a ping fails.

        Raises:
            VersionError: when there is no such model: its module is not installed.
            TargetError: within ``answer_within`` seconds.
        """
        learned = self._fresh()
        if model not in learned.fields:
            learned.fields[model] = frozenset(await self._ask_fields(model))
        return learned.fields[model]

    async def log_in(self) -> int:
        """Log in over RPC, whatever is remembered of earlier times; the user's id.

        Raises:
            TargetError: within ``answer_within`` seconds.
        """
        async with deadline(self._address.answer_within, f"{self._address.where}: log-in over RPC"):
            return await (await self._transport()).log_in()

    async def log_in_web(self) -> int:
        """Open a web session with the password, in place of the last one opened so; the user's id, as the session says.

        Raises:
            TargetError: within ``answer_within`` seconds.
        """
        async with deadline(self._address.answer_within, f"{self._address.where}: log-in to the web"):
            return await self._log_ins.log_in()

    async def call_web(self, model: str, method: str, *arguments: Any, **keywords: Any) -> Any:
        """What a method of a model returns to the web client, in a session opened with the password and kept.

        Raises:
            TargetError: within ``answer_within`` seconds.
        """
        async with deadline(self._address.answer_within, f"{self._address.where}: {model}.{method}"):
            return await self._session.call(model, method, arguments, keywords)

    async def report(
        self, name: str, records: Sequence[int] = (), *, form: Form = "pdf", options: Mapping[str, Any] | None = None
    ) -> bytes:
        """What a report prints, from a web session that is opened with the password and kept.

        Args:
            name: the report's ``report_name``.
            records: the ids of what it is printed of.
            form: a PDF, plain text such as ZPL, or the page that the PDF is made of.
            options: what a form of Odoo's would hand to the report.

        Raises:
            TargetError: within ``answer_within`` seconds; also when the answer is of another type, or empty.
        """
        async with deadline(self._address.answer_within, f"{self._address.where}: the report {name}"):
            return await self._session.report(name, records, form, options)

    async def get(self, path: str) -> HttpAnswer:
        """The answer to a visitor's GET, whatever its status; nobody is logged in, and all visits are one session.

        Raises:
            TargetError: within ``answer_within`` seconds.
        """
        return await self._visitor.get(path)

    async def send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> HttpAnswer:
        """The answer to a visitor's request, whatever its status; nobody is logged in.

        Raises:
            TargetError: within ``answer_within`` seconds.
        """
        return await self._visitor.send(method, path, body, headers)

    def janitor(self) -> OdooServer | None:
        """The same database as the user who may delete, where one is configured."""
        return self._janitor

    def browser(self) -> Browser:
        """The same database's web client, as the same user.

        Raises:
            ConfigError: when this agent has no browser.
        """
        if self._browser is None:
            raise ConfigError(f"{self._address.where}: there is no browser to visit it with")
        return self._browser

    async def close(self) -> None:
        """Let go of every connection; never raises, and is done after half a second at most."""
        await asyncio.gather(*(one.close() for one in (self._http, self._visitor, self._web, self._entrance)))

    def _fresh(self) -> _Learned:
        if self._monotonic() - self._learned.since >= _LEARNED_FOR:
            self._learned = _Learned(self._monotonic())
        return self._learned

    async def _transport(self) -> XmlRpc | Json2:
        wanted = self._address.transport
        if self._json2 is None or wanted == "xmlrpc":
            return self._xmlrpc
        if wanted == "json2" or await self.version() >= _JSON2_SINCE:
            return self._json2
        return self._xmlrpc

    async def _ask_fields(self, model: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = await self.call(model, "fields_get", attributes=[])
        except FaultError as error:
            if error.code not in _UNKNOWN_MODEL:
                raise
            what = f"{self._address.where}: there is no model {model}"
            raise VersionError(what, remedy="install its module", code=error.code) from error
        return answer

    async def _ask_version(self) -> int:
        answer = await self._http.get("/web/version")
        refuse_gateway(answer, self._address.where)
        if answer.status == _OK and answer.content_type == "application/json":
            return self._major(answer, "version_info")
        body, headers = b"{}", {"Content-Type": "application/json"}
        return self._major(await self._http.post("/web/webclient/version_info", body, headers), "server_version_info")

    def _major(self, answer: HttpAnswer, key: str) -> int:
        refuse_gateway(answer, self._address.where)
        try:
            content = read_json(answer.body, "the version")
            return major_version(content.get("result", content)[key][0])
        except (ParseError, ValueError, LookupError, TypeError, AttributeError) as error:
            remedy = "check that the url leads to Odoo itself"
            raise ParseError(f"{self._address.where}: it does not say its version", remedy=remedy) from error


@dataclass(slots=True)
class _Learned:
    """What an Odoo is, as far as it was asked since a moment of the monotonic clock."""

    since: float
    version: int | None = None
    fields: dict[str, frozenset[str]] = field(default_factory=dict)


def major_version(first: int | str) -> int:
    """The major version from the first item of Odoo's version info: 18, or ``saas~18``.

    Raises:
        ValueError: when there is no number in it.
    """
    found = re.search(r"\d+", str(first))
    if found is None:
        raise ValueError("no number in the version")
    return int(found[0])


def _janitor(address: OdooAddress, http: Exchanges, monotonic: Callable[[], float]) -> OdooServer | None:
    if not address.janitor_login or address.janitor_password is None:
        return None
    user = replace(
        address,
        login=address.janitor_login,
        password=address.janitor_password,
        api_key=None,
        janitor_login="",
        janitor_password=None,
        transport="xmlrpc",
    )
    return OdooServer(user, http=http, monotonic=monotonic)
