"""Secrets are not shown."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import pytest

from quaywatch.drivers.network import revealed
from quaywatch.drivers.odoo import OdooAddress
from quaywatch.drivers.postgres import PostgresAddress
from quaywatch.drivers.redis import RedisAddress
from quaywatch.errors import AuthError
from quaywatch.secret import Secret


@dataclass(frozen=True)
class Holder:
    """Something that has a secret."""

    secret: Secret


@pytest.mark.parametrize("shown", [repr, str, format, lambda secret: f"{secret}", lambda secret: f"{Holder(secret)!r}"])
def test_no_way_of_printing_shows_the_text(shown: object) -> None:
    """Printing a secret, or what holds it, shows stars."""
    assert callable(shown)
    text = shown(Secret("hunter2"))
    assert "hunter2" not in text
    assert "***" in text


def test_addresses_do_not_show_their_secrets() -> None:
    """The repr of every address is safe to log."""
    password = Secret("hunter2")
    odoo = OdooAddress(url="http://h", database="d", login="l", password=password, api_key=password)
    shown = [
        repr(PostgresAddress(host="h", password=password)),
        repr(RedisAddress(host="h", password=password)),
        repr(odoo),
    ]
    assert not [text for text in shown if "hunter2" in text]


def test_a_secret_gives_its_text_away_on_demand() -> None:
    """What went in comes out, and out of a copy as well."""
    assert Secret("hunter2").reveal() == "hunter2"
    assert copy.deepcopy(Secret("hunter2")).reveal() == "hunter2"


def test_equal_secrets_are_equal() -> None:
    """Two configurations with the same secret are the same."""
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


def test_a_rotated_file_is_read_anew(tmp_path: Path) -> None:
    """A password file that changes gives the new password, without its line end."""
    path = tmp_path / "password"
    path.write_text("old\n")
    secret = Secret.of_file(path)
    assert secret.reveal() == "old"
    path.write_text("new ")
    assert secret.reveal() == "new "


def test_a_file_that_is_gone_is_an_auth_error(tmp_path: Path) -> None:
    """A driver whose password file cannot be read says so."""
    with pytest.raises(AuthError, match="file with the password"):
        revealed(Secret.of_file(tmp_path / "none"))
