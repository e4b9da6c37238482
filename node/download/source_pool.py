"""The owners that one download fetches from at present: how many of which kind, and who makes room for whom.

Complete owners are limited as in the course report (MAX_SPLITTNES_RATE). Besides them some partial owners may
be used at a time. One that lets us wait in its line costs neither of us anything and does not count; but only
so many are waited for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from common.errors import SwarmError
from node.download.known_peers import Candidate, KnownPeers
from node.download.source import SourceThread
from node.download.state import DownloadState
from node.peer import Peer

MAX_LINES = 4  # owners of each kind in whose lines we wait, beyond those that serve us
MAX_WITNESSES = 4  # owners beyond the places, while as many others are suspects and wait
IDLE_LIMIT = 3.0  # seconds without anything useful, after which a partial owner makes room for another
ROTATION = 2.0  # seconds after which the slowest partial owner makes room for another, if there is another


@dataclass(frozen=True)
class SourceLimits:
    """Owners that one download fetches from at a time."""

    complete: int  # MAX_SPLITTNES_RATE
    partial: int  # MAX_PARTIAL_OWNERS

    @property
    def threads(self) -> int:
        """Owners' threads at a time, those in line included."""
        return self.complete + self.partial + 2 * MAX_LINES + MAX_WITNESSES


class SourcePool:
    """Threads for owners. ``lock`` guards ``candidates``, and what is here."""

    def __init__(
        self,
        candidates: KnownPeers,
        lock: threading.Lock,
        places: SourceLimits,
        make: Callable[[Candidate], SourceThread],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._candidates = candidates
        self._lock = lock
        self._places = places
        self._make = make
        self._clock = clock
        self._sources: dict[Peer, SourceThread] = {}
        self._rotate_at = clock() + ROTATION
        self._divided = False  # the first owners have got their equal chunks

    @property
    def size(self) -> int:
        """How many owners work, or let us wait."""
        return len(self._sources)

    def engage(self, board: DownloadState, now: float) -> list[Candidate]:
        """Use as many owners as there are places; those that are new, which ``begin`` starts."""
        witnesses, helpless = min(board.suspects, MAX_WITNESSES), board.helpless(now)
        with self._lock:
            chosen = self._choose(board, False, self._places.complete + witnesses, now, helpless)
            chosen += self._choose(board, True, self._places.partial, now, helpless)
            threads = [self._make(candidate) for candidate in chosen]
            self._sources.update((thread.key, thread) for thread in threads)
            sole = self._candidates.sole()
        board.sole(sole)
        if threads:
            self._begin(board, threads)
        return chosen

    def _choose(
        self, board: DownloadState, partial: bool, limit: int, now: float, helpless: bool
    ) -> list[Candidate]:
        ours = [thread for thread in self._sources.values() if thread.candidate.partial == partial]
        working = sorted(
            (thread for thread in ours if not thread.candidate.place), key=lambda thread: thread.serves_since
        )
        for thread in working[limit:]:  # its turn has come, but there is no need any more
            thread.candidate.rest_until = now + IDLE_LIMIT
            board.release(thread.key)
        free = min(limit - len(working), limit + MAX_LINES - len(ours))
        if partial and free <= 0:
            self._make_room(board, working, now)
        return self._candidates.choose(free, now, helpless, partial) if free > 0 else []

    def _make_room(self, board: DownloadState, working: list[SourceThread], now: float) -> None:
        """If there is anybody else to try, one leaves."""
        if working and self._candidates.are_there(True, now):
            leaving = self._superfluous(board, working, now)
            if leaving is not None:
                leaving.candidate.rest_until = now + IDLE_LIMIT
                board.release(leaving.key)

    def _superfluous(
        self, board: DownloadState, working: list[SourceThread], now: float
    ) -> SourceThread | None:
        """One for whom a newcomer is; else one that has had nothing useful for a while; else, now and then,
        the slowest: so who is asked by many loses some to those who are asked by few.
        """
        newcomer, weight = self._candidates.newcomer(now), self._candidates.weight
        if newcomer is not None:
            last = max(working, key=lambda thread: weight(thread.key))
            if weight(newcomer.peer) < weight(last.key):
                return last
        idle = [thread for thread in working if now - thread.idle_since > IDLE_LIMIT]
        if not idle and now < self._rotate_at:
            return None
        self._rotate_at = now + ROTATION
        if idle:
            return min(idle, key=lambda thread: thread.idle_since)
        return min(working, key=lambda thread: board.meter(thread.key).rate)

    def _begin(self, board: DownloadState, threads: list[SourceThread]) -> None:
        if not self._divided:
            self._divided = True
            board.start([thread.key for thread in threads if not thread.candidate.partial])
        for thread in threads:
            board.join(thread.key)
            if thread.candidate.partial:
                board.told(thread.key, board.nothing())  # as long as we do not know better
        for thread in threads:
            thread.start()

    def has_room(self) -> bool:
        """Whether more owners could be used than there are."""
        with self._lock:
            served = [
                thread.candidate.partial for thread in self._sources.values() if not thread.candidate.place
            ]
        return served.count(False) < self._places.complete or served.count(True) < self._places.partial

    def ended(self, source: SourceThread, why: SwarmError | None) -> None:
        """``source`` works no more."""
        candidate = source.candidate
        with self._lock:
            self._sources.pop(source.key, None)
            candidate.place = 0
            if source.delivered:
                candidate.failures = 0  # in a row, that is
            if why is None or candidate.blamed:
                KnownPeers.released(candidate)
            else:
                KnownPeers.failed(candidate, str(why), self._clock())

    def join(self, timeout: float) -> None:
        """Wait for the threads' end, for ``timeout`` seconds each. Those in line end by themselves, soon."""
        with self._lock:
            sources = list(self._sources.values())
        for source in sources:
            if not source.candidate.place:
                source.join(timeout)
