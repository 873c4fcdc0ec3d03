"""The table of the web client's versions."""

from __future__ import annotations

import pytest

from probes.odoo_pages import field, selectors_of


@pytest.mark.parametrize(("version", "like"), [(13, 14), (15, 14), (17, 16), (19, 18), (20, 18)])
def test_a_version_looks_like_the_one_before_it(version: int, like: int) -> None:
    """Between two entries the older one holds, and the ends of the table hold beyond it."""
    assert selectors_of(version) == selectors_of(like)
    assert len({selectors_of(known) for known in (14, 16, 18)}) == 3


def test_a_field_is_found_as_both_clients_name_it() -> None:
    """The old client names the input itself, the new one what is around it."""
    assert field("partner_id") == ":is([name=partner_id] input, input[name=partner_id])"
    assert field("product_uom_qty", ".row") == ".row :is([name=product_uom_qty] input, input[name=product_uom_qty])"
