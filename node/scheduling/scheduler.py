"""All decisions of one download: the bytes that each source is asked for, and the results of pieces.

Pure: no lock, no thread, no clock. Times are monotonic seconds that the caller passes in. ``DownloadState``
puts a lock around it for a download's threads.

    AdaptivePicker    bytes that were not requested yet, divided among the sources
    Parole            limits each source to the pieces that it is trusted with
    PendingRequests   requests in progress; overdue ones go to a second source
    Endgame           requests that wait at a slow peer of the peer wire go to a faster one
    PieceProgress     bytes that arrived, by piece and source
    WantedPieces      the pieces of the files that the user selected
    SmartBan          the sources of wrong bytes in pieces that several sources delivered

A byte is in exactly one state: free in the picker, reserved in an exclusive piece, requested, being written,
or in place. It goes back to free if it does not come, or if its piece fails.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from common.bitfield import Bitfield
from common.geometry import Geometry
from node.peer import Peer
from node.scheduling.adaptive import AdaptivePicker
from node.scheduling.base import PieceOrder, RateOf, Span
from node.scheduling.endgame import BLOCK, Endgame, Takeover
from node.scheduling.parole import Parole
from node.scheduling.pending import NOTHING_ACCEPTED, Accepted, PendingRequests
from node.scheduling.piece_progress import Contribution, PieceProgress, PiecesInProgress
from node.scheduling.smart_ban import Evidence, SmartBan, WrongBytes
from node.scheduling.wanted import WantedPieces
from node.transport import RequestedRange

HORIZON_SECONDS = 0.5  # of a source's rate that may be requested in advance if pieces are picked by rarity
MIN_HORIZON_BYTES = 1 << 17  # bytes; the same for slow sources, and at first
NO_WORK_TIMEOUT = 2.0  # seconds without a pending request before suspects are asked again
NO_DATA_TIMEOUT = 8.0  # seconds without data before suspects are asked again


@dataclass(frozen=True)
class PieceResult:
    """The consequences of a piece's hash."""

    amounts: Mapping[Peer, int]  # bytes that each source delivered of it
    wrong: Sequence[WrongBytes] = ()  # sources that sent wrong bytes, of this attempt or an earlier one
    frees_work: bool = True  # sources that wait may have something to do


