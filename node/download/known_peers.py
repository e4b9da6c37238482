"""The peers that a download knows of, and why each one is used or not. Pure; the caller locks."""

from __future__ import annotations

import enum
import itertools
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from common.backoff import Backoff
from node.peer import FoundPeer, Peer
from node.scheduling.rendezvous import rendezvous_weight
from node.scheduling.smart_ban import WrongBytes

RETRY = Backoff(first=1.0, limit=30.0)  # seconds before a peer that failed is tried again
ONLY_SOURCE_RETRY = 1.0  # max seconds before a peer is tried again while no other source works

FALLBACK_FAILURES = 3  # in a row over the preferred transport, before a node is asked over the other one

MAX_ADDED = 1000  # peers that no tracker names
MAX_FOREIGN = 50  # peers that are remembered although this node does not speak their transport

_weight = lru_cache(maxsize=4096)(rendezvous_weight)  # asked for again and again, for a few hundred peers


class PeerKind(enum.Enum):
    """Peers with a limit of their own: how many of them a download fetches from at a time."""

    COMPLETE = "complete"  # over the classroom transport: has the whole content
    PARTIAL = "partial"  # over the classroom transport: has a part
    STANDARD = "standard"  # over BitTorrent's peer wire


@dataclass
class Candidate:
    """A peer that may be connected to."""

    peer: Peer
    active: bool = False  # a connection to it is open
    banned: bool = False  # it sent wrong bytes
    suspect: str = ""  # why it may have sent wrong bytes: it is tried last, and then with checksums
    failures: int = 0  # in a row
    retry_at: float = 0.0  # monotonic seconds; not tried before
    failed_at: float = float("inf")  # monotonic seconds of the last failure
    reason: str = ""  # why it is not used, or was not the last time
    named: bool = True  # by the trackers' last answer
    was_tried: bool = False
    partial: bool = False  # held only a part when it was named or chosen: another limit applies
    pieces_held: int | None = None  # as announced; None: all, or unknown
    queue_position: int = 0  # from 1; 0: not queued
    status: str = ""  # why a connected peer sends nothing
    answered: bool = False  # this time: it said what it holds
    twin: Candidate | None = None  # the same node, over another transport
    twin_first: bool = False  # that transport is preferred

    @property
    def kind(self) -> PeerKind:
        if self.peer.transport != "udp":
            return PeerKind.STANDARD
        return PeerKind.PARTIAL if self.partial else PeerKind.COMPLETE

    @property
    def is_spare(self) -> bool:
        """True while the same node is fetched from over another transport, or should be, or is banned."""
        twin = self.twin
        if twin is None:
            return False
        return twin.active or twin.banned or (self.twin_first and twin.failures < FALLBACK_FAILURES)


class OwnerRanking(Protocol):
    """Orders the peers that a download may ask. A class of this interface is a lab's exercise."""

    def rank(self, owners: list[FoundPeer]) -> list[FoundPeer]:
        """``owners``, the best first."""


