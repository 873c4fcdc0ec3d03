"""Which member of several a target falls to: rendezvous hashing.

Each pair of member and target has a weight that nothing else enters into, and the heaviest member has the target. So a
member that goes leaves the others' targets where they are, and one that comes takes from each about as much.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Hashable


def share(targets: Collection[str], members: Collection[Hashable], mine: Hashable) -> frozenset[str]:
    """The targets that fall to ``mine``, which is one of the members."""
    return frozenset(target for target in targets if max(members, key=lambda member: weight(member, target)) == mine)


def weight(member: Hashable, target: str) -> bytes:
    """How heavy a member weighs at a target; the same on every agent."""
    return hashlib.blake2b(f"{member}\0{target}".encode(), digest_size=8).digest()
