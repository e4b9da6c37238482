"""Who begins with which pieces, so that those who start together do not all ask one seed for the same. Pure.

Each piece ranks the members of the swarm by a hash of piece and member (rendezvous hashing: Thaler and
Ravishankar, 1998). Every node computes the same ranks from the same list of members, without a word between
them. One who fetches what only a seed has begins with the pieces that rank it first, then takes those that
rank it second, and so on: two nodes reach the same piece at different times, and the later one has heard by
then that it is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from node.peer import Peer

GROUPS = 2048  # neighbouring pieces of larger torrents are ranked together
MAX_MEMBERS = 64  # that are looked at; a rank among some of the members serves nearly as well


def _hashes(member: Peer, groups: int) -> memoryview:
    """One 32-bit number for each group; the same on every machine of one byte order, which is enough."""
    return memoryview(hashlib.shake_128(member.key.encode()).digest(4 * groups)).cast("I")


def piece_order(own: Peer, members: Iterable[Peer], pieces: int) -> list[int]:
    """Sets of pieces in the order in which ``own`` takes them: those that rank it first, second, ...

    A set is an integer; piece ``i`` is bit ``pieces - 1 - i`` (so that the bytes of a bitfield are one).
    """
    size = max(1, -(-pieces // GROUPS))  # pieces in a group
    groups = -(-pieces // size)
    own_hashes = _hashes(own, groups)
    ranks = [0] * groups
    for member in sorted(set(members) - {own})[:MAX_MEMBERS]:
        ranks = [
            rank + (theirs < ours)
            for rank, theirs, ours in zip(ranks, _hashes(member, groups), own_hashes, strict=True)
        ]
    sets: dict[int, int] = {}
    for group, rank in enumerate(ranks):
        first, last = group * size, min(pieces, (group + 1) * size)
        sets[rank] = sets.get(rank, 0) | ((1 << (last - first)) - 1) << (pieces - last)
    return [sets[rank] for rank in sorted(sets)]
