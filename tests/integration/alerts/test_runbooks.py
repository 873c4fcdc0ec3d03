"""The SQL of the runbooks is understood by PostgreSQL and by the databases of Odoo 14 and 19."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import asyncpg
import pytest

import alerts
from sandbox.world import World

PARTS = ("odoo14", "odoo19")
NOT_HERE = "account_edi_document"
"""The table of a module that the sandbox's databases lack."""
_BLOCK = re.compile(r"^ {4,}((?:select|show) .*?);$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`((?:select|show) [^`]*)`", re.DOTALL)
_ODOO = re.compile(r"\b(?:from|join) (?!pg_)\w+")


def statements() -> Iterator[tuple[str, str]]:
    """Each page with each of its statements, and a number for the session that it is about."""
    for page in sorted((Path(alerts.__file__).parent / "runbooks").glob("*.md")):
        text = page.read_text()
        for found in (*_BLOCK.findall(text), *_SPAN.findall(text)):
            for statement in filter(str.strip, found.split(";")):
                if NOT_HERE not in statement:
                    yield page.stem, re.sub(r"\bPID\b", "0", " ".join(statement.split()))


@pytest.fixture
async def refused(world: World) -> Mapping[str, dict[str, str]]:
    """What each Odoo's database does not understand, and what it says."""
    return {name: await _refused(world.postgres.superuser_dsn(name)) for name in PARTS}


async def _refused(dsn: str) -> dict[str, str]:
    errors: dict[str, str] = {}
    client = await asyncpg.connect(dsn)
    try:
        for _, statement in statements():
            try:
                await client.prepare(statement)
            except asyncpg.PostgresError as error:
                errors[statement] = str(error)
    finally:
        await client.close()
    return errors


def test_every_statement_is_understood(refused: Mapping[str, dict[str, str]]) -> None:
    """By one Odoo at least, and by both unless it asks for what the other has not."""
    asked = [statement for _, statement in statements()]
    assert len(asked) > 20
    nowhere = [statement for statement in asked if all(statement in errors for errors in refused.values())]
    assert nowhere == [], refused
    plain = [statement for errors in refused.values() for statement in errors if not _ODOO.search(statement)]
    assert plain == []


@pytest.mark.parametrize("name", PARTS)
def test_every_page_has_a_statement_for_every_odoo(name: str, refused: Mapping[str, dict[str, str]]) -> None:
    """Where versions differ, the page has one for each."""
    odoos = [(page, statement) for page, statement in statements() if _ODOO.search(statement)]
    answered = {page for page, statement in odoos if statement not in refused[name]}
    assert {page for page, _ in odoos} - answered == set(), refused[name]
