"""The bytes that have arrived of each piece, and the sources that delivered them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from common.bitfield import Bitfield
from common.geometry import Geometry
from common.ranges import RangeSet
from node.peer import Peer
from node.scheduling.base import Span

MAX_SPANS = 2048  # ranges kept of one source in one piece; with more gaps, only their bytes are counted


@dataclass(frozen=True)
class Contribution:
    """The bytes of a piece that a source delivered.

    ``checked``: checksums protected them, so they are what the source sent. ``spans`` are merged where they
    touch, and empty if there were too many to keep.
    """

    source: Peer
    checked: bool
    amount: int
    spans: tuple[Span, ...]


@dataclass
class _Parts:
    """An unverified piece that did not arrive in one go. The keys are source and ``checked``."""

    amount: int = 0
    spans: dict[tuple[Peer, bool], RangeSet] = field(default_factory=dict)
    amounts: dict[tuple[Peer, bool], int] = field(default_factory=dict)
    truncated: bool = False

    def add(self, source: Peer, checked: bool, start: int, end: int) -> None:
        key = (source, checked)
        self.amount += end - start
        before = self.amounts.get(key)
        self.amounts[key] = (before or 0) + end - start
        spans = self.spans.setdefault(key, RangeSet()) if before is None else self.spans.get(key)
        if spans is not None:
            spans.add(start, end)
            if len(spans) > MAX_SPANS:
                self.truncated = True
                del self.spans[key]

    def discard(self, source: Peer) -> list[Span]:
        """Forget the spans of ``source``; returns them."""
        gone: list[Span] = []
        for key in [key for key in self.spans if key[0] == source]:
            gone += self.spans.pop(key)
            self.amount -= self.amounts.pop(key)
        return gone


class PiecesInProgress(NamedTuple):
    """The pieces that are being fetched at one moment."""

    asked: Mapping[int, Sequence[Peer]]  # the sources that owe bytes of each
    received: frozenset[int]  # all bytes are in place, and the hash is not known yet
    begun: frozenset[int]  # some bytes are in place, or all of them

    @property
    def all(self) -> set[int]:
        """The pieces that are requested or begun."""
        return {*self.asked, *self.begun}


class PieceProgress:
    """Counts bytes into pieces, and remembers which source delivered them until the piece is verified.

    Each byte is reported once for each time that it was requested, so counting is enough.
    """

    def __init__(self, geometry: Geometry, have: Bitfield) -> None:
        """``have``: the verified pieces, which this changes."""
        self._geometry = geometry
        self.have = have
        self._whole: dict[int, tuple[Peer, bool]] = {}  # pieces that arrived in one go: by far the most
        self._parts: dict[int, _Parts] = {}  # all other pieces that are not verified, complete or not
        self.verified = sum(
            geometry.piece_length_of(index) for index in range(geometry.piece_count) if index in have
        )
        self.received = self.verified  # bytes in place, verified or not
        self.arrived_bytes = 0  # in all, also those of pieces that failed

    def missing(self) -> list[Span]:
        """The ranges of the pieces that are not verified, adjacent ones not merged."""
        return [self._geometry.piece_range(index) for index in self.have.missing()]

    def arrived(self, source: Peer, start: int, end: int, checked: bool = True) -> Sequence[int]:
        """Bytes ``[start, end)`` from ``source`` are in place: the pieces that they complete."""
        self.received += end - start
        self.arrived_bytes += end - start
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

    def begun(self) -> list[int]:
        """The pieces of which bytes are in place, and whose hash is not known yet."""
        return [*self._whole, *self._parts]

    def is_complete(self, index: int) -> bool:
        """True if all bytes of the piece are in place and its hash is not known yet."""
        if index in self._whole:
            return True
        parts = self._parts.get(index)
        return parts is not None and parts.amount == self._geometry.piece_length_of(index)

    def contributions(self, index: int) -> tuple[Contribution, ...]:
        """The contribution of each source to a piece that is not verified."""
        if index in self._whole:
            source, checked = self._whole[index]
            start, end = self._geometry.piece_range(index)
            return (Contribution(source, checked, end - start, ((start, end),)),)
        parts = self._parts.get(index) or _Parts()
        return tuple(
            Contribution(*key, amount, tuple(parts.spans.get(key, ())))
            for key, amount in parts.amounts.items()
        )

    def discard(self, source: Peer) -> list[Span]:
        """Forget the bytes of ``source`` in pieces that are not complete; returns their ranges."""
        spans = [
            span
            for index, parts in self._parts.items()
            if parts.amount < self._geometry.piece_length_of(index)
            for span in parts.discard(source)
        ]
        self.received -= sum(end - start for start, end in spans)
        return spans

    def restart(self, index: int) -> list[Span]:
        """Forget all bytes of a piece that is not complete; returns their ranges."""
        parts = self._parts.get(index)
        if parts is None or parts.truncated or parts.amount == self._geometry.piece_length_of(index):
            return []
        del self._parts[index]
        self.received -= parts.amount
        return [span for spans in parts.spans.values() for span in spans]

    def passed(self, index: int) -> Mapping[Peer, int]:
        """The piece matches its hash. Returns how many bytes each source delivered of it."""
        self.have.set(index)
        self.verified += self._geometry.piece_length_of(index)
        return self._forget(index)

    def failed(self, index: int) -> Mapping[Peer, int]:
        """The piece does not match its hash, and is missing. Returns the bytes of each source."""
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
