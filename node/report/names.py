"""How the log names peers and torrents. Pure."""

from __future__ import annotations

from typing import TypeAlias

from node.peer import Peer

PeerName: TypeAlias = int | str  # the node_id if it is known, else HOST:PORT
TORRENT_DIGITS = 12  # hexadecimal digits of an info hash that name a torrent


def peer_name(peer: Peer) -> PeerName:
    """The node_id of a node of the classroom; the address of another peer."""
    return str(peer) if peer.node_id is None else peer.node_id


def torrent_name(info_hash_hex: str) -> str:
    """The first digits of the info hash."""
    return info_hash_hex[:TORRENT_DIGITS]
