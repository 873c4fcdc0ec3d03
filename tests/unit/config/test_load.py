"""What a configuration means."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pytest
from pydantic import BaseModel

from quaywatch.config import Settings, load, load_text
from quaywatch.config.references import Referred
from quaywatch.config.tables import OdooTable, PostgresTable
from quaywatch.contract import Reach, TargetKind
from quaywatch.errors import ConfigError
from quaywatch.secret import Secret
from tests.unit.config.registry import EXPORTERS, PROBES, Depth, LockOptions, NoOptions, OrderOptions, exporter

HEAD = """
environment: test
installation: acme
targets:
  db: {kind: postgres, host: db, password: secret}
  other: {kind: postgres, host: other, reach: local, tenants: {include: ["shop_*"], exclude: ["*_test"]}}
  cache: {kind: redis, host: cache}
  erp: {kind: odoo, url: "http://erp/", database: a, login: b, password: c}
"""


def settings(rest: str = "", environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of the head and more."""
    return load_text(HEAD + rest, "test.yaml", environ or {}, EXPORTERS, PROBES)


def names_on(given: Settings, target: str) -> list[str]:
    """The exporters of a target."""
    return [task.exporter.name for task in given.exporters[target]]


def test_every_exporter_is_on_for_the_targets_of_its_kind() -> None:
    """Nothing needs to be said for the built-in exporters to run."""
    assert {name: names_on(settings(), name) for name in settings().targets} == {
        "db": ["locks"],
        "other": ["locks"],
        "cache": ["memory"],
        "erp": [],
    }


def test_options_may_differ_for_one_target() -> None:
    """What is said for a target alone goes before what is said for all, and everything else stays."""
    given = settings("exporters: {locks: {top: 3, depth: deep, per_target: {other: {top: 7, first: 2}}}}")
    one, other = (given.exporters[name][0].options for name in ("db", "other"))
    assert (one.top, one.depth, one.first) == (3, Depth.DEEP, 0)
    assert (other.top, other.depth, other.first) == (7, Depth.DEEP, 2)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("cache: {top: 7}", "exporters.locks.per_target: target cache is of kind redis; one of kind postgres"),
        ("dp: {top: 7}", "exporters.locks.per_target: there is no target dp"),
        ("db: {top: 70}", "exporters.locks.per_target.db.top: 70 is out of range"),
        ("db: {tip: 7}", "exporters.locks.per_target.db.tip: this key is not known; allowed are top, share"),
        ("db: {first: 7}", "exporters.locks.per_target: db: first: 7 is behind last"),
    ],
)
def test_options_of_one_target_are_validated(said: str, told: str) -> None:
    """Names, keys, values, and how they agree with what is said for all."""
    with pytest.raises(ConfigError, match=re.escape(told)):
        settings(f"exporters: {{locks: {{last: 5, per_target: {{{said}}}}}}}")


def test_an_exporter_is_turned_off_tuned_and_told_its_targets() -> None:
    """Common keys and options of one table both count."""
    given = settings("exporters: {memory: {enabled: false}, locks: {targets: [db], every: 30, top: 3, depth: deep}}")
    assert names_on(given, "cache") == []
    assert names_on(given, "other") == []
    (task,) = given.exporters["db"]
    assert (task.every, task.deadline, task.options) == (30.0, 5.0, LockOptions(top=3, depth=Depth.DEEP))


def test_a_probe_runs_only_where_it_is_configured() -> None:
    """A probe touches business data: silence is no."""
    assert settings().probes["erp"] == ()
    (task,) = settings("probes: {order: {targets: [erp], partner: 7}}").probes["erp"]
    assert task.options == OrderOptions(partner=7)
    assert settings("probes: {order: {targets: [erp], partner: 7, enabled: false}}").probes["erp"] == ()


def test_a_table_without_content_has_its_defaults() -> None:
    """A key whose entries are all commented out is no error."""
    assert settings("exporters:\n  locks:\ntelemetry:\n  http:\nlease:") == settings()


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("${env:NAME}", "value"),
        ("a-${env:NAME}-b", "a-value-b"),
        ("${env:ABSENT:-default}", "default"),
        ("${env:EMPTY:-default}", "default"),
        ("${env:EMPTY}x", "x"),
        ("${env:ABSENT:-}x", "x"),
        ("$$", "$"),
        ("$${env:NAME}", "${env:NAME}"),
        ("5 $", "5 $"),
    ],
)
def test_a_reference_is_replaced(said: str, meant: str) -> None:
    """Variables, defaults and dollar signs, anywhere in a text."""
    text = HEAD.replace("environment: test", f'environment: "{said}"')
    given = load_text(text, "test.yaml", {"NAME": "value", "EMPTY": ""}, EXPORTERS, PROBES)
    assert given.environment == meant


