"""Flows that a user writes, as the documentation prints them, on Odoo 14 and 19."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import NoOpTracer

from probes.odoo_setup import SEEING
from probes.scripted import probe_of
from quaywatch.cli.plan import plan
from quaywatch.clock import SystemClock
from quaywatch.config import load_text
from quaywatch.contract import Outcome, Probe, Reason, SweepOrder, Swept, Watched
from quaywatch.drivers.odoo import OdooServer
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.probing import RunRecord, run_probe
from quaywatch.runtime.probing.marks import mark_prefix
from sandbox.parts.odoo import Odoo
from sandbox.parts.postgres import sql
from sandbox.world import World
from tests.integration.cli.agent import PROGRAM
from tests.integration.probes.support import address, run_once

PARTS = ("odoo14", "odoo19")
ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/own-flows.md").read_text()
PRINTED = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0]
LOGIN, PASSWORD = "own-flows", "own-flows-password"
PREFIX = mark_prefix("acme-eu", "customer_file")
RUN_ID = "0b6f3c1e-7a55-5d2c-9f0e-3c1a2b4d5e6f"
HEAD = """
environment: test
installation: test-own-flows
targets:
  erp: {{kind: odoo, url: "{url}", database: {database}, login: {login}, password: {password}}}
"""


@dataclass(frozen=True)
class Place:
    """An Odoo with a user who may create contacts, and see which automation rules there are."""

    odoo: Odoo
    world: World

    @property
    def variables(self) -> dict[str, str]:
        """What the printed configuration refers to."""
        who = {"ODOO_LOGIN": LOGIN, "ODOO_PASSWORD": PASSWORD}
        return {"ODOO_URL": self.odoo.url, "ODOO_DATABASE": self.odoo.database, **who}

    def watched(self, flows: str) -> Watched:
        """The target with these flows, and each of them as a probe."""
        names = re.findall(r"^  (\w+):$", flows, re.MULTILINE)
        probes = "".join(f"  {name}: {{targets: [erp], every: 300, deadline: 60}}\n" for name in names)
        head = HEAD.format(url=self.odoo.url, database=self.odoo.database, login=LOGIN, password=PASSWORD)
        (watched,) = plan(load_text(f"{head}flows:\n{flows}probes:\n{probes}", "own.yaml", {}, {}, {}, probe_of))
        return watched

    def left(self, mark: str) -> int:
        """How many contacts and categories bear a mark that begins so."""
        like = f"like '%{mark}%'"
        places = (("res_partner", "ref"), ("res_partner_category", "name::text"))
        counts = [f"select count(*) from {table} where {field} {like}" for table, field in places]  # noqa: S608 - own database
        return sum(int(sql(self.world.postgres, count, self.odoo.database)) for count in counts)


@pytest.fixture(scope="module", params=[14, 19])
def place(request: pytest.FixtureRequest, world: World) -> Iterator[Place]:
    """Each Odoo; the user goes again."""
    odoo = {14: world.odoo14, 19: world.odoo19}[request.param]
    admin = odoo.admin()
    groups = [admin.reference(name) for name in ("base.group_user", "base.group_partner_manager")]
    groups.append(admin.named("res.groups", "name", SEEING))
    field = "group_ids" if "group_ids" in admin.fields("res.users") else "groups_id"
    values = {"name": "Own Flows", "password": PASSWORD, field: [(6, 0, groups)]}
    user = admin.ensure("res.users", {"login": LOGIN}, values, no_reset_password=True)
    yield Place(odoo, world)
    admin.call("res.users", "write", [user], {"active": False, "login": f"{LOGIN}-{user}"})


def quaywatch(*argv: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command run to its end."""
    environ = {**os.environ, **variables}
    return subprocess.run([PROGRAM, *argv], capture_output=True, text=True, timeout=60, check=False, env=environ)


async def run(watched: Watched) -> RunRecord:
    """One run of the first probe."""
    driver = watched.open()
    try:
        return await run_probe(
            watched.probes[0],
            driver,
            target=watched.target,
            tick=time.time(),
            installation="test-own-flows",
            meter=Instruments("", SystemClock()),
            tracer=NoOpTracer(),
            clock=SystemClock(),
        )
    finally:
        await driver.close()


def test_what_the_page_prints_runs(place: Place, tmp_path: Path) -> None:
    """Nothing is missing, every step is green in the printed order, and nothing of it stays."""
    path = tmp_path / "own.yaml"
    path.write_text(PRINTED)
    checked = quaywatch("check", "-c", str(path), **place.variables)
    assert checked.returncode == 0, checked.stdout
    done = quaywatch("probe", "customer_file", "-c", str(path), **place.variables)
    assert done.returncode == 0, done.stdout + done.stderr
    steps = re.findall(r"^ +(.+?) +\d+ ms  ok$", done.stdout, re.MULTILINE)
    assert steps == re.findall(r"^ +(.+?) +\d+ ms  ok$", PAGE, re.MULTILINE)
    assert done.stdout.splitlines()[-1] == "customer_file on erp: success"
    assert place.left(PREFIX) == 0


