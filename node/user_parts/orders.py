"""A user's piece order in a download: ``choose`` of both forms, with rarest first behind it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from node.scheduling.base import PieceOrder
from node.scheduling.piece_order import Rarest
from node.user_parts.take_over import TakeOver


class Chooser(Protocol):
    """The form of ``choose`` that the labs use."""

    def choose(
        self, needed: Sequence[int], holders: Mapping[int, int], now: float, rng: random.Random
    ) -> int:
        """One of ``needed``: the pieces that the source holds and this node misses, ascending.

        ``holders[piece]``: the partial peers that are known to hold it, and one more for the complete peers,
        which hold every piece. ``now``: seconds since the download began.
        """
        ...


class ChooserOrder:
    """A ``PieceOrder`` that asks a Chooser. ``clock`` gives seconds; the download begins now."""

    def __init__(self, chooser: Chooser, clock: Callable[[], float] = time.monotonic) -> None:
        self._chooser = chooser
        self._clock = clock
        self._began = clock()

    def choose(self, available: Sequence[int], availability: Sequence[int], rng: random.Random) -> int:
        """See ``PieceOrder``."""
        holders = {piece: availability[piece] + 1 for piece in available}
        return self._chooser.choose(list(available), holders, self._clock() - self._began, rng)


class UserOrder:
    """A ``PieceOrder``: the user's, and rarest first after its first fault."""

    def __init__(self, make: Callable[[], Any], over: TakeOver) -> None:
        self._over = over
        self._builtin = Rarest()
        self._order: PieceOrder = over.run(make, Rarest)

    def choose(self, available: Sequence[int], availability: Sequence[int], rng: random.Random) -> int:
        """See ``PieceOrder``."""
        return self._over.run(
            lambda: self._order.choose(available, availability, rng),
            lambda: self._builtin.choose(available, availability, rng),
        )
