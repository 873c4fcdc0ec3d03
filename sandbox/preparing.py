"""All that the tests start, fetched and built beforehand: a test then waits for servers, never for a compiler."""

from collections.abc import Callable, Mapping

from . import images
from .host import require
from .parts import backups, kubernetes_tools, pgbouncer, postgres_versions, redis_versions
from .progress import Progress
from .world import PARTS, fill

_BESIDE: Mapping[str, Callable[[Progress], object]] = {
    "postgres versions": postgres_versions.prepare,
    "redis versions": redis_versions.prepare,
    "kubernetes tools": lambda _: kubernetes_tools.kubernetes_tools(),
    "pgbouncer": pgbouncer.prepare,
    "backups": backups.prepare,
    "images": images.prepare,
    "packages": lambda _: require("chromium", "libnss3-tools", "iptables"),
}
"""What single tests start or call by themselves, with no part of the sandbox's."""
_LONGEST_FIRST = ("kubernetes", "odoo19", "odoo14")


def prepare(progress: Progress) -> None:
    """Fill the cache, two things at a time; what is there already costs next to nothing.

    `SandboxError` when something cannot be fetched or built; a second call goes on from there.
    """
    all_of_it = {**{name: part.prepare for name, part in PARTS.items()}, **_BESIDE}
    fill({name: all_of_it[name] for name in (*_LONGEST_FIRST, *all_of_it)}, progress)
