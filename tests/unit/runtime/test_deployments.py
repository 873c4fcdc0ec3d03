"""Deployments as Argo CD, Flux and plain jobs tell of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from quaywatch.errors import ParseError
from quaywatch.runtime.web.deployments import REMEMBERED, Deployment, Result, Seen, read_deployment

PLAIN = {"app": "odoo", "revision": "v19.0.3", "environment": "production", "status": "succeeded"}
ARGO = {
    "kind": "Application",
    "metadata": {"name": "odoo", "namespace": "argocd"},
    "spec": {"destination": {"namespace": "erp"}},
    "status": {
        "health": {"status": "Healthy"},
        "operationState": {
            "phase": "Succeeded",
            "finishedAt": "2026-03-01T02:00:00Z",
            "syncResult": {"revision": "a1b2"},
        },
        "sync": {"revision": "c3d4", "status": "Synced"},
    },
}
FLUX = {
    "involvedObject": {"kind": "Kustomization", "name": "odoo", "namespace": "erp", "uid": "7d0c"},
    "metadata": {"kustomize.toolkit.fluxcd.io/revision": "main@sha1:a1b2"},
    "severity": "info",
    "reason": "ReconciliationSucceeded",
    "message": "Reconciliation finished in 1.2s",
    "reportingController": "kustomize-controller",
    "timestamp": "2026-03-01T02:00:00Z",
}


def read(told: Any) -> Deployment | None:
    """What a notice tells of."""
    return read_deployment(json.dumps(told).encode())


@pytest.mark.parametrize(
    ("told", "deployment"),
    [
        (PLAIN, Deployment("odoo", "v19.0.3", "production", Result.SUCCEEDED, "plain")),
        ({**PLAIN, "status": "Error"}, Deployment("odoo", "v19.0.3", "production", Result.FAILED, "plain")),
        ({**PLAIN, "status": "running"}, Deployment("odoo", "v19.0.3", "production", None, "plain")),
        (ARGO, Deployment("odoo", "a1b2", "erp", Result.SUCCEEDED, "argocd")),
        (
            {**ARGO, "spec": {}, "status": {"operationState": {"phase": "Failed"}, "sync": {"revision": "c3d4"}}},
            Deployment("odoo", "c3d4", "", Result.FAILED, "argocd"),
        ),
        (FLUX, Deployment("odoo", "main@sha1:a1b2", "erp", Result.SUCCEEDED, "flux")),
        ({**FLUX, "metadata": {"revision": "6.5.1"}}, Deployment("odoo", "6.5.1", "erp", Result.SUCCEEDED, "flux")),
        (
            {**FLUX, "severity": "error", "reason": "ValidationFailed"},
            Deployment("odoo", "main@sha1:a1b2", "erp", Result.FAILED, "flux"),
        ),
        ({**FLUX, "reason": "Progressing"}, Deployment("odoo", "main@sha1:a1b2", "erp", None, "flux")),
        ({**FLUX, "metadata": None}, None),
    ],
)
def test_every_shape_is_understood(told: dict[str, Any], deployment: Deployment | None) -> None:
    """Name, revision, environment and result, wherever each has them."""
    assert read(told) == deployment


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ([PLAIN], "this is no object; one such as"),
        ({"app": "odoo", "status": "succeeded"}, "revision: Field required"),
        ({**PLAIN, "app": ""}, "app: String should have at least 1 character"),
        ({**PLAIN, "app": "x" * 101}, "app: String should have at most 100 characters"),
        ({**PLAIN, "app": "a\nb"}, "app: String should match pattern"),
        ({**PLAIN, "status": "fine"}, "status: succeeded, failed or running is expected"),
        ({**ARGO, "status": {}}, "status.operationState.phase: Field required"),
        ({**ARGO, "status": {"operationState": {"phase": "Failed"}}}, "status.sync.revision: it is missing"),
        ({**FLUX, "severity": 3}, "severity: Input should be a valid string"),
    ],
)
def test_what_is_wrong_says_where(told: Any, message: str) -> None:
    """The key, and what is expected."""
    with pytest.raises(ParseError) as caught:
        read(told)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 60_000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    """However deep it goes."""
    with pytest.raises(ParseError, match="this is no JSON"):
        read_deployment(body)


def told(revision: str, environment: str = "", app: str = "odoo") -> Deployment:
    """A deployment of that revision."""
    return Deployment(app, revision, environment, None, "plain")


def test_a_repetition_is_known_until_something_else_was_deployed() -> None:
    """Same application, environment, revision and result count once; rolling back to a revision counts anew."""
    seen = Seen()
    assert seen.first(told("a"), Result.SUCCEEDED)
    assert not seen.first(told("a"), Result.SUCCEEDED)
    assert seen.first(told("a"), Result.FAILED)
    assert not seen.first(told("a"), Result.SUCCEEDED)
    assert seen.first(told("a", "staging"), Result.SUCCEEDED)
    assert seen.first(told("b"), Result.SUCCEEDED)
    assert seen.first(told("a"), Result.SUCCEEDED)


def test_what_is_remembered_is_bounded() -> None:
    """The application that was silent for the longest time is forgotten first."""
    seen = Seen()
    for number in range(REMEMBERED + 1):
        assert seen.first(told("a", app=f"app{number}"), Result.SUCCEEDED)
    assert not seen.first(told("a", app="app1"), Result.SUCCEEDED)
    assert seen.first(told("a", app="app0"), Result.SUCCEEDED)
