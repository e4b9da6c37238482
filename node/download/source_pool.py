"""The sources of one download: how many of each kind, and which one makes room for another.

Complete peers are limited as in the course report (MAX_SPLITTNES_RATE). In addition, some partial peers may
be used at a time. A peer that queues us costs neither side anything and does not count, but a download waits
in a limited number of queues. Standard peers have a limit of their own (MAX_PEERS); those that choke us
count, because their connections stay open. At the limit, one that sends nothing for QUIET_LIMIT, because it
chokes us or has nothing that we need, makes room for one that was never tried.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from common.errors import SwarmError
from node.download.known_peers import Candidate, KnownPeers, PeerKind
from node.download.source import Source
from node.download.state import DownloadState
from node.notes import ConnectionSample
from node.peer import Peer
from node.scheduling.base import Span

MAX_QUEUES = 4  # sources of each kind that may queue us, in addition to the limit
IDLE_LIMIT = 3.0  # seconds without anything useful, after which a partial peer makes room for another
QUIET_LIMIT = 30.0  # seconds without data, after which a standard peer makes room for an untried one
ROTATE_SECONDS = 2.0  # after which the slowest partial peer makes room for another, if there is one


@dataclass(frozen=True)
class SourceLimits:
    """Sources of one download at a time."""

    complete: int  # MAX_SPLITTNES_RATE
    partial: int  # MAX_PARTIAL_OWNERS
    standard: int = 0  # MAX_PEERS

    @property
    def threads(self) -> int:
        """Threads at a time, including those in a queue."""
        return self.complete + self.partial + 2 * MAX_QUEUES + self.standard


class SourcePool:
    """The threads of a download's sources. ``lock`` guards ``known``, and the threads."""

    def __init__(
        self,
        known: KnownPeers,
        lock: threading.Lock,
        limits: SourceLimits,
        make: Callable[[Candidate], Source],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._known = known
        self._lock = lock
        self._limits = limits
        self._make = make
        self._clock = clock
        self._sources: dict[Peer, Source] = {}
        self._rotate_at = clock() + ROTATE_SECONDS
        self._divided = False  # the first sources have got their equal chunks

    @property
    def size(self) -> int:
        """Sources that serve us, or queue us."""
        return len(self._sources)

    def fill(self, state: DownloadState, now: float) -> list[Candidate]:
        """Start sources up to the limits; returns their candidates."""
        no_progress = state.makes_no_progress(now)
        with self._lock:
            chosen = self._choose(state, PeerKind.COMPLETE, self._limits.complete, now, no_progress)
            chosen += self._choose(state, PeerKind.PARTIAL, self._limits.partial, now, no_progress)
            chosen += self._choose_standard(state, now, no_progress)
            threads = [self._make(candidate) for candidate in chosen]
            self._sources.update((thread.peer, thread) for thread in threads)
            only = self._known.only_one()
        state.set_only_source(only)
        if threads:
            self._begin(state, threads)
        return chosen

    def _choose(
        self, state: DownloadState, kind: PeerKind, limit: int, now: float, no_progress: bool
    ) -> list[Candidate]:
        ours = [thread for thread in self._sources.values() if thread.candidate.kind is kind]
        working = sorted(
            (thread for thread in ours if not thread.candidate.queue_position),
            key=lambda thread: thread.serves_since,
        )
        for thread in working[limit:]:  # came out of a queue when the limit was reached
            self._release(state, thread, now)
        free = min(limit - len(working), limit + MAX_QUEUES - len(ours))
        if kind is PeerKind.PARTIAL and free <= 0:
            self._make_room(state, working, now)
        return self._known.choose(free, now, no_progress, kind) if free > 0 else []

    def _choose_standard(self, state: DownloadState, now: float, no_progress: bool) -> list[Candidate]:
        kind, limit = PeerKind.STANDARD, self._limits.standard
        ours = [source for source in self._sources.values() if source.candidate.kind is kind]
        free = limit and limit - len(ours)
        if limit and free <= 0 and self._known.has_untried_standard(now):
            quietest = min(ours, key=lambda source: source.quiet_since)
            if now - quietest.quiet_since > QUIET_LIMIT:
                self._release(state, quietest, now)
        return self._known.choose(free, now, no_progress, kind) if free > 0 else []

    def _release(self, state: DownloadState, thread: Source, now: float) -> None:
        thread.candidate.retry_at = now + IDLE_LIMIT
        state.release(thread.peer)

    def _make_room(self, state: DownloadState, working: list[Source], now: float) -> None:
        """Release one source if there is another partial peer to try."""
        if working and self._known.has_usable_partial(now):
            leaving = self._least_useful(state, working, now)
            if leaving is not None:
                self._release(state, leaving, now)

    def _least_useful(self, state: DownloadState, working: list[Source], now: float) -> Source | None:
        """The source to replace; None for now.

        One with a higher rendezvous weight than an untried peer, else one that was idle for ``IDLE_LIMIT``,
        else, every ``ROTATE_SECONDS``, the slowest one. Rotation spreads load over the swarm.
        """
        untried, weight = self._known.first_untried(now), self._known.weight
        if untried is not None:
            last = max(working, key=lambda thread: weight(thread.peer))
            if weight(untried) < weight(last.peer):
                return last
        idle = [thread for thread in working if now - thread.idle_since > IDLE_LIMIT]
        if not idle and now < self._rotate_at:
            return None
        self._rotate_at = now + ROTATE_SECONDS
        if idle:
            return min(idle, key=lambda thread: thread.idle_since)
        return min(working, key=lambda thread: state.meter(thread.peer).rate)

    def _begin(self, state: DownloadState, threads: list[Source]) -> None:
        if not self._divided:
            self._divided = True
            complete = PeerKind.COMPLETE
            state.start([thread.peer for thread in threads if thread.candidate.kind is complete])
        for thread in threads:
            if thread.candidate.kind is PeerKind.STANDARD:
                continue  # it chokes us at first, and takes part once it does not
            state.join(thread.peer)
            if thread.candidate.partial:
                state.on_bitfield(thread.peer, state.no_pieces())  # until its bitfield comes
        for thread in threads:
            thread.start()

    def has_room(self) -> bool:
        """True if more sources could be used."""
        with self._lock:
            serving = [
                thread.candidate.kind
                for thread in self._sources.values()
                if not thread.candidate.queue_position or thread.candidate.kind is PeerKind.STANDARD
            ]
        limits = self._limits
        return (
            serving.count(PeerKind.COMPLETE) < limits.complete
            or serving.count(PeerKind.PARTIAL) < limits.partial
            or serving.count(PeerKind.STANDARD) < limits.standard
        )

    def cancel(self, requests: Sequence[tuple[Peer, Span]]) -> None:
        """Other sources delivered these first: their peers need not send them any more."""
        for peer, span in requests:
            with self._lock:
                source = self._sources.get(peer)
            if source is not None:
                source.cancel([span])

    def ended(self, source: Source, why: SwarmError | None) -> None:
        """``source`` ended; ``why``: its fault, None if it finished or was released."""
        candidate = source.candidate
        with self._lock:
            self._sources.pop(source.peer, None)
            candidate.queue_position = 0
            if source.delivered:
                candidate.failures = 0
            if why is None or candidate.banned:
                KnownPeers.released(candidate)
            else:
                KnownPeers.failed(candidate, str(why), self._clock())

    def samples(self) -> list[tuple[Peer, ConnectionSample]]:
        """The limits of the requests to each source at present."""
        with self._lock:
            sources = list(self._sources.values())
        samples = ((source.peer, source.sample()) for source in sources)
        return [(peer, sample) for peer, sample in samples if sample is not None]

    def stuck_fault(self) -> SwarmError | None:
        """The fault of a user's part that does not return to a source's thread; None if there is none."""
        with self._lock:
            sources = list(self._sources.values())
        faults = (source.stuck_fault() for source in sources)
        return next((fault for fault in faults if fault is not None), None)

    def join(self, timeout: float) -> None:
        """Wait ``timeout`` seconds for each thread to end. Those in a queue soon end by themselves.

        Threads that are stuck in a user's part do not end.
        """
        with self._lock:
            sources: Iterable[Source] = list(self._sources.values())
        for source in sources:
            if not source.candidate.queue_position and source.stuck_fault() is None:
                source.join(timeout)
