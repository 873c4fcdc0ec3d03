"""The log."""

from __future__ import annotations

import logging
import warnings

import pytest
import structlog

from tests.unit.otel_config.fakes import lines, logging_into


@pytest.mark.parametrize(("level", "heard"), [("debug", ["a", "b", "c"]), ("info", ["b", "c"]), ("error", ["c"])])
def test_the_level_is_the_least_of_our_own_lines(level: str, heard: list[str]) -> None:
    """What lies below it is not written."""
    with logging_into(level) as stream:  # type: ignore[arg-type]
        log = structlog.get_logger()
        log.debug("a")
        log.info("b")
        log.error("c")
    assert [line["event"] for line in lines(stream)] == heard


@pytest.mark.parametrize(("level", "heard"), [("debug", ["b", "c"]), ("warning", ["b", "c"]), ("error", ["c"])])
def test_libraries_are_heard_from_warnings_upwards(level: str, heard: list[str]) -> None:
    """At least; their lines have the same form and name the library."""
    with logging_into(level) as stream:  # type: ignore[arg-type]
        library = logging.getLogger("grpc")
        library.info("a")
        library.warning("b")
        library.error("c")
    assert [(line["event"], line["logger"]) for line in lines(stream)] == [(event, "grpc") for event in heard]


def test_a_line_is_one_line_with_its_time() -> None:
    """Whatever is in it; the time is UTC to the microsecond."""
    with logging_into("info") as stream:
        structlog.get_logger().info("two\nlines", answer="a\nb\ud800")
    [line] = lines(stream)
    assert line["event"] == "two\nlines"
    assert line["timestamp"].endswith("Z")
    assert "trace_id" not in line


def test_what_a_task_is_about_stands_in_its_lines() -> None:
    """Context variables of structlog are merged in."""
    with logging_into("info") as stream, structlog.contextvars.bound_contextvars(target="erp"):
        structlog.get_logger().info("read")
    assert lines(stream)[0]["target"] == "erp"


def test_warnings_of_python_are_lines_too() -> None:
    """They do not go to stderr in a form of their own."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with logging_into("info") as stream:
            warnings.warn("old", UserWarning, stacklevel=1)
    assert "UserWarning: old" in lines(stream)[0]["event"]


def test_people_may_have_it_plain() -> None:
    """The console format is no JSON, and has no colours where there is no terminal."""
    with logging_into("info", "console") as stream:
        structlog.get_logger().info("read", target="erp")
        logging.getLogger("grpc").warning("slow")
    first, second = stream.getvalue().splitlines()
    assert "read" in first
    assert "target=erp" in first
    assert "slow" in second
    assert "\x1b" not in stream.getvalue()
