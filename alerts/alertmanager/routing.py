"""Who is told of what: the records behind ``routing.yaml``. Receivers are Alertmanager's own, and are passed on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from alerts.objectives import Objectives

from .faults import FaultyKeysError, Key

_OWN: Final = ("global", "templates", "receivers")
"""What of Alertmanager's configuration is the reader's; routes, inhibition and time intervals are rendered."""
_SECRETS: Final = re.compile(
    "((opsgenie|victorops)_)?api_key|(wechat_)?api_secret|(smtp_)?auth_(password|secret)|bearer_token"
    "|(telegram_)?bot_token|client_secret|credentials|password|routing_key|service_key|slack_api_url"
    "|(rocketchat_)?token(_id)?|user_key|webhook_url"
)
"""Keys of Alertmanager that hold a secret, and have a sibling ``KEY_file``."""


@dataclass(frozen=True, slots=True)
class Destination:
    """The receivers of pages and of tickets, by their names."""

    page: str
    ticket: str


@dataclass(frozen=True, slots=True)
class Route:
    """Whose alerts go to which receivers.

    Args:
        page: the receiver of pages.
        ticket: the receiver of tickets.
        tier: those of this tier.
        team: those of this team.
        targets: those of a tenant, by shell patterns of its targets,
        databases: or of its databases,
        hosts: or of its host names; what fits one of the three fits.
    """

    page: str
    ticket: str
    tier: str = ""
    team: str = ""
    targets: tuple[str, ...] = ()
    databases: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (self.tier or self.team or self.of_tenant):
            raise ValueError(
                "it is not said whose alerts these are; tier, team, targets, databases or hosts is expected"
            )

    @property
    def of_tenant(self) -> Mapping[str, tuple[str, ...]]:
        """The patterns of a tenant, by the label that they are for."""
        labels = {"target": self.targets, "database": self.databases, "host": self.hosts}
        return {label: patterns for label, patterns in labels.items() if patterns}


@dataclass(frozen=True, slots=True)
class Routing:
    """The whole of ``routing.yaml``.

    Args:
        others: who is told of what no route takes.
        routes: by a name for the reader; the first that fits decides.
        deadman: the receiver that the Watchdog goes to; nobody's if empty.
        alertmanager: ``global``, ``templates`` and ``receivers`` as Alertmanager has them.
    """

    others: Destination
    alertmanager: Mapping[str, Any]
    routes: Mapping[str, Route] = field(default_factory=dict)
    deadman: str = ""

    @property
    def named(self) -> Iterator[tuple[Key, str]]:
        """Every receiver that is named, with its key."""
        destinations: list[tuple[Key, Destination | Route]] = [(("others",), self.others)]
        destinations += [(("routes", name), route) for name, route in self.routes.items()]
        for key, one in destinations:
            yield (*key, "page"), one.page
            yield (*key, "ticket"), one.ticket
        if self.deadman:
            yield ("deadman",), self.deadman

    @property
    def receivers(self) -> list[Mapping[str, Any]]:
        """Alertmanager's receivers that are named."""
        names = {name for _, name in self.named}
        return [receiver for receiver in self.alertmanager["receivers"] if receiver["name"] in names]


def check(routing: Routing, objectives: Objectives) -> None:
    """See that everything named exists, and that no secret stands in the file.

    Raises:
        FaultyKeysError: with an entry for each fault.
    """
    faults = list(_malformed(routing.alertmanager))
    if not faults:
        faults = [*_unknown(routing, objectives), *_secrets(routing.alertmanager, ("alertmanager",))]
    if faults:
        raise FaultyKeysError(faults)


def _malformed(alertmanager: Mapping[str, Any]) -> Iterator[tuple[Key, str]]:
    for name in alertmanager:
        if name not in _OWN:
            yield ("alertmanager", name), f"this is rendered, or not known; allowed are {', '.join(_OWN)}"
    receivers = alertmanager.get("receivers")
    if not isinstance(receivers, list):
        yield ("alertmanager", "receivers"), "a list of receivers is expected"
        return
    for number, receiver in enumerate(receivers):
        if not isinstance(receiver, dict) or not isinstance(receiver.get("name"), str):
            yield ("alertmanager", "receivers", number), "a receiver with a name is expected"


def _unknown(routing: Routing, objectives: Objectives) -> Iterator[tuple[Key, str]]:
    receivers = [receiver["name"] for receiver in routing.alertmanager["receivers"]]
    for key, name in routing.named:
        if name not in receivers:
            yield key, f"there is no receiver {name}; one of {', '.join(receivers)} is expected"
    teams = list(dict.fromkeys(tier.team for tier in objectives.tiers.values()))
    for name, route in routing.routes.items():
        for word, value, known in (("tier", route.tier, objectives.tiers), ("team", route.team, teams)):
            if value and value not in known:
                what = f"the objectives have no {word} {value}; one of {', '.join(known)} is expected"
                yield ("routes", name, word), what


def _secrets(value: Any, key: Key) -> Iterator[tuple[Key, str]]:
    if isinstance(value, list):
        for number, entry in enumerate(value):
            yield from _secrets(entry, (*key, number))
    elif isinstance(value, dict):
        for name, entry in value.items():
            if _is_secret(name, key):
                yield (*key, name), f"a secret stands here; {name}_file with the path of a file is expected"
            yield from _secrets(entry, (*key, name))


def _is_secret(name: str, table: Key) -> bool:
    """Whether a key holds a secret; of a Slack's address and of a private key its table tells."""
    of_slack = name == "api_url" and "slack_configs" in table
    of_tls = name == "key" and str(table[-1]).endswith("tls_config")
    return of_slack or of_tls or bool(_SECRETS.fullmatch(name))
