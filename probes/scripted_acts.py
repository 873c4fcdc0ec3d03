"""Acts in flows that a user writes: calls of Odoo's methods and HTTP requests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from quaywatch.contract import Answer, Odoo, Requests, TargetKind
from quaywatch.drivers.http import refuse_gateway
from quaywatch.errors import (
    AuthError,
    ConfigError,
    FaultError,
    InternalError,
    PermissionDeniedError,
    VersionError,
    WrongResultError,
)
from quaywatch.script import Act, Call, Check, Operator, Request, rendered

from .scripted_answers import Reply

_UNAUTHORIZED, _FORBIDDEN, _NOT_FINE = 401, 403, 300
_TIMES: Final = {TargetKind.ODOO: "%Y-%m-%d %H:%M:%S", TargetKind.HTTP: "%Y-%m-%dT%H:%M:%SZ"}


def first_values(kind: TargetKind, mark: str, moment: datetime) -> dict[str, Any]:
    """What the variables stand for that are always there; times are in UTC, as targets of this kind take them."""
    return {"mark": mark, "now": moment.strftime(_TIMES[kind]), "today": moment.strftime("%Y-%m-%d")}


async def performed(driver: Any, act: Act, values: Mapping[str, Any]) -> Reply:
    """What the other side answers.

    Raises:
        TargetError: when it does not, or refuses.
        ConfigError: when the flow asks for what is not there.
        UnknownValueError: when a variable has no value.
    """
    if isinstance(act, Call):
        return Reply(returned=await _called(user_of(driver, janitor=act.janitor), act, values))
    return Reply(answer=await _requested(driver, act, values))


def user_of(odoo: Odoo, *, janitor: bool) -> Odoo:
    """The database as the user who is asked for.

    Raises:
        ConfigError: when that is the janitor, and there is none.
    """
    user = odoo.janitor() if janitor else odoo
    if user is None:
        raise ConfigError("the flow asks for the janitor, and the target has none", remedy="add janitor to the target")
    return user


async def _called(odoo: Odoo, call: Call, values: Mapping[str, Any]) -> Any:
    args, kwargs = rendered(call.args, values), rendered(call.kwargs, values)
    try:
        return await odoo.call(call.model, call.method, *args, **kwargs)
    except FaultError as error:
        await _refuse_unknown(odoo, call, error)
        raise
    except InternalError as error:
        raise ConfigError(f"{call.model}.{call.method}: {error.what}", remedy="give arguments by name") from error


async def _refuse_unknown(odoo: Odoo, call: Call, error: FaultError) -> None:
    """Tell a flow that is wrong from an Odoo that is broken.

    Raises:
        ConfigError: when there is no such model, or no such method.
    """
    try:
        await odoo.fields(call.model)
    except VersionError as missing:
        raise ConfigError(missing.what, remedy="install its module, or correct the flow") from error
    words = error.what
    if call.method in words and ("has no attribute" in words or "does not exist" in words):
        raise ConfigError(f"{call.model} has no method {call.method}", remedy="correct the flow") from error


async def _requested(driver: Requests, request: Request, values: Mapping[str, Any]) -> Answer:
    path = rendered(request.path, values, _quoted)
    headers, body = _content(request, values)
    for name, value in rendered(request.headers, values).items():
        text = str(value)
        if not text.isprintable():
            raise WrongResultError(f"what the header {name} would hold cannot stand in a header")
        headers[name] = text
    return await driver.send(request.method, path, body, headers)


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _content(request: Request, values: Mapping[str, Any]) -> tuple[dict[str, str], bytes | None]:
    if request.json is not None:
        return {"Content-Type": "application/json"}, json.dumps(rendered(request.json, values)).encode()
    if request.form is not None:
        return {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(rendered(request.form, values)).encode()
    return {}, None


def refuse_status(reply: Reply, checks: Iterable[Check]) -> None:
    """Nothing, when the status is an expected one: below 300, unless a check names another.

    Raises:
        AuthError: for a 401 that nobody expects.
        PermissionDeniedError: for a 403.
        ConnectError: when a proxy says that nobody is behind it.
        WrongResultError: for a status that is fine, and not the expected one.
        FaultError: for any other.
    """
    if reply.answer is None:
        return
    status = reply.answer.status
    expected = [rendered(check.wanted, {}) for check in checks if check.operator is Operator.STATUS]
    if status in expected or (not expected and status < _NOT_FINE):
        return
    code = str(status)
    if status == _UNAUTHORIZED:
        raise AuthError("HTTP 401: the credentials are refused", remedy="look at the headers", code=code)
    if status == _FORBIDDEN:
        raise PermissionDeniedError("HTTP 403: the credentials may not do this", code=code)
    refuse_gateway(reply.answer, "the target")
    if expected:
        raise WrongResultError(f"HTTP {status}; {' or '.join(map(str, expected))} is expected", code=code)
    raise FaultError(f"HTTP {status}", code=code)
