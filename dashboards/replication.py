"""Replication and recovery: what would be lost if a server were lost now, and how long it would take to be back."""

from __future__ import annotations

from functools import partial

from .builder import Dashboard, Panel, Query
from .levels import Levels
from .parts import (
    BAD_BELOW_ONE,
    ENVIRONMENT,
    HERE,
    PLACE,
    SERVER,
    YES_NO,
    graph,
    now,
    over_time,
    rate,
    red_above,
    stat,
    yes_or_no,
)

narrow = partial(graph, width=6)
NO_BACKUP = "no target of kind backup is configured"


def replication(levels: Levels) -> Dashboard:
    """Standbys, slots, the log, backups and the tests of restoring them."""
    return Dashboard(
        uid="quaywatch-replication",
        title="Replication and recovery",
        description="If a server were lost now: how much would be lost with it, and could we come back?",
        variables=(ENVIRONMENT, SERVER),
        rows=(
            ("What would be lost now?", _now(levels)),
            ("Standbys", _standbys(levels)),
            ("Slots and log", _log(levels)),
            ("Backups and restore tests", _backups(levels)),
        ),
    )


def _now(levels: Levels) -> tuple[Panel, ...]:
    return (
        yes_or_no(
            title="Does each standby stream?",
            description="Whether a standby receives from its primary.",
            width=6,
            queries=now(f"min by (target) (<postgresql.replication.receiver.connected>{{{HERE}}})", "{{target}}"),
        ),
        stat(
            title="How old is a standby's data?",
            description="Time since it last had everything; nothing while it is connected and has everything.",
            width=6,
            steps=red_above(levels.recovery_point),
            empty="every standby has everything",
            when_fine=True,
            queries=now(f"max by (target) (<postgresql.replication.replay.age>{{{HERE}}})", "{{target}}"),
        ),
        stat(
            title="How old is the newest backup?",
            description="Of each thing that is backed up, whatever the type.",
            width=6,
            steps=red_above(levels.backup),
            empty=NO_BACKUP,
            queries=now(f"min by (target, backup) (<quaywatch.backup.age>{{{PLACE}}})", "{{target}} {{backup}}"),
        ),
        stat(
            title="When did restoring last work?",
            description="Time since the last successful restore test of each thing.",
            width=6,
            steps=red_above(levels.restore_test),
            empty="no restore test was ever told of",
            queries=now(f"max by (target, backup) (<quaywatch.restore_test.age>{{{PLACE}}})", "{{target}} {{backup}}"),
        ),
    )


def _standbys(levels: Levels) -> tuple[Panel, ...]:
    return (
        narrow(
            title="How far behind is each standby?",
            description="Log that a standby lacks at each stage, as the primary sees it. Where it piles up says why.",
            steps=red_above(levels.replica),
            queries=over_time(
                f"max by (standby, stage) (<postgresql.replication.standby.lag>{{{HERE}}})", "{{standby}} {{stage}}"
            ),
        ),
        narrow(
            title="How long does a commit take to arrive?",
            description="As of the standby's last reply, by stage.",
            empty="nothing was written lately",
            when_fine=True,
            queries=over_time(
                f"max by (standby, stage) (<postgresql.replication.standby.delay>{{{HERE}}})", "{{standby}} {{stage}}"
            ),
        ),
        narrow(
            title="How much is received and not replayed?",
            description="As the standby itself sees it.",
            steps=red_above(levels.replica),
            queries=over_time(f"max by (target) (<postgresql.replication.replay.backlog>{{{HERE}}})", "{{target}}"),
        ),
        narrow(
            title="How many standbys stream?",
            description="Receivers that are connected to each primary, and those that are expected.",
            queries=over_time(
                f'sum by (target) (<postgresql.replication.standbys>{{{HERE}, state="streaming"}})', "{{target}}"
            ),
        ),
    )


def _log(levels: Levels) -> tuple[Panel, ...]:
    return (
        narrow(
            title="How much log is kept for slots?",
            description="A slot that nobody reads keeps log until the disk is full.",
            steps=red_above(levels.slot),
            empty="there are no slots",
            queries=over_time(
                f"max by (target, slot) (<postgresql.replication.slot.retained>{{{HERE}}})", "{{target}} {{slot}}"
            ),
        ),
        narrow(
            title="How much log is written?",
            description="Bytes of write-ahead log a second.",
            unit="Bps",
            queries=over_time(rate("postgresql.wal.generated", "target", HERE), "{{target}}"),
        ),
        narrow(
            title="How large is the log on disk?",
            description="It grows when slots keep it or archiving fails.",
            queries=over_time(f"max by (target) (<postgresql.wal.directory.size>{{{HERE}}})", "{{target}}"),
        ),
        yes_or_no(
            title="Does somebody read from each slot?",
            description="Log is kept for a slot until its reader has it; for one that nobody reads, without end.",
            width=6,
            height=7,
            empty="there are no slots",
            queries=now(
                f"min by (target, slot) (<postgresql.replication.slot.active>{{{HERE}}})", "{{target}} {{slot}}"
            ),
        ),
    )


def _backups(levels: Levels) -> tuple[Panel, ...]:
    return (
        yes_or_no(
            title="Are the backups sound?",
            description="Whether there is a newest backup, and its tool finds nothing wrong.",
            width=6,
            height=7,
            empty=NO_BACKUP,
            queries=now(f"min by (target, backup) (<quaywatch.backup.ok>{{{PLACE}}})", "{{target}} {{backup}}"),
        ),
        narrow(
            title="How large are the backups?",
            description="What the newest sound backup holds, restored.",
            empty=NO_BACKUP,
            queries=over_time(f"max by (backup, type) (<quaywatch.backup.size>{{{PLACE}}})", "{{backup}} {{type}}"),
        ),
        stat(
            title="Did the last restore test succeed?",
            description="Of each thing of which a restore test was ever told.",
            width=6,
            height=7,
            steps=BAD_BELOW_ONE,
            mappings=YES_NO,
            empty="no restore test was ever told of",
            queries=now(f"min by (target, backup) (<quaywatch.restore_test.ok>{{{PLACE}}})", "{{target}} {{backup}}"),
        ),
        narrow(
            title="How long does it take to be back, and what is lost?",
            description="Recovery time and recovery point that the last successful restore test achieved.",
            steps=red_above(levels.recovery_point),
            empty="no restore test was ever told of",
            queries=(
                Query(f"max by (backup) (<quaywatch.restore_test.duration>{{{PLACE}}})", "{{backup}} time"),
                Query(f"max by (backup) (<quaywatch.restore_test.data_loss>{{{PLACE}}})", "{{backup}} lost"),
            ),
        ),
    )
