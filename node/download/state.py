"""The state that the threads of one download share: the lock around its ``Scheduler``.

The sources' threads take work from it and report what arrived, hashing threads report what was right, and the
coordinator waits for changes. No method calls back while it holds the lock, except for ``watch``.

A thread that waits for work wakes up when another source may have left it some: after a source left, bytes
came back, or a piece failed or cleared a source. News that concern one source alone, such as the pieces that
it holds, wake no other: in a swarm they come several times a second from each source.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from common.bitfield import Bitfield
from common.errors import SwarmError
from common.geometry import Geometry
from node.download.meter import Meter
from node.download.piece_copies import Copies, PieceCopies
from node.peer import Peer
from node.scheduling.base import PieceOrder, Span
from node.scheduling.pending import Accepted
from node.scheduling.piece_progress import Contribution, PiecesInProgress
from node.scheduling.scheduler import PieceResult, Scheduler
from node.scheduling.smart_ban import Evidence
from node.transport import RequestedRange

STOP_PATIENCE = 0.2  # max seconds that a command waits for the lock, which a user's piece order may hold
ENDGAME_CHECK = 0.05  # seconds; the same once every missing byte is requested
WORK_CHECK = 0.2  # seconds after which an idle source looks again for work that time alone may bring


class DownloadState:
    """Thread-safe. ``changed`` is notified of everything that a thread may wait for."""

    def __init__(
        self,
        geometry: Geometry,
        have: Bitfield,
        own: Peer | None = None,
        clock: Callable[[], float] = time.monotonic,
        order: PieceOrder | None = None,
        wanted: Bitfield | None = None,
        own_tcp: Peer | None = None,
    ) -> None:
        """``have``: the verified pieces; ``wanted``: None for all; ``own``, ``own_tcp``: this node."""
        self._clock = clock
        self._lock = threading.RLock()  # to enter it costs less than to enter the condition
        self.changed = threading.Condition(self._lock)
        self._scheduler = Scheduler(geometry, have, clock(), own, self._rate_of, order, wanted, own_tcp)
        self._piece_count = have.size
        self._meters: dict[Peer, Meter] = {}
        self._ticked = clock()
        self._fault: SwarmError | None = None
        self.is_endgame = False  # every missing byte is requested: data is counted at once
        self._copies = PieceCopies(have.size)
        self._copies_lock = threading.Lock()  # guards _copies; never held while another lock is waited for
        self._wakes: dict[Peer, Callable[[], None]] = {}  # of sources whose threads do not wait here

    def _rate_of(self, source: Peer) -> float:
        meter = self._meters.get(source)
        return meter.rate if meter else 0.0

    def wake(self) -> None:
        """Wake all threads that wait: there may be work for a source, or the download is over."""
        with self._lock:
            self._wake_all()

    def _wake_all(self) -> None:
        self.changed.notify_all()
        for wake in self._wakes.values():
            wake()

    # ---- for the coordinator

    @property
    def received(self) -> int:
        """Bytes in place, verified or not."""
        return self._scheduler.received

    @property
    def verified(self) -> int:
        """Bytes verified."""
        return self._scheduler.verified

    @property
    def wasted(self) -> int:
        """Bytes that arrived from two sources."""
        return self._scheduler.wasted

    @property
    def complete(self) -> bool:
        """True once every wanted piece is verified."""
        return self._scheduler.complete

    @property
    def wanted_size(self) -> int:
        """Bytes of the pieces that are wanted or verified."""
        return self._scheduler.wanted_size

    def set_wanted(self, wanted: Bitfield) -> None:
        """Fetch only these pieces from now on."""
        with self._lock:
            self._scheduler.set_wanted(wanted)
            self.wake()

    @property
    def over(self) -> bool:
        """True once no source need work any more: complete, stopped, or failed."""
        return self._scheduler.over

    @property
    def fault(self) -> SwarmError | None:
        """The reason why the download failed."""
        return self._fault

    def no_pieces(self) -> Bitfield:
        """The empty bitfield of this content."""
        return Bitfield(self._piece_count)

    def start(self, sources: Sequence[Peer]) -> None:
        """Divide the missing bytes among the first sources; all later ones ``join``."""
        with self._lock:
            self._scheduler.start(sources)

    def join(self, source: Peer) -> None:
        """Take in one more source, or one that left or was dismissed."""
        with self._lock:
            self._scheduler.join(source)
            self.wake()

    def leave(self, source: Peer) -> None:
        """``source`` leaves; its bytes are free for other sources."""
        with self._lock:
            self._scheduler.leave(source)
            with self._copies_lock:
                self._copies.leave(source)
            self.wake()

    def block(self, source: Peer) -> None:
        """``source`` chokes us: its bytes are free for other sources until it joins again."""
        with self._lock:
            self._scheduler.block(source)
            self.wake()

    def release(self, source: Peer) -> None:
        """End ``source`` to make room for another; bytes that it still sends are accepted."""
        with self._lock:
            self._scheduler.release(source)
            with self._copies_lock:
                self._copies.leave(source)
            self.wake()

    def dismiss(self, source: Peer) -> None:
        """End ``source`` in mid-transfer because it sent wrong bytes."""
        with self._lock:
            self._scheduler.dismiss(source)
            with self._copies_lock:
                self._copies.leave(source)
            self.wake()

    def set_partial_peers(self, peers: Iterable[Peer]) -> None:
        """The partial peers that are known."""
        with self._lock:
            self._scheduler.set_partial_peers(peers)

    def set_only_source(self, source: Peer | None) -> None:
        """``source`` is the only known peer; None: there are several, or none."""
        with self._lock:
            if self._scheduler.set_only_source(source):
                self.wake()

    def stop(self, fault: SwarmError | None = None) -> None:
        """End all work. ``fault``: why the download failed.

        Does not depend on the lock: a user's piece order may be running under it. Threads that wait are then
        not woken; the coordinator does not wait long, sees the end, and wakes them.
        """
        if fault is not None and self._fault is None:
            self._fault = fault  # before ``over``: threads read ``over`` without the lock
        self._scheduler.stop()  # sets a flag
        if self._lock.acquire(timeout=STOP_PATIENCE):
            try:
                self._wake_all()
            finally:
                self._lock.release()

    def wait(self, timeout: float) -> None:
        """Block until something changes, at most ``timeout`` seconds."""
        with self._lock:
            if not self.over:
                self.changed.wait(timeout)

    def wait_until_over(self, timeout: float) -> bool:
        """Block until the download is over, at most ``timeout`` seconds; True if it is."""
        with self.changed:
            return self.changed.wait_for(lambda: self.over, timeout)

    def meter(self, source: Peer) -> Meter:
        """Counts the bytes that came from ``source``. Takes no lock, so that -status never waits."""
        return self._meters.setdefault(source, Meter())

    def tick(self) -> None:
        """Bring the rates up to date."""
        with self._lock:
            now = self._clock()
            for meter in list(self._meters.values()):  # ``meter`` adds to them without the lock
                meter.tick(now - self._ticked)
            self._ticked = now

    def makes_no_progress(self, now: float) -> bool:
        """True if nothing was requested for a while, or nothing arrived for longer."""
        with self._lock:
            return self._scheduler.makes_no_progress(now)

    def copies(self, have: Bitfield) -> Copies:
        """How many copies of each piece the sources and this node, which has ``have``, hold together."""
        with self._copies_lock:
            return self._copies.of(have)

    def useless(self, have: Bitfield) -> set[Peer]:
        """The sources that hold nothing but pieces that this node, which has ``have``, holds, too."""
        with self._copies_lock:
            return self._copies.useless(have)

    def in_progress(self) -> PiecesInProgress | None:
        """The pieces that are being fetched; None if a user's piece order holds the lock."""
        if not self._lock.acquire(timeout=STOP_PATIENCE):
            return None
        try:
            return self._scheduler.in_progress()
        finally:
            self._lock.release()

    def totals(self) -> dict[Peer, int]:
        """Bytes that came from each source. Takes no lock."""
        return {peer: meter.total for peer, meter in list(self._meters.items()) if meter.total}

    @property
    def arrived_bytes(self) -> int:
        """Bytes that came in all, counted apart from ``totals``: also those of pieces that failed."""
        return self._scheduler.arrived_bytes

    def verified_from(self, source: Peer) -> int:
        """Bytes of verified pieces that ``source`` delivered."""
        with self._lock:
            return self._scheduler.verified_from(source)

    # ---- for the sources' threads

    @property
    def picks_by_piece(self) -> bool:
        """True if pieces are picked one by one, because some source holds only a part."""
        return self._scheduler.picks_by_piece

    def busy_sources(self) -> int:
        """How many sources owe something."""
        with self._lock:
            return self._scheduler.busy_sources

    def trusts(self, source: Peer) -> bool:
        """True if a verified piece came from ``source`` and nothing speaks against it."""
        return self._scheduler.trusts(source)

    def is_closed(self, source: Peer) -> bool:
        """True if ``source`` should end, now."""
        return self._scheduler.is_closed(source)

    def on_bitfield(self, source: Peer, held: Bitfield | None) -> None:
        """``source`` holds these pieces; None: all."""
        with self._lock:
            with self._copies_lock:
                self._copies.on_bitfield(source, held)
            if self._scheduler.on_bitfield(source, held):
                self.wake()

    def on_have(self, source: Peer, piece: int) -> None:
        """``source`` holds one piece more."""
        with self._lock:
            with self._copies_lock:
                self._copies.on_have(source, piece)
            self._scheduler.on_have(source, piece)

    def take(self, source: Peer, limit: int) -> RequestedRange | None:
        """A range for ``source`` to request now, of about ``limit`` bytes at most; None: nothing for it."""
        with self._lock:
            taken = self._scheduler.take(source, limit, self._clock())
            self.is_endgame = self._scheduler.is_endgame
            return taken

    def take_stolen(self) -> Sequence[tuple[Peer, Span]]:
        """Requests that ``take`` took over from other sources, which are to be cancelled there."""
        if not self._scheduler.stolen:
            return ()
        with self._lock:
            stolen, self._scheduler.stolen = self._scheduler.stolen, []
            return stolen

    def rare_only(self, source: Peer, start: int) -> bool:
        """True if ``source`` may reject the piece around ``start`` because it sent it to another node."""
        if not self._scheduler.picks_by_piece:
            return False
        with self._lock:  # other sources may join or leave meanwhile
            return self._scheduler.rare_only(source, start)

    def give_back(self, source: Peer, spans: Sequence[Span]) -> None:
        """Requested ranges that will not come from ``source``."""
        if any(start < end for start, end in spans):
            with self._lock:
                self._scheduler.give_back(source, spans)
                self.wake()

    def defer(self, source: Peer, spans: Sequence[Span]) -> None:
        """``source`` rejected these: it has just sent the piece that they begin in to another node."""
        with self._lock:
            self._scheduler.defer(source, spans, self._clock())
            self.wake()

    def accept(self, source: Peer, start: int, end: int) -> Accepted:
        """``source`` delivered ``[start, end)``: the ranges to write, and requests to cancel."""
        with self._lock:
            accepted = self._scheduler.accept(source, start, end, self._clock())
            if not accepted.ranges:  # bytes of a dismissed source are free again
                self.wake()
            return accepted

    def arrived(self, source: Peer, start: int, end: int, checked: bool = True) -> Sequence[int]:
        """Bytes ``[start, end)`` are in place: the pieces that they complete, which are to be hashed."""
        with self._lock:
            meter = self._meters.get(source) or self.meter(source)
            meter.total += end - start
            return self._scheduler.arrived(source, start, end, checked)

    def wait_for_work(self, source: Peer, timeout: float | None = None) -> bool:
        """Block until ``source`` may have something to request, at most ``timeout`` seconds.

        False once there will be nothing any more.
        """
        until = float("inf") if timeout is None else self._clock() + timeout
        with self._lock:
            while not self.is_closed(source):
                now = self._clock()
                if now >= until or self._scheduler.has_work(source, now):
                    return True
                check = WORK_CHECK if self._scheduler.time_may_help() else float("inf")
                pause = min(until - now, check)
                self.changed.wait(None if pause == float("inf") else pause)
            return False

    def watch(self, source: Peer, wake: Callable[[], None] | None) -> None:
        """Call ``wake`` when ``source`` may have something to request, or should end; None: no more.

        It is called under the lock, so it must return at once.
        """
        with self._lock:
            if wake is None:
                self._wakes.pop(source, None)
            else:
                self._wakes[source] = wake

    def work_check(self) -> float:
        """Seconds after which an idle source may find work although nothing else happens; infinite: none."""
        with self._lock:
            check = ENDGAME_CHECK if self.is_endgame else WORK_CHECK
            return check if self._scheduler.time_may_help() else float("inf")

    # ---- for the threads that hash

    def contributions(self, piece: int) -> Sequence[Contribution]:
        """The contribution of each source to a complete piece that is not verified."""
        with self._lock:
            return self._scheduler.contributions(piece)

    def failed_contributions(self, piece: int) -> Sequence[Contribution]:
        """Contributions to earlier attempts at ``piece``; ``piece_passed`` needs their digests."""
        return self._scheduler.failed_contributions(piece)  # changed by this thread only

    def piece_passed(self, piece: int, digests: Sequence[bytes] = ()) -> PieceResult:
        """``piece`` matches its hash; ``digests``: of the ranges of ``failed_contributions``."""
        with self._lock:
            return self._wake_for(self._scheduler.piece_passed(piece, digests))

    def piece_failed(self, piece: int, evidence: Sequence[Evidence]) -> PieceResult:
        """``piece`` does not match its hash; ``evidence``: its contributions."""
        with self._lock:
            return self._wake_for(self._scheduler.piece_failed(piece, evidence))

    def _wake_for(self, result: PieceResult) -> PieceResult:
        if result.frees_work:
            self.wake()
        return result
