"""Targets spread over members: each on one, never on two, and none on nobody for long."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from quaywatch.drivers.kubernetes import LeaseObject
from quaywatch.errors import ConnectError
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.leases import KubernetesShards
from quaywatch.runtime.leases.contention import BEAT_AT_MOST, PATIENCE
from quaywatch.runtime.leases.shares import share
from tests.unit.runtime.fakes import FakeClock, VirtualLoop

LOOP = VirtualLoop
T = TypeVar("T")
TTL = 15.0
BEAT = BEAT_AT_MOST * 1.25
TARGETS = [f"db-{number}" for number in range(60)]


@pytest.mark.parametrize("members", [1, 3, 10])
def test_shares_are_fair_and_leave_nothing_out(members: int) -> None:
    """Every target is in one share, and no share is more than half as large again as the fair one."""
    targets = [f"t{number}" for number in range(1000)]
    shares = [share(targets, range(members), member) for member in range(members)]
    assert Counter(target for one in shares for target in one) == Counter(targets)
    assert max(map(len, shares)) <= 1.5 * len(targets) / members


def test_a_member_that_goes_moves_only_its_own_targets() -> None:
    """The others keep what they have, and one that comes back gets what it had."""
    before = {member: share(TARGETS, range(5), member) for member in range(5)}
    after = {member: share(TARGETS, range(4), member) for member in range(4)}
    assert all(before[member] <= after[member] for member in range(4))
    assert frozenset[str]().union(*(after[member] - before[member] for member in range(4))) == before[4]


class Store:
    """The members' objects in memory, seen by one member over a line of its own, which is slow by chance."""

    def __init__(self, own: str, objects: dict[str, LeaseObject], chance: random.Random) -> None:
        self.own = own
        self._objects = objects
        self._chance = chance
        self.reachable = True

    async def all(self) -> list[LeaseObject]:
        """Every object."""
        return await self._after_a_while(lambda: list(self._objects.values()))

    async def read(self) -> LeaseObject | None:
        """The own one."""
        return await self._after_a_while(lambda: self._objects.get(self.own))

    async def create(self, note: str, **spec: Any) -> LeaseObject | None:
        """The own one, unless it is there."""
        made = LeaseObject({"metadata": {"name": self.own, "resourceVersion": "0"}, "spec": spec}).noted(note)
        return await self._after_a_while(lambda: None if self.own in self._objects else self._write(made))

    async def update(self, changed: LeaseObject) -> LeaseObject | None:
        """Written, unless it is another version by now."""
        return await self._after_a_while(lambda: self._write(changed) if self._is_last(changed) else None)

    async def delete(self, gone: LeaseObject) -> None:
        """Removed, unless it is another version by now."""
        await self._after_a_while(lambda: self._objects.pop(gone.name) if self._is_last(gone) else None)

    async def close(self) -> None:
        """There is no line."""

    async def _after_a_while(self, do: Callable[[], T]) -> T:
        await asyncio.sleep(self._chance.random() / 2)
        if not self.reachable:
            raise ConnectError("refused")
        done = do()
        await asyncio.sleep(self._chance.random() / 2)
        return done

    def _is_last(self, one: LeaseObject) -> bool:
        return one.name in self._objects and self._objects[one.name].version == one.version

    def _write(self, one: LeaseObject) -> LeaseObject:
        version = str(int(one.version) + 1)
        self._objects[one.name] = LeaseObject(
            {**one.raw, "metadata": {**one.raw["metadata"], "resourceVersion": version}}
        )
        return self._objects[one.name]


