"""The documentation hangs together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\((?!https?://)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of the project finds it."""
    broken = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert broken == []


NAMED = re.compile(r"\bdocs/[\w./-]+\.md\b")
SOURCES = [
    path
    for room in (
        "alerts",
        "bench",
        "dashboards",
        "deploy",
        "exporters",
        "otel_config",
        "probes",
        "quaywatch",
        "sandbox",
    )
    for kind in ("*.py", "*.yaml", "*.yml", "*.tpl")
    for path in sorted((ROOT / room).rglob(kind))
]


def test_pages_that_the_sources_name_are_there() -> None:
    """A comment or a message that leads to a page leads to one that exists."""
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in SOURCES
        for name in NAMED.findall(path.read_text())
        if not (ROOT / name).exists()
    ]
    assert missing == []
