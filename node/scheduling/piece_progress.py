"""What has arrived of a torrent, from whom, and what it turned out to be. Pure; whoever owns it locks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from common.bitfield import Bitfield
from common.geometry import Geometry
from common.ranges import RangeSet
from node.peer import Peer

MAX_SPANS = 2048  # of one source's bytes in one piece; with more gaps than that, only their number is kept


@dataclass(frozen=True)
class Contribution:
    """What one source delivered of one piece: bytes of the content, merged where they touch.

    ``checked``: checksums say that they are what it sent. ``spans`` is empty if there were too many to keep.
    """

    source: Peer
    checked: bool
    amount: int
    spans: tuple[tuple[int, int], ...]


@dataclass
class _Parts:
    """A piece that came in several parts."""

    amount: int = 0
    spans: dict[tuple[Peer, bool], RangeSet] = field(default_factory=dict)
    amounts: dict[tuple[Peer, bool], int] = field(default_factory=dict)
    blurred: set[tuple[Peer, bool]] = field(default_factory=set)

    def add(self, source: Peer, checked: bool, start: int, end: int) -> None:
        key = (source, checked)
        self.amount += end - start
        self.amounts[key] = self.amounts.get(key, 0) + end - start
        if key in self.blurred:
            return
        spans = self.spans.setdefault(key, RangeSet())
        spans.add(start, end)
        if len(spans) > MAX_SPANS:
            self.blurred.add(key)
            del self.spans[key]

    def discard(self, source: Peer) -> list[tuple[int, int]]:
        gone: list[tuple[int, int]] = []
        for key in [key for key in self.spans if key[0] == source]:
            gone += self.spans.pop(key)
            self.amount -= self.amounts.pop(key)
        return gone

    def shares(self) -> tuple[Contribution, ...]:
        return tuple(
            Contribution(source, checked, amount, tuple(self.spans.get((source, checked), ())))
            for (source, checked), amount in self.amounts.items()
        )


class PieceProgress:
    """Counts bytes into pieces and remembers who delivered which of them, until each piece is verified.

    The transport reports each byte once for each time it was handed out, so that counting is enough.
    """

    def __init__(self, geometry: Geometry, held: Bitfield) -> None:
        self._geometry = geometry
        self._held = held
        self._whole: dict[int, tuple[Peer, bool]] = {}  # pieces that came in one go: by far the most
        self._parts: dict[int, _Parts] = {}  # others that are not verified, complete or not
        self.verified = sum(
            geometry.piece_length_of(index) for index in range(geometry.piece_count) if index in held
        )
        self.received = self.verified  # bytes here, verified or not

    def missing(self) -> list[tuple[int, int]]:
        """The ranges of the pieces that are not held, adjacent ones as they are."""
        return [self._geometry.piece_range(index) for index in self._held.missing()]

    @property
    def complete(self) -> bool:
        """Whether every piece is verified."""
        return self._held.all()

    def arrived(self, source: Peer, start: int, end: int, checked: bool = True) -> Sequence[int]:
        """Bytes ``[start, end)`` are in place, from ``source``: the pieces that this completes.

        ``checked``: a checksum says that they are what the source sent.
        """
        self.received += end - start
        length, size = self._geometry.piece_length, self._geometry.size
        complete = []
        for index in range(start // length, (end - 1) // length + 1):
            first, last = index * length, min((index + 1) * length, size)
            begin, finish = max(start, first), min(end, last)
            if finish - begin == last - first:
                self._whole[index] = (source, checked)
                complete.append(index)
                continue
            parts = self._parts.setdefault(index, _Parts())
            parts.add(source, checked, begin, finish)
            if parts.amount == last - first:
                complete.append(index)
        return complete

    def shares(self, index: int) -> tuple[Contribution, ...]:
        """Who delivered what of piece ``index``, which is not verified."""
        if index in self._whole:
            source, checked = self._whole[index]
            start, end = self._geometry.piece_range(index)
            return (Contribution(source, checked, end - start, ((start, end),)),)
        parts = self._parts.get(index)
        return parts.shares() if parts else ()

    def discard(self, source: Peer) -> list[tuple[int, int]]:
        """Do without what ``source`` delivered of pieces that are not complete: its ranges, missing again."""
        spans: list[tuple[int, int]] = []
        for index, parts in self._parts.items():
            if parts.amount < self._geometry.piece_length_of(index):
                spans += parts.discard(source)
        self.received -= sum(end - start for start, end in spans)
        return spans

    def restart(self, index: int) -> list[tuple[int, int]]:
        """Do without what has come of piece ``index`` so far: its ranges, missing again."""
        parts = self._parts.get(index)
        if parts is None or parts.blurred or parts.amount == self._geometry.piece_length_of(index):
            return []
        del self._parts[index]
        self.received -= parts.amount
        return [span for spans in parts.spans.values() for span in spans]

    def right(self, index: int) -> Mapping[Peer, int]:
        """Piece ``index`` matches its hash: count it as held. Returns who delivered it, and how much."""
        self._held.set(index)
        self.verified += self._geometry.piece_length_of(index)
        return self._forget(index)

    def wrong(self, index: int) -> Mapping[Peer, int]:
        """Piece ``index`` does not match: it is missing again. Returns who delivered it, and how much."""
        self.received -= self._geometry.piece_length_of(index)
        return self._forget(index)

    def _forget(self, index: int) -> Mapping[Peer, int]:
        whole = self._whole.pop(index, None)
        if whole is not None:
            return {whole[0]: self._geometry.piece_length_of(index)}
        parts = self._parts.pop(index, None)
        amounts: dict[Peer, int] = {}
        for (source, _), amount in parts.amounts.items() if parts else ():
            amounts[source] = amounts.get(source, 0) + amount
        return amounts
