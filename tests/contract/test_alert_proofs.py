"""The page of objectives says of each alert how it was proved."""

from __future__ import annotations

from tests.alerts.cases import CASES
from tests.alerts.proofs import BY_FAULT, FROM_SAMPLES, PAGE, WHY, table


def test_the_page_has_the_table() -> None:
    """It is what the tests go by: python -m tests.alerts.proofs writes it."""
    assert f"<!-- proofs: begin -->\n{table()}<!-- proofs: end -->" in PAGE.read_text()


def test_every_alert_is_proved_in_one_way() -> None:
    """None is left out, and no fault is said to raise an alert that there is not."""
    by_fault = {alert for alerts in BY_FAULT.values() for alert in alerts}
    assert by_fault | {*FROM_SAMPLES} == {*CASES}
    assert not by_fault & {*FROM_SAMPLES}


def test_it_says_why_samples_must_do() -> None:
    """Of each alert that no fault raises, and of no other."""
    assert WHY.keys() == {*FROM_SAMPLES}
