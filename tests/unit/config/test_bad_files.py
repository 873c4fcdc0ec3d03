"""Each kind of fault has a file that has it; its first lines say exactly how it is told."""

from __future__ import annotations

from functools import cache
from itertools import takewhile
from pathlib import Path

import pytest

from quaywatch.config import load
from quaywatch.config.faults import FaultyFileError, TextRule
from quaywatch.config.sentences import SENTENCES
from tests.unit.config.registry import EXPORTERS, PROBES

BAD = Path(__file__).with_name("bad")
FILES = sorted(BAD.glob("*.yaml"))
ENVIRON = {"WORD": "word", "URL": "ftp://a:hidden@b"}


@cache
def refused(path: Path) -> FaultyFileError:
    """The error that loading a bad file raises."""
    with pytest.raises(FaultyFileError) as caught:
        load(path, ENVIRON, EXPORTERS, PROBES)
    return caught.value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_bad_file_is_told_line_by_line(path: Path) -> None:
    """The whole error is what the file's first lines say, with the file's name in front of each."""
    comments = takewhile(lambda line: line.startswith("# FILE:"), path.read_text().splitlines())
    expected = [line.removeprefix("# FILE") for line in comments]
    assert expected
    assert [line.removeprefix(str(path)) for line in str(refused(path)).splitlines()] == expected


def test_every_sentence_is_told_by_some_bad_file() -> None:
    """No validator and no sentence is without a file that shows it."""
    told = {fault.rule for path in FILES for fault in refused(path).faults}
    assert {*SENTENCES, *TextRule} - told == set()


def test_every_fault_has_a_sentence_of_ours() -> None:
    """No bad file brings out pydantic's own wording."""
    told = {fault.rule for path in FILES for fault in refused(path).faults}
    assert told - {*SENTENCES, *TextRule} == set()


def test_faults_stand_in_the_order_of_the_file() -> None:
    """A file with many faults is told from its top to its end."""
    lines = [fault.line for fault in refused(BAD / "many-at-once.yaml").faults]
    assert len(lines) > 5
    assert lines == sorted(lines)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_fault_shows_a_secret(path: Path) -> None:
    """What stands in a secret's place, or came from elsewhere, is not in the message."""
    message = str(refused(path))
    assert [secret for secret in ("123456", "12345", "hidden", "'word'") if secret in message] == []
