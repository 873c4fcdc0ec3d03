"""References are looked up once in a while, and not in each run."""

from __future__ import annotations

import pytest

from probes.odoo_references import REMEMBERED_FOR, References
from quaywatch.errors import ConfigError
from tests.unit.probes.fake_odoo import PRODUCT, Database, FakeOdoo

CODE = ("product.product", "default_code")


class Clock:
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def coded(database: Database) -> str:
    """The Internal Reference of the product."""
    code: str = database.tables["product.product"][PRODUCT]["default_code"]
    return code


async def test_a_reference_is_asked_once_in_ten_minutes() -> None:
    """The same answer for as long as it is remembered, and a question afterwards."""
    clock, database = Clock(), Database()
    odoo, references = FakeOdoo(database), References(clock)
    asked = []
    for clock.now in (0.0, REMEMBERED_FOR - 1, REMEMBERED_FOR):
        assert await references.resolve(odoo, *CODE, coded(database)) == PRODUCT
        asked.append(len(database.calls))
    assert asked == [1, 1, 2]


async def test_another_user_or_database_asks_for_itself() -> None:
    """What one may see says nothing of what another may."""
    database, references = Database(), References()
    for odoo in (FakeOdoo(database), FakeOdoo(database)):
        await references.resolve(odoo, *CODE, coded(database))
    assert len(database.calls) == 2


async def test_what_was_forgotten_is_asked_again() -> None:
    """After a refusal the record may be another one, or gone."""
    database, references = Database(), References()
    odoo, code = FakeOdoo(database), coded(database)
    await references.resolve(odoo, *CODE, code)
    del database.tables["product.product"][PRODUCT]
    references.forget(odoo)
    with pytest.raises(ConfigError, match="no record has it"):
        await references.resolve(odoo, *CODE, code)
