"""What settings become for the runtime."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from otel_config.environment import OtlpFile, otlp_settings
from quaywatch.cli.plan import (
    _fingerprint,
    plan,
    plan_evidence,
    plan_leases,
    plan_maintenance,
    plan_otlp,
    postgres_address,
)
from quaywatch.clock import SystemClock
from quaywatch.config import Settings, load_text
from quaywatch.config.tables import PostgresTable
from quaywatch.contract import Reach, Watched
from quaywatch.drivers.backup_command import CommandReports
from quaywatch.drivers.backup_s3 import ObjectReports
from quaywatch.drivers.backups import BackupPlace, FileReports
from quaywatch.drivers.http import HttpServer
from quaywatch.drivers.odoo import OdooServer
from quaywatch.drivers.postgres import PostgresCluster
from quaywatch.drivers.redis import RedisServer
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.leases import AlwaysHeld, KubernetesLeases, KubernetesShards, PostgresLeases, PostgresShards
from quaywatch.runtime.maintenance import Mode, Weekly
from quaywatch.secret import Secret
from tests.unit.config.registry import EXPORTERS, PROBES

TARGETS = """
  db: {kind: postgres, host: db, password: one, tenants: {include: ["shop_*"]}, visits: 7, reach: local}
  cache: {kind: redis, host: cache, tls: verify}
  erp: {kind: odoo, url: "http://erp", database: a, login: b, password: c, limit_time_real: 240}
  edge: {kind: http, url: "http://edge"}
  base: {kind: backup, source: walg, command: [wal-g, backup-list], environment: {A: b}}
"""


def settings(targets: str = TARGETS, rest: str = "", environment: str = "test") -> Settings:
    """The settings of these targets and more."""
    text = f"environment: {environment}\ninstallation: acme\ntargets:{targets}{rest}"
    return load_text(text, "test.yaml", {}, EXPORTERS, PROBES)


def planned(given: Settings) -> dict[str, Watched]:
    """The plan by the targets' names."""
    return {watched.target.name: watched for watched in plan(given)}


async def test_each_kind_gets_its_driver() -> None:
    """Opening one connects to nothing."""
    drivers = {name: watched.open() for name, watched in planned(settings()).items()}
    kinds = {name: type(driver) for name, driver in drivers.items()}
    for driver in drivers.values():
        await driver.close()
    assert kinds == {
        "db": PostgresCluster,
        "cache": RedisServer,
        "erp": OdooServer,
        "edge": HttpServer,
        "base": BackupPlace,
    }


@pytest.mark.parametrize(
    ("said", "reports"),
    [
        ("source: pgbackrest, command: [pgbackrest, info]", CommandReports),
        ("source: pgbackrest, file: /report.json", FileReports),
        ("source: walg, file: /report.json", FileReports),
        ("source: file, file: /report.json", FileReports),
        ("source: s3, endpoint: 'http://s3', bucket: b, access_key: a, secret_key: s", ObjectReports),
        ("restore_tests: /tests.json", type(None)),
    ],
)
def test_backups_are_told_as_configured(said: str, reports: type[object]) -> None:
    """By a command, a file, a store, or not at all."""
    place = planned(settings(f"\n  base: {{kind: backup, {said}}}"))["base"].open()
    assert type(place._reports) is reports


@pytest.mark.parametrize(
    "said",
    [
        "{kind: http, url: 'http://e', headers: {X: %s}}",
        "{kind: backup, source: walg, command: [w], environment: {A: %s}}",
    ],
)
def test_a_secret_that_changes_inside_a_table_changes_the_target(said: str) -> None:
    """A reload takes it up, and one that changes nothing leaves the target alone."""
    prints = [planned(settings("\n  one: " + said % text))["one"].fingerprint for text in ("old", "new", "old")]
    assert prints[0] == prints[2] != prints[1]


@dataclass(frozen=True)
class Listed:
    """Options of an outsider's, which may hold what has no hash."""

    keys: list[dict[str, Secret]]


def test_a_secret_in_options_without_a_hash_counts() -> None:
    """No text shows it, so the value itself is looked at."""
    one, two, again = (_fingerprint(Listed([{"key": Secret(text)}])) for text in ("one", "two", "one"))
    assert one == again != two


