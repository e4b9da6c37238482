"""A peer: an address and the transport that reaches it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class _PeerAddress(NamedTuple):
    """The fields that two equal peers share."""

    host: str  # numeric IPv4 or IPv6 address
    port: int
    transport: str  # "udp": the classroom transport; "tcp": standard BitTorrent


class Peer(_PeerAddress):
    """A process that holds pieces of a torrent, at an address that one transport reaches.

    Two values with the same address and transport are the same peer. ``node_id`` is what the classroom's
    tracker calls it, and takes no part in comparisons. Peers of standard BitTorrent clients have none.

    A tuple, because a download looks peers up hundreds of times per piece: a tuple's hash takes a tenth of
    the time of a dataclass's.
    """

    node_id: int | None

    def __new__(cls, host: str, port: int, transport: str = "udp", node_id: int | None = None) -> Peer:
        peer = super().__new__(cls, host, port, transport)
        peer.node_id = node_id
        return peer

    @property
    def addr(self) -> tuple[str, int]:
        """Host and port, as sockets take them."""
        return self.host, self.port

    @property
    def key(self) -> str:
        """What tells it from all other peers, the same on every machine: what is hashed to rank peers."""
        return f"{self.transport}:{self.host}:{self.port}"

    def is_same_node(self, other: Peer) -> bool:
        """True if both are known to be addresses of one classroom node."""
        return self.node_id is not None and self.node_id == other.node_id

    def __str__(self) -> str:
        return f"node {self.node_id}" if self.node_id is not None else f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"Peer({self.key}, node_id={self.node_id})"


@dataclass(frozen=True, slots=True)
class FoundPeer:
    """A peer named by a tracker or a peer, and the facts that came with it."""

    peer: Peer
    complete: bool = True  # False: it holds only some of the pieces
    uploads: int = 0  # as the classroom's tracker counts them; peers of equal counts are equals
