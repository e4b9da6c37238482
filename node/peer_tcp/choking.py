"""Choking: which peers of a torrent are served now (BEP 3; Cohen 2003). Pure: no clock, no socket.

A leecher plays tit-for-tat. Every ``ROUND_SECONDS`` it unchokes the peers that sent it the most bytes in the
last round. A peer that never gets a chance cannot show what it would send, so one more slot is *optimistic*:
it goes to a random peer for ``OPTIMISTIC_SECONDS``, to a new one three times as likely. Slots that no peer
has earned are optimistic, too. So a leecher that is snubbed (a peer unchoked it and has sent no block for
``SNUB_SECONDS``) makes more optimistic unchokes, and finds better peers soon.

A seed receives nothing, so it has no peer to pay back. It serves in turn, as libtorrent's round robin does:
a peer whose turn of ``TURN_SECONDS`` is over goes behind all peers that wait. Before that, the peers that
take the most stay, because they will pass the pieces on soonest. Next is the peer that waits longest.

Only interested peers are unchoked. Some clients ignore an unchoke that comes before their "interested".

**How many slots?** Four, and more as the upload rate grows: *n* slots if the rate feeds each of them with
*n* times ``SLOT_RATE``. That is the square root rule of the first BitTorrent client, for the links of today:
1 MB/s feeds 4 slots, 4 MB/s feed 7, 25 MB/s feed 19. With more slots each peer would get so little that its
pieces stay incomplete for long, and a peer that sends nothing would nearly always find a slot. The rate is
the upload limit, or the measured rate if that is higher or there is no limit. If the served peers take less
than ``FED_FRACTION`` of the limit although more peers wait, one more slot opens in each round.
"""

from __future__ import annotations

import math
import random
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

ROUND_SECONDS = 10.0  # between two choices by rate
OPTIMISTIC_SECONDS = 30.0  # for which a peer keeps an optimistic slot
NEW_PEER_SECONDS = 60.0  # after its connection, while a peer counts as new
NEW_PEER_WEIGHT = 3  # times as likely as another peer to be unchoked optimistically
SNUB_SECONDS = 60.0  # without a block although requests are outstanding
TURN_SECONDS = 60.0  # after which a seed prefers peers that wait
MIN_SLOTS = 4  # beside the optimistic one
MAX_SLOTS = 50  # beside the optimistic one
SLOT_RATE = 64_000  # bytes a second; n slots need n * n times this rate
FED_FRACTION = 0.9  # of the upload limit: below it, more slots may help

K = TypeVar("K", bound=Hashable)


class PeerTraffic(NamedTuple):
    """A connected peer. Payload counts only grow; the choker computes the rates."""

    downloaded: int  # payload bytes from it so far
    uploaded: int  # payload bytes to it so far
    interested: bool  # it wants pieces of ours
    snubs: bool = False  # it unchoked us and sends nothing (``SnubTimer``)


class SnubTimer:
    """Notices that a peer snubs us. One for each peer; times are monotonic seconds."""

    def __init__(self) -> None:
        self._waits_since: float | None = None

    def on_requested(self, now: float) -> None:
        """A request was sent."""
        if self._waits_since is None:
            self._waits_since = now

    def on_block(self, now: float, outstanding: int) -> None:
        """A block arrived, and ``outstanding`` requests are left."""
        self._waits_since = now if outstanding else None

    def on_choked(self) -> None:
        """The peer choked us, or all requests are cancelled: nothing is due from it."""
        self._waits_since = None

    def snubs(self, now: float) -> bool:
        """True if a block has been due for ``SNUB_SECONDS``."""
        return self._waits_since is not None and now - self._waits_since >= SNUB_SECONDS


@dataclass
class _Known:
    """The choker's record of a connected peer."""

    since: float
    downloaded: int
    uploaded: int
    received: int = 0  # bytes from it in the last round
    sent: int = 0  # bytes to it in the last round
    unchoked_at: float = float("-inf")  # the last time

    def measure(self, traffic: PeerTraffic) -> None:
        """A round is over."""
        self.received = traffic.downloaded - self.downloaded
        self.sent = traffic.uploaded - self.uploaded
        self.downloaded, self.uploaded = traffic.downloaded, traffic.uploaded


