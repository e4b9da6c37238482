"""Lab 6: which piece next?

needed    the pieces that the source holds and this node misses, ascending; never empty
holders   holders[piece]: how many nodes hold it
now       seconds since this node joined. It plays piece i at PATIENCE + i seconds
rng       a random.Random; use no other, so that a run can be repeated
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

PATIENCE = 20.0  # seconds from joining to the first piece that is played
WINDOW = 30  # pieces that are played soon


class Rarest:
    """For a file: the whole of it as early as possible, for everyone."""

    def choose(
        self, needed: Sequence[int], holders: Mapping[int, int], now: float, rng: random.Random
    ) -> int:
        """One of the pieces with the fewest holders."""
        # answer
        least = min(holders[piece] for piece in needed)
        return rng.choice([piece for piece in needed if holders[piece] == least])
        # blank
        # return needed[0]  # yours
        # end of answer


class Window:
    """For a film: pieces that are played soon, rarest first among these; then the rest."""

    def choose(
        self, needed: Sequence[int], holders: Mapping[int, int], now: float, rng: random.Random
    ) -> int:
        """A rare one of the next WINDOW pieces, from the piece that is played or the first missing one on."""
        # answer
        begin = max(now - PATIENCE, needed[0])
        soon = [piece for piece in needed if piece < begin + WINDOW]
        return Rarest().choose(soon or needed, holders, now, rng)
        # blank
        # return needed[0]  # yours
        # end of answer
