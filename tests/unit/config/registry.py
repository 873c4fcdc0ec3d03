"""Exporters and probes of the tests' own, with options of every type that options may have."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from quaywatch.contract import (
    Exporter,
    Probe,
    Sample,
    SweepOrder,
    Swept,
    TargetKind,
    Transaction,
    Transport,
)
from quaywatch.secret import Secret


class Depth(StrEnum):
    """A choice."""

    SHALLOW = "shallow"
    DEEP = "deep"


@dataclass(frozen=True, slots=True)
class LockOptions:
    """One option of each type."""

    top: int = field(default=5, metadata={"help": "how many", "at_least": 1, "at_most": 50})
    share: float = field(default=0.5, metadata={"help": "which part", "above": 0, "below": 1})
    depth: Depth = field(default=Depth.SHALLOW, metadata={"help": "how deep"})
    names: tuple[str, ...] = field(default=(), metadata={"help": "which ones"})
    expected: int | None = field(default=None, metadata={"help": "how many are expected"})
    key: Secret | None = field(default=None, metadata={"help": "a secret"})
    first: int = field(default=0, metadata={"help": "the first one"})
    last: int = field(default=9, metadata={"help": "the last one"})

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise ValueError(f"first: {self.first} is behind last; at most {self.last} is expected")
        if self.names and self.expected == 0:
            raise ValueError("names are given and none is expected; one of the two is expected to go")


@dataclass(frozen=True, slots=True)
class NoOptions:
    """Nothing to tune."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderOptions:
    """Options that have to be given."""

    partner: int | str = field(metadata={"help": "the customer", "example": "QUAYWATCH"})
    quantity: float = field(default=1.0, metadata={"help": "how many", "above": 0})


async def collect(_driver: object, _options: object, _state: object) -> AsyncIterator[Sample]:
    """Nothing."""
    return
    yield


async def run(_driver: object, _options: object, _transaction: Transaction) -> None:
    """Nothing."""


async def sweep(_driver: object, _options: object, _order: SweepOrder) -> Swept:
    """Nothing."""
    return Swept()


def exporter(name: str, reads: TargetKind, options: type[Any]) -> Exporter[Any, Any, Any]:
    """An exporter that reads nothing."""
    return Exporter(name=name, reads=reads, metrics=(), options=options, collect=collect, state=lambda: None)


LOCKS = exporter("locks", TargetKind.POSTGRES, LockOptions)
MEMORY = exporter("memory", TargetKind.REDIS, NoOptions)
ORDER: Probe[Any, Any] = Probe(
    name="order",
    flow="order",
    transport=Transport.RPC,
    drives=TargetKind.ODOO,
    options=OrderOptions,
    steps=("create",),
    run=run,
    sweep=sweep,
)
EXPORTERS = {"locks": LOCKS, "memory": MEMORY}
PROBES = {"order": ORDER}
