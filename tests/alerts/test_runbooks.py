"""The runbooks can be followed: commands stand as code, where to type them is a click away, links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import alerts

ROOM = Path(alerts.__file__).parent / "runbooks"
INDEX = ROOM / "README.md"
PAGES = sorted(ROOM.glob("*.md"))
OF_ALERTS = [page for page in PAGES if page != INDEX]
_LINK = re.compile(r"\]\(([^)#:]*)(?:#([^)]*))?\)")
_TYPED = re.compile(r"(?m)^(?:select|show|openssl|curl|kubectl|redis-cli|psql|quaywatch [a-z]) ?.*$")


def headings(page: Path) -> set[str]:
    """The anchors of a page, as they are made of its headings."""
    titles = re.findall(r"(?m)^#+ (.*)$", page.read_text())
    return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", OF_ALERTS, ids=lambda page: page.stem)
def test_where_to_type_is_a_click_away(page: Path) -> None:
    """Whoever is woken may be on a host or have a cluster; before the first command stands how it is typed there."""
    diagnosis = page.read_text().partition("## Diagnosis\n")[2]
    assert diagnosis.startswith("\n[Where to type what stands here](README.md).\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_typed_stands_as_code(page: Path) -> None:
    """A statement that is set as prose loses its lines and its signs."""
    assert _TYPED.findall(page.read_text()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    """To a page that is there, and to a heading that it has."""
    for path, anchor in _LINK.findall(page.read_text()):
        other = page.parent / path if path else page
        assert other.exists(), path
        assert not anchor or anchor in headings(other), f"{path}#{anchor}"


@pytest.mark.parametrize("program", ["curl", "openssl", "pg_isready", "redis-cli", "select"])
def test_what_pages_ask_for_has_its_way_in_a_cluster(program: str) -> None:
    """The agent's image has few programs: where to type each is said for Kubernetes, too."""
    assert any(re.search(rf"[`\n ]{program} ", page.read_text()) for page in OF_ALERTS)
    said = "psql" if program == "select" else program
    assert [part for part in INDEX.read_text().split("\n## ") if said in part and "kubectl " in part]
