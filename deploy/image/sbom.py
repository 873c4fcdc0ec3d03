"""Writes what an image is made of as CycloneDX: Debian's packages and the Python distributions of the agent.

It runs while the image is built, by the image's own Python, and tells no time: the same packages give the same file.
"""
# ruff: noqa: INP001 - a program for the build, no part of a package

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distributions, version
from pathlib import Path
from urllib.parse import quote

SPECIFICATION = "1.5"
_FORMAT = "${Package}\t${Version}\t${Architecture}\n"


def bill() -> dict[str, object]:
    """The bill of materials of this file system."""
    components = sorted([*_debian(), *_python()], key=lambda component: component["purl"])
    container = {"type": "container", "name": "quaywatch", "version": version("quaywatch")}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "version": 1,
        "metadata": {"component": container},
        "components": components,
    }


def _debian() -> Iterator[dict[str, str]]:
    release = platform.freedesktop_os_release()["VERSION_ID"]
    listed = subprocess.check_output(["/usr/bin/dpkg-query", "-W", "-f", _FORMAT], text=True)  # noqa: S603 - ours
    for name, number, architecture in (line.split("\t") for line in listed.splitlines()):
        yield _component("deb/debian", name, number, f"?arch={architecture}&distro=debian-{release}")


def _python() -> Iterator[dict[str, str]]:
    for found in distributions():
        yield _component("pypi", found.name.lower().replace("_", "-"), found.version)


def _component(kind: str, name: str, number: str, more: str = "") -> dict[str, str]:
    purl = f"pkg:{kind}/{quote(name, safe='')}@{quote(number, safe='')}{more}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": number, "purl": purl}


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(bill(), indent=1) + "\n")
