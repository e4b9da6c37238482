"""Peers that the user named: ``--peer``, and the ``x.pe`` of a magnet link. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from common.addresses import Addr
from common.metainfo import Metainfo
from node.peer import FoundPeer, Peer


class NamedPeers:
    """Standard peers at ``addresses``, for any torrent. A ``PeerSource``."""

    name = "the peers that you named"

    def __init__(self, addresses: Sequence[Addr]) -> None:
        self._found = [FoundPeer(Peer(host, port, "tcp")) for host, port in dict.fromkeys(addresses)]

    def find(self, info: Metainfo, found: Callable[[Sequence[FoundPeer]], None]) -> None:
        """All of them, at once."""
        found(self._found)
