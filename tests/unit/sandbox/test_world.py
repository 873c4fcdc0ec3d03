"""The world as a record, and the order of its parts."""

from pathlib import Path

import pytest

from sandbox.cache import SandboxError
from sandbox.faults import FAULTS
from sandbox.parts.redis import Redis
from sandbox.parts.webhook import Webhook
from sandbox.world import PARTS, World, _waves, status, with_needs


def test_a_part_brings_what_it_needs() -> None:
    """Traefik alone means both Odoos, their database, and the Collector with its stores."""
    assert with_needs(["traefik"]) == [
        "postgres",
        "odoo14",
        "odoo19",
        "recorder",
        "victoriametrics",
        "collector",
        "traefik",
    ]


def test_no_name_means_everything() -> None:
    """Without names all parts are meant, but for those that stand aside."""
    assert with_needs([]) == [name for name in PARTS if name != "kubernetes"]


def test_an_unknown_part_is_refused_with_the_known_ones() -> None:
    """A misspelt part is an error that lists what there is."""
    with pytest.raises(SandboxError, match=r"no part 'reddis'.*redis"):
        with_needs(["reddis"])


def test_nothing_starts_before_what_it_needs() -> None:
    """In the order of starts every part comes in a later wave than all it needs."""
    waves = {name: number for number, wave in enumerate(_waves(PARTS)) for name in wave}
    assert waves.keys() == PARTS.keys()
    assert all(waves[need] < waves[name] for name, part in PARTS.items() for need in part.needs)


def test_a_saved_world_is_loaded_as_it_was(tmp_path: Path) -> None:
    """Addresses, passwords and paths survive the way through the file."""
    endpoints = {
        "redis": Redis(host="127.0.0.1", port=1, password="x"),
        "webhook": Webhook(url="http://127.0.0.1:2", file=tmp_path / "told.jsonl"),
    }
    world = World(state=tmp_path, endpoints=endpoints)
    world.save()
    assert World.load(tmp_path) == world


def test_a_part_that_is_not_up_says_how_to_start_it(tmp_path: Path) -> None:
    """Asking for the address of a part that was never started names the command that starts it."""
    world = World.load(tmp_path)
    assert "redis" not in world
    with pytest.raises(SandboxError, match="python -m sandbox up redis"):
        _ = world.redis


def test_where_nothing_was_started_there_is_no_status(tmp_path: Path) -> None:
    """A directory that does not exist has no parts, and asking does not make it."""
    assert status(state=tmp_path / "none") == []
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", ["stop", "freeze", "black-hole"])
@pytest.mark.parametrize("target", [None, "reddis"])
def test_a_fault_that_strikes_a_part_wants_one_that_exists(tmp_path: Path, name: str, target: str | None) -> None:
    """Such a fault without a part, or with an unknown one, is refused."""
    with pytest.raises(SandboxError, match="one of postgres"), FAULTS[name](World(state=tmp_path), target):
        pass


ONE_THING = (
    "lag",
    "cut-standby",
    "silent-line",
    "fill-redis",
    "evictions",
    "cron-off",
    "skipped-crons",
    "expiring-key",
)


@pytest.mark.parametrize("name", [*ONE_THING, "failing-archive"])
def test_a_fault_that_strikes_one_thing_takes_no_target(tmp_path: Path, name: str) -> None:
    """A target that would be ignored is refused."""
    with pytest.raises(SandboxError, match="no meaning"), FAULTS[name](World(state=tmp_path), "redis"):
        pass
