"""The API server of Kubernetes, from Debian 12's source: version 1.20, the last one that Debian keeps whole.

Debian's packages hold no more of it than kubectl, so the sandbox compiles the server itself, once. What the source
lacks is one generated file, the OpenAPI of all types; its generator is there.
"""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from .cache import built, fetch_deb, fetch_source, run

VERSION = "1.20.2"
_SUITE = "bookworm"
_GO = "1.19"
_ROOT = "k8s.io/kubernetes"
_TYPES = ("staging/src/k8s.io", "pkg")
_OPENAPI = f"{_ROOT}/pkg/generated/openapi"
_MARK = "\n// +k8s:openapi-gen=true\n"
_LEFT_OUT = re.compile(r"_test\.go$|/testdata/|/generators/")
_BOILERPLATE = "hack/boilerplate/boilerplate.generatego.txt"


def programs() -> Path:
    """A directory with `kube-apiserver` and `etcd`; five minutes of computing the first time."""
    return built("kubernetes", f"{VERSION}-1", _build)


def _build(part: Path) -> None:
    for package in (f"golang-{_GO}-go", f"golang-{_GO}-src", "etcd-server"):
        fetch_deb(package, _SUITE, part / "root")
    source = fetch_source("kubernetes", _SUITE, part / "go" / "src" / _ROOT)
    go = _go(part)
    run(*go, "-o", part / "openapi-gen", f"{_ROOT}/vendor/k8s.io/kube-openapi/cmd/openapi-gen")
    _generate(part, source)
    stamp = f"-s -w -X {_ROOT}/vendor/k8s.io/component-base/version.gitVersion=v{VERSION}"
    run(*go, "-ldflags", stamp, "-o", part / "kube-apiserver", f"{_ROOT}/cmd/kube-apiserver")
    shutil.move(part / "root" / "usr" / "bin" / "etcd", part / "etcd")
    for leftover in ("root", "go", "cache", "openapi-gen"):
        _remove(part / leftover)


def _go(part: Path) -> tuple[str | Path, ...]:
    return (*_environment(part), "nice", _goroot(part) / "bin" / "go", "build", "-trimpath")


def _goroot(part: Path) -> Path:
    return part / "root" / "usr" / "lib" / f"go-{_GO}"


def _environment(part: Path) -> tuple[str, ...]:
    environment: Mapping[str, object] = {
        "PATH": "/usr/bin:/bin",
        "HOME": part,
        "GOROOT": _goroot(part),
        "GOPATH": part / "go",
        "GOCACHE": part / "cache",
        "GO111MODULE": "off",
        "CGO_ENABLED": "0",
    }
    return ("env", "-i", *(f"{name}={value}" for name, value in environment.items()))


def _generate(part: Path, source: Path) -> None:
    packages = ",".join(sorted(_typed(source)))
    into = ("-O", "zz_generated.openapi", "-p", _OPENAPI, "-r", os.devnull)
    generator = (part / "openapi-gen", "-h", source / _BOILERPLATE, *into, "-i", packages)
    run(*_environment(part), *generator, cwd=source)


def _typed(source: Path) -> set[str]:
    """The Go packages whose types say that they belong into the OpenAPI."""
    return {
        _imported(file.parent.relative_to(source))
        for room in _TYPES
        for file in (source / room).rglob("*.go")
        if _MARK in file.read_text(encoding="utf-8") and not _LEFT_OUT.search(str(file))
    }


def _imported(package: Path) -> str:
    """The name that a package is compiled under; the staged ones are linked into `vendor`."""
    staged = str(package).removeprefix("staging/src/")
    return f"{_ROOT}/{package}" if staged == str(package) else f"{_ROOT}/vendor/{staged}"


def _remove(leftover: Path) -> None:
    shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
