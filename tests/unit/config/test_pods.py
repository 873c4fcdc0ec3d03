"""What the annotations of pods mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quaywatch.config import Settings, load_text
from quaywatch.config.pods import with_pods
from quaywatch.contract import Per, Reach
from quaywatch.drivers.kubernetes import Pod
from tests.unit.config.registry import EXPORTERS, PROBES

TEXT = """
environment: test
installation: acme
targets: {erp.taken-0: {kind: postgres, host: db}}
discovery:
  node: worker-1
  namespaces: [erp, shop]
  credentials:
    everyone: {namespaces: ["*"], user: quaywatch, password: word}
    shop: {namespaces: [shop], password: word}
    key: {namespaces: [erp], user: probe@example.com, api_key: word}
"""


@pytest.fixture(scope="module")
def settings() -> Settings:
    """A file with discovery."""
    locks = EXPORTERS["locks"]
    more = {
        "queue": replace(locks, name="queue", per=Per.DATABASE),
        "elsewhere": replace(locks, name="elsewhere", node_local=False),
    }
    return load_text(TEXT, "test.yaml", {}, {**EXPORTERS, **more}, PROBES)


def pod(name: str = "db-0", namespace: str = "erp", address: str = "10.0.0.7", **annotations: str) -> Pod:
    """A pod that runs."""
    return Pod(namespace, name, address, running=True, annotations=annotations)


def test_a_pod_becomes_a_target_of_its_node(settings: Settings) -> None:
    """It is named by namespace and pod, is read by every agent for itself, and runs no probe."""
    found = with_pods(settings, [pod(kind="postgres", port="5433", credential="everyone", tls="require")])
    table = found.settings.targets["erp.db-0"]
    told = table.model_dump(include={"kind", "host", "port", "user", "database", "tls", "reach"})
    assert told == {
        "kind": "postgres",
        "host": "10.0.0.7",
        "port": 5433,
        "user": "quaywatch",
        "database": "postgres",
        "tls": "require",
        "reach": Reach.LOCAL,
    }
    assert (found.targets, found.refused, found.settings.probes["erp.db-0"]) == (1, (), ())
    assert list(found.settings.targets) == ["erp.taken-0", "erp.db-0"]


def test_it_is_read_by_what_is_of_one_server_alone(settings: Settings) -> None:
    """No exporter that visits databases reads it, none that is held to named targets, and none of another kind."""
    found = with_pods(settings, [pod(kind="postgres"), pod("cache-0", kind="redis")])
    read = {name: [task.exporter.name for task in found.settings.exporters[name]] for name in found.settings.targets}
    assert read["erp.db-0"] == ["locks"]
    assert read["erp.cache-0"] == ["memory"]
    assert read["erp.taken-0"] == ["locks", "queue", "elsewhere"]


def test_an_odoo_is_asked_at_its_pod(settings: Settings) -> None:
    """With the credential's user and key; an address of IPv6 stands in brackets."""
    found = with_pods(settings, [pod("web-1", address="fd00::7", kind="odoo", database="acme", credential="key")])
    table = found.settings.targets["erp.web-1"]
    assert table.model_dump(include={"url", "login"}) == {"url": "http://[fd00::7]:8069", "login": "probe@example.com"}


def test_pods_of_other_namespaces_are_left_alone(settings: Settings) -> None:
    """Neither target nor refusal."""
    found = with_pods(settings, [pod(namespace="games", kind="postgres", port="wrong")])
    assert (found.settings.targets, found.refused) == (settings.targets, ())


@pytest.mark.parametrize(
    "annotation",
    [{"kind": "x"}, {"port": "x"}, {"credential": "x"}, {"database": "x"}, {"tls": "x"}, {"x": ""}],
    ids=lambda annotation: next(iter(annotation)),
)
def test_no_annotation_fills_the_log(settings: Settings, annotation: dict[str, str]) -> None:
    """However long one is, which anybody may write who makes pods, the sentence about it stays short."""
    long = {name: text * 100_000 for name, text in annotation.items()}
    (sentence,) = with_pods(settings, [pod(**{"kind": "postgres", **long})]).refused
    assert len(sentence) < 300


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (pod(port="5432"), "kind: this annotation is missing; allowed are postgres, redis, odoo"),
        (pod(kind="postgre"), "kind: the kind 'postgre' is not known; allowed are postgres, redis, odoo"),
        (pod(kind="postgres", port="first"), "port: 'first' is a text; a whole number is expected"),
        (pod(kind="postgres", port="70000"), "port: '70000' is out of range; at most 65535 is expected"),
        (pod(kind="redis", tls="verify"), "tls: 'verify' is not known; allowed are none, require"),
        (pod(kind="redis", prt="1"), "prt: this annotation is not known; allowed are kind, port, credential, tls"),
        (pod(kind="odoo", credential="key"), "database: this annotation is missing; it must be given"),
        (
            pod(kind="redis", credential="everyon"),
            "credential: there is no credential everyon; configured are",
        ),
        (pod(kind="redis", credential="shop"), "credential: pods of the namespace erp may not name shop"),
        (pod(kind="redis", credential="key"), "credential: key has not what this kind takes: a password is expected"),
        (
            pod(namespace="shop", kind="odoo", database="a", credential="shop"),
            "credential: shop has not what this kind takes: a user is expected",
        ),
        (pod("taken-0", kind="postgres"), "kind: the configuration has a target erp.taken-0 already"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_annotation_is_told_and_hides_nobody(settings: Settings, wrong: Pod, told: str) -> None:
    """The sentence names pod and annotation; the pod beside it is a target all the same."""
    found = with_pods(settings, [wrong, pod("good-0", kind="postgres")])
    (sentence,) = found.refused
    assert sentence.startswith(f"pod {wrong.namespace}/{wrong.name}: quaywatch.io/{told}")
    assert (found.targets, "erp.good-0" in found.settings.targets) == (1, True)
