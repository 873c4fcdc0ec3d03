"""Replication as both sides of it see it: raw parts, right when the primary is idle and when the standby is cut off.

No single number called lag tells the truth: the time since the last replayed transaction grows on an idle primary, and
"all that was received is replayed" holds on a standby that has lost its primary. So bytes and times are kept apart,
and whether the receiver is connected is said always. The primary's clock and the standby's are never compared, except
in the age of a standby's last reply. In a chain each server tells of its own hop: a standby that has all that its
upstream has is complete, though that one may be cut off; ``postgres_heartbeat`` measures from end to end. What receives
the log and replays none of it (a subscriber, ``pg_receivewal``, a base backup) is no standby and is counted apart. The
role ``pg_monitor`` is enough.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from quaywatch.contract import Exporter, Kind, Metric, Postgres, Row, Sample, TargetKind

from .sight import require_sight

RECOVERY = Metric("postgresql.recovery", Kind.GAUGE, "", "1 on a standby, 0 on a primary.")
TIMELINE = Metric("postgresql.timeline", Kind.GAUGE, "", "The timeline; the first one is 1, a promotion adds one.")

STANDBYS = Metric(
    "postgresql.replication.standbys",
    Kind.UPDOWN,
    "{standby}",
    "Standbys that are connected here, by state. streaming is always there, also when 0.",
    ("state",),
)
CONSUMERS = Metric(
    "postgresql.replication.consumers",
    Kind.UPDOWN,
    "{consumer}",
    "Readers of the write-ahead log that are no standbys, by kind, also when 0: logical (subscribers and the like),"
    " log (pg_receivewal and the like), backup.",
    ("kind",),
)
EXPECTED = Metric(
    "postgresql.replication.standbys.expected",
    Kind.GAUGE,
    "{standby}",
    "How many standbys the configuration expects to stream from here. Only where it is configured, for a primary and"
    " for a standby that passes its log on each by itself.",
)
LAG = Metric(
    "postgresql.replication.standby.lag",
    Kind.GAUGE,
    "By",
    "Write-ahead log that a standby has not yet been sent, or has not yet written, flushed or replayed.",
    ("standby", "stage"),
)
DELAY = Metric(
    "postgresql.replication.standby.delay",
    Kind.GAUGE,
    "s",
    "How long a commit here took to be written, flushed or replayed there, as of the standby's last reply. 0 when it"
    " streams and has everything; absent when it is behind and nothing was measured.",
    ("standby", "stage"),
)
REPLY_AGE = Metric(
    "postgresql.replication.standby.reply.age",
    Kind.GAUGE,
    "s",
    "Time since the standby's last reply, by its clock. About ten seconds at most while the line is well.",
    ("standby",),
)
SYNC_STATE = Metric(
    "postgresql.replication.standby.sync_state",
    Kind.GAUGE,
    "",
    "1 for what a standby is to commits here, 0 for the rest: async (none waits for it), potential (it is next in"
    " line), sync, quorum (one of several that are waited for).",
    ("standby", "state"),
)
SLOT_RETAINED = Metric(
    "postgresql.replication.slot.retained",
    Kind.GAUGE,
    "By",
    "Write-ahead log that is kept for a replication slot.",
    ("slot", "slot_type"),
)
SLOT_ACTIVE = Metric(
    "postgresql.replication.slot.active",
    Kind.GAUGE,
    "",
    "1 when somebody reads from the replication slot, else 0.",
    ("slot", "slot_type"),
)

SLOT_STATUS = Metric(
    "postgresql.replication.slot.wal_status",
    Kind.GAUGE,
    "",
    "1 for what can be said of the log that a slot needs, 0 for the rest: reserved, extended (beyond max_wal_size),"
    " unreserved (may go at the next checkpoint), lost. Absent for a slot that needs none.",
    ("slot", "slot_type", "status"),
)
SLOT_SAFE = Metric(
    "postgresql.replication.slot.safe_size",
    Kind.GAUGE,
    "By",
    "Write-ahead log that can still be written before a slot may be lost. Absent without max_slot_wal_keep_size.",
    ("slot", "slot_type"),
)
SLOT_INACTIVE = Metric(
    "postgresql.replication.slot.inactive.age",
    Kind.GAUGE,
    "s",
    "Time since somebody last read from a slot. Absent while somebody does, and before PostgreSQL 17.",
    ("slot", "slot_type"),
)
SLOT_XMIN_AGE = Metric(
    "postgresql.replication.slot.xmin.age",
    Kind.GAUGE,
    "{transaction}",
    "Transactions since the oldest whose rows (data) or catalogue rows (catalog) a slot keeps from vacuum.",
    ("slot", "slot_type", "horizon"),
)

CONNECTED = Metric(
    "postgresql.replication.receiver.connected",
    Kind.GAUGE,
    "",
    "1 on a standby that streams from its primary, 0 on one that does not. Absent on a primary.",
)
MESSAGE_AGE = Metric(
    "postgresql.replication.receiver.last_message.age",
    Kind.GAUGE,
    "s",
    "Time since the primary was last heard of; an idle one speaks every half wal_sender_timeout, 30 s by default.",
)
BACKLOG = Metric(
    "postgresql.replication.replay.backlog", Kind.GAUGE, "By", "Write-ahead log that was received and not yet replayed."
)
REPLAY_AGE = Metric(
    "postgresql.replication.replay.age",
    Kind.GAUGE,
    "s",
    "How old this standby's data is: time since the last replayed commit, or since it was last seen to have everything."
    " Only when it is behind or not connected.",
)
PAUSED = Metric("postgresql.replication.replay.paused", Kind.GAUGE, "", "1 when replay was paused by hand, else 0.")

_HERE = """case when pg_is_in_recovery()
       then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) else pg_current_wal_lsn() end"""

ROLE = """
select pg_is_in_recovery() as recovery,
       case when pg_is_in_recovery()
            then greatest((select timeline_id from pg_control_checkpoint()),
                          (select max(received_tli) from pg_stat_wal_receiver))
            else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline
