"""Queues and crons: what Odoo does behind its users' backs, and what of it stands still."""

from __future__ import annotations

from functools import partial

from .builder import Dashboard, Panel
from .levels import Levels
from .parts import (
    ANY_IS_BAD,
    BAD_BELOW_ONE,
    COMMON,
    DATABASE,
    SERVER,
    TENANT,
    YES_NO,
    graph,
    now,
    over_time,
    red_above,
    stat,
    table,
)

narrow = partial(graph, width=6)


def queues(levels: Levels) -> Dashboard:
    """Jobs by channel, scheduled actions, mail and electronic documents of each tenant."""
    return Dashboard(
        uid="quaywatch-queues",
        title="Queues and crons",
        description="Do jobs, scheduled actions, mail and documents move, and which of them stand still?",
        about=frozenset({"postgres"}),
        variables=(*COMMON, SERVER, DATABASE),
        rows=(
            ("Does anything stand still?", _still(levels)),
            ("Jobs", (*_jobs_left(levels), *_jobs_done())),
            ("Crons", (*_crons_late(levels), *_crons_off())),
            ("Mail and documents", _messages(levels)),
            ("Orders and transfers", _orders(levels)),
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


def _jobs_left(levels: Levels) -> tuple[Panel, ...]:
    return (
        graph(
            title="How deep are the queues?",
            description="Jobs that are neither done nor cancelled.",
            width=12,
            stacked=True,
            queries=over_time(f"sum by (database) (<odoo.queue.live>{{{TENANT}}})", "{{database}}"),
        ),
        graph(
            title="How many jobs are not done?",
            description="The same by channel and state.",
            width=12,
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
    )


def _jobs_done() -> tuple[Panel, ...]:
    return (
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
        table(
            title="Why do jobs fail?",
            description="Failed jobs that nobody has seen to, by the class of their exception.",
            width=6,
            height=7,
            unit="short",
            empty="no job failed",
            when_fine=True,
            queries=now(f"sort_desc(sum by (database, exception) (<odoo.queue.failures>{{{TENANT}}}))"),
        ),
    )


def _crons_late(levels: Levels) -> tuple[Panel, ...]:
    return (
        graph(
            title="How late are the crons?",
            description="How long ago the latest of the overdue scheduled actions should have run.",
            steps=red_above(levels.cron),
            empty="none is overdue",
            when_fine=True,
            queries=over_time(f"max by (database) (<odoo.cron.overdue.longest>{{{TENANT}}})", "{{database}}"),
        ),
        table(
            title="Which crons are late?",
            description="Overdue scheduled actions by name, the latest ones, and for how long.",
            width=8,
            height=7,
            steps=red_above(levels.cron),
            empty="none is overdue",
            when_fine=True,
            queries=now(f"sort_desc(max by (target, database, cron) (<odoo.cron.overdue.age>{{{TENANT}}}))"),
        ),
        graph(
            title="When did any cron run last?",
            description="Rises when all of a database's scheduled actions stand still.",
            queries=over_time(f"max by (database) (<odoo.cron.last_run.age>{{{TENANT}}})", "{{database}}"),
        ),
    )


def _crons_off() -> tuple[Panel, ...]:
    return (
        narrow(
            title="Which databases skip their crons?",
            description="1 while Odoo runs no cron of a database since modules wait to be installed or upgraded.",
            unit="none",
            steps=ANY_IS_BAD,
            queries=over_time(f"max by (database) (<odoo.cron.skipped>{{{TENANT}}})", "{{database}}"),
        ),
        narrow(
            title="Were failing crons switched off?",
            description="By Odoo, after failing for days, or by somebody. Absent before Odoo 18.",
            steps=ANY_IS_BAD,
            empty="no Odoo here tells",
            queries=over_time(f"sum by (database) (<odoo.cron.switched_off>{{{TENANT}}})", "{{database}}"),
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


def _messages(levels: Levels) -> tuple[Panel, ...]:
    return (
        narrow(
            title="How much mail waits?",
            description="Mail to be sent and mail that failed.",
            queries=over_time(f"sum by (database, state) (<odoo.mail.backlog>{{{TENANT}}})", "{{database}} {{state}}"),
        ),
        narrow(
            title="How long does mail wait?",
            description="Age of the oldest that is to be sent: customers get neither confirmations nor invoices.",
            steps=red_above(levels.mail),
            empty="no mail waits",
            when_fine=True,
            queries=over_time(
                f'max by (database) (<odoo.mail.oldest.age>{{{TENANT}, state="outgoing"}})', "{{database}}"
            ),
        ),
        narrow(
            title="How many documents wait?",
            description="Electronic documents to be sent or cancelled.",
            empty="no Odoo here exchanges documents",
            queries=over_time(f"sum by (database, state) (<odoo.edi.backlog>{{{TENANT}}})", "{{database}} {{state}}"),
        ),
        narrow(
            title="How long do documents wait?",
            description="Age of the oldest electronic document that is to be sent.",
            steps=red_above(levels.documents),
            empty="no document waits",
            when_fine=True,
            queries=over_time(
                f'max by (database) (<odoo.edi.oldest.age>{{{TENANT}, state="to_send"}})', "{{database}}"
            ),
        ),
    )


def _orders(levels: Levels) -> tuple[Panel, ...]:
    return (
        graph(
            title="How many confirmed orders lack a delivery?",
            description="Orders of goods confirmed within the last days for which nothing is to be moved.",
            steps=ANY_IS_BAD,
            queries=over_time(f"sum by (database) (<odoo.orders.without_delivery>{{{TENANT}}})", "{{database}}"),
        ),
        graph(
            title="How long does the oldest of them lack it?",
            description="Time since the oldest order without a delivery was confirmed.",
            steps=red_above(levels.picking),
            empty="every order has its delivery",
            when_fine=True,
            queries=over_time(
                f"max by (database) (<odoo.orders.without_delivery.oldest.age>{{{TENANT}}})", "{{database}}"
            ),
        ),
        graph(
            title="How many transfers are late?",
            description="Transfers to be done that were planned for longer ago than allowed.",
            queries=over_time(f"sum by (database, state) (<odoo.pickings.late>{{{TENANT}}})", "{{database}} {{state}}"),
        ),
    )
