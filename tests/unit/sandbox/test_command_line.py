"""The sandbox's command line, as far as it needs no servers."""

from pathlib import Path

import pytest

from sandbox.__main__ import main
from sandbox.faults import FAULTS


def test_help_names_every_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """Each fault has its line in the help, with what it does."""
    with pytest.raises(SystemExit, match="0"):
        main(["fault", "--help"])
    said = capsys.readouterr().out
    assert all(f"  {name} " in said and (fault.__doc__ or "").splitlines()[0] in said for name, fault in FAULTS.items())


def test_an_unknown_part_is_an_error_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`up` of something that does not exist ends with 1 and lists the parts, without a traceback."""
    assert main(["--state", str(tmp_path), "up", "reddis"]) == 1
    assert "there is no part 'reddis'" in capsys.readouterr().err


def test_status_of_nothing_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing runs `status` prints an empty table and ends with 1."""
    assert main(["--state", str(tmp_path), "status"]) == 1
    assert capsys.readouterr().out.split() == ["PART", "STATE", "PID", "MEMORY", "PORTS"]


def test_an_unknown_fault_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt fault ends with 2."""
    with pytest.raises(SystemExit, match="2"):
        main(["fault", "looock"])
    assert "invalid choice: 'looock'" in capsys.readouterr().err
