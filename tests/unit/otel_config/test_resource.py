"""Who is speaking."""

from __future__ import annotations

from otel_config.resource import of_metrics, resource_attributes
from otel_config.settings import OtlpSettings


def made(settings: OtlpSettings | None = None, **where: str) -> dict[str, str]:
    """The attributes of an agent on one host."""
    about = {"version": "1.2.3", "environment": "production", "host": "node-1", **where}
    return resource_attributes(settings or OtlpSettings(), **about)


def test_the_attributes_say_what_runs_where() -> None:
    """Service, version, instance, host and environment."""
    found = made()
    assert found["service.name"] == "quaywatch"
    assert found["service.version"] == "1.2.3"
    assert found["host.name"] == "node-1"
    assert found["deployment.environment.name"] == "production"


def test_the_instance_is_the_same_after_a_restart_and_another_elsewhere() -> None:
    """It is made of installation, environment, namespace, host and listening address alone."""
    first = made()["service.instance.id"]
    assert first == made(version="2.0")["service.instance.id"]
    others = [
        made(host="node-2"),
        made(environment="staging"),
        made(installation="acme"),
        made(listens="127.0.0.1:9465"),
        made(OtlpSettings(resource=(("k8s.namespace.name", "erp"),))),
    ]
    assert len({first, *(other["service.instance.id"] for other in others)}) == 6


def test_the_environments_attributes_go_before_the_defaults() -> None:
    """But the service's own variable before them, and the configuration's environment before all."""
    about = {"service.name": "a", "service.instance.id": "me", "k8s.pod.name": "p-1", "team": ""}
    told = (*about.items(), ("deployment.environment.name", "x"))
    found = made(OtlpSettings(resource=told))
    assert (found["service.name"], found["service.instance.id"], found["k8s.pod.name"]) == ("a", "me", "p-1")
    assert found["deployment.environment.name"] == "production"
    assert "team" not in found
    assert made(OtlpSettings(resource=told, service_name="b"))["service.name"] == "b"
    assert made(OtlpSettings(resource=told), environment="")["deployment.environment.name"] == "x"


def test_metrics_do_not_bear_the_version() -> None:
    """An upgrade changes no series."""
    before, after = made(version="1"), made(version="2")
    assert before != after
    assert of_metrics(before) == of_metrics(after)
