"""The order in which each node requests pieces that only complete peers hold.

Each piece ranks the partial peers of the swarm by a hash of piece and peer (rendezvous hashing: Thaler and
Ravishankar, 1998). Every node computes the same ranks from the same list of peers, without any message
between them. A node begins with the pieces that rank it first, then takes the pieces that rank it second,
and so on. So two nodes reach the same piece at different times, and the later one knows by then which peer
has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from node.peer import Peer

MAX_PIECE_GROUPS = 2048  # groups of neighbouring pieces that are ranked; of one piece if there are fewer
MAX_RANKED_PEERS = 64  # peers that are ranked; a rank among some peers serves nearly as well


def rendezvous_weight(own: Peer, peer: Peer) -> bytes:
    """Rank of ``peer`` among the partial peers that ``own`` may ask, the lowest first.

    It is random, but always the same for these two. So the peers that a node asks do not depend on the order
    in which they came, and all peers are asked by nearly the same number of nodes.
    """
    return hashlib.sha1(f"{own.key} {peer.key}".encode(), usedforsecurity=False).digest()


def piece_order(own: Peer, peers: Iterable[Peer], pieces: int) -> list[int]:
    """Sets of pieces in the order in which ``own`` requests them: first the pieces that rank it first.

    A set is an integer; piece ``i`` is bit ``pieces - 1 - i``, as in the bytes of a bitfield.
    """
    size = max(1, -(-pieces // MAX_PIECE_GROUPS))  # pieces in a group
    groups = -(-pieces // size)
    own_hashes = _hashes(own, groups)
    ranks = [0] * groups
    for peer in sorted(set(peers) - {own})[:MAX_RANKED_PEERS]:
        ranks = [
            rank + (theirs < ours)
            for rank, theirs, ours in zip(ranks, _hashes(peer, groups), own_hashes, strict=True)
        ]
    sets: dict[int, int] = {}
    for group, rank in enumerate(ranks):
        first, last = group * size, min(pieces, (group + 1) * size)
        sets[rank] = sets.get(rank, 0) | ((1 << (last - first)) - 1) << (pieces - last)
    return [sets[rank] for rank in sorted(sets)]


def _hashes(peer: Peer, groups: int) -> memoryview:
    """One 32-bit number for each group; the same on all machines of one byte order."""
    return memoryview(hashlib.shake_128(peer.key.encode()).digest(4 * groups)).cast("I")