STANDING = """
  main: {kind: postgres, host: db, tenants: {exclude: [b]}}
  copy: {kind: postgres, host: db2}
  other: {kind: postgres, host: db3}
  cache: {kind: redis, host: cache}
  edge: {kind: http, url: "http://e"}
  a: {kind: odoo, url: "http://erp", database: a, login: l, password: p, standby: copy, cache: cache, edge: edge}
  b: {kind: odoo, url: "http://erp", database: b, login: l, password: p, direct: "http://odoo"}
  c: {kind: odoo, url: "http://erp", database: c, login: l, password: p, database_server: other}
"""


async def test_causes_are_looked_for_where_the_configuration_says() -> None:
    """The named server, else the first that visits the database and is nobody's standby; nothing else is guessed.

    The agent's own driver is asked for by the name of that server.
    """
    found: dict[str, dict[str, str]] = {}
    kept: list[str] = []
    for name, around in plan_evidence(settings(STANDING), kept.append).items():
        opened = {part.name: opener() for part in fields(around) if (opener := getattr(around, part.name)) is not None}
        drivers = {part: driver for part, driver in opened.items() if driver is not None}
        found[name] = {part: _place(driver) for part, driver in drivers.items()}
        for driver in drivers.values():
            await driver.close()
    assert found == {
        "a": {
            "front": "http://erp",
            "edge": "http://e",
            "database_server": "db",
            "standby": "db2",
            "cache": "cache",
        },
        "b": {"front": "http://erp", "direct": "http://odoo", "database_server": "db3"},
        "c": {"front": "http://erp", "database_server": "db3"},
    }
    assert kept == ["main", "other", "other"]


def _place(driver: Any) -> str:
    address = driver._address
    return str(getattr(address, "host", None) or address.url)


def test_what_is_said_of_a_target_reaches_the_runtime() -> None:
    """Reach, environment, tenants, visits and Odoo's own time limit."""
    targets = planned(settings())
    assert targets["db"].target.reach is Reach.LOCAL
    assert targets["db"].target.environment == "test"
    assert (targets["db"].tenants("shop_1"), targets["db"].tenants("other")) == (True, False)
    assert targets["db"].visits == 7
    assert targets["erp"].limit_time_real == 240
    assert [task.exporter.name for task in targets["db"].exporters] == ["locks"]


def test_a_fingerprint_stays_when_nothing_changes() -> None:
    """A reload leaves such a target alone, whatever changed elsewhere."""
    before, after = planned(settings()), planned(settings(rest="telemetry: {log: {level: debug}}"))
    assert {name: one.fingerprint for name, one in before.items()} == {
        name: one.fingerprint for name, one in after.items()
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [("password: one", "password: two"), ("host: db", "host: other"), ("shop_*", "*"), ("local", "shared")],
)
def test_a_fingerprint_changes_with_its_target_alone(old: str, new: str) -> None:
    """Also when only a secret did, which no text shows."""
    before, after = planned(settings()), planned(settings(TARGETS.replace(old, new, 1)))
    changed = [name for name in before if before[name].fingerprint != after[name].fingerprint]
    assert changed == ["db"]


@pytest.mark.parametrize("said", ["{top: 9}", "{every: 99}", "{deadline: 1}", "{enabled: false}", "{names: [a]}"])
def test_a_fingerprint_changes_with_what_is_done_on_the_target(said: str) -> None:
    """Options and times of an exporter count."""
    before, after = planned(settings()), planned(settings(rest=f"exporters: {{locks: {said}}}"))
    assert before["db"].fingerprint != after["db"].fingerprint
    assert before["cache"].fingerprint == after["cache"].fingerprint


@pytest.mark.parametrize(("tls", "mode"), [("prefer", None), ("require", ssl.CERT_NONE), ("verify", ssl.CERT_REQUIRED)])
def test_tls_is_made_as_it_is_said(tls: str, mode: ssl.VerifyMode | None) -> None:
    """Verified with the system's authorities, unverified, or as the server likes."""
    table = settings(TARGETS.replace("password: one", f"tls: {tls}")).targets["db"]
    assert isinstance(table, PostgresTable)
    trust = postgres_address(table).ssl
    assert (trust.context().verify_mode if trust else None) == mode


