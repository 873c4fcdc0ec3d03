"""Replication: rows in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from exporters.postgres_replication import EXPORTER, RECEIVER, ROLE, SENDERS, SLOTS, SLOTS_17, Memory, Options
from quaywatch.contract import Postgres, Row, Value
from quaywatch.errors import PermissionDeniedError

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Postgres]

_NOW = 1_000_000.0
_LAG, _DELAY = "postgresql.replication.standby.lag", "postgresql.replication.standby.delay"
_CONSUMERS, _SYNC_STATE = "postgresql.replication.consumers", "postgresql.replication.standby.sync_state"
_AGE = ("postgresql.replication.replay.age",)


def primary(senders: Sequence[Row] = (), slots: Sequence[Row] = ()) -> dict[str, Sequence[Row]]:
    """What a primary answers."""
    return {ROLE: [{"recovery": False, "timeline": 3}], SENDERS: senders, SLOTS: slots}


def standby(**receiver: Any) -> dict[str, Sequence[Row]]:
    """What a standby answers that streams and has everything, save what is told otherwise."""
    well = {
        "connected": True,
        "hidden": False,
        "now": _NOW,
        "heard_at": _NOW - 2,
        "replayed_at": _NOW - 7200,
        "backlog": 0.0,
        "paused": False,
    }
    return {ROLE: [{"recovery": True, "timeline": 3}], SENDERS: [], SLOTS: [], RECEIVER: [{**well, **receiver}]}


def sender(name: str = "warehouse", **others: Any) -> Row:
    """A standby that streams and has everything, as the primary sees it."""
    bytes_behind = dict.fromkeys(("sent", "write", "flush", "replay"), 0.0)
    delays = dict.fromkeys(("write_delay", "flush_delay", "replay_delay"))
    well = {"standby": name, "state": "streaming", "kind": "standby", "sync_state": "async", "reply_age": 1.0}
    return {**well, **bytes_behind, **delays, **others}


def slot(name: str, slot_type: str = "physical", *, active: bool = False, **others: Any) -> Row:
    """A slot that nobody used yet."""
    unknown = dict.fromkeys(("retained", "wal_status", "safe", "data", "catalog", "inactive"))
    return {"slot_name": name, "slot_type": slot_type, "active": active, **unknown, **others}


async def test_an_idle_primary_shows_no_lag(postgres: Make, read: Read) -> None:
    """A delay that PostgreSQL forgot is 0 where the standby streams and has everything."""
    found = await read(EXPORTER, postgres(primary([sender()])))
    assert {found[_LAG, "warehouse", stage] for stage in ("sent", "write", "flush", "replay")} == {0.0}
    assert {found[_DELAY, "warehouse", stage] for stage in ("write", "flush", "replay")} == {0.0}
    assert found["postgresql.recovery",] == 0
    assert found["postgresql.timeline",] == 3


@pytest.mark.parametrize("row", [sender(replay=512.0), sender(state="catchup")], ids=["behind", "catching up"])
async def test_an_unknown_delay_is_absent(row: Row, postgres: Make, read: Read) -> None:
    """What was not measured is not 0 when the standby is behind or does not stream yet."""
    assert (_DELAY, "warehouse", "replay") not in await read(EXPORTER, postgres(primary([row])))


async def test_standbys_of_one_name_read_as_the_worst(postgres: Make, read: Read) -> None:
    """Two standbys without a name of their own give one series, and the slower one is not hidden."""
    found = await read(EXPORTER, postgres(primary([sender(replay=900.0, replay_delay=3.0), sender(replay=-8.0)])))
    assert found[_LAG, "warehouse", "replay"] == 900.0
    assert found[_DELAY, "warehouse", "replay"] == 3.0
    assert found["postgresql.replication.standbys", "streaming"] == 2


async def test_a_standby_ahead_of_the_position_read_has_everything(postgres: Make, read: Read) -> None:
    """It received more between two parts of one reading: still no lag, and no delay."""
    found = await read(EXPORTER, postgres(primary([sender(replay=-8.0)])))
    assert found[_LAG, "warehouse", "replay"] == found[_DELAY, "warehouse", "replay"] == 0.0


async def test_what_replays_nothing_is_no_standby(postgres: Make, read: Read) -> None:
    """Each kind of other receiver is counted apart; a base backup has no position, the others lag like a standby."""
    nothing = dict.fromkeys(("sent", "write", "flush", "replay", "reply_age"))
    rows = [
        sender("pg_basebackup", state="backup", kind="backup", **nothing),
        sender("pg_receivewal", kind="log", replay=None),
        sender("warehouse_feed", kind="logical", replay=700.0),
    ]
    found = await read(EXPORTER, postgres(primary(rows)))
    assert {key: value for key, value in found.items() if key[0] == "postgresql.replication.standbys"} == {
        ("postgresql.replication.standbys", "streaming"): 0
    }
    assert [found[_CONSUMERS, kind] for kind in ("backup", "log", "logical")] == [1, 1, 1]
    assert not [key for key in found if key[1:2] == ("pg_basebackup",)]
    assert found[_LAG, "warehouse_feed", "replay"] == 700.0
    assert found[_LAG, "pg_receivewal", "flush"] == 0.0
    assert (_DELAY, "pg_receivewal", "replay") not in found


async def test_a_standby_says_what_it_is_to_commits(postgres: Make, read: Read) -> None:
    """Each state is 0 or 1; standbys that share a name are all that any of them is."""
    rows = [sender("a", sync_state="sync"), sender("b", sync_state="quorum"), sender("b", sync_state="potential")]
    found = await read(EXPORTER, postgres(primary(rows)))
    states = ("async", "potential", "sync", "quorum")
    assert [found[_SYNC_STATE, "a", state] for state in states] == [0, 0, 1, 0]
    assert [found[_SYNC_STATE, "b", state] for state in states] == [0, 1, 0, 1]


async def test_a_lost_standby_shows_against_what_is_expected(postgres: Make, read: Read) -> None:
    """None connected is a measured 0 beside the configured number, which is for a primary unless it is said."""
    found = await read(EXPORTER, postgres(primary()), Options(expected_standbys=1))
    assert found["postgresql.replication.standbys", "streaming"] == 0
    assert found["postgresql.replication.standbys.expected",] == 1
    expected = ("postgresql.replication.standbys.expected",)
    assert expected not in await read(EXPORTER, postgres(primary()))
    assert expected not in await read(EXPORTER, postgres(standby()), Options(expected_standbys=1))
    assert expected not in await read(EXPORTER, postgres(primary()), Options(expected_cascading=1))
    assert (await read(EXPORTER, postgres(standby()), Options(expected_cascading=2)))[expected] == 2


async def test_a_slot_says_what_is_kept_for_it(postgres: Make, read: Read) -> None:
    """A lost slot keeps nothing and says nothing about bytes."""
    slots = [slot("a", retained=4096.0), slot("b", "logical", active=True, wal_status="lost")]
    found = await read(EXPORTER, postgres(primary(slots=slots)))
    assert found["postgresql.replication.slot.retained", "a", "physical"] == 4096.0
    assert found["postgresql.replication.slot.active", "a", "physical"] == 0
    assert found["postgresql.replication.slot.active", "b", "logical"] == 1
    assert ("postgresql.replication.slot.retained", "b", "logical") not in found


async def test_a_slot_says_what_becomes_of_its_log(postgres: Make, read: Read) -> None:
    """Row 6: each state is 0 or 1, and what is not known is absent."""
    slots = [slot("a", wal_status="unreserved", safe=-5, data=70, catalog=80), slot("b")]
    found = await read(EXPORTER, postgres(primary(slots=slots)))
    status = "postgresql.replication.slot.wal_status"
    assert {key[3]: value for key, value in found.items() if key[0] == status} == {
        "reserved": 0,
        "extended": 0,
        "unreserved": 1,
        "lost": 0,
    }
    assert found["postgresql.replication.slot.safe_size", "a", "physical"] == 0
    assert found["postgresql.replication.slot.xmin.age", "a", "physical", "data"] == 70
    assert found["postgresql.replication.slot.xmin.age", "a", "physical", "catalog"] == 80
    assert [key for key in found if key[1:2] == ("b",)] == [("postgresql.replication.slot.active", "b", "physical")]


async def test_a_slot_says_since_when_nobody_reads_it_from_17_on(postgres: Make, read: Read) -> None:
    """Row 6: the newer statement goes to the newer server."""
    answers = primary()
    answers[SLOTS_17] = [slot("a", inactive=90.0), slot("b", active=True)]
    found = await read(EXPORTER, postgres(answers, version=170000))
    assert found["postgresql.replication.slot.inactive.age", "a", "physical"] == 90.0
    assert ("postgresql.replication.slot.inactive.age", "b", "physical") not in found
    assert "inactive_since" not in SLOTS


async def test_a_standby_of_an_idle_primary_has_no_age(postgres: Make, read: Read) -> None:
    """Two hours without a commit are no lag while the line is up and everything is replayed."""
    found = await read(EXPORTER, postgres(standby()))
    assert _AGE not in found
    assert found["postgresql.recovery",] == 1
    assert found["postgresql.replication.receiver.connected",] == 1
    assert found["postgresql.replication.receiver.last_message.age",] == 2.0
    assert found["postgresql.replication.replay.backlog",] == 0.0
    assert found["postgresql.replication.replay.paused",] == 0


async def test_a_cut_standby_counts_from_when_it_last_had_everything(postgres: Make, read: Read) -> None:
    """All that was received is replayed, and yet it ages, from the cut and not from the last commit."""
    memory = Memory()
    await read(EXPORTER, postgres(standby()), state=memory)
    cut = standby(connected=False, heard_at=None, now=_NOW + 60)
    found = await read(EXPORTER, postgres(cut), state=memory)
    assert found["postgresql.replication.receiver.connected",] == 0
    assert found["postgresql.replication.replay.backlog",] == 0.0
    assert found[_AGE] == 62.0
    assert ("postgresql.replication.receiver.last_message.age",) not in found


async def test_a_cut_standby_nobody_watched_before_counts_from_its_last_commit(postgres: Make, read: Read) -> None:
    """Without memory the last commit is the best that is known."""
    found = await read(EXPORTER, postgres(standby(connected=False, heard_at=None, backlog=None)))
    assert found[_AGE] == 7200.0
    assert ("postgresql.replication.replay.backlog",) not in found


async def test_a_standby_behind_has_an_age_and_a_backlog(postgres: Make, read: Read) -> None:
    """Connected and slow."""
    found = await read(EXPORTER, postgres(standby(backlog=8192.0, replayed_at=_NOW - 5, paused=True)))
    assert found[_AGE] == 5.0
    assert found["postgresql.replication.replay.backlog",] == 8192.0
    assert found["postgresql.replication.replay.paused",] == 1


async def test_a_promoted_standby_forgets(postgres: Make, read: Read) -> None:
    """As a primary it has no receiver; the memory does not survive into its next life as a standby."""
    memory = Memory(complete_at=_NOW)
    found = await read(EXPORTER, postgres(primary()), state=memory)
    assert ("postgresql.replication.receiver.connected",) not in found
    assert memory == Memory()


@pytest.mark.parametrize("answers", [primary([sender(state=None)]), standby(connected=False, hidden=True)])
async def test_what_may_not_be_seen_is_an_error(answers: dict[str, Sequence[Row]], postgres: Make, read: Read) -> None:
    """An emptied row is never taken for a cut line or for no standby."""
    with pytest.raises(PermissionDeniedError, match="pg_monitor"):
        await read(EXPORTER, postgres(answers))
