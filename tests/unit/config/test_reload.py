"""Changes of the file and of its secrets are noticed; a bad one changes nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from quaywatch.config import Reloader, Settings, follow, load
from quaywatch.errors import ConfigError
from tests.unit.config.registry import EXPORTERS, PROBES

TEXT = (
    "environment: test\ninstallation: acme\ntargets: {{db: {{kind: postgres, host: {host}, password: '{password}'}}}}\n"
)


class Place:
    """A configuration on disk, and a reloader that follows it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "quaywatch.yaml"
        self.secret = directory / "password"
        self.secret.write_text("one")
        self.write()
        self.reloader = Reloader(self.path, self._load, self._load(self.path))

    def write(self, host: str = "db", secret: Path | None = None) -> None:
        """Write the configuration."""
        self.path.write_text(TEXT.format(host=host, password=f"${{file:{secret or self.secret}}}"))

    @staticmethod
    def _load(path: Path) -> Settings:
        return load(path, {}, EXPORTERS, PROBES)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A good configuration with one secret file."""
    return Place(tmp_path)


def test_nothing_changed_is_no_change(place: Place) -> None:
    """Writing the same content again is none either."""
    place.write()
    assert not place.reloader.changed()


def test_another_file_content_is_a_change_until_it_is_loaded(place: Place) -> None:
    """The new settings are kept, and the change is over."""
    place.write(host="other")
    assert place.reloader.changed()
    assert place.reloader.reload() is place.reloader.settings
    assert not place.reloader.changed()


def test_a_rotated_secret_is_a_change(place: Place) -> None:
    """The file of a secret counts, though the configuration is the same."""
    place.secret.write_text("two")
    assert place.reloader.changed()
    place.reloader.reload()
    assert not place.reloader.changed()


def test_a_bad_file_keeps_the_settings_and_is_tried_once(place: Place) -> None:
    """The same bad content is not loaded again and again."""
    before = place.reloader.settings
    place.path.write_text("environment: [")
    with pytest.raises(ConfigError):
        place.reloader.reload()
    assert place.reloader.settings is before
    assert not place.reloader.changed()


def test_a_secret_file_that_appears_mends_a_bad_configuration(place: Place, tmp_path: Path) -> None:
    """The file that was missed is looked for from then on."""
    late = tmp_path / "late"
    place.write(secret=late)
    with pytest.raises(ConfigError):
        place.reloader.reload()
    assert not place.reloader.changed()
    late.write_text("here")
    assert place.reloader.changed()
    assert place.reloader.reload().files == {late}


def test_a_file_that_vanished_is_a_change(place: Place) -> None:
    """It is told, and the old settings stay."""
    place.path.unlink()
    assert place.reloader.changed()
    with pytest.raises(ConfigError, match="cannot be read"):
        place.reloader.reload()
    assert not place.reloader.changed()


class Follower:
    """What `follow` is given: a wait that runs a script of looks, and notes of what it did."""

    def __init__(self, place: Place, looks: list[bool]) -> None:
        self.place = place
        self.looks = looks
        self.applied: list[Settings] = []
        self.reports: list[str] = []
        self.refuses = False
        self.over = asyncio.Event()

    async def wait(self, _seconds: float) -> bool:
        """Ends the script by waiting for ever."""
        if not self.looks:
            self.over.set()
            await asyncio.Event().wait()
        return self.looks.pop(0)

    async def apply(self, settings: Settings) -> None:
        """Note it, or refuse."""
        if self.refuses:
            raise ConfigError("cannot be put to work")
        self.applied.append(settings)

    def report(self, error: ConfigError | None) -> None:
        """Note it."""
        self.reports.append(str(error) if error else "fine")

    async def run(self) -> None:
        """Follow until the script is over."""
        task = asyncio.create_task(follow(self.place.reloader, wait=self.wait, apply=self.apply, report=self.report))
        await self.over.wait()
        task.cancel()
        await asyncio.wait({task})


async def test_a_look_without_a_change_does_nothing(place: Place) -> None:
    """No reload, no report."""
    follower = Follower(place, [False, False])
    await follower.run()
    assert follower.reports == []


async def test_a_changed_file_is_applied_once(place: Place) -> None:
    """The next look sees nothing new."""
    place.write(host="other")
    follower = Follower(place, [False, False])
    await follower.run()
    assert follower.reports == ["fine"]
    assert follower.applied == [place.reloader.settings]


async def test_a_reload_that_is_asked_for_needs_no_change(place: Place) -> None:
    """The signal reloads at once."""
    follower = Follower(place, [True])
    await follower.run()
    assert follower.reports == ["fine"]


async def test_settings_that_cannot_be_put_to_work_are_given_up(place: Place) -> None:
    """The old settings go on, and the report says why."""
    before = place.reloader.settings
    place.write(host="other")
    follower = Follower(place, [False, False])
    follower.refuses = True
    await follower.run()
    assert follower.reports == ["cannot be put to work"]
    assert place.reloader.settings is before
