"""An API key of the probe user that is the same everywhere and never expires, which Odoo itself would not make."""

import base64
import hashlib

from .parts.postgres import Postgres, sql

KEY = "5a6db0c0ffee5a6db0c0ffee5a6db0c0ffee5a6d"
_ROUNDS = 6000
_SALT = b"sandbox-salt-16b"
# Odoo looks a key up by its first eight digits.
_INDEX = 8


def put(server: Postgres, database: str, login: str) -> None:
    """Make `KEY` a key of the user `login`, for RPC only."""
    sql(
        server,
        "insert into res_users_apikeys (name, user_id, scope, key, index, create_date) "
        f"select 'probe', id, 'rpc', '{_hashed()}', '{KEY[:_INDEX]}', now() at time zone 'utc' "
        f"from res_users where login = '{login}'",
        database,
    )


def _hashed() -> str:
    """The key as Odoo stores it: passlib's own notation of PBKDF2."""
    digest = hashlib.pbkdf2_hmac("sha512", KEY.encode(), _SALT, _ROUNDS)
    return f"$pbkdf2-sha512${_ROUNDS}${_adapted(_SALT)}${_adapted(digest)}"


def _adapted(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=").replace("+", ".")
