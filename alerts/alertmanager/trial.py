"""Plays cases to a real Alertmanager, which alone knows what it inhibits and mutes. Each case has one of its own."""

from __future__ import annotations

import asyncio
import os
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import yaml
from aiohttp import ClientError, ClientSession, ClientTimeout, web

from .cases import Case, Event
from .faults import Key
from .stage import longest_wait, staged

LOOPBACK: Final = "127.0.0.1"
_LISTENS: Final = b'msg="Listening on"'
_STARTS_WITHIN: Final = 30.0
_ENDS_WITHIN: Final = 5.0
_ANSWERS_WITHIN: Final = ClientTimeout(total=10)
_READ_AT_ONCE: Final = 65_536
_MARGIN: Final = 60.0
"""Seconds of the case's own time that are looked at after the longest wait."""
_FIRES_FOR: Final = timedelta(hours=12)

Difference = tuple[Key, str]
"""A key of the case, and what was expected there and came instead."""
Found = Mapping[str, set[str]]


class TrialError(Exception):
    """Alertmanager could not be tried: it does not start, or refuses the configuration; the message is its own."""


async def play(
    program: Path, configuration: Mapping[str, Any], alerts: Mapping[str, Mapping[str, str]], case: Case, speed: float
) -> list[Difference]:
    """What differs from what the case expects; nothing when it holds.

    Args:
        program: Alertmanager.
        configuration: its configuration; receivers are replaced, waits made shorter.
        alerts: the labels of the case's alerts, by their names.
        case: what happens and is expected.
        speed: how many times faster than in life.

    Raises:
        TrialError: when Alertmanager does not start with this configuration.
        ValueError: when a wait is no duration.
    """
    receivers = [receiver["name"] for receiver in configuration["receivers"]]
    opened = None if case.by_clock else case.open
    names = _Names(alerts)
    async with _desk(receivers, names) as desk:
        parts = staged(configuration, address=desk.address, speed=speed, opened=opened)
        async with _running(program, yaml.safe_dump(parts)) as url, _api(url) as api:
            await _happen(api, case, names, longest_wait(configuration), speed)
            states, groups = await _asked(api, "alerts"), await _asked(api, "alerts/groups")
    return [*_told(case, desk), *_inhibited(case, states, names), *_muted(case, groups, names)]


class _Names:
    """The alerts of a case by their labels, as Alertmanager gives them back: without those that are empty."""

    def __init__(self, alerts: Mapping[str, Mapping[str, str]]) -> None:
        self.labels = {name: {key: value for key, value in labels.items() if value} for name, labels in alerts.items()}
        self._names = {frozenset(labels.items()): name for name, labels in self.labels.items()}

    def of(self, alert: Mapping[str, Any]) -> str:
        return self._names[frozenset(alert["labels"].items())]


@dataclass(slots=True)
class _Desk:
    """What the receivers were told: by status the alerts of each, in messages of their own too, and how often each."""

    receivers: Sequence[str]
    names: _Names
    address: str = ""
    told: dict[str, defaultdict[str, set[str]]] = field(
        default_factory=lambda: {"firing": defaultdict(set), "resolved": defaultdict(set)}
    )
    alone: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    times: Counter[str] = field(default_factory=Counter)

    async def take(self, request: web.Request) -> web.Response:
        receiver = self.receivers[int(request.match_info["number"])]
        self.times[receiver] += 1
        alerts = (await request.json())["alerts"]
        for alert in alerts:
            self.told[alert["status"]][receiver].add(self.names.of(alert))
        if len(alerts) == 1:
            self.alone[receiver].add(self.names.of(alerts[0]))
        return web.Response()


@asynccontextmanager
async def _desk(receivers: Sequence[str], names: _Names) -> AsyncIterator[_Desk]:
    """Takes what Alertmanager sends."""
    desk = _Desk(receivers, names)
    application = web.Application()
    application.router.add_post("/{number}", desk.take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0).start()
        desk.address = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
        yield desk
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _running(program: Path, configuration: str) -> AsyncIterator[str]:
    """An Alertmanager of our own on a free port; its address."""
    with tempfile.TemporaryDirectory(prefix="quaywatch-alertmanager-") as place:
        config = Path(place) / "alertmanager.yml"
        config.write_text(configuration, encoding="utf-8")
        process = await _started(program, config)
        reading: asyncio.Task[None] | None = None
        try:
            address = await _address(process)
            reading = asyncio.create_task(_read(process))
            yield f"http://{address}"
        finally:
            await _ended(process)
            if reading is not None:
                await reading


async def _started(program: Path, config: Path) -> Process:
    words = (
        str(program),
        f"--config.file={config}",
        f"--storage.path={config.parent / 'data'}",
        f"--web.listen-address={LOOPBACK}:0",
        "--cluster.listen-address=",
    )
    try:
        return await asyncio.create_subprocess_exec(*words, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, env=os.environ)
    except OSError as error:
        raise TrialError(f"{program} cannot be started: {error.strerror}") from error


