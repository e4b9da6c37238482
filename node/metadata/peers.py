"""The peers that may have a torrent's metadata: which is asked next, and what is awaited, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from common.backoff import Backoff
from node.peer import Peer

AT_A_TIME = 3  # peers that are asked side by side
MAX_PEERS = 200  # peers that are remembered
RETRY = Backoff(first=2.0, limit=30.0)  # seconds before a peer that had no metadata is asked again


@dataclass
class MetadataPeer:
    """A peer that may have the metadata. Times are monotonic seconds."""

    peer: Peer
    asked: bool = False  # at present
    received: int = 0  # bytes
    size: int = 0  # bytes of all of it; 0: not known
    failures: int = 0
    retry_at: float = 0.0
    reason: str = ""  # why it sent nothing


class MetadataPeers:
    """Not thread-safe."""

    def __init__(self) -> None:
        self._peers: dict[Peer, MetadataPeer] = {}

    def __iter__(self) -> Iterator[MetadataPeer]:
        return iter(self._peers.values())

    def add(self, found: Iterable[Peer]) -> None:
        """Take in peers that a source named."""
        for peer in found:
            if len(self._peers) < MAX_PEERS:
                self._peers.setdefault(peer, MetadataPeer(peer))

    def choose(self, now: float) -> list[MetadataPeer]:
        """The peers to ask now; they count as asked. Those that failed least come first."""
        free = AT_A_TIME - sum(each.asked for each in self)
        ready = [each for each in self if not each.asked and each.retry_at <= now]
        chosen = sorted(ready, key=lambda each: each.failures)[: max(0, free)]
        for each in chosen:
            each.asked = True
            each.received = each.size = 0
        return chosen

    @staticmethod
    def failed(peer: MetadataPeer, reason: str, now: float) -> None:
        """``peer`` sent no metadata: it is asked again later, and later each time."""
        peer.asked = False
        peer.received = peer.size = 0
        peer.retry_at = now + RETRY.bound(peer.failures)
        peer.failures += 1
        peer.reason = reason

    @property
    def best(self) -> MetadataPeer | None:
        """The peer that sent most, if any sends."""
        sending = [each for each in self if each.asked and each.size]
        return max(sending, key=lambda each: each.received / each.size, default=None)

    @property
    def count(self) -> int:
        """How many peers are known. A node with two addresses is one peer."""
        return len({each.peer if each.peer.node_id is None else each.peer.node_id for each in self})

    def awaited(self, no_peers: str = "") -> str:
        """The awaited thing, in words. ``no_peers``: why no peer is known, if that has a reason."""
        count = self.count
        if (best := self.best) is not None:
            return f"{best.received * 100 // best.size}% of the metadata"
        if not count:
            return f"no peers yet ({no_peers})" if no_peers else "no peers yet"
        if any(not each.failures for each in self):
            return f"asking {_peers(count)} for the metadata"
        if count == 1:
            first = next(iter(self))
            return f"1 peer, which does not have the metadata ({first.peer}: {first.reason})"
        return f"{_peers(count)}, {'neither has' if count == 2 else 'none has'} the metadata"


def _peers(count: int) -> str:
    return "1 peer" if count == 1 else f"{count} peers"