"""
"""A primary's control file names the old timeline until the first checkpoint after its promotion, its log does not."""
SENDERS = """
with here as materialized (select :here as lsn)
select coalesce(nullif(nullif(r.application_name, ''), 'walreceiver'), s.slot_name, r.application_name) as standby,
       r.state,
       case when r.state = 'backup' then 'backup'
            when s.slot_type = 'logical' then 'logical'
            when r.replay_lsn is null and (r.state = 'streaming' or r.reply_time is not null) then 'log'
            else 'standby' end as kind,
       r.sync_state,
       pg_wal_lsn_diff(h.lsn, r.sent_lsn)::float8 as sent,
       pg_wal_lsn_diff(h.lsn, r.write_lsn)::float8 as write,
       pg_wal_lsn_diff(h.lsn, r.flush_lsn)::float8 as flush,
       pg_wal_lsn_diff(h.lsn, r.replay_lsn)::float8 as replay,
       extract(epoch from r.write_lag)::float8 as write_delay,
       extract(epoch from r.flush_lag)::float8 as flush_delay,
       extract(epoch from r.replay_lag)::float8 as replay_delay,
       extract(epoch from clock_timestamp() - r.reply_time)::float8 as reply_age
  from pg_stat_replication r
  cross join here h
  left join pg_replication_slots s on s.active_pid = r.pid
""".replace(":here", _HERE)
"""``walreceiver`` is the name of a standby that was given none. Of receivers only a standby says what it replayed."""
_SLOTS = """
with here as materialized (select :here as lsn)
select s.slot_name, s.slot_type, s.active, pg_wal_lsn_diff(h.lsn, s.restart_lsn)::float8 as retained,
       s.wal_status, s.safe_wal_size as safe, age(s.xmin) as data, age(s.catalog_xmin) as catalog,
       :inactive as inactive
  from pg_replication_slots s
  cross join here h
 where not s.temporary
""".replace(":here", _HERE)
SLOTS = _SLOTS.replace(":inactive", "null::float8")
SLOTS_17 = _SLOTS.replace(":inactive", "extract(epoch from clock_timestamp() - s.inactive_since)::float8")
"""The same where a slot says since when nobody reads it."""
RECEIVER = """
select coalesce(w.status = 'streaming', false) as connected,
       w.pid is not null and w.status is null as hidden,
       extract(epoch from clock_timestamp())::float8 as now,
       extract(epoch from w.last_msg_receipt_time)::float8 as heard_at,
       extract(epoch from coalesce(pg_last_xact_replay_timestamp(), c.checkpoint_time))::float8 as replayed_at,
       pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::float8 as backlog,
       pg_is_wal_replay_paused() as paused
  from pg_control_checkpoint() c
  left join pg_stat_wal_receiver w on true
"""
"""A standby that was restarted has replayed no commit yet: the time of its last checkpoint is the oldest it can be."""

_DELAYS = ("write", "flush", "replay")
_STAGES = ("sent", *_DELAYS)
_CONSUMER_KINDS = ("logical", "log", "backup")
_SYNC_STATES = ("async", "potential", "sync", "quorum")
_STATUSES = ("reserved", "extended", "unreserved", "lost")
_HORIZONS = ("data", "catalog")
_WITH_INACTIVE_SINCE = 170000


@dataclass(frozen=True, slots=True)
class Options:
    """What a configuration may tune."""

    expected_standbys: int | None = field(
        default=None,
        metadata={"help": "how many standbys should stream from the primary; nothing is expected if unset"},
    )
    expected_cascading: int | None = field(
        default=None,
        metadata={"help": "how many standbys should stream from this server while it is a standby itself"},
    )


@dataclass(slots=True)
class Memory:
    """When a standby was last seen to have all that its primary had, in Unix seconds of its own clock."""

    complete_at: float | None = None


