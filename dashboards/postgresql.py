"""PostgreSQL: who waits for whom, and how near its limits the server is."""

from __future__ import annotations

from functools import partial

from .builder import Dashboard, Panel
from .levels import Levels
from .parts import (
    ANY_IS_BAD,
    COMMON,
    DATABASE,
    HERE,
    SERVER,
    TENANT,
    connections_taken,
    found_in_memory,
    graph,
    now,
    over_time,
    rates,
    red_above,
    stat,
    table,
    yes_or_no,
)

narrow = partial(graph, width=6)


def postgresql(levels: Levels) -> Dashboard:
    """Locks and their root blockers, transactions, connections and the limits that come nearer slowly."""
    return Dashboard(
        uid="quaywatch-postgresql",
        title="PostgreSQL",
        description="Does anybody wait, for whom, and is the server near one of its limits?",
        about=frozenset({"postgres"}),
        variables=(*COMMON, SERVER, DATABASE),
        rows=(
            ("Does anybody wait, or run out of anything?", _now(levels)),
            ("Locks", _locks(levels)),
            ("Transactions", _transactions(levels)),
            ("Connections and memory", _connections()),
            ("Limits that come slowly", (*_ids_and_log(levels), *_sizes_and_upkeep())),
        ),
    )


def _now(levels: Levels) -> tuple[Panel, ...]:
    return (
        yes_or_no(
            title="Does the server answer?",
            description="Whether the agent reached it, logged in and got an answer.",
            width=6,
            queries=now(
                f'min by (target) (<quaywatch.target.up>{{{HERE}, kind="postgres"}})',
                "{{target}}",
            ),
        ),
        stat(
            title="How many sessions wait for a lock?",
            description="In the whole cluster, row locks included.",
            width=6,
            steps=red_above(levels.waiting),
            queries=now(f"max by (target) (<postgresql.lock.waiting>{{{HERE}}})", "{{target}}"),
        ),
        stat(
            title="How many connections are taken?",
            description="Part of those that ordinary roles can have.",
            width=6,
            unit="percentunit",
            steps=red_above(levels.connections),
            queries=now(connections_taken(), "{{target}}"),
        ),
        stat(
            title="How near is wraparound?",
            description="Part of the transaction or multixact ids that is used up; at 100 % nothing is written.",
            width=6,
            steps=red_above(levels.ids),
            queries=now(f"max by (target) (<postgresql.wraparound.utilization>{{{TENANT}}})", "{{target}}"),
        ),
    )


def _locks(levels: Levels) -> tuple[Panel, ...]:
    return (
        narrow(
            title="What do sessions wait for?",
            description="Sessions that wait, by database and what they wait for.",
            empty="nobody waits",
            when_fine=True,
            queries=over_time(
                f"sum by (database, lock_type, mode) (<postgresql.lock.waiters>{{{TENANT}}})",
                "{{database}} {{lock_type}} {{mode}}",
            ),
        ),
        narrow(
            title="How long is the longest lock wait?",
            description="By database; empty while nobody waits.",
            empty="nobody waits",
            when_fine=True,
            steps=red_above(levels.lock_wait),
            queries=over_time(f"max by (database) (<postgresql.lock.wait.longest>{{{TENANT}}})", "{{database}}"),
        ),
        table(
            title="Who is at the root of it?",
            description="Sessions that hold others up and wait for nobody: age of their transaction. End these, not"
            " those who wait.",
            height=7,
            unit="s",
            empty="nobody blocks",
            when_fine=True,
            queries=now(
                "max by (target, database, pid, state, application_name) "
                f"(<postgresql.lock.root_blocker.age>{{{TENANT}}})"
            ),
        ),
    )


def _transactions(levels: Levels) -> tuple[Panel, ...]:
    return (
        narrow(
            title="How many transactions are done?",
            description="Commits a second, by database.",
            unit="cps",
            queries=rates("postgresql.transaction.commits", "database", TENANT),
        ),
        narrow(
            title="How many are rolled back?",
            description="Rollbacks a second, by database; Odoo's retries show here.",
            unit="cps",
            queries=rates("postgresql.transaction.rollbacks", "database", TENANT),
        ),
        narrow(
            title="How old is the oldest transaction?",
            description="By database and state of its session; idle in transaction holds locks and does nothing.",
            empty="no transaction is open",
            when_fine=True,
            steps=red_above(levels.idle_in_transaction),
            queries=over_time(
                f"max by (database, state) (<postgresql.transaction.oldest.age>{{{TENANT}}})", "{{database}} {{state}}"
            ),
        ),
        narrow(
            title="Are there deadlocks?",
            description="Deadlocks a minute, by database.",
            unit="cpm",
            queries=rates("postgresql.deadlocks", "database", TENANT, times="60 * "),
        ),
    )


def _connections() -> tuple[Panel, ...]:
    return (
        graph(
            title="Who has the connections?",
            description="Sessions of clients, by database and state.",
            stacked=True,
            queries=over_time(
                f"sum by (database, state) (<postgresql.session.open>{{{TENANT}}})", "{{database}} {{state}}"
            ),
        ),
        graph(
            title="How much is found in memory?",
            description="Part of the blocks that were found in PostgreSQL's own buffers.",
            unit="percentunit",
            queries=over_time(found_in_memory(), "{{database}}"),
        ),
        graph(
            title="How much goes to temporary files?",
            description="Bytes a second that queries wrote to temporary files, once these are gone.",
            unit="Bps",
            queries=rates("postgresql.temp.io", "database", TENANT),
        ),
    )


def _ids_and_log(levels: Levels) -> tuple[Panel, ...]:
    return (
        narrow(
            title="How much of the ids is used up?",
            description="By database; vacuum gives them back.",
            steps=red_above(levels.ids),
            queries=over_time(
                f"max by (database, ids) (<postgresql.wraparound.utilization>{{{TENANT}}})", "{{database}} {{ids}}"
            ),
        ),
        narrow(
            title="Who keeps vacuum from cleaning?",
            description="Transactions since the oldest whose sight a kind of holder keeps.",
            empty="nobody does",
            queries=over_time(f"max by (target, holder) (<postgresql.horizon.age>{{{HERE}}})", "{{target}} {{holder}}"),
        ),
        narrow(
            title="Why are checkpoints made?",
            description="Checkpoints a minute: as planned (timed), or because max_wal_size was reached (requested).",
            unit="cpm",
            stacked=True,
            queries=rates("postgresql.checkpoint.count", "target, trigger", HERE, times="60 * "),
        ),
    )


def _sizes_and_upkeep() -> tuple[Panel, ...]:
    return (
        narrow(
            title="How large are the databases?",
            description="Estimated from the last vacuum or analyze of each relation.",
            stacked=True,
            queries=over_time(f"sum by (database) (<postgresql.database.size.estimate>{{{TENANT}}})", "{{database}}"),
        ),
        table(
            title="Which tables have most dead rows?",
            description="Rows that vacuum has yet to clean away, as PostgreSQL estimates them; the ten with most.",
            height=7,
            unit="short",
            queries=now(
                f'topk(10, sum by (target, database, table) (<postgresql.table.rows.dead>{{{TENANT}, table!="other"}}))'
            ),
        ),
        stat(
            title="Are there invalid indexes?",
            description="Indexes that nobody builds and no query uses: what is left of those that could not be made.",
            width=12,
            height=7,
            steps=ANY_IS_BAD,
            queries=now(
                f"sum by (target, database) (<postgresql.index.invalid>{{{TENANT}}})", "{{database}} on {{target}}"
            ),
        ),
    )
