"""The table of the web client's versions."""

from __future__ import annotations

import pytest

from probes.odoo_pages import english, field, selectors_of
from tests.unit.probes.fake_odoo import Database, FakeOdoo


@pytest.mark.parametrize(("version", "like"), [(13, 14), (15, 14), (17, 16), (19, 18), (20, 18)])
def test_a_version_looks_like_the_one_before_it(version: int, like: int) -> None:
    """Between two entries the older one holds, and the ends of the table hold beyond it."""
    assert selectors_of(version) == selectors_of(like)
    assert len({selectors_of(known) for known in (14, 16, 18)}) == 3


def test_a_page_that_reckons_with_everybodys_orders_is_known() -> None:
    """That of 14 does, of which others' orders are an error, and those that look like it."""
    assert [version for version in (14, 15, 16, 18, 19) if selectors_of(version).forecasts_all] == [14, 15]


def test_a_field_is_found_as_both_clients_name_it() -> None:
    """The old client names the input itself, the new one what is around it."""
    assert field("partner_id") == ":is([name=partner_id] input, input[name=partner_id])"
    assert field("product_uom_qty", ".row") == ".row :is([name=product_uom_qty] input, input[name=product_uom_qty])"


@pytest.mark.parametrize(("version", "unreserve", "labels"), [(14, 0, 1), (16, 0, 0), (18, 1, 1)])
async def test_menus_are_read_in_english(version: int, unreserve: int, labels: int) -> None:
    """Where a thing is known by its English name alone, a user of another language is told so."""
    at = selectors_of(version)
    for language, each in (("de_DE", 1), ("en_GB", 0)):
        odoo = FakeOdoo(Database(version=version, language=language))
        told = [[finding async for finding in english(odoo, clicked)] for clicked in (at.unreserve, at.labels)]
        assert [len(findings) for findings in told] == [unreserve * each, labels * each]
