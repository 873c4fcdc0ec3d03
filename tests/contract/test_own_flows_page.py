"""What the page on flows of one's own prints, as an editor sees it; that it runs is tested on real servers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from quaywatch.cli.registry import all_exporters, all_probes
from quaywatch.config import json_schema
from quaywatch.config.flow_tables import CallTable, CheckTable, MarkedTable, RequestTable, StepTable

PAGE = (Path(__file__).parents[2] / "docs/own-flows.md").read_text()
PRINTED = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
"""The configurations: on Odoo, on HTTP."""
VALIDATOR = Draft202012Validator(json_schema(all_exporters(), all_probes()))


@pytest.mark.parametrize("text", PRINTED, ids=["odoo", "http"])
def test_an_editor_takes_what_is_printed(text: str) -> None:
    """The schema knows flows, and the probes that are made of them."""
    assert list(VALIDATOR.iter_errors(yaml.safe_load(text))) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    steps:", "    step:"),
        ("kind: odoo\n    steps", "kind: redis\n    steps"),
        ("save: {id: ", "save: {id: 5, x: "),
        ("expect:", "expects:"),
        ('path: "$[0].ref"', 'path: "[0].ref"'),
        ("deadline: 20", "deadlin: 20"),
    ],
)
def test_an_editor_marks_what_is_wrong(old: str, new: str) -> None:
    """Unknown keys, kinds and ways, in flows and in the tables of their probes."""
    assert old in PRINTED[0]
    document = yaml.safe_load(PRINTED[0].replace(old, new, 1))
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize("table", [StepTable, CallTable, RequestTable, CheckTable, MarkedTable])
def test_every_key_is_explained(table: type[StepTable]) -> None:
    """Whoever reads the page has seen all there is."""
    names = [field.alias or name for name, field in table.model_fields.items()]
    assert [name for name in names if not re.search(rf"`{name}\b", PAGE)] == []