class Member:
    """One agent."""

    def __init__(self, name: str, objects: dict[str, LeaseObject], chance: random.Random) -> None:
        clock = FakeClock()
        self.store = Store(name, objects, chance)
        self.shards = KubernetesShards(
            self.store, identity=f"{name}-{chance.random()}", ttl=TTL, meter=Instruments("", clock), clock=clock,
            chance=chance.random,
        )  # fmt: skip
        self.shards.want(TARGETS)
        self.shards.start(lambda: None)

    @property
    def share(self) -> list[str]:
        """What it acts on now."""
        return [name for name in TARGETS if self.shards.held(name)]

    async def die(self) -> None:
        """End as a killed process does."""
        self.store.reachable = False
        await self.shards.close()


class Group:
    """Members that come and go, with whom it is seen at each moment that nobody reads what another one reads."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - an order of events, no secret
        self.objects: dict[str, LeaseObject] = {}
        self.members: dict[str, Member] = {}

    def join(self, name: str) -> None:
        """A member starts."""
        self.members[name] = Member(name, self.objects, self.chance)

    async def kill(self, name: str) -> None:
        """A member is killed."""
        await self.members.pop(name).die()

    async def leave(self, name: str) -> None:
        """A member stops as it should."""
        await self.members.pop(name).shards.close()

    async def live(self, seconds: float) -> None:
        """Look on for a while."""
        for _ in range(round(seconds * 20)):
            twice = [name for name, number in self.read().items() if number > 1]
            assert twice == []
            await asyncio.sleep(0.05)

    async def settle(self, seconds: float) -> None:
        """Look on, and then find every target with somebody."""
        await self.live(seconds)
        assert self.read() == Counter(TARGETS)

    def read(self) -> Counter[str]:
        """By how many members each target is read."""
        return Counter(name for member in self.members.values() for name in member.share)

    async def end(self) -> None:
        """All stop."""
        for name in list(self.members):
            await self.leave(name)


@pytest.mark.parametrize("seed", range(8))
async def test_nothing_is_read_twice_whoever_comes_and_goes(seed: int) -> None:
    """Three start at once, one is killed, one stops, one comes; each time everything is read again in bounded time."""
    group = Group(seed)
    for name in ("a", "b", "c"):
        group.join(name)
    await group.settle(4 * BEAT)
    await group.kill("b")
    await group.settle(TTL + 2 * BEAT)
    group.join("d")
    await group.settle(4 * BEAT)
    await group.leave("a")
    await group.settle(2 * BEAT)
    for name in ("a", "b"):
        group.join(name)
    await group.settle(TTL + 4 * BEAT)
    await group.end()


async def test_who_is_cut_off_goes_on_and_takes_nothing_more() -> None:
    """However long the keeper is away, each keeps its share; one that starts meanwhile waits for its own."""
    group = Group(1)
    for name in ("a", "b"):
        group.join(name)
    await group.settle(4 * BEAT)
    shares = {name: member.share for name, member in group.members.items()}
    group.join("c")
    for member in group.members.values():
        member.store.reachable = False
    await group.live(2 * PATIENCE * TTL)
    assert {name: member.share for name, member in group.members.items()} == {**shares, "c": []}
    for member in group.members.values():
        member.store.reachable = True
    await asyncio.sleep(4 * BEAT)
    await group.settle(4 * BEAT)
    assert group.members["c"].share != []
    await group.end()


async def test_a_name_belongs_to_one_process() -> None:
    """A second process of the same name acts on nothing while the first one lives, and follows it when it is dead."""
    group = Group(2)
    group.join("a")
    await group.settle(3 * BEAT)
    second = Member("a", group.objects, group.chance)
    await group.settle(3 * BEAT)
    assert second.share == []
    await group.kill("a")
    group.members["a"] = second
    await group.settle(TTL + 3 * BEAT)
    await group.end()


async def test_objects_of_the_dead_are_removed() -> None:
    """Names of pods come and go; what they leave does not pile up."""
    group = Group(3)
    for name in ("a", "b"):
        group.join(name)
    await group.live(4 * BEAT)
    await group.kill("b")
    await group.live(5 * TTL)
    assert list(group.objects) == ["a"]
    await group.end()
