"""Which owners are best: named strategies, pure, chosen by a name in STRATEGIES.

A strategy gives each node a rank, the lower the better, that only changes when what is known of the node's
merits does: neither with time nor with what other nodes do. So owners can be kept in order, and the best
few of a hundred thousand are the first few of a list.

What counts is proven by receipts: they come from nodes with a secret, and of each only so much. The plain
column, which anybody can raise for anybody, decides among those who have proven equally much. Among equals
there is an order, too, the same for all files but no merit: a number made from the node_id. (Whoever was
heard last came first once; that changes with every heartbeat, and sent all nodes to whoever called last.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

Rank = tuple[float, ...]


class Merits(Protocol):
    """What a strategy may look at."""

    uploads: int  # that were claimed for an unclaimed node, by itself or others: the report's UPDATE
    receipts: int  # that counted: uploads confirmed by who received them
    credit: int  # bytes that the receipts were for
    score: float  # receipts, or uploads as long as there is none, decayed; as of ``scored_at``
    scored_at: float  # monotonic seconds


@dataclass(frozen=True)
class Strategy:
    """A way to rank owners."""

    rank: Callable[[Merits, float], Rank]  # of merits and a half-life (seconds)
    drawn: bool = False  # whether owners are drawn by lot instead of taken in order


def decayed(score: float, seconds: float, half_life: float) -> float:
    """What is left of ``score`` after ``seconds``: half of it after each ``half_life`` (seconds)."""
    return float(score * 0.5 ** (max(seconds, 0.0) / half_life))


def by_uploads(node: Merits, half_life: float) -> Rank:
    """The course report's: most uploads first; proven ones before plain ones."""
    return -node.receipts, -node.uploads


def by_bytes(node: Merits, half_life: float) -> Rank:
    """Most bytes first, proven ones only: an upload of a whole lecture is more than one of a page."""
    return (-node.credit,)


def by_rate(node: Merits, half_life: float) -> Rank:
    """Most uploads lately first: who was generous last week stands behind who is generous now.

    All scores decay alike, so which of two is larger does not change with time: as good as the scores now
    are those that both would have had at time 0, of which the logarithm is a number of handy size.
    """
    if node.score <= 0:
        return 2, 0.0
    return 0 if node.receipts else 1, -(math.log2(node.score) + node.scored_at / half_life)


def alike(node: Merits, half_life: float) -> Rank:
    """Nobody is better than anybody."""
    return ()


STRATEGIES: dict[str, Strategy] = {
    "uploads": Strategy(by_uploads),
    "rate": Strategy(by_rate),
    "bytes": Strategy(by_bytes),
    "random": Strategy(alike, drawn=True),
}
