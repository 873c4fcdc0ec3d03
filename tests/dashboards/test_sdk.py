"""Grafana's own model of the classic format knows everything that the dashboards say."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest

from tests.contract.test_dashboards import rendered

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it would rather have us write the newer format
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

register_default_plugins()


def missing(said: Any, kept: Any, place: str = "") -> list[str]:
    """Where something that was said is not kept; what the model adds by itself is no loss."""
    if isinstance(said, dict) and isinstance(kept, dict):
        return [loss for key in said for loss in missing(said[key], kept.get(key), f"{place}.{key}")]
    if isinstance(said, list) and isinstance(kept, list) and len(said) == len(kept):
        pairs = enumerate(zip(said, kept, strict=True))
        return [loss for number, (one, other) in pairs for loss in missing(one, other, f"{place}[{number}]")]
    return [] if said == kept else [f"{place}: {said!r} became {kept!r}"]


@pytest.mark.parametrize("dashboard", rendered().values(), ids=lambda dashboard: dashboard["uid"])
def test_a_round_trip_loses_nothing(dashboard: dict[str, Any]) -> None:
    """Read into the model and written again, every key and value is still there."""
    model = Dashboard.from_json(dashboard)
    assert missing(dashboard, json.loads(json.dumps(model, cls=JSONEncoder))) == []


def test_a_loss_is_found() -> None:
    """A key that is gone, a value that changed and a list that is shorter are losses."""
    said = {"a": 1, "b": {"c": [1, 2]}, "d": [1]}
    assert missing(said, {"b": {"c": [1, 3]}, "d": [], "e": 5}) == [
        ".a: 1 became None",
        ".b.c[1]: 2 became 3",
        ".d: [1] became []",
    ]
