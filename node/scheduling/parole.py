"""Parole mode: a source that has not proved itself is asked for whole pieces only (libtorrent manual).

A source is *trusted* once a verified piece came from it. Before that it is new. If it contributes to a piece
that several sources delivered and that fails its hash test, it is a *suspect*. New sources and suspects are
on parole: they get one whole piece at a time, and no other source is asked for bytes of that piece. If the
piece fails, it is clear which source sent wrong bytes; if it is right, the source is trusted.

A new source costs itself one round trip and the hashing of one piece, once in a download. The only source
that is known need not wait for that: no other source could deliver instead, and on a path of long round
trips the wait would end the growth of its congestion window.

Nothing may hang because a source holds its exclusive piece for long:

- Other sources help with the piece of a new source after ``HELP_DELAY``, if they have nothing else to do.
- A piece that failed, or that a suspect holds, is *strict*: sources do not help, since a mixed piece would
  again leave open which of them sent wrong bytes. They take it over as a whole instead, from the first byte,
  when its holder has delivered nothing for ``STALL_TIMEOUT``, or is not done after ``MAX_HOLD_TIME``.
  Both double with each takeover of the piece, so that in the end a slow source has the time that it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from common.geometry import Geometry
from common.ranges import RangeSet
from node.peer import Peer
from node.scheduling.adaptive import AdaptivePicker
from node.scheduling.base import Span
from node.scheduling.pending import PendingRequests
from node.scheduling.piece_progress import PieceProgress

HELP_DELAY = 2.0  # seconds before other sources help with the piece of a new source
STALL_TIMEOUT = 4.0  # seconds without data before another source takes a strict piece over
MAX_HOLD_TIME = 30.0  # seconds before another source takes a strict piece over although data comes
MAX_TAKEOVER_DOUBLINGS = 5  # of STALL_TIMEOUT and MAX_HOLD_TIME, for takeovers of one piece
MAX_BEGUN_PIECES_TRIED = 8  # pieces that are looked at for one that a source on parole may finish


@dataclass
class ExclusivePiece:
    """A piece that a single source delivers. All times are monotonic seconds."""

    piece: int
    holder: Peer
    todo: RangeSet  # bytes of it that were not requested yet
    since: float
    strict: bool
    takeovers: int = 0
    data_at: float = 0.0  # when data of it last came from its holder

    def may_be_helped(self, now: float) -> bool:
        return not self.strict and bool(self.todo) and now >= self.since + HELP_DELAY

    def may_be_taken_over(self, now: float) -> bool:
        patience = 1 << min(self.takeovers, MAX_TAKEOVER_DOUBLINGS)
        stalled_at = max(self.data_at, self.since) + STALL_TIMEOUT * patience
        return now >= min(stalled_at, self.since + MAX_HOLD_TIME * patience)


class Parole:
    """Stands between the sources and ``picker``, and lets each source take what it is trusted with."""

    def __init__(
        self,
        geometry: Geometry,
        picker: AdaptivePicker,
        pending: PendingRequests,
        progress: PieceProgress,
        has_failed: Callable[[int], bool],
    ) -> None:
        """``has_failed(piece)``: True if several sources delivered it wrong and it has not come right yet."""
        self._geometry = geometry
        self._picker = picker
        self._pending = pending
        self._progress = progress
        self._has_failed = has_failed
        self._trusted: set[Peer] = set()
        self._suspects: set[Peer] = set()
        self.only_source: Peer | None = None  # the only one that is known
        self._exclusive: dict[int, ExclusivePiece] = {}
        self._takeovers: dict[
            int, int
        ] = {}  # of each strict piece, whichever source held it, until it passes
        self._own: dict[Peer, int] = {}  # the piece that a source holds exclusively, or helps with

    def trusts(self, source: Peer) -> bool:
        """True if a verified piece came from ``source`` and nothing speaks against it."""
        return source in self._trusted

    @property
    def has_exclusive(self) -> bool:
        """True if a source may find work later although nothing else happens."""
        return bool(self._exclusive)

    # ---- work

    def take(self, source: Peer, limit: int, now: float) -> Span | None:
        """About ``limit`` bytes at most for ``source`` to request now; None if there is nothing for it."""
        if not self._exclusive and source in self._trusted:  # nearly always
            return self._picker.take(source, limit)
        own = self._own_piece(source, now)
        if own is not None and own.todo:
            return own.todo.take_first(limit)
        if not self._is_free(source):
            return None
        span = self._picker.take(source, limit)
        if span is None and (other := self._other_piece(source, now)) is not None:
            span = other.todo.take_first(limit)
        return span

    def has_work(self, source: Peer, now: float) -> bool:
        """True if ``take`` would find something."""
        own = self._own_piece(source, now)
        if own is not None and own.todo:
            return True
        if not self._is_free(source):
            return False
        return self._picker.has_work(source) or self._other_piece(source, now) is not None

    def _is_free(self, source: Peer) -> bool:
        return source in self._trusted or source == self.only_source

    def _own_piece(self, source: Peer, now: float) -> ExclusivePiece | None:
        """The piece that comes before all else for ``source``. On parole it gets one if it has none."""
        piece = self._own.get(source)
        if piece is not None and not self._is_done_with(source, piece):
            return self._exclusive.get(piece)
        if self._is_free(source):
            return None
        return (
            self._whole_piece(source, now) or self._begun_piece(source, now) or self._other_piece(source, now)
        )

    def _is_done_with(self, source: Peer, piece: int) -> bool:
        """Forget ``piece`` if ``source`` does not hold it, or if there is nothing left to wait for."""
        exclusive = self._exclusive.get(piece)
        if self._picker.holds(source, piece):
            start, end = self._geometry.piece_range(piece)
            if exclusive is not None and (exclusive.todo or exclusive.holder == source):
                return False
            if self._pending.owes(source, start, end) or self._progress.is_complete(piece):
                return False
        elif exclusive is not None and exclusive.holder == source:
            self._end(exclusive)
        self._own.pop(source, None)
        return True

    def _whole_piece(self, source: Peer, now: float) -> ExclusivePiece | None:
        """A piece of which nothing was requested yet."""
        span = self._picker.take_piece(source)
        return self._hold(source, span[0] // self._geometry.piece_length, [span], now) if span else None

    def _begun_piece(self, source: Peer, now: float) -> ExclusivePiece | None:
        """A piece that another source left unfinished."""
        skipped: list[Span] = []
        found = None
        for _ in range(MAX_BEGUN_PIECES_TRIED):
            first = self._picker.take(source, 1)
            if first is None:
                break
            piece = first[0] // self._geometry.piece_length
            todo = [first, *self._picker.claim(*self._geometry.piece_range(piece))]
            untouched = sum(end - start for start, end in todo) == self._geometry.piece_length_of(piece)
            if untouched or not self._is_strict(source, piece):
                found = self._hold(source, piece, todo, now)
                break
            if self._may_restart(source, piece):
                found = self._hold(source, piece, [*todo, *self._progress.restart(piece)], now)
                break
            skipped += todo
        self._picker.give_back(skipped)
        return found

    def _is_strict(self, source: Peer, piece: int) -> bool:
        return source in self._suspects or self._has_failed(piece)

    def _may_restart(self, source: Peer, piece: int) -> bool:
        """True if no other source is about to finish ``piece``."""
        others = [other for other in self._picker.sources if other != source]
        if any(other in self._trusted and self._picker.holds(other, piece) for other in others):
            return False
        return not self._pending.owing(*self._geometry.piece_range(piece))

    def _hold(self, source: Peer, piece: int, todo: Iterable[Span], now: float) -> ExclusivePiece:
        strict = self._is_strict(source, piece)
        takeovers = self._takeovers.get(piece, 0)
        exclusive = ExclusivePiece(piece, source, RangeSet(todo), now, strict, takeovers)
        self._exclusive[piece], self._own[source] = exclusive, piece
        return exclusive

    def _other_piece(self, source: Peer, now: float) -> ExclusivePiece | None:
        """A piece of another source, for ``source`` to help with or to take over."""
        for exclusive in self._exclusive.values():
            if exclusive.holder == source or not self._picker.holds(source, exclusive.piece):
                continue
            if self._progress.is_complete(exclusive.piece):  # and is being hashed
                continue
            if exclusive.strict or source in self._suspects:
                if exclusive.may_be_taken_over(now):
                    return self._take_over(source, exclusive, now)
            elif exclusive.may_be_helped(now):
                if source not in self._trusted:
                    self._own[source] = exclusive.piece
                return exclusive
        return None

    def _take_over(self, source: Peer, exclusive: ExclusivePiece, now: float) -> ExclusivePiece:
        """``source`` delivers the piece from now on: all of it, so that its bytes alone decide."""
        piece_range = self._geometry.piece_range(exclusive.piece)
        for other in self._pending.owing(*piece_range):
            for span in self._pending.revoke(other, *piece_range):
                exclusive.todo.add(*span)
        for span in self._progress.restart(exclusive.piece):
            exclusive.todo.add(*span)
        exclusive.holder, exclusive.since, exclusive.strict = source, now, True
        exclusive.takeovers += 1
        self._takeovers[exclusive.piece] = exclusive.takeovers
        self._disown(exclusive.piece)
        self._own[source] = exclusive.piece
        return exclusive

    # ---- endgame

    def may_request_again(self, source: Peer, piece: int) -> bool:
        """True if ``source`` may be asked for bytes of ``piece`` that another source owes."""
        exclusive = self._exclusive.get(piece)
        if source in self._suspects or (exclusive is not None and exclusive.strict):
            return False
        if self._is_free(source):
            return True
        return not self._has_failed(piece) and self._own.get(source, piece) == piece

    def requested_again(self, source: Peer, piece: int) -> None:
        """``source`` was asked for bytes of ``piece`` that another source owes."""
        if source not in self._trusted:
            self._own[source] = piece

    # ---- what became of it

    def accepted(self, source: Peer, start: int, now: float) -> None:
        """``source`` delivered bytes from ``start`` on."""
        exclusive = self._exclusive.get(start // self._geometry.piece_length)
        if exclusive is not None and exclusive.holder == source:
            exclusive.data_at = now

    def give_back(self, spans: Iterable[Span]) -> None:
        """Put in bytes that were taken and will not come."""
        if not self._exclusive:
            self._picker.give_back(spans)
            return
        length = self._geometry.piece_length
        for start, end in spans:
            for piece in range(start // length, -(-end // length)):
                part = (max(start, piece * length), min(end, (piece + 1) * length))
                exclusive = self._exclusive.get(piece)
                if exclusive is None:
                    self._picker.give_back([part])
                else:
                    exclusive.todo.add(*part)
                    self._drop_if_abandoned(exclusive)

    def join(self, source: Peer) -> None:
        """``source`` takes part, perhaps again: it goes on with the piece that it began."""
        for exclusive in self._exclusive.values():
            if exclusive.holder == source:
                self._own[source] = exclusive.piece

    def leave(self, source: Peer) -> None:
        """``source`` takes part no longer. A strict piece stays its own until another takes it over."""
        self._own.pop(source, None)
        for exclusive in [e for e in self._exclusive.values() if e.holder == source]:
            self._drop_if_abandoned(exclusive)

    def _drop_if_abandoned(self, exclusive: ExclusivePiece) -> None:
        if exclusive.holder in self._picker.sources:
            return
        untouched = exclusive.todo.total == self._geometry.piece_length_of(exclusive.piece)
        if untouched or not exclusive.strict:
            self._end(exclusive)

    def _end(self, exclusive: ExclusivePiece) -> None:
        del self._exclusive[exclusive.piece]
        self._picker.give_back(exclusive.todo)

    def distrust(self, source: Peer) -> None:
        """``source`` sent wrong bytes: it leaves, and is a suspect if it comes again."""
        self._trusted.discard(source)
        self._suspects.add(source)
        for exclusive in [e for e in self._exclusive.values() if e.holder == source]:
            self._end(exclusive)
        self.leave(source)

    def passed(self, piece: int, sources: Collection[Peer], cleared: Iterable[Peer] = ()) -> bool:
        """``sources`` delivered ``piece``, which is right; ``cleared`` are suspects no longer.

        True if a source may take more than before.
        """
        before = len(self._trusted)
        closed = self._forget(piece)
        self._takeovers.pop(piece, None)
        if len(sources) == 1:
            self._suspects.difference_update(sources)
        self._suspects.difference_update(cleared)
        self._trusted.update(source for source in (*sources, *cleared) if source not in self._suspects)
        return closed or len(self._trusted) > before

    def failed(self, piece: int, sources: Collection[Peer]) -> None:
        """``sources`` delivered ``piece``, which is wrong: it is free, and several sources are suspects."""
        self._forget(piece)
        if len(sources) > 1:
            self._trusted.difference_update(sources)
            self._suspects.update(sources)
        self._picker.give_back([self._geometry.piece_range(piece)])

    def _forget(self, piece: int) -> bool:
        self._disown(piece)
        return self._exclusive.pop(piece, None) is not None

    def _disown(self, piece: int) -> None:
        for source in [source for source, own in self._own.items() if own == piece]:
            del self._own[source]
