"""Queues and crons: what Odoo does behind its users' backs, and what of it stands still."""

from __future__ import annotations

from functools import partial

from .builder import Dashboard, Panel
from .levels import Levels
from .parts import (
    ANY_IS_BAD,
    BAD_BELOW_ONE,
    DATABASE,
    ENVIRONMENT,
    SERVER,
    TENANT,
    YES_NO,
    graph,
    now,
    over_time,
    red_above,
    stat,
)

narrow = partial(graph, width=6)


def queues(levels: Levels) -> Dashboard:
    """Jobs by channel, scheduled actions, mail and electronic documents of each tenant."""
    return Dashboard(
        uid="quaywatch-queues",
        title="Queues and crons",
        description="Do jobs, scheduled actions, mail and documents move, and which of them stand still?",
        variables=(ENVIRONMENT, SERVER, DATABASE),
        rows=(
            ("Does anything stand still?", _still(levels)),
            ("Jobs", _jobs(levels)),
            ("Crons", _crons(levels)),
            ("Mail and documents", _messages()),
        ),
    )


def _still(levels: Levels) -> tuple[Panel, ...]:
    return (
        stat(
            title="How long does the oldest job wait?",
            description="Age of the oldest job that is due and still pending, by database.",
            width=6,
            steps=red_above(levels.queue),
            empty="no job is due",
            when_fine=True,
            queries=now(f"max by (database) (<odoo.queue.oldest.age>{{{TENANT}}})", "{{database}}"),
        ),
        stat(
            title="Is a job runner alive?",
            description="Whether a runner holds the database's lock. Odoo before 16 does not tell.",
            width=6,
            steps=BAD_BELOW_ONE,
            mappings=YES_NO,
            empty="no Odoo here tells",
            queries=now(f"max by (database) (<odoo.queue.runner.alive>{{{TENANT}}})", "{{database}}"),
        ),
        stat(
            title="How many crons are overdue?",
            description="Scheduled actions that should have run longer ago than allowed.",
            width=6,
            steps=ANY_IS_BAD,
            queries=now(f"sum by (database) (<odoo.cron.overdue>{{{TENANT}}})", "{{database}}"),
        ),
        stat(
            title="How much mail could not be sent?",
            description="Mail that failed and stays until somebody looks at it.",
            width=6,
            steps=ANY_IS_BAD,
            queries=now(f'sum by (database) (<odoo.mail.backlog>{{{TENANT}, state="exception"}})', "{{database}}"),
        ),
    )


def _jobs(levels: Levels) -> tuple[Panel, ...]:
    return (
        narrow(
            title="How many jobs are not done?",
            description="Jobs that are neither done nor cancelled, by channel and state.",
            stacked=True,
            empty="the queues are empty",
            when_fine=True,
            queries=over_time(
                f"sum by (database, channel, state) (<odoo.queue.jobs>{{{TENANT}}})",
                "{{database}} {{channel}} {{state}}",
            ),
        ),
        narrow(
            title="How long do jobs wait, by channel?",
            description="Age of the oldest job that is due and still pending.",
            steps=red_above(levels.queue),
            empty="no job is due",
            when_fine=True,
            queries=over_time(
                f"max by (database, channel) (<odoo.queue.oldest.age>{{{TENANT}}})", "{{database}} {{channel}}"
            ),
        ),
        narrow(
            title="How many jobs are done?",
            description="Jobs done within the last five minutes, by channel.",
            empty="no job was done",
            when_fine=True,
            queries=over_time(
                f"sum by (database, channel) (<odoo.queue.done.recent>{{{TENANT}}})", "{{database}} {{channel}}"
            ),
        ),
        narrow(
            title="How many jobs failed lately?",
            description="Failed jobs that were started within the last hour, by channel.",
            empty="no job failed",
            when_fine=True,
            queries=over_time(
                f"sum by (database, channel) (<odoo.queue.failed.recent>{{{TENANT}}})", "{{database}} {{channel}}"
            ),
        ),
    )


def _crons(levels: Levels) -> tuple[Panel, ...]:
    return (
        narrow(
            title="When did any cron run last?",
            description="Rises when all of a database's scheduled actions stand still.",
            steps=red_above(levels.cron),
            queries=over_time(f"max by (database) (<odoo.cron.last_run.age>{{{TENANT}}})", "{{database}}"),
        ),
        narrow(
            title="Which databases skip their crons?",
            description="1 while Odoo runs no cron of a database since modules wait to be installed or upgraded.",
            steps=ANY_IS_BAD,
            queries=over_time(f"max by (database) (<odoo.cron.skipped>{{{TENANT}}})", "{{database}}"),
        ),
        narrow(
            title="How many crons are switched off?",
            description="Scheduled actions that have run before and are switched off now.",
            queries=over_time(f"sum by (database) (<odoo.cron.inactive>{{{TENANT}}})", "{{database}}"),
        ),
        narrow(
            title="How many crons are switched on?",
            description="Scheduled actions that Odoo runs by itself.",
            queries=over_time(f"sum by (database) (<odoo.cron.active>{{{TENANT}}})", "{{database}}"),
        ),
    )


def _messages() -> tuple[Panel, ...]:
    return (
        graph(
            title="How much mail waits?",
            description="Mail to be sent and mail that failed.",
            queries=over_time(f"sum by (database, state) (<odoo.mail.backlog>{{{TENANT}}})", "{{database}} {{state}}"),
        ),
        graph(
            title="How many confirmed orders lack a delivery?",
            description="Orders of goods confirmed within the last days for which nothing is to be moved.",
            steps=ANY_IS_BAD,
            queries=over_time(f"sum by (database) (<odoo.orders.without_delivery>{{{TENANT}}})", "{{database}}"),
        ),
        graph(
            title="How many transfers are late?",
            description="Transfers to be done that were planned for longer ago than allowed.",
            queries=over_time(f"sum by (database, state) (<odoo.pickings.late>{{{TENANT}}})", "{{database}} {{state}}"),
        ),
    )
