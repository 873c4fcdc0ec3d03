"""`quaywatch setup odoo` on real databases: an empty plate, then everything that the flows need, then nothing to do."""

from __future__ import annotations

import secrets
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from quaywatch.cli.main import main
from sandbox.parts.odoo import Odoo
from sandbox.parts.postgres import sql
from sandbox.seed import Connection
from sandbox.world import World

PARTS = ("odoo14", "odoo19")
FLOWS = ("stock_reserve", "shipment_confirm")
"""What a salesman alone goes through; order_create is part of each."""
PASSWORD = "setup-probe-password"
USED = """
select (select count(*) from res_users), (select count(*) from res_groups), (select count(*) from res_partner),
       (select count(*) from product_product), (select count(*) from stock_location), (select count(*) from stock_quant)
"""


@pytest.fixture(params=["odoo14", "odoo19"])
def server(request: pytest.FixtureRequest, world: World) -> Odoo:
    """Each Odoo."""
    odoo: Odoo = getattr(world, request.param)
    return odoo


@pytest.fixture(autouse=True)
def password(server: Odoo, monkeypatch: pytest.MonkeyPatch) -> None:
    """The administrator's password, as the command finds it."""
    monkeypatch.setenv("QUAYWATCH_ADMIN_PASSWORD", server.admin_password)


@pytest.fixture
def tag() -> str:
    """What names of users and records end in, so that no test, and no earlier attempt, made them."""
    return secrets.token_hex(3)


def configured(server: Odoo, directory: Path, tag: str, *flows: str, **target: Any) -> Path:
    """A configuration of flows with users and records that nobody made yet."""
    goods = {"targets": ["erp"], "partner": f"SETUP-CUSTOMER-{tag}", "product": f"SETUP-PALLET-{tag}"}
    options: dict[str, dict[str, Any]] = {flow: dict(goods) for flow in flows}
    options |= {"login": {"targets": ["erp"]}} if "login" in flows else {}
    options |= {"label_print": {**goods, "paper": "html"}} if "label_print" in flows else {}
    options |= {"shipment_confirm": {**goods, "location": f"SETUP-STOCK-{tag}"}} if "shipment_confirm" in flows else {}
    erp: dict[str, Any] = {
        "kind": "odoo",
        "url": server.url,
        "database": server.database,
        "login": f"setup-probe-{tag}",
        "password": PASSWORD,
    }
    erp |= {"janitor": {"login": f"setup-janitor-{tag}", "password": "setup-janitor-password"}, **target}
    document = {"environment": "test", "installation": "test-setup", "lease": "none", "targets": {"erp": erp}}
    path = directory / "quaywatch.yaml"
    path.write_text(yaml.safe_dump({**document, "probes": options}))
    return path


def setup(path: Path, *more: str) -> int:
    """Run the command as the administrator."""
    return main(["setup", "odoo", "-c", str(path), "--admin-login", "admin", *more])


