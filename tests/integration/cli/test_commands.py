"""The commands that look at targets, run on the sandbox as users run them."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox import seed
from sandbox.agent import configuration
from sandbox.parts.postgres import sql
from sandbox.process import free_port
from sandbox.world import World
from tests.integration.cli.agent import PROGRAM

PARTS = ("postgres", "redis", "odoo19")
ROLE = "quaywatch_cli_test"
STRANGER = "odd name'\"%"


@pytest.fixture
def document(world: World) -> dict[str, Any]:
    """A configuration for these parts alone, whatever else runs in the sandbox."""
    # What an Odoo that has just been started is asked first takes long on a busy machine.
    whole = configuration(world, "127.0.0.1:0", every=30.0, probe_every=60.0)
    for name in set(whole["targets"]) - {"erp-db", "cache", "erp19"}:
        del whole["targets"][name]
    whole["probes"]["order_create"]["targets"] = ["erp19"]
    whole["targets"]["erp-db"]["tenants"] = {"include": [world.odoo19.database]}
    return whole


@pytest.fixture
def path(document: dict[str, Any], tmp_path: Path) -> Path:
    """That configuration in a file; a test that changes the document writes it again."""
    return written(document, tmp_path)


def written(document: dict[str, Any], directory: Path) -> Path:
    """The document as a file."""
    path = directory / "quaywatch.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def quaywatch(*argv: str, config: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with these environment variables beside the others."""
    place = ("-c", str(config)) if config else ()
    environ = {**os.environ, **variables}
    return subprocess.run(
        [PROGRAM, *argv, *place], capture_output=True, text=True, timeout=180, check=False, env=environ
    )


@pytest.fixture
def role(world: World) -> Iterator[str]:
    """A role that may log in and nothing else."""
    yield from bare_role(world, ROLE)


@pytest.fixture
def stranger(world: World) -> Iterator[str]:
    """The same, with every character in its name that means something to somebody."""
    yield from bare_role(world, STRANGER)


def bare_role(world: World, name: str) -> Iterator[str]:
    """Make a role, and drop it with what it was granted."""
    quoted = name.replace('"', '""')
    drop = f'drop owned by "{quoted}"; drop role "{quoted}";'
    sql(world.postgres, f"create role \"{quoted}\" login password 'pw'")
    yield name
    sql(world.postgres, f'drop owned by "{quoted}"', world.odoo19.database)
    sql(world.postgres, drop)


def test_check_finds_nothing_missing(path: Path) -> None:
    """The sandbox's users have what they need: versions are told, and the exit code is 0."""
    done = quaywatch("check", config=path)
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()[1:]}
    assert done.returncode == 0, done.stdout
    assert rows["erp19"] == ["odoo", "yes", "yes", "19", "0"]
    assert rows["cache"][:3] == ["redis", "yes", "yes"]
    assert rows["erp-db"][0] == "postgres"


def test_texts_of_the_environment_log_in(document: dict[str, Any], tmp_path: Path) -> None:
    """Passwords, logins and a probe's partner may be variables: real servers take them, and a run succeeds."""
    variables: dict[str, str] = {}
    for table, key in (
        (document["targets"]["erp-db"], "user"),
        (document["targets"]["erp-db"], "password"),
        (document["targets"]["cache"], "password"),
        (document["targets"]["erp19"], "login"),
        (document["targets"]["erp19"], "password"),
        (document["targets"]["erp19"]["janitor"], "login"),
        (document["targets"]["erp19"]["janitor"], "password"),
        (document["probes"]["order_create"], "partner"),
    ):
        name = f"CLI_TEST_{len(variables)}"
        variables[name], table[key] = table[key], f"${{env:{name}}}"
    path = written(document, tmp_path)
    for argv in (["check"], ["probe", "order_create"]):
        done = quaywatch(*argv, config=path, **variables)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("fixture", ["role", "stranger"])
def test_check_prints_the_sql_that_adds_what_is_missing(
    fixture: str, request: pytest.FixtureRequest, world: World, document: dict[str, Any], tmp_path: Path
) -> None:
    """A bare role lacks the monitoring role and the columns; the script gives it both, and then nothing is missing."""
    document["targets"]["erp-db"] |= {"user": request.getfixturevalue(fixture), "password": "pw"}
    path = written(document, tmp_path)
    before = quaywatch("check", "--target", "erp-db", config=path)
    assert before.returncode == 1
    assert "not a member of pg_monitor" in before.stdout
    assert f"database {world.odoo19.database}: the role may not read queue_job (channel, " in before.stdout
    script = quaywatch("check", "--sql", "--target", "erp-db", config=path).stdout
    sql(world.postgres, script)
    after = quaywatch("check", "--target", "erp-db", config=path)
    assert after.returncode == 0, after.stdout


