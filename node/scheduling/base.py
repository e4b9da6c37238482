"""The picker interface: which bytes a source requests next, whatever the sources hold."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeAlias

from node.peer import Peer

Span: TypeAlias = tuple[int, int]  # half-open bytes of the content
RateOf: TypeAlias = Callable[[Peer], float]  # bytes a second that a source delivered lately


class Picker(Protocol):
    """Divides the bytes that were not requested yet among the sources.

    Obligations: each byte is given out once for each time that it was put in; only to a source that takes
    part and holds it; and while a source holds any byte that is left, ``take`` finds some for it. Not
    thread-safe: the caller locks.
    """

    def start(self, sources: Sequence[Peer]) -> None:
        """Take in the first sources."""
        ...

    def join(self, source: Peer) -> None:
        """Take in one more source. It holds everything as far as the picker knows."""
        ...

    def leave(self, source: Peer) -> None:
        """``source`` leaves; its bytes are free for other sources."""
        ...

    def holds(self, source: Peer, piece: int) -> bool:
        """True if ``source`` takes part and holds ``piece``, as far as it is known."""
        ...

    def take(self, source: Peer, limit: int) -> Span | None:
        """Take out about ``limit`` bytes at most for ``source`` to request now; None if none are left for it.

        A range may be a few bytes longer where that completes a piece.
        """
        ...

    def take_piece(self, source: Peer) -> Span | None:
        """Take out a whole piece that ``source`` holds and of which no byte was taken, if there is one."""
        ...

    def has_work(self, source: Peer) -> bool:
        """True if ``take`` would find something."""
        ...

    @property
    def is_empty(self) -> bool:
        """True if every byte was taken."""
        ...

    def claim(self, start: int, end: int) -> list[Span]:
        """Take out every byte of ``[start, end)`` that is left, whichever source it was meant for."""
        ...

    def give_back(self, spans: Iterable[Span]) -> None:
        """Put in bytes that were taken and did not arrive, or arrived wrong."""
        ...

    def remaining(self, source: Peer) -> int:
        """Bytes that are meant for ``source`` and were not taken yet."""
        ...


class PieceOrder(Protocol):
    """Chooses the next piece to request from a source. Made once for each download.

    A class of this interface replaces rarest first in a lab.
    """

    def choose(self, available: Sequence[int], availability: Sequence[int], rng: random.Random) -> int:
        """One of ``available``: the pieces that the source holds and that were not requested yet, ascending.

        ``availability[i]`` is the number of partial peers that are known to hold piece ``i``.
        """
        ...


def slowest_first(picker: Picker, sources: Iterable[Peer], rate_of: RateOf) -> list[Peer]:
    """``sources`` by the seconds that they need for their remaining bytes, the slowest first."""
    return sorted(sources, key=lambda source: picker.remaining(source) / (rate_of(source) + 1), reverse=True)
