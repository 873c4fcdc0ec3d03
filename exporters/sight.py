"""Whether a role may see what it reads: PostgreSQL shows a row without its contents to those who may not."""

from __future__ import annotations

from quaywatch.errors import PermissionDeniedError


def require_sight(view: str, *, hidden: bool) -> None:
    """Refuse an emptied row of ``view``, which must not pass for a fact.

    Raises:
        PermissionDeniedError: when a row's contents are ``hidden``.
    """
    if hidden:
        raise PermissionDeniedError(f"the role may not see what is in {view}", remedy="grant it pg_monitor")
