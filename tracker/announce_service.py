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
from tracker.log_keeper import LogKeeper
from tracker.model import Announcement, CompactAnswer, PeerAnswer, Rules, SwarmCounts
from tracker.peer_swarms import endpoint_addr
from tracker.storage.base import Storage

AnnounceAgain = Callable[[bytes, bytes, bool, int], CompactAnswer | None]
"""See ``Storage.announce_again``."""


class AnnounceService:
    """One method per request of a standard peer."""

    def __init__(
        self,
        storage: Storage,
        swarm_key: SwarmKey,
        rules: Rules,
        count: Callable[[int], None],
        live: LogKeeper,
    ) -> None:
        """``count`` is called with a number of new requests. ``live`` notes the peers that come and leave."""
        self.interval = rules.announce_interval
        """Seconds between announces."""
        self.again: AnnounceAgain = storage.announce_again
        """The short way of an announce. It checks no swarm key and counts no request: call ``count``."""
        self.count = count
        self.udp_packets: Counter[str] = Counter()
        """By the kind of their answer. The thread of the UDP side counts; the metrics read."""
        self._storage = storage
        self._swarm_key = swarm_key
        self._live = live

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
            event, addr, info_hash = (
                call.event.name.lower(),
                endpoint_addr(call.endpoint),
                call.key[:20].hex(),
            )
            log(
                f"ANNOUNCE {event}: peer {where(addr)} of {info_hash}, "
                f"seeds: {found.complete}, leechers: {found.incomplete}"
            )
            self._live.on_announce(info_hash, addr, event, call.complete)
        return found

    def scrape(self, info_hashes: Sequence[bytes], by: Credentials = ANONYMOUS) -> Sequence[SwarmCounts]:
        """How many peers of each torrent can be reached over TCP."""
        self._swarm_key.check(by)
        self.count(1)
        return self._storage.scrape(info_hashes)
