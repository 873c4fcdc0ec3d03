"""What `quaywatch check` says when the agent itself fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from quaywatch.cli.check import exit_code
from quaywatch.cli.checks import Report, examine
from quaywatch.contract import Exporter, ExporterTask, Reach, Sample, Target, TargetKind, Watched
from quaywatch.errors import ConnectError, InternalError


class Site:
    """A driver of an HTTP target that answers, or fails as it is told to."""

    def __init__(self, failure: Exception | None = None) -> None:
        self._failure = failure
        self.closed = False

    async def ping(self) -> None:
        """Answer."""
        if self._failure:
            raise self._failure

    async def close(self) -> None:
        """Nothing is open."""
        self.closed = True


async def broken(_driver: object, _options: object, _state: object) -> AsyncIterator[Sample]:
    """An exporter with a defect."""
    samples: dict[str, Sample] = {}
    yield samples["no such key"]


def watched(site: Site, *exporters: Exporter[Any, Any, Any]) -> Watched:
    """A target that this driver reaches."""
    tasks = tuple(ExporterTask(exporter, None, 15.0, 5.0) for exporter in exporters)
    return Watched(Target("edge", TargetKind.HTTP, "test", Reach.SHARED), lambda: site, tasks, ())


def told(report: Report) -> list[str]:
    """What was found, each with the type of its defect."""
    return [f"{finding.what} <{type(finding.defect).__name__}>" for finding in report.findings]


async def test_a_defect_of_a_driver_is_a_row_of_its_target() -> None:
    """Nothing is raised: nothing is known of this target, and the others have their rows."""
    for failure, what in ((TypeError("no text"), "TypeError: no text"), (InternalError("cannot be"), "cannot be")):
        site = Site(failure)
        report = await examine(watched(site), "")
        assert (report.reachable, report.logged_in, report.fine, site.closed) == (None, None, False, True)
        assert told(report) == [f"a defect of the agent: {what} <{type(failure).__name__}>"]


async def test_a_driver_that_cannot_be_opened_is_a_row_of_its_target() -> None:
    """Such as one whose file of certificates has gone since the configuration was read."""

    def missing() -> Site:
        raise FileNotFoundError("no such file")

    report = await examine(Watched(Target("edge", TargetKind.HTTP, "test", Reach.SHARED), missing, (), ()), "")
    assert told(report) == ["a defect of the agent: FileNotFoundError: no such file <FileNotFoundError>"]


async def test_a_defect_of_an_exporter_leaves_the_login_known() -> None:
    """It is told with the exporter's name; the target was reached all the same."""
    exporter: Exporter[Any, Any, Any] = Exporter(
        name="broken", reads=TargetKind.HTTP, metrics=(), options=object, collect=broken, state=lambda: None
    )
    report = await examine(watched(Site(), exporter), "")
    assert (report.reachable, report.logged_in) == (True, True)
    assert exit_code([report]) == 3
    assert told(report) == ["broken: a defect of the agent: KeyError: 'no such key' <KeyError>"]


async def test_the_exit_code_tells_a_fine_target_from_one_that_is_down() -> None:
    """0 and 1; a defect elsewhere is told all the same."""
    fine = await examine(watched(Site()), "")
    down = await examine(watched(Site(ConnectError("nobody is there"))), "")
    defect = await examine(watched(Site(TypeError("no text"))), "")
    assert [exit_code(reports) for reports in ([fine], [fine, down], [defect, fine, down])] == [0, 1, 3]
