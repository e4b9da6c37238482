"""The standard peers in this process's memory, and their deadlines. Not thread-safe; time is an argument.

As with nodes (see ``tracker.storage.state``) the order of the last announces is the order of the deadlines:
all peers may be silent for the same time.
"""

from __future__ import annotations

import random
from collections import Counter, OrderedDict
from collections.abc import Iterable
from itertools import islice

from common.messages import PeerEntry
from tracker import rules as the_rules
from tracker.model import Announcement, CompactAnswer, PeerAnswer, PeerLeft, PeerRecord, Rules, SwarmCounts
from tracker.peer_rules import PeerDecision
from tracker.peer_swarms import PeerSwarm, PeerSwarms, endpoint_addr


class _Peer:
    """A peer in memory."""

    __slots__ = ("record", "deadline", "swarm")

    def __init__(self, record: PeerRecord, deadline: float, swarm: PeerSwarm) -> None:
        self.record = record
        self.deadline = deadline  # seconds
        self.swarm = swarm


class PeerState:
    """All standard peers."""

    def __init__(self, rules: Rules, swarms: PeerSwarms, homes: Counter[str], rng: random.Random) -> None:
        """``homes``: peers and nodes by client address, shared with the nodes."""
        self._silence = rules.announce_silence
        self._swarms = swarms
        self._homes = homes
        self._rng = rng
        self._chance = rng.random
        self._peers: OrderedDict[bytes, _Peer] = OrderedDict()  # in the order of their deadlines
        self._grace_until = 0.0  # all deadlines are at least this

    def __len__(self) -> int:
        return len(self._peers)

    def get(self, key: bytes) -> PeerRecord | None:
        """The record of a peer."""
        peer = self._peers.get(key)
        return None if peer is None else peer.record

    def at(self, info_hash: bytes, endpoint: bytes) -> PeerRecord | None:
        """The peer of a torrent that listens there."""
        key = self._swarms.peer_at(info_hash, endpoint)
        return None if key is None else self._peers[key].record

    def carry_out(self, call: Announcement, decision: PeerDecision, now: float) -> PeerAnswer:
        """Apply the decision about an announce; the answer."""
        for write in decision.writes:
            self.apply(write, now)
        swarm = self._swarms.get(call.key[:20])
        if swarm is None:
            return PeerAnswer()
        if not decision.is_in:
            return PeerAnswer(swarm.seeds, swarm.leechers)
        swarm.downloaded += decision.finished
        if not decision.writes:
            self._peers[call.key].deadline = now + self._silence
            self._peers.move_to_end(call.key)
        return swarm.answer(call, self._rng)

    def again(
        self, key: bytes, endpoint: bytes, complete: bool, wanted: int, now: float
    ) -> CompactAnswer | None:
        """See ``Storage.announce_again``."""
        peer = self._peers.get(key)
        if peer is None:
            return None
        _, ipv4, ipv6, was_complete, _ = peer.record
        if was_complete is not complete or (endpoint != ipv4 and endpoint != ipv6):
            return None
        peer.deadline = now + self._silence
        self._peers.move_to_end(key)
        swarm = peer.swarm
        peers = swarm.ipv4 if endpoint == ipv4 else swarm.ipv6
        start, count = peers.window(wanted, key, self._chance(), complete)
        return swarm.seeds, swarm.leechers, peers.endpoints(start, count, complete)

    def apply(self, write: PeerRecord | PeerLeft, now: float) -> None:
        """Carry out a write. A peer that is written has a whole deadline."""
        if isinstance(write, PeerLeft):
            self._remove(self._peers.pop(write.key).record)
            return
        peer = self._peers.get(write.key)
        if peer is None:
            self._peers[write.key] = _Peer(write, now + self._silence, self._swarms.add_peer(write))
            if write.home is not None:
                self._homes[write.home] += 1
            return
        before, peer.record, peer.deadline = peer.record, write, now + self._silence
        self._peers.move_to_end(write.key)
        self._swarms.replace_peer(before, write)

    def restore(self, records: Iterable[PeerRecord], now: float) -> None:
        """Take over an earlier run's records. Each peer gets one whole deadline."""
        for record in records:
            self.apply(record, now)

    # ---- deadlines

    def next_deadline(self) -> float | None:
        """The earliest deadline; None if there is no peer."""
        for peer in self._peers.values():
            return max(peer.deadline, self._grace_until)
        return None

    def expire(self, limit: int, now: float) -> list[PeerRecord]:
        """Remove and return up to ``limit`` expired peers."""
        gone = []
        for peer in list(islice(self._peers.values(), limit)):
            if not the_rules.is_expired(max(peer.deadline, self._grace_until), now):
                break
            gone.append(peer.record)
            del self._peers[peer.record.key]
            self._remove(peer.record)
        return gone

    def grant_deadline(self, now: float) -> None:
        """Give every peer one whole deadline from now."""
        self._grace_until = now + self._silence

    # ---- looking

    def counts(self, info_hash: bytes) -> SwarmCounts:
        """For a scrape."""
        return self._swarms.counts(info_hash)

    def newest(self, info_hash: bytes, limit: int) -> list[PeerEntry]:
        """Standard peers of a torrent as NEED names them."""
        return [entry_of(self._peers[key].record) for key in self._swarms.newest(info_hash, limit)]

    # ---- the steps

    def _remove(self, record: PeerRecord) -> None:
        self._swarms.remove_peer(record)
        if record.home is not None:
            self._homes[record.home] -= 1
            if not self._homes[record.home]:
                del self._homes[record.home]


def entry_of(record: PeerRecord) -> PeerEntry:
    """A standard peer as NEED names it."""
    return PeerEntry(endpoint_addr(record.ipv4 or record.ipv6), record.complete, record.peer_id.hex())
