"""What `quaywatch setup odoo` refuses before it speaks to any Odoo."""

from __future__ import annotations

from pathlib import Path

import pytest

from quaywatch.cli.main import main

ODOO = "{kind: odoo, url: 'http://127.0.0.1:9', database: acme, login: probe, password: pw}"
TWO = f"environment: test\ninstallation: test\nlease: none\ntargets:\n  one: {ODOO}\n  two: {ODOO}\n"
NONE = "environment: test\ninstallation: test\nlease: none\ntargets:\n  cache: {kind: redis, host: 127.0.0.1}\n"


@pytest.fixture(autouse=True)
def no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's environment gives one by chance."""
    monkeypatch.delenv("QUAYWATCH_ADMIN_PASSWORD", raising=False)


@pytest.mark.parametrize(
    ("document", "arguments", "word"),
    [
        (TWO, (), "the administrator's password is not given"),
        (TWO, ("--admin-password-env", "NO_SUCH_VARIABLE"), "set NO_SUCH_VARIABLE"),
        (TWO, ("--admin-password-file", "/no/such/file"), "/no/such/file: cannot be read"),
        (TWO, ("--target", "three"), "there is no target three of kind odoo"),
        (TWO, ("--api-key-file", "key"), "a key is of one Odoo"),
        (NONE, (), "no target is of kind odoo"),
    ],
)
def test_what_cannot_work_is_told_at_once(
    document: str, arguments: tuple[str, ...], word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, and the code of a wrong usage."""
    path = tmp_path / "quaywatch.yaml"
    path.write_text(document)
    assert main(["setup", "odoo", "-c", str(path), "--admin-login", "admin", *arguments]) == 2
    told = capsys.readouterr().err
    assert word in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("stock", ["0", "many", "-1", "nan", "1e12"])
def test_a_stock_is_a_number_of_goods(stock: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Anything else is refused by the grammar."""
    assert main(["setup", "odoo", "--admin-login", "admin", f"--stock={stock}"]) == 2
    assert "--stock" in capsys.readouterr().err


def test_saying_and_making_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody wants both."""
    assert main(["setup", "odoo", "--admin-login", "admin", "--apply", "--dry-run"]) == 2
    assert "not allowed with" in capsys.readouterr().err
