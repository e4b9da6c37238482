"""Announces and scrapes of standard peers: check the swarm key, let the storage carry out the rules, log.

The HTTP side and the UDP side call the same methods. Thread-safe; knows nothing of either protocol.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from common.logs import log
from common.udp_tracker import AnnounceEvent
from tracker.auth import ANONYMOUS, Credentials, SwarmKey
from tracker.errors import where
from tracker.model import Announcement, CompactAnswer, PeerAnswer, SwarmCounts
from tracker.peer_swarms import endpoint_addr
from tracker.storage.base import Storage

AnnounceAgain = Callable[[bytes, bytes, bool, int], CompactAnswer | None]
"""See ``Storage.announce_again``."""


class AnnounceService:
    """One method per request of a standard peer."""

    def __init__(
        self, storage: Storage, swarm_key: SwarmKey, interval: float, count: Callable[[int], None]
    ) -> None:
        """``interval``: seconds between announces. ``count`` is called with a number of new requests."""
        self.interval = interval
        self.again: AnnounceAgain = storage.announce_again
        """The short way of an announce. It checks no swarm key and counts no request: call ``count``."""
        self.count = count
        self.udp_packets: Counter[str] = Counter()
        """By the kind of their answer. The thread of the UDP side counts; the metrics read."""
        self._storage = storage
        self._swarm_key = swarm_key

    @property
    def wants_key(self) -> bool:
        """True if there is a swarm key."""
        return self._swarm_key.wanted

    def announce(self, call: Announcement, by: Credentials = ANONYMOUS) -> PeerAnswer:
        """A standard peer comes, stays or leaves, and is given other peers."""
        self._swarm_key.check(by)
        self.count(1)
        found = self._storage.announce(call)
        if call.event is not AnnounceEvent.NONE:
            log(
                f"ANNOUNCE {call.event.name.lower()}: peer {where(endpoint_addr(call.endpoint))} "
                f"of {call.key[:20].hex()}, seeds: {found.complete}, leechers: {found.incomplete}"
            )
        return found

    def scrape(self, info_hashes: Sequence[bytes], by: Credentials = ANONYMOUS) -> Sequence[SwarmCounts]:
        """How many peers of each torrent can be reached over TCP."""
        self._swarm_key.check(by)
        self.count(1)
        return self._storage.scrape(info_hashes)
