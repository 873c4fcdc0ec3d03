"""Flows that a user writes in the configuration: each is a probe of its own, with its own steps.

At the end of a run each step is undone as it says itself, then all records that bear the run's mark as the flow's sweep
says; after a killed run the sweep alone does it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from quaywatch.contract import Odoo, Probe, SweepOrder, Swept, TargetKind, Transaction, Transport
from quaywatch.errors import ConnectError, DeadlineError, FaultError, ParseError, TargetError, WrongResultError
from quaywatch.script import Act, Call, Flow, Step, UnknownValueError

from . import scripted_acts as acts
from . import scripted_sweep as sweeps
from .odoo_checks import missing_rights
from .odoo_risks import Guard
from .odoo_risks import findings as risks_of
from .scripted_answers import Reply, refuse, value_at
from .scripted_risks import Touched, touched_by

_UNANSWERED = (ConnectError, DeadlineError, ParseError)
"""Errors after which nobody knows whether the other side did what it was asked."""
_NOT_YET = (WrongResultError, FaultError)
"""What an answer is that may become another while a step waits."""
_LOOK_EVERY = 0.5
"""Seconds between an answer that is not as expected and the next one, while a step waits."""
_RIGHTS = {"create": "create", "write": "write", "unlink": "unlink", "action_archive": "write", "copy": "create"}
"""The operation that a method needs; others need to read at least."""


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing beside the flow itself."""


@dataclass(frozen=True, slots=True)
class OdooOptions(Options):
    """What beside the flow itself is to be said of one in Odoo."""

    accept_risks: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "what the flow's records may set off all the same, by the names that `quaywatch check` prints",
            "example": ["automation:12"],
        },
    )


def probe_of(flow: Flow) -> Probe[Any, Options]:
    """The probe that carries out a flow; equal flows make equal probes."""
    return Probe(
        name=flow.name,
        flow=flow.name,
        transport=Transport.RPC if flow.kind is TargetKind.ODOO else Transport.HTTP,
        drives=flow.kind,
        options=OdooOptions if flow.kind is TargetKind.ODOO else Options,
        steps=tuple(step.name for step in flow.steps),
        run=Run(flow),
        sweep=Sweep(flow),
        check=Check(flow) if flow.kind is TargetKind.ODOO else None,
    )


@dataclass(frozen=True, slots=True)
class Run:
    """Goes through the steps of a flow."""

    flow: Flow
    clock: Callable[[], float] = time.time
    guard: Guard = field(default_factory=Guard, compare=False, repr=False)

    async def __call__(self, driver: Any, options: Options, tx: Transaction) -> None:
        """One run; in Odoo it does not start while its records set off what is not accepted.

        Raises:
            ConfigError: when they do.
        """
        if touched := _touched(self.flow, options):
            tx = self.guard.over(tx, driver, touched)
        moment = datetime.fromtimestamp(self.clock(), UTC)
        run = _Running(self.flow, driver, tx, acts.first_values(self.flow.kind, tx.mark, moment))
        for step in self.flow.steps:
            async with tx.step(step.name, waits=step.within > 0):
                await run.go(step)


def _touched(flow: Flow, options: Options) -> Touched | None:
    """What a flow in Odoo makes and changes; None where nothing is known of it."""
    touched = touched_by(flow, options.accept_risks) if isinstance(options, OdooOptions) else None
    return touched if touched and touched.touches else None


