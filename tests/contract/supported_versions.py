"""The page of supported versions, made from what the tests run: ``python -m tests.contract.supported_versions``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sandbox import kubernetes_build
from sandbox.parts import odoo, postgres_versions, redis_versions
from tests.packaging.kubernetes import MINORS
from tests.unit.probes.versions import VERSIONS

_RUN: Final = (odoo.ODOO14.title, odoo.ODOO19.title)
NEWER: Final = " and newer"
"""Behind a version of a program that comes newer from time to time: the tests take that of the day."""
_PAGE: Final = """\
# Supported versions

Made by `python -m tests.contract.supported_versions` from the versions that the tests run or replay; a test holds it.
Other versions may work: what a version does not have is absent, and `quaywatch check` says what it cannot read.

| What | Versions | How it is proved | Where |
|---|---|---|---|
{rows}

Where newer ones are named, the tests run that of the day: Debian's unstable release moves on, and so does a browser
with its security updates.
"""


@dataclass(frozen=True)
class Row:
    """One line: what, in which versions, whether it runs or how else it is held, and by which tests."""

    what: str
    versions: str
    proof: str
    tests: str


def rows() -> list[Row]:
    """All lines. Where the code knows the versions, they are taken from there."""
    ran = [title.removeprefix("Odoo ") for title in _RUN]
    replayed = [str(version) for version in VERSIONS if str(version) not in ran]
    flavours = [name.replace("redis", "Redis ").replace("valkey", "Valkey ") for name in redis_versions.FLAVOURS]
    majors = [str(major) for major in postgres_versions.MAJORS]
    server, _, _ = kubernetes_build.VERSION.rpartition(".")
    return [
        Row("Odoo", ", ".join(ran), "runs, with every flow over RPC and in a browser", "tests/integration/probes"),
        Row(
            "Odoo",
            ", ".join(replayed),
            "replayed from what such servers answer",
            "tests/unit/probes/test_flows.py",
        ),
        Row("PostgreSQL", ", ".join(majors), "runs", "tests/integration/exporters/test_postgres_versions.py"),
        Row("Redis, Valkey", ", ".join(flavours), "runs", "tests/integration/exporters/test_redis_versions.py"),
        Row("PgBouncer", "1.18", "runs", "tests/integration/drivers/test_pgbouncer.py"),
        Row("pgBackRest", "2.45", "runs", "tests/integration/drivers/test_backup_command.py"),
        Row("Traefik", f"3.7{NEWER}", "runs", "tests/integration/exporters/test_traefik_edge.py"),
        Row("Python", "3.11", "runs", "tests"),
        Row("Chromium", f"156{NEWER}", "runs, as a program and in the image", "tests/packaging/test_image.py"),
        Row("VictoriaMetrics", "1.112", "takes OTLP", "tests/integration/otel_config/test_stores.py"),
        Row("Prometheus", f"3.5{NEWER}", "scrapes", "tests/integration/otel_config/test_stores.py"),
        Row(
            "Alertmanager",
            f"0.25, 0.28, 0.33{NEWER}",
            "takes the configuration and routes by it",
            "tests/alerts/test_routing.py",
        ),
        Row(
            "OpenTelemetry Collector",
            f"0.152{NEWER}",
            "runs, with the parts that its core has",
            "tests/integration/otel_config/test_collector.py",
        ),
        Row(
            "Kubernetes",
            server,
            "its API server runs: leases, shards, discovery",
            "tests/integration/runtime/test_kube_leases.py",
        ),
        Row("Kubernetes", ", ".join(MINORS), "manifests fit the schemas", "tests/packaging/test_manifests.py"),
        Row("Helm", f"4.3{NEWER}", "renders and packs the chart", "tests/packaging/test_chart.py"),
        Row("kubectl", f"1.37{NEWER}", "renders the overlays", "tests/packaging/test_manifests.py"),
        Row("The images", "Debian 12", "run, read-only and without rights", "tests/packaging/test_image.py"),
    ]


def page() -> str:
    """The page as Markdown."""
    lines = [f"| {row.what} | {row.versions} | {row.proof} | `{row.tests}` |" for row in rows()]
    return _PAGE.format(rows="\n".join(lines))


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - a page for the standard output