class Choker(Generic[K]):
    """Chooses for one torrent. ``upload_limit``: bytes a second of the node; None: no limit.

    ``round`` is called at ``next_round``, and at once when a peer connects, leaves, becomes interested or
    loses its interest. The caller sends choke and unchoke for the difference to the call before. Not
    thread-safe. Times are monotonic seconds.
    """

    def __init__(self, rng: random.Random, upload_limit: int | None = None) -> None:
        self._rng = rng
        self.upload_limit = upload_limit  # may be changed at any time
        self.next_round = float("-inf")  # when ``round`` is due again
        self.slots = self._slots_for(0.0)  # without the optimistic one
        self._extra = 0  # slots opened because the others did not use the limit
        self._measured_at: float | None = None
        self._known: dict[K, _Known] = {}
        self._earned: dict[K, None] = {}
        self._optimistic: dict[K, float] = {}  # since when

    @property
    def optimistic(self) -> frozenset[K]:
        """The peers that are unchoked although they have not earned it."""
        return frozenset(self._optimistic)

    def round(self, now: float, peers: Mapping[K, PeerTraffic], seeding: bool = False) -> set[K]:
        """The peers to unchoke; all other ones are choked.

        ``peers`` are all connected peers, interested or not. Between two rounds an unchoked peer stays so
        while it is interested, and free slots are filled. ``seeding``: this node has every piece.
        """
        self._update_known(now, peers)
        interested = [key for key, traffic in peers.items() if traffic.interested]
        before = self._earned.keys() | self._optimistic.keys()
        self._keep_only(set(interested))
        expired: set[K] = set()
        if now >= self.next_round:
            self.next_round = now + ROUND_SECONDS
            self._measure(now, peers, len(interested))
            self._earned = dict.fromkeys(self._deserving(now, interested, peers, seeding)[: self.slots])
            expired = self._end_optimistic(now)
        self._fill(now, interested, peers, expired)
        unchoked = {*self._earned, *self._optimistic}
        for key in unchoked - before:
            self._known[key].unchoked_at = now
        return unchoked

    # ---- memory

    def _update_known(self, now: float, peers: Mapping[K, PeerTraffic]) -> None:
        for key in [key for key in self._known if key not in peers]:
            del self._known[key]
        for key, traffic in peers.items():
            if key not in self._known:
                self._known[key] = _Known(now, traffic.downloaded, traffic.uploaded)

    def _keep_only(self, eligible: set[K]) -> None:
        self._earned = {key: None for key in self._earned if key in eligible}
        self._optimistic = {key: at for key, at in self._optimistic.items() if key in eligible}

    def _measure(self, now: float, peers: Mapping[K, PeerTraffic], waiting: int) -> None:
        """Count the bytes of the last round, and adapt the number of slots to the upload rate."""
        for key, known in self._known.items():
            known.measure(peers[key])
        seconds = now - self._measured_at if self._measured_at is not None else 0.0
        self._measured_at = now
        rate = sum(known.sent for known in self._known.values()) / seconds if seconds > 0 else 0.0
        limit = self.upload_limit
        if limit is None or rate >= FED_FRACTION * limit:
            self._extra = max(0, self._extra - 1)
        elif seconds > 0 and waiting > self.slots + 1:
            self._extra += 1
        self.slots = min(self._slots_for(rate) + self._extra, MAX_SLOTS)

    def _slots_for(self, rate: float) -> int:
        """The slots that ``rate`` bytes a second feed, or the upload limit if that is higher."""
        rate = max(rate, self.upload_limit or 0)
        return max(MIN_SLOTS, min(math.isqrt(int(rate / SLOT_RATE)), MAX_SLOTS))

    # ---- slots by rate

    def _deserving(
        self, now: float, interested: Iterable[K], peers: Mapping[K, PeerTraffic], seeding: bool
    ) -> list[K]:
        """The peers that have earned a slot, the best first; equals in random order."""
        if seeding:
            keys = self._shuffled(interested)
            return sorted(keys, key=lambda key: self._turn(now, key))
        keys = self._shuffled(k for k in interested if self._known[k].received > 0 and not peers[k].snubs)
        return sorted(keys, key=lambda key: -self._known[key].received)

    def _turn(self, now: float, key: K) -> tuple[bool, int, float]:
        """Sorts peers of a seed: the first ones are served."""
        known = self._known[key]
        served = key in self._earned or key in self._optimistic
        is_over = served and now - known.unchoked_at >= TURN_SECONDS
        return is_over, -known.sent if served else 0, known.unchoked_at

    def _shuffled(self, keys: Iterable[K]) -> list[K]:
        shuffled = list(keys)
        self._rng.shuffle(shuffled)
        return shuffled

    # ---- optimistic slots

    def _end_optimistic(self, now: float) -> set[K]:
        """End the optimistic unchokes that are over or earned now; returns the former."""
        expired = {key for key, at in self._optimistic.items() if now - at >= OPTIMISTIC_SECONDS}
        self._optimistic = {
            key: at for key, at in self._optimistic.items() if key not in expired and key not in self._earned
        }
        return expired

    def _fill(
        self, now: float, interested: Iterable[K], peers: Mapping[K, PeerTraffic], expired: set[K]
    ) -> None:
        """Give all slots that are left to random peers; take some back if there are too many."""
        free = self.slots + 1 - len(self._earned) - len(self._optimistic)
        for key in list(self._optimistic)[: max(0, -free)]:  # the oldest first
            del self._optimistic[key]
        waiting = [key for key in interested if key not in self._earned and key not in self._optimistic]
        for key in self._by_chance(now, waiting, peers, expired)[: max(0, free)]:
            self._optimistic[key] = now

    def _by_chance(
        self, now: float, waiting: Iterable[K], peers: Mapping[K, PeerTraffic], expired: set[K]
    ) -> list[K]:
        """``waiting`` in random order, new ones early; last those that had their chance, or snub us."""

        def place(key: K) -> tuple[bool, bool, float]:
            new = now - self._known[key].since < NEW_PEER_SECONDS
            chance = self._rng.random() ** (1 / (NEW_PEER_WEIGHT if new else 1))  # Efraimidis, Spirakis 2006
            return peers[key].snubs, key in expired, -chance

        return sorted(waiting, key=place)