def test_the_script_may_be_run_again(world: World, role: str, document: dict[str, Any], tmp_path: Path) -> None:
    """It makes what is missing and leaves alone what is there."""
    document["targets"]["erp-db"] |= {"user": role, "password": "pw"}
    script = quaywatch("check", "--sql", config=written(document, tmp_path)).stdout
    for _ in range(2):
        sql(world.postgres, script)


def test_check_tells_unreachable_from_refused(document: dict[str, Any], tmp_path: Path) -> None:
    """A dead port and a wrong password are different faults, each with a remedy."""
    document["targets"]["cache"]["port"] = free_port()
    document["targets"]["erp-db"]["password"] = "wrong"
    document["targets"]["erp19"]["password"] = "wrong"
    done = quaywatch("check", config=written(document, tmp_path))
    rows = {line.split()[0]: line.split()[2:4] for line in done.stdout.splitlines()[1:4]}
    assert done.returncode == 1
    assert rows == {"cache": ["no", "-"], "erp-db": ["yes", "no"], "erp19": ["yes", "no"]}


def test_check_finds_what_keeps_a_probe_from_working(document: dict[str, Any], tmp_path: Path) -> None:
    """A product that is not there is told before the first run fails."""
    document["probes"]["order_create"]["product"] = "NO-SUCH-PRODUCT"
    done = quaywatch("check", "--target", "erp19", config=written(document, tmp_path))
    assert done.returncode == 1
    assert "NO-SUCH-PRODUCT" in done.stdout


def test_check_finds_a_janitor_without_rights(world: World, document: dict[str, Any], tmp_path: Path) -> None:
    """The probe's own user may not delete orders."""
    janitor = {"login": world.odoo19.login, "password": world.odoo19.password}
    document["targets"]["erp19"]["janitor"] = janitor
    done = quaywatch("check", "--target", "erp19", config=written(document, tmp_path))
    assert done.returncode == 1
    assert "the user may not unlink sale.order" in done.stdout


def test_check_finds_a_partner_that_would_get_messages(world: World, document: dict[str, Any], tmp_path: Path) -> None:
    """A partner with an e-mail address is told."""
    admin = world.odoo19.admin()
    partner = admin.call("res.partner", "create", {"name": "With address", "ref": "CLI", "email": "a@example.com"})
    document["probes"]["order_create"]["partner"] = partner
    done = quaywatch("check", "--target", "erp19", config=written(document, tmp_path))
    admin.call("res.partner", "unlink", [partner])
    assert done.returncode == 1
    assert f"res.partner {partner} has email" in done.stdout


def test_once_prints_a_table(path: Path) -> None:
    """Targets and what was read of them, one series a line."""
    done = quaywatch("once", config=path)
    assert done.returncode == 0, done.stderr
    assert "quaywatch.target.up" in done.stdout
    assert "odoo.queue.live" in done.stdout
    assert "redis.memory.used" in done.stdout


def test_once_prints_json(path: Path) -> None:
    """Every series with its attributes; only the exporter that was asked for."""
    done = quaywatch("once", "--exporter", "redis_memory", "--target", "cache", "--format", "json", config=path)
    series = json.loads(done.stdout)
    assert {one["metric"].partition(".")[0] for one in series} == {"quaywatch", "redis"}
    assert {one["attributes"]["target"] for one in series} == {"cache"}


def test_once_prints_the_page_of_metrics(path: Path) -> None:
    """What Prometheus would scrape."""
    done = quaywatch("once", "--target", "cache", "--format", "prometheus", config=path)
    assert 'quaywatch_target_up{environment="sandbox",kind="redis",target="cache"} 1.0' in done.stdout
    assert "# TYPE redis_memory_used_bytes gauge" in done.stdout


def test_once_ends_with_1_when_a_target_is_down(document: dict[str, Any], tmp_path: Path) -> None:
    """The watched system is at fault; the others are read all the same."""
    document["targets"]["cache"]["port"] = free_port()
    done = quaywatch("once", config=written(document, tmp_path))
    assert done.returncode == 1
    assert "odoo.queue.live" in done.stdout