async def _address(process: Process) -> str:
    """Where it listens, as it says itself."""
    said: list[str] = []
    try:
        async with asyncio.timeout(_STARTS_WITHIN):
            async for line in _lines(process):
                if _LISTENS in line:
                    return line.decode().partition("address=")[2].split()[0]
                said.append(line.decode(errors="replace").strip())
    except TimeoutError:
        raise TrialError(f"Alertmanager did not start within {_STARTS_WITHIN:.0f} s") from None
    raise TrialError(f"Alertmanager does not start: {_reason(said)}")


def _reason(said: Sequence[str]) -> str:
    """The error in its log, or its last line."""
    errors = [line.partition("err=")[2] for line in said if "err=" in line]
    return next(iter([*errors, *reversed(said)]), "it says nothing")


async def _lines(process: Process) -> AsyncIterator[bytes]:
    """What it says on its log, however long a line is."""
    stream, rest = process.stderr, b""
    while stream and (some := await stream.read(_READ_AT_ONCE)):
        *lines, rest = (rest + some).split(b"\n")
        for line in lines:
            yield line
    if rest:
        yield rest


async def _read(process: Process) -> None:
    """Read on, so that it never waits for a reader."""
    while process.stderr and await process.stderr.read(_READ_AT_ONCE):
        pass


async def _ended(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _ENDS_WITHIN)
    except TimeoutError:
        process.kill()
        await process.wait()


@asynccontextmanager
async def _api(url: str) -> AsyncIterator[ClientSession]:
    """A session with Alertmanager, which may end before its time."""
    async with ClientSession(url, timeout=_ANSWERS_WITHIN) as session:
        try:
            yield session
        except (ClientError, TimeoutError) as error:
            raise TrialError(f"Alertmanager does not answer: {type(error).__name__}") from error


# --- what happens -----------------------------------------------------------------------------------------------------


async def _happen(api: ClientSession, case: Case, names: _Names, wait: float, speed: float) -> None:
    """Let the events happen in their order, and the time of the case pass to its end."""
    began = asyncio.get_running_loop().time()
    at = 0.0
    for event in case.happens:
        at += event.after
        await _sleep_until(began + at / speed)
        await _post(api, event, names)
    end = at + wait + _MARGIN if case.until is None else case.until
    await _sleep_until(began + end / speed)


async def _asked(api: ClientSession, what: str) -> list[dict[str, Any]]:
    async with api.get(f"/api/v2/{what}") as answer:
        found: list[dict[str, Any]] = await answer.json()
        return found


async def _sleep_until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - asyncio.get_running_loop().time()))


async def _post(api: ClientSession, event: Event, names: _Names) -> None:
    now = datetime.now(UTC)
    ends = {**dict.fromkeys(event.fires, now + _FIRES_FOR), **dict.fromkeys(event.resolves, now)}
    alerts = [{"labels": names.labels[name], "endsAt": end.isoformat()} for name, end in ends.items()]
    async with api.post("/api/v2/alerts", json=alerts) as answer:
        if not answer.ok:
            raise TrialError(f"Alertmanager refuses the alerts of a case: {await answer.text()}")


# --- what came of it --------------------------------------------------------------------------------------------------


def _told(case: Case, desk: _Desk) -> Iterator[Difference]:
    yield from _compared("told", case.told, desk.told["firing"], "told of", "it was told of")
    if case.resolved is not None:
        yield from _compared("resolved", case.resolved, desk.told["resolved"], "told of the end of", "it was told of")
    for name, alone in case.alone.items():
        if bundled := set(alone) - desk.alone[name]:
            yield ("alone", name), f"told of {_listed(bundled)} by itself is expected, and it never was"
    for name, least in case.times.items():
        if desk.times[name] < least:
            yield ("times", name), f"told {least} times is expected, and it was told {desk.times[name]} times"


def _inhibited(case: Case, states: Sequence[Mapping[str, Any]], names: _Names) -> Iterator[Difference]:
    prints = {state["fingerprint"]: names.of(state) for state in states}
    found = {names.of(one): {prints[other] for other in one["status"]["inhibitedBy"]} for one in states}
    yield from _compared("inhibited", case.inhibited, found, "inhibited by", "it is by")


def _muted(case: Case, groups: Sequence[Mapping[str, Any]], names: _Names) -> Iterator[Difference]:
    """Only bundles know by what they are muted, and they say so from Alertmanager 0.28 on."""
    alerts = [alert for group in groups for alert in group["alerts"]]
    if all("mutedBy" in alert["status"] for alert in alerts):
        found = {names.of(alert): set(alert["status"]["mutedBy"]) for alert in alerts}
        yield from _compared("muted", case.muted, found, "muted by", "it is by")


def _compared(
    key: str, expected: Mapping[str, Sequence[str]], found: Found, verb: str, instead: str
) -> Iterator[Difference]:
    for name in dict.fromkeys([*expected, *found]):
        wanted, came = set(expected.get(name, ())), found.get(name, set())
        if wanted != came:
            yield (key, name), f"{verb} {_listed(wanted)} is expected, and {instead} {_listed(came)}"


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
