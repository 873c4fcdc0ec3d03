"""What is known of the installation that dashboards are for, so that they fit it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from .builder import Dashboard


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What an installation has; the defaults fit every one.

    Args:
        environment: the one that is chosen when a dashboard is opened; the store's first if empty.
        about: the kinds of its targets, and ``flow`` if it runs any. A dashboard about nothing of that is left out;
            none is if unset.
        addresses: the defaults of the addresses that panels lead to, by their names.
    """

    environment: str = ""
    about: frozenset[str] | None = None
    addresses: Mapping[str, str] = field(default_factory=dict)

    def of(self, dashboards: Iterable[Dashboard]) -> Iterator[Dashboard]:
        """Those that have something to show, with what is known filled in."""
        for dashboard in dashboards:
            if self.about is None or not dashboard.about or dashboard.about & self.about:
                yield self._filled(dashboard)

    def _filled(self, dashboard: Dashboard) -> Dashboard:
        variables = (
            replace(one, chosen=self.environment) if one.name == "environment" else one for one in dashboard.variables
        )
        addresses = (replace(one, default=self.addresses.get(one.name, one.default)) for one in dashboard.addresses)
        return replace(dashboard, variables=tuple(variables), addresses=tuple(addresses))
