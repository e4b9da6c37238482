"""The tracker's rules for standard peers: who is in a swarm, and until when. Pure.

As with nodes: a function takes a view of the records, and returns the changes. A standard peer is in from its
first announce until it announces ``stopped`` or is silent for too long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from common.udp_tracker import AnnounceEvent
from tracker import errors
from tracker.model import MAX_PEERS, Announcement, PeerLeft, PeerRecord, Rules

IPV4_SIZE = 6  # bytes of an endpoint; those of IPv6 have 18


class PeerView(Protocol):
    """The records that an announce names."""

    @property
    def rules(self) -> Rules:
        """The settings."""

    def peer(self, key: bytes) -> PeerRecord | None:
        """The standard peer, if it is in."""

    def peer_at(self, info_hash: bytes, endpoint: bytes) -> PeerRecord | None:
        """The standard peer of this torrent that listens there."""

    def peer_count(self) -> int:
        """How many standard peers are in, over all swarms."""

    def nodes_from(self, home: str) -> int:
        """How many nodes and standard peers this client address brought in."""


@dataclass(frozen=True)
class PeerDecision:
    """The outcome of an announce."""

    writes: tuple[PeerRecord | PeerLeft, ...] = ()  # none: only its deadline is new
    is_in: bool = True  # it is in from now on
    finished: bool = False  # a download is complete, and counts


UNCHANGED, STAYS_OUT = PeerDecision(), PeerDecision(is_in=False)


def announce(view: PeerView, call: Announcement) -> PeerDecision:
    """An announce. TrackerFull or RateLimited if there is no room for a new peer.

    A new peer takes the place of one at the same endpoint, for example of itself before it was killed: its
    address is proved, and a port has one listener.
    """
    peer = view.peer(call.key)
    if call.event is AnnounceEvent.STOPPED:
        return STAYS_OUT if peer is None else PeerDecision((PeerLeft(call.key),), is_in=False)
    is_ipv4 = len(call.endpoint) == IPV4_SIZE
    if peer is not None and (peer.ipv4 if is_ipv4 else peer.ipv6) == call.endpoint:
        if peer.complete is call.complete:
            return UNCHANGED
        other = None
    else:
        other = view.peer_at(call.key[:20], call.endpoint)
    if peer is None:
        if other is None:
            _check_room(view, call)
        peer = PeerRecord(call.key, b"", b"", False, call.home)
        finished = False
    else:
        finished = call.event is AnnounceEvent.COMPLETED and call.complete and not peer.complete
    ipv4, ipv6 = (call.endpoint, peer.ipv6) if is_ipv4 else (peer.ipv4, call.endpoint)
    record = PeerRecord(call.key, ipv4, ipv6, call.complete, peer.home)
    return PeerDecision((record,) if other is None else (record, PeerLeft(other.key)), finished=finished)


def _check_room(view: PeerView, call: Announcement) -> None:
    if view.peer_count() >= MAX_PEERS:
        raise errors.full_of_peers(MAX_PEERS)
    limit = view.rules.nodes_per_address
    if call.home is not None and view.nodes_from(call.home) >= limit:
        raise errors.too_many_nodes(limit, view.rules.announce_silence)
