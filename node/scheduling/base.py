"""What divides the missing bytes among the sources: one interface, whatever the sources hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from node.peer import Peer


class Strategy(Protocol):
    """Divides the bytes that nobody was asked for yet. All ranges are half-open bytes of the content.

    Obligations: each byte is handed out once for each time that it was put in; only to a source that works,
    and that holds it; and as long as anything is left that a source holds, ``take`` finds some of it. Not
    thread-safe: whoever owns it locks.
    """

    def start(self, sources: Sequence[Peer]) -> None:
        """The first sources."""
        ...

    def join(self, source: Peer) -> None:
        """A further source."""
        ...

    def leave(self, source: Peer) -> None:
        """``source`` works no more: its rest is nobody's, until the others come for it."""
        ...

    def has(self, source: Peer, piece: int) -> bool:
        """Whether ``source`` works and holds ``piece``."""
        ...

    def take(self, source: Peer, limit: int, seconds_left: Callable[[Peer], float]) -> tuple[int, int] | None:
        """At most ``limit`` bytes for ``source`` to be asked for now; None if nothing is left for it.

        A crumb more where that ends a piece.

        ``seconds_left(other)`` estimates how long a source will need for its rest; the slowest is robbed.
        """
        ...

    def refill(self, source: Peer, seconds_left: Callable[[Peer], float]) -> bool:
        """See that ``source`` has something to take; whether it has."""
        ...

    def claim(self, start: int, end: int) -> list[tuple[int, int]]:
        """Take out what nobody was asked for yet of ``[start, end)``, whoever it was meant for."""
        ...

    def give_back(self, spans: Iterable[tuple[int, int]]) -> None:
        """Ranges that were taken and did not come, or came wrong."""
        ...

    def rest(self, source: Peer) -> int:
        """Bytes that ``source`` was given and has not been asked for yet."""
        ...
