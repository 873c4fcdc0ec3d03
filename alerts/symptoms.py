"""Symptoms besides the flows: the edge, the business' own work in Odoo, and what the day of a loss would need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .budget import QUEUE_ON_TIME, RECOVERY_IN_POINT
from .objectives import DAY, EdgeObjective, Objectives
from .patterns import regex
from .rule import Board, Recording, Role, Rule, Service, Severity
from .runs import bucket
from .texts import DOWN, DURATION, ROOT_BLOCKER

_TENANT = "environment, target, database"
FAST_BURNS = ((14.4, "1h", "5m"), (6.0, "6h", "30m"))
"""Burn rates that page at the edge, where there are requests enough for a rate: the long and the short time."""
STALLS = ("QueueStalled", "CronsOverdue", "CronsSkipped", "MailStuck", "EdiStuck", "OrdersWithoutPicking")
"""What pages for each tenant, and once where it is so in most of them."""
_MANY = 3
"""Tenants of a server that must stall at least to stall everywhere."""
_EXPIRES_NOW = DAY


def recordings(objectives: Objectives) -> Iterator[Recording]:
    """Whether queues and standbys keep what is promised, now: 1 or 0."""
    late = _queue_late(objectives)
    live = f"max by ({_TENANT}) (<odoo.queue.live>)"
    on_time = f"0 * (count by ({_TENANT}) ({late})) or 0 * {live} + 1"
    yield Recording(record=f"{QUEUE_ON_TIME}:bool", expr=on_time, tier=objectives.queues.tier)
    standby = "max by (environment, target) (<postgresql.recovery>) == 1"
    stale = f"0 * ({_replica_age()} > {objectives.recovery.point:.0f})"
    in_point = f"{stale} or {standby} or {_standby_down()}"
    yield Recording(record=f"{RECOVERY_IN_POINT}:bool", expr=in_point, tier=objectives.recovery.tier)


def _standby_down() -> str:
    """0 for what was a standby when it was last read: who cannot be read keeps no promise.

    The recording looks back at itself, so that it goes on for as long as the target is down.
    """
    down = "max by (environment, target) (<quaywatch.target.up>) == 0"
    return f"0 * ({down} and on (environment, target) last_over_time({RECOVERY_IN_POINT}:bool[1h]))"


def rules(objectives: Objectives) -> Iterator[Rule]:
    """The edge's symptoms, those of Odoo's own work, and those of recovery and certificates."""
    yield from _edge(objectives)
    for rule in _business(objectives):
        yield rule
        if rule.alert in STALLS:
            yield _stalled_everywhere(rule)
    yield from _standbys(objectives)
    yield from _backups(objectives)
    yield from _certificates(objectives)
    yield _api_key(objectives)


# --- the edge ---------------------------------------------------------------------------------------------------------


def _edge(objectives: Objectives) -> Iterator[Rule]:
    edge = objectives.edge
    by = "environment, target"
    burning = "\nor\n".join(
        f"(quaywatch:edge_errors:ratio{long} > {rate * edge.budget:.6g}"
        f" and quaywatch:edge_errors:ratio{short} > {rate * edge.budget:.6g})"
        for rate, long, short in FAST_BURNS
    )
    errors = f'sum by ({by}) (increase(<traefik.entrypoint.requests>{{code_class="5xx"}}[5m]))'
    yield Rule(
        alert="EdgeErrors",
        expr=f"max by ({by}) (\n{burning}\n)\nand {errors} > {edge.errors}",
        tier=edge.tier,
        role=Role.SYMPTOM,
        board=Board.EDGE,
        summary="Users get errors at {{ $labels.target }}",
        description="{{ humanizePercentage $value }} of the requests at {{ $labels.target }} end in a server's error"
        f" (500 and above).{DOWN}{ROOT_BLOCKER} If it is one tenant's alone, EdgeErrorsOfOneTenant names it.",
    )
    yield _edge_slow(edge)
    yield _one_tenants_errors(objectives)


def _edge_slow(edge: EdgeObjective) -> Rule:
    """Of the requests that hurry, the part that took too long: no quantile is guessed between two bounds."""
    by, latency = "environment, target", edge.latency
    hurried = [f'service!~"{regex(edge.unhurried)}"'] if edge.unhurried else []
    requests, fast = (
        f"sum by ({by}) (increase(<traefik.service.request.duration:{part}>{{{', '.join(matchers)}}}[5m]))"
        for part, matchers in (("count", hurried), ("bucket", [bucket(latency.within), *hurried]))
    )
    return Rule(
        alert="EdgeSlow",
        expr=f"({requests} - {fast}) / ({requests} > {10 * edge.errors}) > {1 - latency.share / 100:.6g}",
        settles=True,
        tier=edge.tier,
        role=Role.SYMPTOM,
        board=Board.EDGE,
        summary="Users wait at {{ $labels.target }}",
        description="{{ humanizePercentage $value }} of the requests at {{ $labels.target }} take longer than"
        f" {latency.within:g} s, where {100 - latency.share:g} % may.{DOWN}{ROOT_BLOCKER}",
    )


def _one_tenants_errors(objectives: Objectives) -> Rule:
    edge = objectives.edge
    by = "environment, target, host"
    errors = f'sum by ({by}) (increase(<traefik.router.requests>{{code_class="5xx", host!=""}}[5m]))'
    requests = f'sum by ({by}) (increase(<traefik.router.requests>{{host!=""}}[5m]))'
    ill = f"{errors} / ({requests} > 0) > {FAST_BURNS[0][0] * edge.budget:.6g} and {errors} > {edge.errors}"
    per_edge = "count by (environment, target)"
    return Rule(
        alert="EdgeErrorsOfOneTenant",
        expr=f"{ill}\nand on (environment, target) {per_edge} ({ill}) < 0.5 * {per_edge} ({requests})",
        tier=edge.tier,
        role=Role.SYMPTOM,
        board=Board.TENANTS,
        settles=True,
        summary="Users of {{ $labels.host }} get errors, others do not",
        description="{{ humanizePercentage $value }} of the requests for {{ $labels.host }} at {{ $labels.target }} end"
        " in a server's error (500 and above), while most other tenants are well: look at this tenant's database, its"
        " modules and what was last changed there, before the servers.",
    )


# --- Odoo's own work --------------------------------------------------------------------------------------------------


def _business_rule(alert: str, expr: str, summary: str, description: str, tier: str) -> Rule:
    return Rule(
        alert=alert,
        expr=expr,
        settles=True,
        tier=tier,
        role=Role.SYMPTOM,
        board=Board.QUEUES,
        selects=("environment", "target", "database"),
        summary=summary,
        description=description,
    )


def _stalled_everywhere(rule: Rule) -> Rule:
    """The same in most tenants of a server: it is of something they share, and calls nobody once for each of them."""
    ill = f"count by (environment, target) (count by ({_TENANT}) (\n{rule.expr}\n))"
    read = f'count by ({_TENANT}) (<quaywatch.scrape.success>{{database!=""}})'
    return replace(
        rule,
        alert="StalledEverywhere",
        expr=f"{ill} >= {_MANY}\nand\n{ill} > 0.5 * count by (environment, target) ({read})",
        labels={"symptom": rule.alert},
        selects=("environment", "target"),
        summary=f"{rule.alert} in most databases of {{{{ $labels.target }}}}",
        description=f"{rule.alert} is true of {{{{ $value }}}} databases of {{{{ $labels.target }}}}, which are more"
        " than half of them: no tenant's own trouble, but that of something they share. Look at Odoo's cron and job"
        f" workers, the mail server, the last deployment and the database server first.{DOWN}{ROOT_BLOCKER}",
    )


def _business(objectives: Objectives) -> Iterator[Rule]:
    promised, tier = objectives.business, objectives.business.tier
    yield _business_rule(
        "QueueStalled",
        _queue_late(objectives),
        "Jobs of {{ $labels.database }} wait in channel {{ $labels.channel }}",
        f"The oldest due job of channel {{{{ $labels.channel }}}} in database {{{{ $labels.database }}}} has waited"
        f" {DURATION}. The runner is dead, the channel is full of stuck jobs, or more comes in than is done.",
        objectives.queues.tier,
    )
    yield from _crons(objectives)
    yield _business_rule(
        "MailStuck",
        f'max by ({_TENANT}) (<odoo.mail.oldest.age>{{state="outgoing"}}) > {promised.mail:.0f}',
        "Mail of {{ $labels.database }} does not leave",
        f"The oldest outgoing mail of {{{{ $labels.database }}}} has waited {DURATION}: customers get neither"
        " confirmations nor invoices. The mail server refuses, or the cron that sends does not run.",
        tier,
    )
    yield _business_rule(
        "EdiStuck",
        f'max by ({_TENANT}) (<odoo.edi.oldest.age>{{state="to_send"}}) > {promised.edi:.0f}',
        "Electronic documents of {{ $labels.database }} do not leave",
        f"The oldest electronic document of {{{{ $labels.database }}}} has waited {DURATION} to be sent. What the other"
        " side waits for, an invoice or a dispatch advice, has not arrived there.",
        tier,
    )
    yield _business_rule(
        "OrdersWithoutPicking",
        f"max by ({_TENANT}) (<odoo.orders.without_delivery.oldest.age>) > {promised.picking:.0f}",
        "Confirmed orders of {{ $labels.database }} have nothing to pick",
        f"An order of {{{{ $labels.database }}}} was confirmed {DURATION} ago, and the warehouse has nothing to pick"
        " for it: it will not be shipped. Its rules or routes are broken, or the job that makes deliveries failed.",
        tier,
    )


def _queue_late(objectives: Objectives) -> str:
    """The channels whose oldest job waits too long, each against its own delay."""
    queues = objectives.queues
    by = f"{_TENANT}, channel"
    named = "|".join(queues.channels).replace(".", "[.]")
    others = f'{{channel!~"{named}"}}' if named else ""
    parts = [f"max by ({by}) (<odoo.queue.oldest.age>{others}) > {queues.delay:.0f}"]
    parts += [
        f'max by ({by}) (<odoo.queue.oldest.age>{{channel="{channel}"}}) > {delay:.0f}'
        for channel, delay in queues.channels.items()
    ]
    return "\nor\n".join(parts)


def _crons(objectives: Objectives) -> Iterator[Rule]:
    tier = objectives.business.tier
    yield _business_rule(
        "CronsOverdue",
        f"max by ({_TENANT}) (<odoo.cron.overdue.longest>) > {objectives.business.cron:.0f}",
        "Scheduled actions of {{ $labels.database }} do not run",
        f"A scheduled action of {{{{ $labels.database }}}} is {DURATION} late.{{{{ range query (printf"
        " `topk(3, max by (cron) (<odoo.cron.overdue.age>{environment=%q, target=%q, database=%q}))`"
        " $labels.environment $labels.target $labels.database) }} {{ .Labels.cron }}: {{ humanizeDuration .Value"
        " }}.{{ end }} The cron workers are busy, stopped or held up by a lock.",
        tier,
    )
    off = f"max by ({_TENANT}) (<odoo.cron.switched_off>) > 0"
    fewer = f"max by ({_TENANT}) (<odoo.cron.inactive>) - min by ({_TENANT}) (min_over_time(<odoo.cron.inactive>[1h]))"
    yield _business_rule(
        "CronsDeactivated",
        f"{off}\nor\n{fewer} > 0",
        "Scheduled actions of {{ $labels.database }} were switched off",
        "{{ $value }} scheduled actions of {{ $labels.database }} were switched off: by Odoo, after failing for"
        " days, or by somebody within the last hour. What they do is not done any more.",
        objectives.business.deactivated,
    )
    yield _business_rule(
        "CronsSkipped",
        f"max by ({_TENANT}) (<odoo.cron.skipped>) == 1",
        "No scheduled action of {{ $labels.database }} runs",
        "Odoo runs no scheduled action of {{ $labels.database }}, since modules wait there to be installed, upgraded or"
        " removed: an upgrade was begun and has not ended.",
        tier,
    )


# --- recovery and certificates ----------------------------------------------------------------------------------------


def _recovery_rule(alert: str, expr: str, summary: str, description: str, tier: str) -> Rule:
    return Rule(
        alert=alert,
        expr=expr,
        settles=True,
        tier=tier,
        role=Role.SYMPTOM,
        service=Service.RECOVERY,
        board=Board.REPLICATION,
        summary=summary,
        description=description,
    )


def _replica_age() -> str:
    return "max by (environment, target) (<postgresql.replication.replay.age>)"


def _no_standby() -> str:
    """Primaries from which standbys should stream, and none does; a standby that passes nothing on is none."""
    expected, streaming, is_standby = (
        f"max by (environment, target) (<postgresql.replication.{name})"
        for name in ("standbys.expected>", 'standbys>{state="streaming"}', "receiver.connected>")
    )
    return f"{expected} > 0\nand {streaming} == 0\nunless {is_standby}"


def _standbys(objectives: Objectives) -> Iterator[Rule]:
    promised, tier = objectives.recovery, objectives.recovery.tier
    yield _recovery_rule(
        "ReplicaStale",
        f"{_replica_age()} > {promised.point:.0f}",
        "Standby {{ $labels.target }} is behind the recovery point",
        f"Standby {{{{ $labels.target }}}} is {DURATION} behind: were the primary lost now, as much work would be,"
        f" where {promised.point:.0f} s are allowed. Replay is paused, held up by a query, or the line to the"
        " primary is cut or too slow.",
        tier,
    )
    gone = _recovery_rule(
        "NoStandbyStreams",
        _no_standby(),
        "No standby streams from {{ $labels.target }}",
        f"{{{{ $value }}}} should stream from {{{{ $labels.target }}}}, and for {promised.point:.0f} s, as much as may"
        " be lost, none has: were it lost now, all that was committed since would be, but for what the archive has."
        " Look whether the standbys are up, then at the line to them.",
        tier,
    )
    yield replace(gone, settles=False, hold=promised.point)


def _backups(objectives: Objectives) -> Iterator[Rule]:
    promised = objectives.recovery
    by = "environment, target, backup"
    yield _recovery_rule(
        "BackupTooOld",
        f"min by ({by}) (<quaywatch.backup.age>) > {promised.backup:.0f}",
        "The newest backup of {{ $labels.backup }} is old",
        f"The newest sound backup of {{{{ $labels.backup }}}} was complete {DURATION} ago: what came since would be"
        " lost with the servers, unless the archived log reaches back to it.",
        promised.backups,
    )
    yield _recovery_rule(
        "BackupFailing",
        f"min by ({by}) (<quaywatch.backup.ok>) == 0",
        "There is no sound newest backup of {{ $labels.backup }}",
        "The tool that makes backups of {{ $labels.backup }} finds the newest one broken, or there is none.",
        promised.backups,
    )
    old = f"min by ({by}) (<quaywatch.restore_test.age>) > {promised.restore_test:.0f}"
    failed = f"min by ({by}) (<quaywatch.restore_test.ok>) == 0"
    yield _recovery_rule(
        "RestoreTestTooOld",
        f"{failed}\nor\n{old}",
        "No recent restore test of {{ $labels.backup }} succeeded",
        "The last restore test of {{ $labels.backup }} failed, or the last that succeeded is older than"
        f" {promised.restore_test / DAY:.0f} days: whether its backups can be used is not known.",
        promised.backups,
    )
    yield _recovery_rule(
        "RestoreTestMissing",
        "max by (environment, target) (<quaywatch.restore_test.known>) == 0",
        "No restore test was ever told to {{ $labels.target }}",
        "Restore tests are to be told to {{ $labels.target }}, and none ever was: whether any backup can be used is"
        " not known. The job does not run, or what it tells does not arrive.",
        promised.backups,
    )


def _certificates(objectives: Objectives) -> Iterator[Rule]:
    promised = objectives.certificates
    by = "environment, target, host"
    remaining = f"min by ({by}) (<tls.certificate.remaining>)"
    soon = Rule(
        alert="CertificateExpiring",
        expr=f"{remaining} < {promised.renewed:.0f}",
        settles=True,
        tier=promised.tier,
        severity=Severity.TICKET,
        role=Role.SYMPTOM,
        service=Service.EDGE,
        board=Board.EDGE,
        summary="The certificate of {{ $labels.host }} expires",
        description=f"The certificate that clients of {{{{ $labels.host }}}} get expires in {DURATION}, and should have"
        " been renewed by now.",
    )
    yield soon
    yield replace(
        soon,
        alert="CertificateUnusable",
        expr=f"{remaining} < {_EXPIRES_NOW}\nor\nmin by ({by}) (<tls.certificate.verified>) == 0",
        severity=None,
        summary="Clients refuse {{ $labels.host }}, or will tomorrow",
        description="The certificate that clients of {{ $labels.host }} get expires within a day, has expired, is for"
        " another host, or is of no authority that they trust: browsers warn, and programs do not connect at all.",
    )


def _api_key(objectives: Objectives) -> Rule:
    """A key that ends is the watching's own trouble: flows then cannot be tried."""
    return Rule(
        alert="ApiKeyExpiring",
        expr=f"min by (environment, target, key) (<odoo.api_key.remaining>) < {objectives.certificates.renewed:.0f}",
        settles=True,
        tier=objectives.watching.tier,
        severity=Severity.TICKET,
        role=Role.SYMPTOM,
        service=Service.QUAYWATCH,
        board=Board.QUAYWATCH,
        summary="An API key for {{ $labels.target }} expires",
        description=f"The API key {{{{ $labels.key }}}} of the user that reads {{{{ $labels.target }}}} expires in"
        f" {DURATION}. Nothing is then known of its flows until a new one is given.",
    )
