"""The environment of a download: its torrent's trackers, and the parts that all downloads of a node share."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from common.messages import OwnedFile
from common.metainfo import Metainfo
from node import events
from node.content.hashing import HashPool
from node.discovery.base import Announcer, Credit, PeerSource
from node.peer import Peer
from node.settings import NodeSettings
from node.transport import Transport

MAX_DOWNLOADS = 16  # of a node at a time: each has an open file and a socket for each source


@dataclass(frozen=True)
class SwarmTrackers:
    """The trackers of one torrent: peer sources that find peers, announcers that announce this node."""

    sources: Sequence[PeerSource]
    announcers: Sequence[Announcer] = ()

    def announce(self, file: OwnedFile) -> None:
        """This node serves the file, wholly or in part."""
        for announcer in self.announcers:
            announcer.announce(file)

    def withdraw(self, file: OwnedFile) -> None:
        """This node does not serve the file any more."""
        for announcer in self.announcers:
            announcer.withdraw(file)

    def credit(self, info: Metainfo, amounts: Iterable[tuple[int, int]]) -> None:
        """Credit nodes with verified bytes, ``(node_id, bytes)``, at one tracker."""
        counting = [each for each in self.announcers if each.counts_credit]
        announcer = next((each for each in counting if each.answers), None)
        announcer = announcer or next(iter(counting), None)
        if announcer is not None:
            for node_id, amount in amounts:
                announcer.credit(Credit(info.name, info.info_hash_hex, node_id, amount))

    def flush(self, timeout: float) -> None:
        """Wait until all announcements were sent, at most ``timeout`` seconds for each tracker."""
        for announcer in self.announcers:
            announcer.flush(timeout)


@dataclass(frozen=True)
class NodeParts:
    """The parts of a node that all its downloads share."""

    settings: NodeSettings
    own: Peer  # this node, as peers reach it
    hash_pool: HashPool
    transports: Mapping[str, Transport]  # by ``Peer.transport``, the preferred one first
    emit: events.EventSink
    own_tcp: Peer | None = None  # this node, as standard peers reach it
    slots: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(MAX_DOWNLOADS))

    def uploaded(self, info_hash: bytes) -> int:
        """Bytes of this torrent sent to peers so far."""
        return sum(transport.uploaded(info_hash) for transport in self.transports.values())


def owned_file(info: Metainfo, complete: bool) -> OwnedFile:
    """A torrent as OWN announces it."""
    return OwnedFile(info.name, info.info_hash_hex, info.size, complete)
