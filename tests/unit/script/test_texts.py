"""Values with variables: what becomes of them, what is never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from quaywatch.config import Settings, load_text
from quaywatch.errors import ConfigError, WrongResultError
from quaywatch.script import (
    Call,
    Entries,
    Items,
    Plain,
    Text,
    UnknownValueError,
    Variable,
    rendered,
    shortened,
    variables,
)
from quaywatch.secret import Secret
from tests.unit.config.registry import EXPORTERS, PROBES

MARK = Text((Variable("mark"),))
VALUES: dict[str, Any] = {"mark": "m/1", "steps.a.id": 7, "steps.a.list": [1, 2], "steps.a.yes": True}
HEAD = """
environment: test
installation: acme
targets: {erp: {kind: odoo, url: http://erp, database: a, login: b, password: c}}
flows:
  mine:
    kind: odoo
    steps:
      - name: count
        call: {model: res.partner, method: search_count, args: [%s]}
"""


def written(value: str, environ: dict[str, str] | None = None) -> Items:
    """The arguments of a flow with this value among them, as the configuration reads it."""
    found: list[Any] = []
    settings = load_text(HEAD % value, "test.yaml", environ or {}, EXPORTERS, PROBES, lambda flow: kept(flow, found))
    assert isinstance(settings, Settings)
    act = found[0].steps[0].act
    assert isinstance(act, Call)
    return act.args


def kept(flow: Any, found: list[Any]) -> Any:
    """Some probe; the flow is kept."""
    found.append(flow)
    return PROBES["order"]


@pytest.mark.parametrize(
    ("value", "becomes"),
    [
        ('"${mark}"', "m/1"),
        ('"a ${mark} b"', "a m/1 b"),
        ("[{a: '${mark}', b: [1, null, true, 1.5]}]", [{"a": "m/1", "b": [1, None, True, 1.5]}]),
        ("5", 5),
        ('"5"', "5"),
        ('"$$5 and $${mark}"', "$5 and ${mark}"),
        ('"${mark}$${mark}"', "m/1${mark}"),
        ('"$.id"', "$.id"),
        ('"${env:WORD}"', "word"),
        ('"Bearer ${env:WORD}."', "Bearer word."),
        ('"${env:NONE:-else}"', "else"),
    ],
)
def test_what_the_file_says_becomes_a_value(value: str, becomes: Any) -> None:
    """Variables when it runs, references when it is loaded, two dollars for one."""
    assert rendered(written(value, {"WORD": "word"}), VALUES) == [becomes]


def test_what_a_reference_brings_is_no_variable() -> None:
    """A secret that looks like one stays as it is."""
    assert rendered(written('"${env:WORD}"', {"WORD": "${mark}"}), VALUES) == ["${mark}"]


def test_a_variable_alone_keeps_its_type() -> None:
    """An id stays a number, a list a list; within a text a number becomes text."""
    assert rendered(Text((Variable("steps.a.id"),)), VALUES) == 7
    assert rendered(Text((Variable("steps.a.list"),)), VALUES) == [1, 2]
    assert rendered(Text(("id ", Variable("steps.a.id"))), VALUES) == "id 7"


@pytest.mark.parametrize("name", ["steps.a.list", "steps.a.yes"])
def test_no_list_is_put_into_a_text(name: str) -> None:
    """The message names the variable, not what it holds."""
    with pytest.raises(WrongResultError, match=r"\$\{steps\.a\.\w+\} is neither text nor number"):
        rendered(Text(("x", Variable(name))), VALUES)


def test_a_variable_without_a_value_is_told() -> None:
    """Its step did not come so far."""
    with pytest.raises(UnknownValueError, match=r"steps\.b\.id"):
        rendered(Items((Text((Variable("steps.b.id"),)),)), VALUES)


def test_what_replaces_a_variable_can_be_quoted() -> None:
    """And only that: the slash of the text stays."""
    path = Text(("/v1/", Variable("mark")))
    assert rendered(path, VALUES, lambda text: quote(text, safe="")) == "/v1/m%2F1"


def test_a_secret_is_used_and_never_shown(tmp_path: Path) -> None:
    """One of a file is read anew; one whose file is gone is a matter of the configuration."""
    file = tmp_path / "token"
    file.write_text("first\n")
    node = written(f'"Bearer ${{file:{file}}}"').items[0]
    assert rendered(node, {}) == "Bearer first"
    file.write_text("second\n")
    assert rendered(node, {}) == "Bearer second"
    assert "second" not in repr(node) + shortened(node)
    file.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        rendered(node, {})


def test_the_variables_of_a_value_are_found_wherever_they_stand() -> None:
    """In lists and tables."""
    node = Items((Plain("1"), Entries((("a", MARK), ("b", Items((Text(("x", Variable("now"))),)))))))
    assert list(variables(node)) == ["mark", "now"]


@pytest.mark.parametrize(
    ("node", "short"),
    [
        (Plain('"done"'), '"done"'),
        (Text(("a ", Variable("mark"), Secret("hidden"))), "a ${mark}***"),
        (Items((MARK,)), "a list"),
        (Entries((("a", MARK),)), "a table"),
        (Plain('"' + "x" * 99 + '"'), '"' + "x" * 59 + "..."),
    ],
)
def test_a_value_is_named_as_it_was_written(node: Any, short: str) -> None:
    """Cut short, and without what a variable or a reference stands for."""
    assert shortened(node) == short


def test_values_of_other_types_are_other_values() -> None:
    """A reload sees that 1 became true or "1"."""
    texts = ["1", "true", '"1"', "1.0", "[1]"]
    assert len({written(text) for text in texts}) == len(texts)
