"""The owners that a download knows of, and why each one is used or not. Pure; whoever owns it locks."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from node.peer import FoundPeer, Peer
from node.scheduling.blame import Charge

FIRST_REST = 1.0  # seconds that an owner is left alone after it failed; doubled each time
LONGEST_REST = 30.0  # seconds
MAX_DOUBLINGS = 16  # of the rest: an owner may fail for days
LONELY_REST = 1.0  # seconds that it is left alone at most while there is nobody else


@lru_cache(maxsize=4096)  # asked for again and again, of a few hundred
def rendezvous_weight(own: Peer, peer: Peer) -> bytes:
    """Where ``peer`` stands in our order of partial owners, the lowest first.

    It is drawn by chance, but is always the same for these two: which peers a node asks does not depend on
    the order in which they came, and all peers are asked by about as many nodes.
    """
    return hashlib.sha1(f"{own.key} {peer.key}".encode(), usedforsecurity=False).digest()


@dataclass
class Candidate:
    """One owner, as the tracker names it and as we know it."""

    peer: Peer
    active: bool = False
    blamed: bool = False
    doubt: str = ""  # wrong bytes came without checksums: it is the last to be asked, and then with them
    failures: int = 0  # in a row
    rest_until: float = 0.0  # monotonic seconds; not asked before
    failed_at: float = float("inf")  # monotonic seconds; the last time
    reason: str = ""  # why it is not used, or was not the last time
    named: bool = True  # by the tracker's last answer
    tried: bool = False  # was asked before
    partial: bool = False  # had only a part when it was named or chosen: another limit holds for it
    held: int | None = None  # pieces that it holds, as it told; None: all, or not known
    place: int = 0  # where we are in its line; 0: in none


class KnownPeers:
    """Keyed by address: a node that comes back elsewhere is a new candidate."""

    def __init__(self, own: Peer) -> None:
        """``own`` is this node. It is not asked, and orders equals by chance: nodes ask different ones."""
        self._own = own
        self._rng = random.Random(own.key)
        self._known: dict[Peer, Candidate] = {}

    def __iter__(self) -> Iterator[Candidate]:
        return iter(list(self._known.values()))

    def find(self, peer: Peer) -> Candidate | None:
        """The candidate at that address, if it is known."""
        return self._known.get(peer)

    def update(self, found: Iterable[FoundPeer]) -> None:
        """Take the tracker's answer, best first; those it no longer names are asked last, if at all."""
        before, self._known = self._known, {}
        for named in self._in_order(found):
            peer = named.peer
            if self._is_own(peer) or peer in self._known:  # two trackers name it, or one names it twice
                continue
            candidate = before.pop(peer, None) or Candidate(peer)
            candidate.named = True
            if not candidate.active:
                candidate.peer = peer  # another node may have its address by now
                candidate.partial, candidate.held = not named.complete, None
            self._known[peer] = candidate
        for key, candidate in before.items():
            candidate.named = False
            if candidate.active or candidate.failures or candidate.blamed or candidate.doubt:
                self._known[key] = candidate

    def _is_own(self, peer: Peer) -> bool:
        return peer == self._own or (peer.node_id is not None and peer.node_id == self._own.node_id)

    def _in_order(self, found: Iterable[FoundPeer]) -> Iterator[FoundPeer]:
        """Complete ones by their uploads, as the tracker ranks them, equals by chance; partial ones by
        affinity.
        """
        complete: list[FoundPeer] = []
        partial: list[FoundPeer] = []
        for named in found:
            (complete if named.complete else partial).append(named)
        for _, equals in itertools.groupby(complete, key=lambda named: named.uploads):
            yield from self._rng.sample(alike := list(equals), len(alike))
        yield from sorted(partial, key=lambda named: self.weight(named.peer))

    def weight(self, peer: Peer) -> bytes:
        """Where ``peer`` stands in our order of partial owners, the lowest first."""
        return rendezvous_weight(self._own, peer)

    def newcomer(self, now: float) -> Candidate | None:
        """The partial owner of the lowest affinity that was never asked and can be."""
        fresh = (c for c in self._known.values() if c.partial and not c.tried and self._free(c, now))
        return min(fresh, key=lambda candidate: self.weight(candidate.peer), default=None)

    def partial_peers(self) -> list[Peer]:
        """The partial owners that the tracker names."""
        return [known.peer for known in self._known.values() if known.partial and known.named]

    def are_there(self, partial: bool, now: float) -> bool:
        """Whether there is a partial (or complete) owner that could be asked and is not."""
        return any(
            self._free(candidate, now) for candidate in self._known.values() if candidate.partial == partial
        )

    @staticmethod
    def _free(candidate: Candidate, now: float) -> bool:
        return not (candidate.active or candidate.blamed or candidate.doubt or candidate.rest_until > now)

    def choose(
        self, amount: int, now: float, helpless: bool = False, partial: bool = False
    ) -> list[Candidate]:
        """The best ``amount`` complete (or ``partial``) ones that can be asked now; they become active.

        Those in doubt only if no other one works or can be asked, or if those who work are ``helpless``.
        While nobody works, those who failed rest for ``LONELY_REST`` at most: there is nothing to lose. But
        who is helpless asks those in doubt first: else the others could fail in turn for ever.
        """
        alone = not any(candidate.active for candidate in self._known.values())
        fit = [
            candidate
            for candidate in self._known.values()
            if not (candidate.active or candidate.blamed or self._rests(candidate, alone, now))
            and candidate.partial == partial
        ]
        chosen = [
            candidate
            for candidate in fit
            if not (candidate.doubt or (helpless and self._rests(candidate, False, now)))
        ][:amount]
        if not chosen and (helpless or alone):
            chosen = sorted(fit, key=lambda candidate: not candidate.doubt)[:amount]
        for candidate in chosen:
            candidate.active = candidate.tried = True
        return chosen

    @staticmethod
    def _rests(candidate: Candidate, alone: bool, now: float) -> bool:
        until = candidate.rest_until
        return (min(until, candidate.failed_at + LONELY_REST) if alone else until) > now

    def others(self, than: Collection[Peer], now: float) -> bool:
        """Whether there is an owner that nothing speaks against and that is none of ``than``."""
        return any(
            key not in than and not (candidate.blamed or candidate.doubt or candidate.rest_until > now)
            for key, candidate in self._known.items()
        )

    def sole(self) -> Peer | None:
        """The only one that is known, if there is only one."""
        return next(iter(self._known)) if len(self._known) == 1 else None

    def charged(self, charge: Charge) -> Candidate | None:
        """``charge`` is brought against an owner: who that is; None if it is no news."""
        candidate = self._known.setdefault(charge.source, Candidate(charge.source, named=False))
        if candidate.blamed or (candidate.doubt and not charge.proof):
            return None
        candidate.reason = f"sent wrong bytes (piece {charge.piece})"
        if charge.proof:
            candidate.blamed = True
        else:
            candidate.reason += ", or its path spoilt them"
            candidate.doubt = candidate.reason
        return candidate

    @staticmethod
    def failed(candidate: Candidate, reason: str, now: float) -> None:
        """``candidate`` failed: it rests for a while, longer each time."""
        candidate.active = False
        candidate.failures += 1
        candidate.failed_at = now
        doublings = min(candidate.failures - 1, MAX_DOUBLINGS)
        candidate.rest_until = now + min(FIRST_REST * 2**doublings, LONGEST_REST)
        candidate.reason = reason

    @staticmethod
    def released(candidate: Candidate) -> None:
        """``candidate`` did all that there was to do."""
        candidate.active = False
        candidate.failures = 0
        if not candidate.blamed:  # which may have come while it worked
            candidate.reason = ""

    @staticmethod
    def why_not(candidate: Candidate, limit: int) -> str:
        """Why ``candidate`` is not used, for people; "" if it is."""
        if candidate.active:
            return f"place {candidate.place} in its line" if candidate.place else ""
        if candidate.reason or candidate.doubt:
            return candidate.reason or candidate.doubt
        if candidate.partial:
            return "not needed: enough owners of a part work already (MAX_PARTIAL_OWNERS)"
        return f"not needed: {limit} owners at a time are enough (MAX_SPLITTNES_RATE)"
