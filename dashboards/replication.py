"""Replication and recovery: what would be lost if a server were lost now, and how long it would take to be back."""

from __future__ import annotations

from functools import partial

from .builder import NAME, Dashboard, Panel, Query
from .levels import Levels
from .parts import (
    BAD_BELOW_ONE,
    COMMON,
    HERE,
    PLACE,
    SERVER,
    YES_NO,
    graph,
    now,
    over_time,
    rate,
    rates,
    red_above,
    stat,
    yes_or_no,
)

narrow = partial(graph, width=6)
narrower = partial(graph, width=5)
NO_ARCHIVE = "nothing is archived here"
NO_BACKUP = "no target of kind backup is configured"


def replication(levels: Levels) -> Dashboard:
    """Standbys, slots, the log, backups and the tests of restoring them."""
    return Dashboard(
        uid="quaywatch-replication",
        title="Replication and recovery",
        description="If a server were lost now: how much would be lost with it, and could we come back?",
        about=frozenset({"postgres", "backup"}),
        variables=(*COMMON, SERVER),
        rows=(
            ("What would be lost now?", _now(levels)),
            ("Standbys", _standbys(levels)),
            ("Slots and log", _log(levels)),
            ("Archive", _archive(levels)),
            ("Backups and restore tests", _backups()),
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
        narrower(
            title="How far behind is each standby?",
            description="Log that a standby lacks at each stage, as the primary sees it. Where it piles up says why.",
            steps=red_above(levels.replica),
            queries=over_time(
                f"max by (standby, stage) (<postgresql.replication.standby.lag>{{{HERE}}})", "{{standby}} {{stage}}"
            ),
        ),
        narrower(
            title="How long does a commit take to arrive?",
            description="As of the standby's last reply, by stage.",
            empty="nothing was written lately",
            when_fine=True,
            queries=over_time(
                f"max by (standby, stage) (<postgresql.replication.standby.delay>{{{HERE}}})", "{{standby}} {{stage}}"
            ),
        ),
        narrower(
            title="How much is received and not replayed?",
            description="As the standby itself sees it.",
            queries=over_time(f"max by (target) (<postgresql.replication.replay.backlog>{{{HERE}}})", "{{target}}"),
        ),
        narrower(
            title="How many standbys stream?",
            description="Those connected to each server, those expected where that is told, and others that read its"
            " log: subscribers, backups.",
            queries=(
                Query(
                    f'sum by (target) (<postgresql.replication.standbys>{{{HERE}, state="streaming"}})', "{{target}}"
                ),
                Query(f"max by (target) (<postgresql.replication.standbys.expected>{{{HERE}}})", "{{target}} expected"),
                Query(f"sum by (target) (<postgresql.replication.consumers>{{{HERE}}})", "{{target}} others"),
            ),
        ),
        stat(
            title="Do commits wait for them?",
            description="async: no; sync, quorum: yes, where the session asks for it; potential: it is next in line.",
            width=4,
            height=7,
            said=NAME,
            empty="no standby is connected",
            queries=now(
                f"max by (target, standby, state) (<postgresql.replication.standby.sync_state>{{{HERE}}}) == 1",
                "{{standby}} {{state}}",
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
            queries=rates("postgresql.wal.generated", "target", HERE),
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


def _archive(levels: Levels) -> tuple[Panel, ...]:
    return (
        yes_or_no(
            title="Does archiving work?",
            description="Whether the last try to archive a file of the log succeeded.",
            width=6,
            height=7,
            empty=NO_ARCHIVE,
            queries=now(f"1 - max by (target) (<postgresql.archiver.failing>{{{HERE}}})", "{{target}}"),
        ),
        narrow(
            title="How long does the log wait for it?",
            description="Age of the oldest file that waits. Were the server lost now, it would be lost as well.",
            steps=red_above(levels.archive),
            empty="nothing waits, or nothing is archived",
            when_fine=True,
            queries=over_time(f"max by (target) (<postgresql.archiver.backlog.age>{{{HERE}}})", "{{target}}"),
        ),
        narrow(
            title="How many files are archived?",
            description="Files of the log a minute, and the tries that failed.",
            unit="cpm",
            empty=NO_ARCHIVE,
            queries=(
                Query(rate("postgresql.archiver.archived", "target", HERE, times="60 * "), "{{target}} archived"),
                Query(rate("postgresql.archiver.failures", "target", HERE, times="60 * "), "{{target}} failed"),
            ),
        ),
        yes_or_no(
            title="Is each slot's log still there?",
            description="NO once it is lost, or may be at the next checkpoint: the slot's reader must be made anew.",
            width=6,
            height=7,
            empty="no slot needs any",
            queries=now(
                "1 - max by (target, slot) "
                f'(<postgresql.replication.slot.wal_status>{{{HERE}, status=~"unreserved|lost"}})',
                "{{target}} {{slot}}",
            ),
        ),
    )


def _backups() -> tuple[Panel, ...]:
    return (
        yes_or_no(
            title="Are the backups sound?",
            description="Whether there is a newest backup, and its tool finds nothing wrong.",
            width=5,
            height=7,
            empty=NO_BACKUP,
            queries=now(f"min by (target, backup) (<quaywatch.backup.ok>{{{PLACE}}})", "{{target}} {{backup}}"),
        ),
        graph(
            title="How large are the backups?",
            width=5,
            description="What the newest sound backup holds, restored.",
            empty=NO_BACKUP,
            queries=over_time(f"max by (backup, type) (<quaywatch.backup.size>{{{PLACE}}})", "{{backup}} {{type}}"),
        ),
        stat(
            title="Was restoring tried?",
            description="How many things a restore test was ever told of; 0 before the first.",
            width=4,
            height=7,
            steps=BAD_BELOW_ONE,
            empty="no restore tests are configured",
            queries=now(f"max by (target) (<quaywatch.restore_test.known>{{{PLACE}}})", "{{target}}"),
        ),
        stat(
            title="Did the last test succeed?",
            description="Of each thing of which a restore test was ever told.",
            width=5,
            height=7,
            steps=BAD_BELOW_ONE,
            mappings=YES_NO,
            empty="no restore test was ever told of",
            queries=now(f"min by (target, backup) (<quaywatch.restore_test.ok>{{{PLACE}}})", "{{target}} {{backup}}"),
        ),
        graph(
            title="How soon are we back?",
            width=5,
            description="Recovery time and recovery point that the last successful restore test achieved.",
            empty="no restore test was ever told of",
            queries=(
                Query(f"max by (backup) (<quaywatch.restore_test.duration>{{{PLACE}}})", "{{backup}} time"),
                Query(f"max by (backup) (<quaywatch.restore_test.data_loss>{{{PLACE}}})", "{{backup}} lost"),
            ),
        ),
    )
