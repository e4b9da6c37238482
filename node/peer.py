"""A peer: an address and the transport that reaches it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Peer:
    """A process that holds pieces of a torrent, at an address that one transport reaches.

    Two values with the same address and transport are the same peer: ``node_id`` is what the classroom's
    tracker calls it, and takes no part in comparisons. Peers of standard BitTorrent clients have none.
    """

    host: str  # numeric IPv4 or IPv6 address
    port: int
    transport: str = "udp"  # "udp": the classroom transport
    node_id: int | None = field(default=None, compare=False)

    @property
    def addr(self) -> tuple[str, int]:
        """Host and port, as sockets take them."""
        return self.host, self.port

    @property
    def key(self) -> str:
        """What tells it from all other peers, the same on every machine: what is hashed to rank peers."""
        return f"{self.transport}:{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"node {self.node_id}" if self.node_id is not None else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class FoundPeer:
    """A peer that a tracker or another peer named, and what it said of it."""

    peer: Peer
    complete: bool = True  # False: it holds only some of the pieces
    uploads: int = 0  # as the classroom's tracker counts them; peers of equal counts are equals
