"""Progress: lines where nobody can see a bar."""

import io

import pytest

from sandbox.progress import Progress, _bar


def test_a_long_step_is_announced_with_its_length() -> None:
    """Before a step that takes long the log says how long it usually takes."""
    out = io.StringIO()
    with Progress(out).step("root file system", 75):
        assert out.getvalue() == "root file system: about 75 s\n"


def test_a_short_step_is_not_worth_a_line() -> None:
    """A step that took no time writes nothing."""
    out = io.StringIO()
    with Progress(out).step("start"):
        pass
    assert not out.getvalue()


def test_a_failing_step_is_named() -> None:
    """The log names the step that failed, and the error goes on."""
    out = io.StringIO()
    with pytest.raises(ValueError, match="why"), Progress(out).step("start"):
        raise ValueError("why")
    assert out.getvalue().startswith("start: failed after ")


def test_quiet_is_quiet() -> None:
    """Asked to be quiet, even a long step writes nothing."""
    out = io.StringIO()
    with Progress(out, quiet=True).step("root", 75):
        pass
    assert not out.getvalue()


def test_a_bar_past_its_time_is_not_full() -> None:
    """A step that takes longer than usual shows a bar that still has a bit to go."""
    assert _bar("root", 5, 10).startswith("root [############............]")
    assert "#.]" in _bar("root", 500, 10)