class KnownPeers:
    """Keyed by address: a node that comes back elsewhere is a new candidate."""

    def __init__(self, own: Peer, transports: Iterable[str] = ("udp",), own_tcp: Peer | None = None) -> None:
        """``own`` is this node. It is never tried, and decides among equals: nodes ask different peers.

        ``transports``: that this node has, the preferred one first. ``own_tcp``: this node over TCP.
        """
        self._own = own
        self._own_tcp = own_tcp
        self._transports = tuple(transports)
        self._rng = random.Random(own.key)
        self._known: dict[Peer, Candidate] = {}
        self._foreign: dict[Peer, None] = {}  # peers that only another transport reaches

    def __iter__(self) -> Iterator[Candidate]:
        return iter(list(self._known.values()))

    def find(self, peer: Peer) -> Candidate | None:
        """The candidate at that address."""
        return self._known.get(peer)

    # ---- discovery

    def update(self, found: Iterable[FoundPeer], ranked: bool = False) -> None:
        """Take the trackers' answer, best first. ``ranked``: a user's ranking replaced their order.

        Peers that are no longer named are tried last. They are forgotten if there is nothing to remember.
        """
        before, self._known = self._known, {}
        for named in found if ranked else self._in_order(found):
            peer = named.peer
            if peer in self._known or not self._may_use(peer):  # two trackers name it, or one names it twice
                self._note_foreign(peer)
                continue
            candidate = before.pop(peer, None) or Candidate(peer)
            candidate.named = True
            if not candidate.active:
                candidate.peer = peer  # another node may have its address by now
                candidate.partial, candidate.pieces_held = not named.complete, None
            self._known[peer] = candidate
        for peer, candidate in before.items():
            candidate.named = False
            if candidate.active or candidate.failures or candidate.banned or candidate.suspect:
                self._known[peer] = candidate
        self._find_twins()

    def add(self, found: FoundPeer) -> bool:
        """Take a peer that no tracker named: it connected to us. True if it may be tried now."""
        candidate = self._known.get(found.peer)
        if candidate is None:
            if not self._may_use(found.peer) or len(self._known) >= MAX_ADDED:
                return False
            candidate = self._known[found.peer] = Candidate(found.peer, partial=not found.complete)
            self._find_twins()
        candidate.retry_at = 0.0  # it can be reached: the connection is open
        return not (candidate.active or candidate.banned)

    def _may_use(self, peer: Peer) -> bool:
        return peer.transport in self._transports and not self._is_own(peer)

    @property
    def foreign(self) -> list[Peer]:
        """Peers that this node cannot use: it does not speak their transport. At most MAX_FOREIGN."""
        usable = {(peer.host, peer.node_id) for peer in self._known if peer.node_id is not None}
        return [peer for peer in list(self._foreign) if (peer.host, peer.node_id) not in usable]

    def _note_foreign(self, peer: Peer) -> None:
        if peer.transport not in self._transports and not self._is_own(peer):
            self._foreign[peer] = None
            if len(self._foreign) > MAX_FOREIGN:
                del self._foreign[next(iter(self._foreign))]

    def _find_twins(self) -> None:
        """A node may be named at an address of each transport: only one of them is used at a time."""
        if len(self._transports) < 2:
            return
        preferred: dict[tuple[str, int], Candidate] = {}
        others: list[tuple[tuple[str, int], Candidate]] = []
        for candidate in self._known.values():
            candidate.twin, peer = None, candidate.peer
            if peer.node_id is not None and peer.transport == self._transports[0]:
                preferred[peer.host, peer.node_id] = candidate
            elif peer.node_id is not None:
                others.append(((peer.host, peer.node_id), candidate))
        for key, candidate in others:
            if (twin := preferred.get(key)) is not None:
                candidate.twin, candidate.twin_first = twin, True
                twin.twin, twin.twin_first = candidate, False

    def _is_own(self, peer: Peer) -> bool:
        return peer in (self._own, self._own_tcp) or (
            peer.node_id is not None and peer.node_id == self._own.node_id
        )

    def _in_order(self, found: Iterable[FoundPeer]) -> Iterator[FoundPeer]:
        """Complete peers by their uploads, as the tracker ranks them, then partial peers by weight."""
        complete: list[FoundPeer] = []
        partial: list[FoundPeer] = []
        for named in found:
            (complete if named.complete else partial).append(named)
        for _, equals in itertools.groupby(complete, key=lambda named: named.uploads):
            yield from self._rng.sample(alike := list(equals), len(alike))
        yield from sorted(partial, key=lambda named: self.weight(named.peer))

    def partial_peers(self) -> list[Peer]:
        """The partial peers that the trackers name."""
        return [known.peer for known in self._known.values() if known.partial and known.named]

    def only_one(self) -> Peer | None:
        """The only peer that is known, if there is only one."""
        return next(iter(self._known)) if len(self._known) == 1 else None

    # ---- choice

    def weight(self, peer: Peer) -> bytes:
        """Rank of ``peer`` among the partial peers, the lowest first."""
        return _weight(self._own, peer)

    def first_untried(self, now: float) -> Peer | None:
        """The partial peer of the lowest weight that was never tried and can be."""
        fresh = (c.peer for c in self._known.values() if not c.was_tried and self._is_usable_partial(c, now))
        return min(fresh, key=self.weight, default=None)

    def has_usable_partial(self, now: float) -> bool:
        """True if there is a partial peer that could be tried and is not active."""
        return any(self._is_usable_partial(candidate, now) for candidate in self._known.values())

    def has_untried_standard(self, now: float) -> bool:
        """True if there is a standard peer that was never tried and can be."""
        return any(
            c.kind is PeerKind.STANDARD
            and not (c.was_tried or c.active or c.banned or c.suspect or c.is_spare or c.retry_at > now)
            for c in self._known.values()
        )

    @staticmethod
    def _is_usable_partial(candidate: Candidate, now: float) -> bool:
        if candidate.active or candidate.kind is not PeerKind.PARTIAL or candidate.is_spare:
            return False
        return not (candidate.banned or candidate.suspect or candidate.retry_at > now)

    def choose(
        self, amount: int, now: float, no_progress: bool = False, kind: PeerKind = PeerKind.COMPLETE
    ) -> list[Candidate]:
        """The best ``amount`` peers of ``kind`` that can be tried now; they become active.

        Suspects are chosen only if no other peer is active or can be tried, or if the active ones make no
        progress. While no peer is active, a peer that failed waits for ``ONLY_SOURCE_RETRY`` at most. If no
        source makes progress, suspects come before peers that wait to be retried: else those could fail in
        turn indefinitely.
        """
        alone = not any(candidate.active for candidate in self._known.values())
        fit = [
            candidate
            for candidate in self._known.values()
            if not (candidate.active or candidate.banned or self._waits(candidate, alone, now))
            and candidate.kind is kind
            and not candidate.is_spare
        ]
        chosen = [
            candidate
            for candidate in fit
            if not (candidate.suspect or (no_progress and self._waits(candidate, False, now)))
        ][:amount]
        if not chosen and (no_progress or alone):
            chosen = sorted(fit, key=lambda candidate: not candidate.suspect)[:amount]
        for candidate in chosen:
            candidate.active = candidate.was_tried = True
            candidate.status, candidate.answered = "", False
        return chosen

    def seconds_to_retry(self, now: float) -> float:
        """Seconds until a failed peer is tried again while no source works; infinite without such a peer."""
        times = [
            min(candidate.retry_at, candidate.failed_at + ONLY_SOURCE_RETRY)
            for candidate in self._known.values()
            if not (candidate.banned or candidate.active)
        ]
        return max(0.0, min(times, default=float("inf")) - now)

    @staticmethod
    def _waits(candidate: Candidate, alone: bool, now: float) -> bool:
        """True if ``candidate`` failed, and it is too early to retry."""
        until = candidate.retry_at
        return (min(until, candidate.failed_at + ONLY_SOURCE_RETRY) if alone else until) > now

    # ---- results

    def ban(self, wrong: WrongBytes) -> Candidate | None:
        """Ban a source of wrong bytes, or make it a suspect if that is not proven. None if it is no news."""
        candidate = self._known.setdefault(wrong.source, Candidate(wrong.source, named=False))
        if candidate.banned or (candidate.suspect and not wrong.proven):
            return None
        candidate.reason = f"sent wrong bytes (piece {wrong.piece})"
        if wrong.proven:
            candidate.banned = True
        else:
            candidate.reason += ", or they were damaged on the way"
            candidate.suspect = candidate.reason
        return candidate

    @staticmethod
    def failed(candidate: Candidate, reason: str, now: float) -> None:
        """``candidate`` failed: it is retried later, and later each time."""
        candidate.active = False
        candidate.failures += 1
        candidate.failed_at = now
        candidate.retry_at = now + RETRY.bound(candidate.failures - 1)
        candidate.reason = reason

    @staticmethod
    def released(candidate: Candidate) -> None:
        """``candidate`` did everything that there was to do."""
        candidate.active = False
        candidate.failures = 0
        if not candidate.banned:  # which may have happened while it was active
            candidate.reason = ""