def test_flows_run_with_what_it_makes_and_with_no_more(
    server: Odoo, world: World, tag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what is missing and changes nothing; makes it; has nothing left to do; and then every flow succeeds."""
    path = configured(server, tmp_path, tag, *FLOWS)
    before = sql(world.postgres, USED, server.database)
    assert setup(path) == 0
    assert f"missing  the product SETUP-PALLET-{tag}" in capsys.readouterr().out
    assert sql(world.postgres, USED, server.database) == before
    assert setup(path, "--apply") == 0
    assert f"made     stock of SETUP-PALLET-{tag}: 10000" in capsys.readouterr().out
    made = sql(world.postgres, USED, server.database)
    assert setup(path, "--apply") == 0
    assert "Everything is there; nothing was changed." in capsys.readouterr().out
    assert sql(world.postgres, USED, server.database) == made
    assert main(["check", "-c", str(path)]) == 0, capsys.readouterr().out
    for flow in FLOWS:
        assert main(["probe", flow, "-c", str(path)]) == 0, capsys.readouterr().out
    papers = configured(server, tmp_path, tag, "label_print")
    assert setup(papers, "--apply") == 0
    assert f"made     the probe's user setup-probe-{tag}: the group stock.group_stock_user" in capsys.readouterr().out
    assert main(["probe", "label_print", "-c", str(papers)]) == 0, capsys.readouterr().out


def test_orders_of_the_browser_go_to_a_team_that_nobody_follows(
    server: Odoo, tag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is made once, for the probe's user, and Odoo chooses it for that user's orders by itself."""
    path = configured(server, tmp_path, tag, "browser_order_create")
    assert setup(path, "--apply") == 0
    assert f"made     the sales team of setup-probe-{tag}" in capsys.readouterr().out
    assert setup(path, "--apply") == 0
    assert "Everything is there; nothing was changed." in capsys.readouterr().out
    admin = server.admin()
    user = Connection(server.url, server.database, f"setup-probe-{tag}", PASSWORD)
    customer = admin.named("res.partner", "ref", f"SETUP-CUSTOMER-{tag}")
    order = user.call("sale.order", "create", {"partner_id": customer})
    (row,) = admin.call("sale.order", "read", [order], fields=["team_id"])
    admin.call("sale.order", "unlink", [order])
    followers = [("res_model", "=", "crm.team"), ("res_id", "=", row["team_id"][0])]
    assert row["team_id"][1] == "Quaywatch"
    assert admin.call("mail.followers", "search_count", followers) == 0


def test_a_key_is_made_kept_and_replaced(
    server: Odoo, tag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key logs in and its file is its owner's alone; a good one is left alone, one that is refused replaced.

    How long it lasts is measured where it ends, on 19 and not on 14.
    """
    path, key = configured(server, tmp_path, tag, "login"), tmp_path / "erp.key"
    arguments = ("--apply", "--api-key-file", str(key))
    assert setup(path, *arguments) == 0
    assert f"made     the API key in {key}" in capsys.readouterr().out
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    first = key.read_text()
    with_key = configured(server, tmp_path, tag, "login", api_key=f"${{file:{key}}}")
    assert main(["check", "-c", str(with_key)]) == 0, capsys.readouterr().out
    assert main(["once", "-c", str(with_key), "--exporter", "odoo_api_keys"]) == 0
    ends = server.database == "odoo19"
    assert ("odoo.api_key.remaining" in capsys.readouterr().out) is ends
    assert setup(path, *arguments) == 0
    assert (f"there    the API key in {key}" in capsys.readouterr().out, key.read_text()) == (True, first)
    key.write_text("0" * 40)
    assert setup(path, *arguments) == 0
    assert key.read_text() not in ("0" * 40, first)


def test_what_is_somebodys_is_left_to_a_person(
    server: Odoo, tag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A customer with a phone number and a product without stock are told, and neither is changed; the code is 1."""
    admin = server.admin()
    partner = admin.ensure("res.partner", {"ref": "SETUP-PHONE"}, {"name": "Somebody", "phone": "+1 555 0100"})
    path = configured(server, tmp_path, tag, "stock_reserve")
    document = yaml.safe_load(path.read_text())
    document["probes"]["stock_reserve"] |= {"partner": "SETUP-PHONE", "product": server.product_id}
    path.write_text(yaml.safe_dump(document))
    assert setup(path, "--apply") == 1
    told = capsys.readouterr().out
    assert "by hand  the customer SETUP-PHONE: " in told
    assert f"by hand  the product {server.product_id}: no stock of it is kept" in told
    assert admin.call("res.partner", "read", [partner], fields=["phone"])[0]["phone"] == "+1 555 0100"


def test_who_is_no_administrator_is_refused(
    server: Odoo, tag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A salesman makes no users, and is told so in one line."""
    monkeypatch.setenv("QUAYWATCH_ADMIN_PASSWORD", server.password)
    path = configured(server, tmp_path, tag, "order_create", login="setup-nobody")
    assert main(["setup", "odoo", "-c", str(path), "--admin-login", server.login, "--apply"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