@dataclass(slots=True)
class _Running:
    """A run under way: the values that its steps saved, and those steps that nobody answered."""

    flow: Flow
    driver: Any
    tx: Transaction
    values: dict[str, Any]
    unanswered: set[str] = field(default_factory=set)
    swept: bool = False

    async def go(self, step: Step) -> None:
        """One step. How it is undone is registered first: the other side may do what it is asked and not answer."""
        act = partial(acts.performed, self.driver, step.act, self.values)
        if step.writes:
            self._undo_by_mark()
        if step.undo is not None:
            self.tx.undo(step.name, partial(self._undo, step, step.undo))
        clock = asyncio.get_running_loop().time
        end = clock() + step.within
        while True:
            last = clock() >= end
            try:
                return await self._fine(step, act)
            except _NOT_YET:
                if last:
                    raise
            await asyncio.sleep(_LOOK_EVERY)

    async def _fine(self, step: Step, act: Callable[[], Awaitable[Reply]]) -> None:
        """Done once, with an answer that is as expected."""
        reply = await self._answered(step, act)
        for name, path in step.saves:
            self.values[f"steps.{step.name}.{name}"] = value_at(reply, path)
        for check in step.checks:
            refuse(check, reply, self.values)

    async def _answered(self, step: Step, act: Callable[[], Awaitable[Reply]]) -> Reply:
        try:
            reply = await act()
        except _UNANSWERED:
            self.unanswered.add(step.name)
            raise
        acts.refuse_status(reply, step.checks)
        return reply

    def _undo_by_mark(self) -> None:
        """Registered once, before anything is written, so that it comes after every step's own undoing."""
        if self.flow.sweep and not self.swept:
            self.swept = True
            self.tx.undo("sweep", partial(sweeps.undo_marked, self.driver, self.flow.sweep, self.tx.mark))

    async def _undo(self, step: Step, undo: Act) -> None:
        """Undo a step; one that was refused left nothing, and saved nothing to undo it by.

        Raises:
            WrongResultError: when it may have left something that nobody can find.
        """
        try:
            reply = await acts.performed(self.driver, undo, self.values)
        except UnknownValueError as error:
            if step.name in self.unanswered and not self.flow.sweep:
                raise WrongResultError(
                    f"the step {step.name} was not answered, so what it made cannot be undone: {error} is not known",
                    remedy="undo it by ${mark}, which is known beforehand, or give the flow a sweep",
                ) from error
            return
        acts.refuse_status(reply, ())


@dataclass(frozen=True, slots=True)
class Sweep:
    """Undoes what killed runs of a flow left."""

    flow: Flow

    async def __call__(self, driver: Any, _options: Options, order: SweepOrder) -> Swept:
        """One sweep; nothing where the flow does not say what its runs make."""
        return await sweeps.sweep(driver, self.flow.sweep, order) if self.flow.sweep else Swept()


@dataclass(frozen=True, slots=True)
class Check:
    """Looks for models and fields that are not there, for rights that are missing, and for what would be set off."""

    flow: Flow

    async def __call__(self, odoo: Odoo, options: Options) -> AsyncIterator[str]:
        """A sentence for each thing that is missing, and for each risk that is not accepted."""
        for janitor in (False, True):
            needs = self._needs(janitor=janitor)
            user = odoo.janitor() if janitor else odoo
            if user is None and needs:
                yield f"{', '.join(needs)}: the flow asks for the janitor, and the target has none"
            if user is None:
                continue
            for model, rights in needs.items():
                async for finding in self._findings(user, model, rights):
                    yield finding
        if touched := _touched(self.flow, options):
            async for finding in risks_of(odoo, touched):
                yield finding

    async def _findings(self, user: Odoo, model: str, rights: list[str]) -> AsyncIterator[str]:
        try:
            fields = await user.fields(model)
        except TargetError as error:
            yield str(error)
            return
        for marked in self.flow.sweep:
            if marked.model == model and marked.field not in fields:
                yield f"{model} has no field {marked.field}: correct the flow's sweep"
        async for finding in missing_rights(user, {model: rights}, "give it a group that may"):
            yield finding

    def _needs(self, *, janitor: bool) -> dict[str, list[str]]:
        """The operations on each model that one of the two users must be allowed."""
        done = [act for step in self.flow.steps for act in (step.act, step.undo) if isinstance(act, Call)]
        called = [(act.model, act.method) for act in done if act.janitor == janitor]
        swept = [marked for marked in self.flow.sweep if marked.janitor == janitor]
        called += [(marked.model, method) for marked in swept for method in marked.methods]
        needs: dict[str, list[str]] = {}
        for model, method in called:
            operations = needs.setdefault(model, ["read"])
            operation = _RIGHTS.get(method, "read")
            if operation not in operations:
                operations.append(operation)
        return needs
