"""Orders of pieces by name (``--order``): ``rarest``, ``sequential``, ``random``.

``rarest`` is the default, and ``RarestFirst`` implements it. ``Rarest`` below is the same idea on one page,
for a lab. ``RarestFirst`` computes ``Sequential`` and ``Random`` from sets of pieces, too: the lists of
``choose`` are slow for 10,000 pieces.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from node.scheduling.base import PieceOrder


class Rarest:
    """A piece that the fewest partial peers hold; equals at random."""

    def choose(self, available: Sequence[int], availability: Sequence[int], rng: random.Random) -> int:
        """One of ``available``."""
        least = min(availability[piece] for piece in available)
        return rng.choice([piece for piece in available if availability[piece] == least])


class Sequential:
    """The first missing piece, as a player of a film wants it: also before a later piece that was begun."""

    def choose(self, available: Sequence[int], availability: Sequence[int], rng: random.Random) -> int:
        """One of ``available``."""
        return available[0]


class Random:
    """Any piece."""

    def choose(self, available: Sequence[int], availability: Sequence[int], rng: random.Random) -> int:
        """One of ``available``."""
        return rng.choice(available)


PIECE_ORDERS: dict[str, type[PieceOrder]] = {"rarest": Rarest, "sequential": Sequential, "random": Random}
