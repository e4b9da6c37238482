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


class OwnOrder:
    """The order of this node among ``pieces`` pieces. Peers are added as they become known.

    ``own``: the names of this node, at most one for each transport. A peer is compared with the name of its
    own transport, because that is the name by which the peer knows this node.
    """

    def __init__(self, own: Iterable[Peer], pieces: int) -> None:
        self._pieces = pieces
        self._size = max(1, -(-pieces // MAX_PIECE_GROUPS))  # pieces in a group
        self._groups = -(-pieces // self._size)
        self._own = {name.transport: _hashes(name, self._groups) for name in own}
        self._ranked: set[Peer] = {*own}
        self._ranks = [0] * self._groups

    def add(self, peers: Iterable[Peer]) -> bool:
        """Rank these partial peers, too. True if any is new."""
        new = [peer for peer in sorted(set(peers) - self._ranked) if peer.transport in self._own]
        new = new[: max(0, MAX_RANKED_PEERS + len(self._own) - len(self._ranked))]
        for peer in new:
            theirs, ours = _hashes(peer, self._groups), self._own[peer.transport]
            self._ranks = [rank + (t < o) for rank, t, o in zip(self._ranks, theirs, ours, strict=True)]
        self._ranked.update(new)
        return bool(new)

    def sets(self) -> list[int]:
        """Sets of pieces in the order in which this node requests them: first the pieces that rank it first.

        A set is an integer; piece ``i`` is bit ``pieces - 1 - i``, as in the bytes of a bitfield.
        """
        sets: dict[int, int] = {}
        for group, rank in enumerate(self._ranks):
            first, last = group * self._size, min(self._pieces, (group + 1) * self._size)
            sets[rank] = sets.get(rank, 0) | ((1 << (last - first)) - 1) << (self._pieces - last)
        return [sets[rank] for rank in sorted(sets)]


def piece_order(own: Peer, peers: Iterable[Peer], pieces: int) -> list[int]:
    """``OwnOrder.sets`` of ``own`` among ``peers``."""
    order = OwnOrder([own], pieces)
    order.add(peers)
    return order.sets()


def _hashes(peer: Peer, groups: int) -> memoryview:
    """One 32-bit number for each group; the same on all machines of one byte order."""
    return memoryview(hashlib.shake_128(peer.key.encode()).digest(4 * groups)).cast("I")