async def collect(session: Postgres, options: Options, memory: Memory) -> AsyncIterator[Sample]:
    """Role, senders and slots, and on a standby its receiver and replay.

    Raises:
        PermissionDeniedError: when the role may not see replication.
    """
    (role,) = await session.fetch(ROLE)
    yield RECOVERY(int(role["recovery"]))
    yield TIMELINE(role["timeline"])
    expected = options.expected_cascading if role["recovery"] else options.expected_standbys
    if expected is not None:
        yield EXPECTED(expected)
    slots = SLOTS_17 if session.version >= _WITH_INACTIVE_SINCE else SLOTS
    for sample in (*_senders(await session.fetch(SENDERS)), *_slots(await session.fetch(slots))):
        yield sample
    if not role["recovery"]:
        memory.complete_at = None
        return
    (receiver,) = await session.fetch(RECEIVER)
    for sample in _replay(receiver, memory):
        yield sample


def _senders(rows: Sequence[Row]) -> Iterator[Sample]:
    require_sight("pg_stat_replication", hidden=any(row["state"] is None for row in rows))
    states = Counter({"streaming": 0})
    states.update(row["state"] for row in rows if row["kind"] == "standby")
    yield from (STANDBYS(count, state) for state, count in states.items())
    kinds = Counter(row["kind"] for row in rows)
    yield from (CONSUMERS(kinds[kind], kind) for kind in _CONSUMER_KINDS)
    named: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["kind"] != "backup":  # which has no position
            named[row["standby"] or ""].append(row)
    for standby, namesakes in named.items():
        yield from _standby(standby, namesakes)


def _standby(standby: str, rows: Sequence[Row]) -> Iterator[Sample]:
    """Samples of one name; standbys that share it read as the worst of them, and are all that any of them is."""
    states = {row["sync_state"] for row in rows}
    yield from (SYNC_STATE(int(state in states), standby, state) for state in _SYNC_STATES)
    for stage in _STAGES:
        behind = _worst(row[stage] for row in rows)
        if behind is not None:
            yield LAG(behind, standby, stage)
    for stage in _DELAYS:
        delay = _worst(_delay(row, stage) for row in rows)
        if delay is not None:
            yield DELAY(delay, standby, stage)
    reply_age = _worst(row["reply_age"] for row in rows)
    if reply_age is not None:
        yield REPLY_AGE(reply_age, standby)


def _delay(row: Row, stage: str) -> float | None:
    """PostgreSQL forgets the delay of a standby that has everything: that is 0, but only of a streaming one."""
    measured: float | None = row[f"{stage}_delay"]
    behind: float | None = row[stage]
    if measured is None and row["state"] == "streaming" and behind is not None and behind <= 0:
        return 0.0
    return measured


def _worst(values: Iterable[float | None]) -> float | None:
    """The largest, not below 0: a standby may be ahead of the position that was read a moment before."""
    known = [value for value in values if value is not None]
    return max(0.0, *known) if known else None


def _slots(rows: Sequence[Row]) -> Iterator[Sample]:
    for row in rows:
        slot = row["slot_name"], row["slot_type"]
        yield SLOT_ACTIVE(int(row["active"]), *slot)
        if row["retained"] is not None:  # a slot that was lost or never used keeps nothing
            yield SLOT_RETAINED(max(0.0, row["retained"]), *slot)
        if row["wal_status"] is not None:
            yield from (SLOT_STATUS(int(row["wal_status"] == status), *slot, status) for status in _STATUSES)
        if row["safe"] is not None:
            yield SLOT_SAFE(max(0, row["safe"]), *slot)
        if row["inactive"] is not None:
            yield SLOT_INACTIVE(max(0.0, row["inactive"]), *slot)
        yield from (SLOT_XMIN_AGE(max(0, row[kind]), *slot, kind) for kind in _HORIZONS if row[kind] is not None)


def _replay(row: Row, memory: Memory) -> Iterator[Sample]:
    require_sight("pg_stat_wal_receiver", hidden=row["hidden"])
    connected, backlog, heard_at = row["connected"], row["backlog"], row["heard_at"]
    yield CONNECTED(int(connected))
    yield PAUSED(int(row["paused"]))
    if connected and heard_at is not None:
        yield MESSAGE_AGE(max(0.0, row["now"] - heard_at))
    if backlog is not None:
        yield BACKLOG(max(0.0, backlog))
    if connected and backlog is not None and backlog <= 0:
        memory.complete_at = heard_at
        return
    known = [moment for moment in (row["replayed_at"], memory.complete_at) if moment is not None]
    yield REPLAY_AGE(max(0.0, row["now"] - max(known)))


EXPORTER: Exporter[Postgres, Options, Memory] = Exporter(
    name="postgres_replication",
    reads=TargetKind.POSTGRES,
    metrics=(
        *(RECOVERY, TIMELINE, STANDBYS, CONSUMERS, EXPECTED, LAG, DELAY, REPLY_AGE, SYNC_STATE),
        *(SLOT_RETAINED, SLOT_ACTIVE, SLOT_STATUS, SLOT_SAFE, SLOT_INACTIVE, SLOT_XMIN_AGE),
        *(CONNECTED, MESSAGE_AGE, BACKLOG, REPLAY_AGE, PAUSED),
    ),
    options=Options,
    collect=collect,
    state=Memory,
)