def test_an_exporter_may_be_off_until_it_is_turned_on() -> None:
    """Its default is its own; the file decides."""
    exporters = {**EXPORTERS, "queue": replace(exporter("queue", TargetKind.POSTGRES, NoOptions), on=False)}
    for rest, names in (("", ["locks"]), ("exporters: {queue: {enabled: true}}", ["locks", "queue"])):
        given = load_text(HEAD + rest, "test.yaml", {}, exporters, PROBES)
        assert [task.exporter.name for task in given.exporters["db"]] == names


def test_a_reference_gives_numbers_and_switches_too() -> None:
    """What the environment says is text, and is read as what is expected."""
    given = settings(
        'exporters: {locks: {top: "${env:TOP}", enabled: "${env:ON}", every: "${env:EVERY}"}}',
        {"TOP": "7", "ON": "true", "EVERY": "7.5"},
    )
    (task,) = given.exporters["db"]
    assert (task.options.top, task.every) == (7, 7.5)


def test_a_secret_from_a_file_is_read_anew(tmp_path: Path) -> None:
    """Rotation needs no reload: the secret knows its file."""
    file = tmp_path / "password"
    file.write_text("first\n")
    given = load_text(HEAD.replace("secret", f"'${{file:{file}}}'"), "test.yaml", {}, EXPORTERS, PROBES)
    table = given.targets["db"]
    assert isinstance(table, PostgresTable)
    assert table.password == Secret.of_file(file)
    file.write_text("second\n")
    assert table.password is not None
    assert table.password.reveal() == "second"
    assert given.files == {file}


def test_a_file_is_read_into_plain_values_and_into_parts_of_secrets(tmp_path: Path) -> None:
    """A login may be mounted as a secret is; its last line end is not part of it."""
    file = tmp_path / "login"
    file.write_text("probe@example.com\r\n")
    text = HEAD.replace("login: b", f'login: "${{file:{file}}}"').replace(
        "password: c", f'password: "x${{file:{file}}}"'
    )
    table = load_text(text, "test.yaml", {}, EXPORTERS, PROBES).targets["erp"]
    assert isinstance(table, OdooTable)
    assert table.login == "probe@example.com"
    assert table.password == Secret("xprobe@example.com")


REFERRED = """
environment: "${env:WORD}"
installation: "${env:WORD}"
targets:
  db: &db {kind: "${env:KIND}", host: "${env:WORD}", user: "${env:WORD}", password: "${env:WORD}"}
  other: {<<: *db, tls: "${env:TLS}", password: "a-${env:WORD}", tenants: {include: ["${env:WORD}"]}}
  cache: {kind: redis, host: "${env:WORD}", username: "${env:WORD}", password: "${env:WORD}"}
  erp:
    kind: odoo
    url: "${env:URL}"
    database: "${env:WORD}"
    login: "${env:WORD}"
    password: "${env:WORD}"
    api_key: "${env:WORD}"
    janitor: {login: "${env:WORD}", password: "${env:WORD}"}
exporters: {locks: {names: ["${env:WORD}"], key: "${env:WORD}"}}
probes: {order: {targets: [erp], partner: "${env:WORD}"}}
telemetry:
  otlp:
    endpoint: "${env:URL}"
    headers: {authorization: "${env:WORD}"}
    cert_file: "${env:WORD}"
    key_file: "${env:WORD}"
  http: {token: "${env:WORD}"}
"""


def test_a_text_from_elsewhere_is_a_plain_text_in_the_settings() -> None:
    """Libraries look at the type itself: drivers are handed texts, never a class of the loader's own."""
    environ = {"WORD": "word", "KIND": "postgres", "TLS": "require", "URL": "http://erp"}
    given = load_text(REFERRED, "test.yaml", environ, EXPORTERS, PROBES)
    texts = list(texts_in(given))
    assert len(texts) > 30
    assert [text for text in texts if isinstance(text, Referred)] == []


