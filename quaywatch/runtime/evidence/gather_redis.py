"""How the Redis beside Odoo fares, asked over a connection of our own."""

from __future__ import annotations

from typing import Final

from quaywatch.contract import Redis
from quaywatch.errors import ConnectError, DeadlineError, TargetError

from .facts import Cache, State

_BY_CODE: Final = {"LOADING": State.LOADING, "BUSY": State.BUSY}


async def look_at_cache(redis: Redis) -> Cache:
    """Its memory and what it does when that is full; a failure is a fact."""
    try:
        memory = await redis.info("memory")
        stats = await redis.info("stats")
    except TargetError as error:
        return Cache(state=_state(error))
    return Cache(
        used=int(memory.get("used_memory", 0)),
        limit=int(memory.get("maxmemory", 0)),
        policy=memory.get("maxmemory_policy", ""),
        evicted=int(stats.get("evicted_keys", 0)),
    )


def _state(error: TargetError) -> State:
    if error.code in _BY_CODE:
        return _BY_CODE[error.code]
    if isinstance(error, DeadlineError):
        return State.SILENT
    return State.DOWN if isinstance(error, ConnectError) else State.UNREAD
