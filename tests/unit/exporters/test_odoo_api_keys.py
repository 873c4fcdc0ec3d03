"""The end of API keys: answers in, samples and sentences out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exporters.odoo_api_keys import EXPIRES, EXPORTER, MODEL, Options
from quaywatch.contract import Odoo, Sample
from quaywatch.errors import ParseError
from tests.unit.exporters.test_odoo_rpc import CannedOdoo

DAY = 86_400


def with_keys(**days: float) -> CannedOdoo:
    """An Odoo whose user has keys that expire in so many days."""
    rows = [{"id": 1, "name": name, EXPIRES: text(days[name])} for name in days]
    return CannedOdoo({"search_read": rows}, {MODEL: frozenset({"name", EXPIRES})})


def text(days: float) -> str:
    """A time so far ahead, as Odoo writes it."""
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S")


async def read(odoo: Any) -> dict[tuple[str, ...], float]:
    """The seconds left of each key."""
    samples: list[Sample] = [sample async for sample in EXPORTER.collect(odoo, Options(), None)]
    return {sample.attributes: sample.value for sample in samples if not hasattr(sample.value, "counts")}


async def told(odoo: Odoo | CannedOdoo) -> list[str]:
    """What `quaywatch check` says."""
    assert EXPORTER.check is not None
    return [sentence async for sentence in EXPORTER.check(odoo, Options())]


async def test_the_seconds_that_a_key_lasts_are_told() -> None:
    """Each key by its name, below 0 when it is over; of two with one name the sooner one."""
    odoo = with_keys(probe=60, spare=-1)
    odoo.answers["search_read"].append({"id": 2, "name": "probe", EXPIRES: text(70)})
    found = await read(odoo)
    assert found["probe",] == pytest.approx(60 * DAY, abs=5)
    assert found["spare",] == pytest.approx(-DAY, abs=5)


async def test_keys_of_older_versions_last_for_ever() -> None:
    """Without such a date there is no sample, and no error; nor where there are no keys at all."""
    assert await read(CannedOdoo({}, {MODEL: frozenset({"name"})})) == {}
    assert await read(CannedOdoo({}, {})) == {}
    assert await told(CannedOdoo({}, {MODEL: frozenset({"name"})})) == []


async def test_check_warns_a_fortnight_before() -> None:
    """A key with 15 days left is no finding; one with 13 is, and one that has expired says so."""
    assert await told(with_keys(probe=15)) == []
    (soon,) = await told(with_keys(probe=13.04))
    assert "'probe' expires in 13.0 days" in soon
    (late,) = await told(with_keys(probe=-1))
    assert "has expired" in late


async def test_a_date_that_is_none_is_a_parse_error() -> None:
    """Nothing is published of what cannot be understood."""
    odoo = with_keys(probe=1)
    odoo.answers["search_read"][0][EXPIRES] = "soon"
    with pytest.raises(ParseError):
        await read(odoo)