@pytest.mark.parametrize(("said", "asked"), [("", False), (", on_standby: true", True)])
def test_a_standbys_tenants_are_visited_if_asked_for(said: str, asked: bool) -> None:  # noqa: FBT001 - a case
    """They are those of its primary, which is a target of its own."""
    table = settings(TARGETS.replace('["shop_*"]', f'["shop_*"]{said}')).targets["db"]
    assert isinstance(table, PostgresTable)
    assert postgres_address(table).on_standby is asked


def test_leases_are_where_the_settings_say() -> None:
    """At a server, in a Lease object of Kubernetes, or nowhere for an agent that is alone."""
    clock = SystemClock()
    meter = Instruments("test", clock)
    assert isinstance(plan_leases(settings(), meter, clock), PostgresLeases)
    assert isinstance(plan_leases(settings(rest="lease: {kubernetes: {}}"), meter, clock), KubernetesLeases)
    assert isinstance(plan_leases(settings(rest="lease: {shards: true}"), meter, clock), PostgresShards)
    shards = settings(rest="lease: {kubernetes: {}, shards: true, replica: agent-0}")
    assert isinstance(plan_leases(shards, meter, clock), KubernetesShards)
    assert isinstance(plan_leases(settings(rest="lease: none"), meter, clock), AlwaysHeld)
    assert isinstance(plan_leases(settings("\n  cache: {kind: redis, host: c}\n"), meter, clock), AlwaysHeld)


MAINTENANCE = """
maintenance:
  - name: move
    targets: [erp]
    probes: ["order*"]
    mode: mute
    from: 2026-12-01T22:00:00+01:00
    until: "2026-12-02T01:00:00Z"
  - name: nightly
    weekly: {days: [saturday, sunday], from: 22:30, until: "01:00", timezone: Europe/Berlin}
"""


def test_maintenance_reaches_the_runtime() -> None:
    """Dates as Unix time, hours as minutes, days from Monday; what is not said is everything, and skipped."""
    move, nightly = plan_maintenance(settings(rest=MAINTENANCE))
    assert (move.name, move.mode, move.targets, move.probes) == ("move", Mode.MUTE, ("erp",), ("order*",))
    assert (move.begins, move.ends, move.weekly) == (1796158800, 1796173200, None)
    assert (nightly.mode, nightly.targets, nightly.begins) == (Mode.SKIP, ("*",), None)
    assert nightly.weekly == Weekly(frozenset({5, 6}), 22 * 60 + 30, 60, ZoneInfo("Europe/Berlin"))


def test_what_is_said_of_a_probes_attempts_reaches_the_runtime() -> None:
    """And a target whose probe has another number of attempts is another target."""
    rest = "probes:\n  order: {targets: [erp], partner: 1, deadline: 5, attempts: %d, suspect_after: 2}"
    two, three = (planned(settings(rest=rest % attempts))["erp"] for attempts in (2, 3))
    assert (two.probes[0].attempts, two.probes[0].suspect_after) == (2, 2)
    assert two.fingerprint != three.fingerprint


def test_what_the_file_says_about_otlp_is_handed_on() -> None:
    """Key by key; what it does not say is left to the environment."""
    said = (
        "telemetry: {otlp: {endpoint: 'http://c:4317', headers: {x-key: k}, queue: {spool: /var/spool/q}, logs: false}}"
    )
    assert plan_otlp(settings(rest=said)) == OtlpFile(
        endpoint="http://c:4317", headers={"x-key": Secret("k")}, spool=Path("/var/spool/q"), logs=False
    )
    assert plan_otlp(settings()) == OtlpFile()


def test_every_otlp_key_is_understood_by_the_sender() -> None:
    """The two rooms agree on names and words."""
    said = (
        "telemetry: {otlp: {endpoint: 'http://c:4318', protocol: http/protobuf, compression: none, timeout: 3,"
        " temporality: delta, interval: 30, queue: {bytes: 2000000}, metrics: true, traces: false, logs: true}}"
    )
    made = otlp_settings(plan_otlp(settings(rest=said)), {})
    assert made.metrics is not None
    assert made.metrics.endpoint == "http://c:4318/v1/metrics"
    assert (made.interval, made.queue_bytes, made.traces) == (30.0, 2_000_000, None)