def texts_in(value: object) -> Iterator[str]:
    """Every text below a value, the revealed secrets included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, BaseModel):
        yield from texts_in(dict(value))
    elif is_dataclass(value) and not isinstance(value, type):
        yield from texts_in([getattr(value, one.name) for one in fields(value)])
    elif isinstance(value, Mapping):
        yield from texts_in([*value.keys(), *value.values()])
    elif isinstance(value, Collection):
        for one in value:
            yield from texts_in(one)


def test_settings_never_show_a_secret() -> None:
    """Neither a repr nor a text of the settings holds a password."""
    given = load_text(HEAD.replace("secret", "hunter2"), "test.yaml", {}, EXPORTERS, PROBES)
    assert "hunter2" not in repr(given) + str(given)


def test_aliases_and_merged_tables_are_understood() -> None:
    """An entry of a table's own wins over a merged one."""
    text = """
environment: test
installation: acme
targets:
  one: &postgres {kind: postgres, host: one, port: 6432}
  two: {<<: *postgres, host: two}
  three: {<<: [{host: three}, *postgres]}
"""
    tables = load_text(text, "test.yaml", {}, EXPORTERS, PROBES).targets
    assert [(table.host, table.port) for table in tables.values() if isinstance(table, PostgresTable)] == [
        ("one", 6432),
        ("two", 6432),
        ("three", 6432),
    ]


def test_tenants_are_included_and_excluded_by_patterns() -> None:
    """Exclusion wins; upper and lower case differ."""
    table = settings().targets["other"]
    assert isinstance(table, PostgresTable)
    admitted = [name for name in ("shop_a", "shop_test", "SHOP_a", "other") if table.tenants.admits(name)]
    assert admitted == ["shop_a"]


@pytest.mark.parametrize(
    ("said", "meant"),
    [("", "db"), ("lease: none", None), ("lease: {target: other}", "other"), ("lease: {ttl: 5}", "db")],
)
def test_the_lease_is_held_by_the_first_cluster_unless_told(said: str, meant: str | None) -> None:
    """A single agent wants none."""
    assert settings(said).lease_target == meant


def test_a_pooled_cluster_never_holds_the_lease() -> None:
    """Behind a pooler a lock belongs to nobody: the next cluster is taken, or none."""
    pooled = HEAD.replace("host: db,", "host: db, pooled: true,")
    assert load_text(pooled, "test.yaml", {}, EXPORTERS, PROBES).lease_target == "other"
    only = "environment: t\ninstallation: a\ntargets: {db: {kind: postgres, host: db, pooled: true}}"
    assert load_text(only, "test.yaml", {}, EXPORTERS, PROBES).lease_target is None


@pytest.mark.parametrize(
    ("said", "host", "port"),
    [("127.0.0.1:9464", "127.0.0.1", 9464), ("'[::1]:0'", "::1", 0), ("localhost:80", "localhost", 80)],
)
def test_a_loopback_address_needs_no_token(said: str, host: str, port: int) -> None:
    """Addresses of both families and the name are understood."""
    listen = settings(f"telemetry: {{http: {{listen: {said}}}}}").telemetry.http.listen
    assert (listen.host, listen.port) == (host, port)
    assert listen.loopback


def test_an_address_that_all_can_reach_is_taken_with_a_token() -> None:
    """``:9464`` means every address."""
    http = settings("telemetry: {http: {listen: ':9464', token: t}}").telemetry.http
    assert str(http.listen) == "0.0.0.0:9464"
    assert http.token == Secret("t")


def test_what_is_said_of_a_target_is_kept() -> None:
    """Reach, and a URL without its last slash."""
    given = settings()
    assert given.targets["other"].reach is Reach.LOCAL
    assert isinstance(table := given.targets["erp"], OdooTable)
    assert table.url == "http://erp"


def test_a_file_that_is_not_there_is_a_configuration_error(tmp_path: Path) -> None:
    """The message names the file and what to do."""
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load(tmp_path / "nowhere.yaml", {}, EXPORTERS, PROBES)


def test_a_file_in_another_encoding_is_told_with_its_line(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 have a place too."""
    file = tmp_path / "latin.yaml"
    file.write_bytes(b"environment: test\ninstallation: caf\xe9\n")
    with pytest.raises(ConfigError, match=r"latin\.yaml:2: this is not UTF-8"):
        load(file, {}, EXPORTERS, PROBES)