class Scheduler:
    """Not thread-safe."""

    def __init__(
        self,
        geometry: Geometry,
        have: Bitfield,
        now: float,
        own: Peer | None = None,
        rate_of: RateOf = lambda source: 0.0,
        order: PieceOrder | None = None,
        wanted: Bitfield | None = None,
        own_tcp: Peer | None = None,
    ) -> None:
        """``have``: the pieces that are verified already. ``wanted``: None for all.

        ``own``: this node; ``own_tcp``: its name over TCP.
        """
        self._geometry = geometry
        self._rate_of = rate_of
        self._progress = PieceProgress(geometry, have)
        self._smart_ban = SmartBan()
        self._pending = PendingRequests(geometry.size)
        self._endgame = Endgame(self._pending, rate_of, geometry.size)
        self._wanted = WantedPieces(geometry, have, wanted)
        self._picker = AdaptivePicker(geometry, self._wanted.missing(), rate_of, own, order, own_tcp)
        self._parole = Parole(
            geometry, self._picker, self._pending, self._progress, self._smart_ban.__contains__
        )
        self._credits: dict[Peer, int] = {}
        self._closed: set[Peer] = set()  # sources that were released or dismissed
        self._dismissed: set[Peer] = set()
        self._requested_at = self._accepted_at = now
        self.stolen: list[tuple[Peer, Span]] = []  # requests to cancel, because another source took them over
        self.is_endgame = False  # every missing byte is requested, some from peers of the peer wire
        self.over = self.complete

    # ---- the whole

    @property
    def received(self) -> int:
        """Bytes in place, verified or not."""
        return self._progress.received

    @property
    def verified(self) -> int:
        """Bytes verified."""
        return self._progress.verified

    @property
    def complete(self) -> bool:
        """True once every wanted piece is verified."""
        return self._wanted.complete

    @property
    def wanted_size(self) -> int:
        """Bytes of the pieces that are wanted or verified."""
        return self._wanted.size

    def set_wanted(self, wanted: Bitfield) -> None:
        """Fetch only these pieces from now on. Requested bytes of other pieces are still accepted."""
        self._picker.give_back(self._wanted.change(wanted, self._picker.claim))
        self.over = self.over or self.complete

    @property
    def picks_by_piece(self) -> bool:
        """True if pieces are picked one by one, because some source holds only a part."""
        return self._picker.by_piece

    @property
    def busy_sources(self) -> int:
        """How many sources owe something."""
        return self._pending.busy_sources

    @property
    def wasted(self) -> int:
        """Bytes that arrived from two sources."""
        return self._pending.wasted

    @property
    def arrived_bytes(self) -> int:
        """Bytes that arrived in all, also those of pieces that failed."""
        return self._progress.arrived_bytes

    def in_progress(self) -> PiecesInProgress:
        """The pieces of which bytes are requested, or have arrived while others are missing."""
        begun = frozenset(self._progress.begun())
        received = frozenset(filter(self._progress.is_complete, begun))
        return PiecesInProgress(self._pending.by_piece(self._geometry.piece_length), received, begun)

    def stop(self) -> None:
        """Hand out nothing more."""
        self.over = True

    def verified_from(self, source: Peer) -> int:
        """Bytes of verified pieces that ``source`` delivered."""
        return self._credits.get(source, 0)

    def trusts(self, source: Peer) -> bool:
        """True if a verified piece came from ``source`` and nothing speaks against it."""
        return self._parole.trusts(source)

    def makes_no_progress(self, now: float) -> bool:
        """True if nothing was requested for a while, or nothing arrived for longer.

        Then suspects should be asked as well.
        """
        if self._pending:
            self._requested_at = now
        return now - self._requested_at > NO_WORK_TIMEOUT or now - self._accepted_at > NO_DATA_TIMEOUT

    # ---- sources

    def start(self, sources: Sequence[Peer]) -> None:
        """Divide the missing bytes among the first sources; all later ones ``join``."""
        self._picker.start(sources)

    def join(self, source: Peer) -> None:
        """Take in one more source, or one that left or was dismissed."""
        self._closed.discard(source)
        self._dismissed.discard(source)
        self._picker.join(source)
        self._parole.join(source)

    def leave(self, source: Peer) -> None:
        """``source`` leaves; its bytes are free for other sources."""
        self._picker.leave(source)
        self._parole.leave(source)

    def block(self, source: Peer) -> None:
        """``source`` chokes us: its bytes are free for other sources until it joins again."""
        self._picker.block(source)
        self._parole.leave(source)

    def release(self, source: Peer) -> None:
        """End ``source`` to make room for another; bytes that it still sends are accepted."""
        self._closed.add(source)
        self.leave(source)

    def dismiss(self, source: Peer) -> None:
        """End ``source`` because it sent wrong bytes; nothing from it is accepted any more."""
        self._closed.add(source)
        self._dismissed.add(source)
        self._picker.leave(source)
        self._parole.distrust(source)
        self._parole.give_back(self._progress.discard(source))

    def is_closed(self, source: Peer) -> bool:
        """True if ``source`` should end, now."""
        return self.over or (bool(self._closed) and source in self._closed)

    def set_partial_peers(self, peers: Iterable[Peer]) -> None:
        """The partial peers that are known."""
        self._picker.set_partial_peers(peers)

    def set_only_source(self, source: Peer | None) -> bool:
        """``source`` is the only known peer; None: there are several, or none. True if that is news."""
        changed = source != self._parole.only_source
        self._parole.only_source = source
        return changed

    def on_bitfield(self, source: Peer, held: Bitfield | None) -> bool:
        """``source`` holds these pieces; None: all. True if other sources may have more to do.

        If not, it is news for ``source`` alone, and no other source need wake up.
        """
        return self._picker.on_bitfield(source, held)

    def on_have(self, source: Peer, piece: int) -> None:
        """``source`` holds one piece more. That is news for ``source`` alone."""
        self._picker.on_have(source, piece)

    # ---- requests

    def take(self, source: Peer, limit: int, now: float) -> RequestedRange | None:
        """A range for ``source`` to request now, of about ``limit`` bytes at most; None: nothing for it."""
        if self.over or self.is_closed(source):
            return None
        by_piece = self._picker.by_piece
        if by_piece:
            self._picker.expire_deferred(now)
            limit = self._room(source, limit)
            if limit <= 0:
                return None
        if self._pending.is_stalled(source):
            if self._pending.of(source):
                return None
            limit = min(limit, BLOCK)
        span = self._parole.take(source, limit, now)
        if span is not None:
            self._pending.request(source, *span, now)
            return RequestedRange(*span, by_piece and self.rare_only(source, span[0]))
        late = self._overdue(source, limit, now)
        if late is None:
            return None
        self._pending.request_again(source, late.start, late.end, now, late.is_safe)
        if late.tail_of is not None:
            self.stolen.append((late.tail_of, (late.start, late.end)))
        self._picker.require(late.start)
        self._parole.requested_again(source, late.start // self._geometry.piece_length)
        return RequestedRange(late.start, late.end)

    def has_work(self, source: Peer, now: float) -> bool:
        """True if ``take`` would find something."""
        if self.is_closed(source):
            return False
        if self._picker.by_piece:
            self._picker.expire_deferred(now)
            if self._room(source, 1) <= 0:
                return False
        return self._parole.has_work(source, now) or self._overdue(source, 1, now) is not None

    def time_may_help(self) -> bool:
        """True if a source may find work later although nothing else happens."""
        return bool(self._pending) or self._picker.has_deferred or self._parole.has_exclusive

    def rare_only(self, source: Peer, start: int) -> bool:
        """True if ``source`` may reject the piece around ``start`` because it sent it to another node.

        Not the first piece of a new source: it proves the source, so it is wanted, rare or not.
        """
        return self._picker.rare_only(source, start) and self.trusts(source)

    def _room(self, source: Peer, limit: int) -> int:
        """While pieces are picked by rarity, a source is asked for what it delivers within the horizon.

        Bytes that wait at one source cannot be requested from another.
        """
        horizon = max(MIN_HORIZON_BYTES, int(self._rate_of(source) * HORIZON_SECONDS))
        return min(limit, horizon - self._pending.of(source))

    def _overdue(self, source: Peer, limit: int, now: float) -> Takeover | None:
        """Bytes that another source owes and that ``source`` holds: it owes them for long, or it is slow."""
        length = self._geometry.piece_length
        for start, end in self._pending.overdue(source, limit, now):
            if self._may_take_over(source, start // length):
                return Takeover(start, min(end, (start // length + 1) * length), is_safe=False)
        picker = self._picker
        self.is_endgame = self._pending.owes_over_tcp and picker.is_empty
        if self._pending.owes_over_tcp:
            for takeover in self._endgame.takeovers(source, picker.sources, limit, picker.is_empty, now):
                start, end = takeover.start, takeover.end
                piece = (end - 1 if takeover.tail_of else start) // length
                if self._may_take_over(source, piece):
                    if takeover.tail_of:  # whole blocks, as far as possible
                        first = piece * length
                        whole = start - (start - first) % BLOCK if start > first else first
                        start = max(whole, takeover.earliest)
                    self._endgame.found(source)
                    return takeover._replace(start=start, end=min(end, (piece + 1) * length))
        return None

    def _may_take_over(self, source: Peer, piece: int) -> bool:
        return self._picker.holds(source, piece) and self._parole.may_request_again(source, piece)

    # ---- what became of requests

    def accept(self, source: Peer, start: int, end: int, now: float) -> Accepted:
        """``source`` delivered ``[start, end)``: the ranges to write, and superfluous requests to cancel.

        Ranges that are written are reported by ``arrived``.
        """
        if self._dismissed and source in self._dismissed:
            self.give_back(source, [(start, end)])
            return NOTHING_ACCEPTED
        accepted = self._pending.accept(source, start, end, now)
        if accepted.ranges:
            self._accepted_at = now
            self._parole.accepted(source, accepted.ranges[0][0], now)
        return accepted

    def arrived(self, source: Peer, start: int, end: int, checked: bool = True) -> Sequence[int]:
        """Bytes ``[start, end)`` are in place: the pieces that are complete now and to be hashed.

        ``checked``: checksums protected them, so they are what ``source`` sent.
        """
        return self._progress.arrived(source, start, end, checked)

    def give_back(self, source: Peer, spans: Iterable[Span]) -> None:
        """Requested ranges that will not come from ``source``."""
        self._parole.give_back(self._pending.give_back(source, spans))

    def defer(self, source: Peer, spans: Sequence[Span], now: float) -> None:
        """``source`` rejected these: it has just sent the piece that they begin in to another node."""
        if spans:
            self._picker.defer(source, spans[0][0], now)
        self.give_back(source, spans)

    # ---- pieces

    def contributions(self, piece: int) -> Sequence[Contribution]:
        """The contribution of each source to a complete piece that is not verified."""
        return self._progress.contributions(piece)

    def failed_contributions(self, piece: int) -> Sequence[Contribution]:
        """Contributions to earlier attempts at ``piece``; ``piece_passed`` needs their digests."""
        return self._smart_ban.contributions(piece)

    def piece_passed(self, piece: int, digests: Sequence[bytes] = ()) -> PieceResult:
        """``piece`` matches its hash; ``digests``: of the ranges of ``failed_contributions``, read again."""
        amounts = self._progress.passed(piece)
        self._wanted.passed(piece)
        for source, amount in amounts.items():
            self._credits[source] = self._credits.get(source, 0) + amount
        wrong: list[WrongBytes] = []
        cleared: Collection[Peer] = ()
        if piece in self._smart_ban:
            wrong, cleared = self._smart_ban.passed(piece, digests)
        frees_work = self._parole.passed(piece, amounts.keys(), cleared)
        self.over = self.over or self.complete
        return PieceResult(amounts, wrong, frees_work or self.over)

    def piece_failed(self, piece: int, evidence: Sequence[Evidence]) -> PieceResult:
        """``piece`` does not match its hash; ``evidence``: its contributions."""
        wrong = self._smart_ban.failed(piece, evidence)
        amounts = self._progress.failed(piece)
        self._parole.failed(piece, amounts.keys())
        return PieceResult(amounts, wrong)