async def test_what_a_killed_run_left_is_swept(place: Place) -> None:
    """Contacts, archived ones too, and categories with a whole mark go; what only looks like one stays."""
    flows = PRINTED.split("flows:\n")[1].split("probes:\n")[0]
    probe: Probe[Any, Any] = place.watched(flows).probes[0].probe
    admin = place.odoo.admin()
    foreign = admin.call("res.partner", "create", {"name": "No Probe", "ref": f"{PREFIX}by-hand"})
    partner = admin.call("res.partner", "create", {"name": "Probe", "ref": PREFIX + RUN_ID})
    admin.call("res.partner", "write", [partner], {"active": False})
    admin.call("res.partner.category", "create", {"name": f"Probe {PREFIX}{RUN_ID}"})
    driver = place.watched(flows).open()
    dry = SweepOrder(prefix=PREFIX, older_than=-2, dry_run=True)
    assert await probe.sweep(driver, None, dry) == Swept(erased=2, residue=2)
    assert await probe.sweep(driver, None, SweepOrder(prefix=PREFIX, older_than=3600)) == Swept()
    assert await probe.sweep(driver, None, SweepOrder(prefix=PREFIX, older_than=-2)) == Swept(erased=2)
    await driver.close()
    assert place.left(PREFIX) == 1
    admin.call("res.partner", "unlink", [foreign])


@pytest.mark.parametrize(
    ("call", "outcome", "reason"),
    [
        ("{model: no.such.model, method: search_count, args: [[]]}", Outcome.INVALID, Reason.CONFIG),
        ("{model: res.partner, method: no_such_method, args: [[1]], user: probe}", Outcome.INVALID, Reason.CONFIG),
        ("{model: res.partner, method: search_count, args: [[]], user: janitor}", Outcome.INVALID, Reason.CONFIG),
        ("{model: ir.rule, method: create, args: [{name: x}]}", Outcome.INVALID, Reason.PERMISSION),
        ("{model: res.partner, method: read, args: [[999999999]], kwargs: {fields: [name]}}", None, None),
    ],
)
async def test_a_call_that_cannot_be_made_is_judged(
    place: Place, call: str, outcome: Outcome | None, reason: Reason | None
) -> None:
    """What flow or rights lack is ours; an Odoo that says no, or has nothing to answer, is the system's."""
    step = f"      - {{name: act, writes: false, call: {call}, expect: [{{path: '$[0].name', exists: true}}]}}\n"
    record = await run(place.watched(f"  mine:\n    kind: odoo\n    steps:\n{step}"))
    if outcome is None:
        assert (record.outcome, record.reason in {Reason.FAULT, Reason.WRONG}) == (Outcome.FAILURE, True)
    else:
        assert (record.outcome, record.reason) == (outcome, reason), record.message


async def test_a_flow_that_fails_is_undone(place: Place) -> None:
    """A wrong expectation ends the run as the system's fault, the message shows no datum, and what was made is gone."""
    flows = PRINTED.split("flows:\n")[1].split("probes:\n")[0].replace("- {equals: 1}", "- {equals: 2}")
    record = await run(place.watched(flows))
    assert (record.outcome, record.reason, record.failed_step) == (Outcome.FAILURE, Reason.WRONG, "find")
    assert record.message == "the answer is a number; 2 is expected"
    assert [step.name for step in record.steps if step.is_undo and step.ok] == ["sweep"]
    assert place.left(mark_prefix("test-own-flows", "customer_file")) == 0


async def test_json2_does_what_xmlrpc_does(world: World) -> None:
    """With an API key on Odoo 19: a tag is created, found, and erased by the janitor."""
    odoo = world.odoo19
    text = f"""
environment: test
installation: test-own-flows
targets:
  erp:
    kind: odoo
    url: {odoo.url}
    database: {odoo.database}
    login: {odoo.login}
    api_key: {odoo.api_key}
    janitor: {{login: {odoo.janitor_login}, password: {odoo.janitor_password}}}
flows:
  tag:
    kind: odoo
    steps:
      - name: create
        call: {{model: crm.tag, method: create, args: [{{name: "${{mark}}"}}]}}
        save: {{id: "$"}}
        undo:
          call: {{model: crm.tag, method: unlink, args: [["${{steps.create.id}}"]], user: janitor}}
      - name: read
        call: {{model: crm.tag, method: read, args: [["${{steps.create.id}}"]], kwargs: {{fields: [name]}}}}
        expect: [{{path: "$[0].name", equals: "${{mark}}"}}]
probes: {{tag: {{targets: [erp], every: 300, deadline: 60}}}}
"""
    (watched,) = plan(load_text(text, "own.yaml", {}, {}, {}, probe_of))
    record = await run(watched)
    assert record.message == ""
    assert [(step.name, step.is_undo, step.ok) for step in record.steps] == [
        ("create", False, True),
        ("read", False, True),
        ("create", True, True),
    ]


async def test_the_example_of_a_package_works(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe in Python that the page shows: green, and swept."""
    monkeypatch.syspath_prepend(ROOT / "docs/examples/quaywatch-tags")
    module = importlib.import_module("quaywatch_tags")
    driver = OdooServer(address(place.odoo))
    probe, options = module.PROBE, module.Options()
    record = await run_once(driver, place.odoo, options, probe=probe, installation="test-own-flows")
    assert (record.message, record.outcome) == ("", Outcome.SUCCESS)
    prefix = mark_prefix("test-own-flows", "tag_create")
    await driver.call("crm.tag", "create", {"name": prefix + RUN_ID})
    assert await probe.sweep(driver, options, SweepOrder(prefix=prefix, older_than=-2)) == Swept(erased=1)
    await driver.close()


def test_a_list_shows_the_flows_of_a_configuration(tmp_path: Path) -> None:
    """Beside those that are built in, with their steps."""
    path = tmp_path / "own.yaml"
    path.write_text(PRINTED)
    variables = dict.fromkeys(("ODOO_URL", "ODOO_DATABASE", "ODOO_LOGIN", "ODOO_PASSWORD"), "http://erp")
    done = quaywatch("list", "probes", "--json", "-c", str(path), **variables)
    flows = {probe["name"]: probe for probe in json.loads(done.stdout)}
    assert flows["customer_file"]["steps"] == ["category", "open", "read", "find", "close", "closed"]
    assert "order_create" in flows
