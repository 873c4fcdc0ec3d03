"""The programs that the tests run have the versions that the page of supported versions tells."""

from __future__ import annotations

import gzip
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.host import require
from sandbox.kubernetes_build import programs as kubernetes_programs
from sandbox.parts import alertmanager, collector, prometheus, traefik, victoriametrics
from sandbox.parts.kubernetes_tools import kubernetes_tools
from tests.contract.supported_versions import NEWER, rows

# Some are compiled on a machine that has none yet.
pytestmark = pytest.mark.timeout(1200)


def said(program: Path | str, *words: str) -> str:
    """What a program prints about itself."""
    done = subprocess.run([program, *words], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def installed(package: str) -> str:
    """The version of a package of this machine's Debian."""
    require(package)
    return said("dpkg-query", "--show", "--showformat=${Version}", package)


def of_victoriametrics() -> str:
    """Of its package, since Debian's build does not know its own."""
    changes = victoriametrics.programs().parent / "share/doc/victoria-metrics/changelog.Debian.gz"
    return gzip.decompress(changes.read_bytes()).decode().partition(")")[0]


def of_alertmanagers() -> str:
    """Of those of three releases, in their order."""
    told = [
        said(alertmanager.programs(suite) / "prometheus-alertmanager", "--version") for suite in alertmanager.SUITES
    ]
    return " ".join(one.splitlines()[0].partition(" (")[0] for one in told)


PROGRAMS: dict[str, Callable[[], str]] = {
    "PgBouncer": lambda: installed("pgbouncer"),
    "pgBackRest": lambda: installed("pgbackrest"),
    "Traefik": lambda: said(traefik.program(), "version"),
    "Chromium": lambda: installed("chromium"),
    "VictoriaMetrics": of_victoriametrics,
    "Prometheus": lambda: said(prometheus.programs() / "prometheus", "--version"),
    "Alertmanager": of_alertmanagers,
    "OpenTelemetry Collector": lambda: said(collector.program(), "--version"),
    "Kubernetes": lambda: said(kubernetes_programs() / "kube-apiserver", "--version"),
    "Helm": lambda: said(kubernetes_tools().helm, "version", "--short"),
    "kubectl": lambda: said(kubernetes_tools().kubectl, "version", "--client"),
}


def numbers(text: str) -> list[tuple[int, ...]]:
    """The versions in a text, each as its numbers."""
    return [tuple(map(int, found.split("."))) for found in re.findall(r"\d+(?:\.\d+)*", text)]


@pytest.mark.parametrize("what", PROGRAMS)
def test_what_runs_is_what_is_told(what: str) -> None:
    """Each version that is named is run, in that order. Only the last may be a newer one, where that is said."""
    named = next(row.versions for row in rows() if row.what == what)
    *pinned, last = numbers(named)
    *others, newest = numbers(PROGRAMS[what]())[: len(pinned) + 1]
    assert [version[:2] for version in others] == pinned
    assert newest >= last
    assert named.endswith(NEWER) or newest[: len(last)] == last