def test_once_refuses_an_exporter_that_runs_nowhere(path: Path) -> None:
    """A typing error is no empty table."""
    done = quaywatch("once", "--exporter", "redis_memory", "--target", "erp-db", config=path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "redis_memory runs on none of these targets" in done.stderr


def test_a_probe_is_told_step_by_step(path: Path) -> None:
    """Each step and each undo, then how it ended; on a busy machine the cause of a slow step may follow."""
    done = quaywatch("probe", "order_create", config=path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    words = [line.split("  ")[1] for line in lines[: lines.index("order_create on erp19: success")]]
    assert [word.strip() for word in words] == ["create", "confirm", "picking", "undo: cancel", "undo: erase"]


def test_a_probe_is_told_as_json(path: Path) -> None:
    """The record of the run, for scripts."""
    record = json.loads(quaywatch("probe", "order_create", "--json", config=path).stdout)
    assert (record["outcome"], record["target"], record["reason"]) == ("success", "erp19", None)


def test_a_probe_that_cannot_judge_ends_with_2(document: dict[str, Any], tmp_path: Path) -> None:
    """A wrong password is not Odoo's failure."""
    document["targets"]["erp19"]["password"] = "wrong"
    done = quaywatch("probe", "order_create", config=written(document, tmp_path))
    assert done.returncode == 2
    assert "order_create on erp19: invalid" in done.stdout


def test_a_probe_of_a_dead_server_ends_with_1(document: dict[str, Any], tmp_path: Path) -> None:
    """The system's fault."""
    document["targets"]["erp19"]["url"] = f"http://127.0.0.1:{free_port()}"
    done = quaywatch("probe", "order_create", config=written(document, tmp_path))
    assert done.returncode == 1
    assert "order_create on erp19: failure" in done.stdout
    assert "likely cause: odoo_down (93%)" in done.stdout


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["probe", "order_crate"], "there is no probe order_crate"),
        (["probe", "order_create", "--target", "cache"], "the probe order_create runs on none of these targets"),
        (["probe", "order_create", "--target", "erp"], "there is no target erp"),
    ],
)
def test_what_cannot_be_probed_is_a_usage_error(argv: list[str], told: str, path: Path) -> None:
    """One line, and exit code 2."""
    done = quaywatch(*argv, config=path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert told in done.stderr


def test_a_sweep_undoes_what_a_killed_run_left(world: World, document: dict[str, Any], tmp_path: Path) -> None:
    """An old order with this installation's mark is found by a dry run, and erased by a sweep."""
    document["installation"] = f"cli-test-{secrets.token_hex(3)}"
    path = written(document, tmp_path)
    order = left_behind(world, document["installation"])
    dry = json.loads(quaywatch("sweep", "--dry-run", "--json", config=path).stdout)
    assert dry[0]["swept"]["erased"] == 1
    done = quaywatch("sweep", config=path)
    assert done.returncode == 0, done.stderr
    assert world.odoo19.admin().call("sale.order", "search_count", [("id", "=", order)]) == 0


def left_behind(world: World, installation: str) -> int:
    """An order as a run of an hour ago would have left it."""
    admin = world.odoo19.admin()
    (partner,) = admin.call("res.partner", "search", [("ref", "=", seed.PARTNER)])
    mark = f"quaywatch/{installation}/order_create/00000000-0000-0000-0000-000000000000"
    order: int = admin.call("sale.order", "create", {"partner_id": partner, "client_order_ref": mark})
    age = f"update sale_order set create_date = create_date - interval '1 hour' where id = {order}"  # noqa: S608 - a number
    sql(world.postgres, age, world.odoo19.database)
    return order


def test_a_list_of_metrics_is_json_too() -> None:
    """Scripts read names, units and attributes."""
    metrics = json.loads(quaywatch("list", "metrics", "--json").stdout)
    assert {"name", "prometheus", "kind", "unit", "attributes", "help"} == set(metrics[0])


def test_a_reader_that_leaves_early_is_no_error() -> None:
    """A pipe that is closed ends the output silently."""
    done = subprocess.run(f"{PROGRAM} list metrics | head -1", shell=True, capture_output=True, text=True, check=False)  # noqa: S602
    assert (done.returncode, done.stderr) == (0, "")
