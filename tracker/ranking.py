"""Which owners are best: named strategies, pure, chosen by a name in STRATEGIES.

A strategy gives each node a rank, a float; the lower the better. A rank changes only when the node's own
record does, neither with time nor with other nodes. So a storage can keep owners in order of rank, and the
best few of a hundred thousand are the first few of a list.

Verified uploads (receipts) rank first: they come from nodes with a secret, and each reporter can give only a
bounded number. Unverified uploads, which any client can raise, decide among nodes with equally many receipts.
Nodes of equal rank are ordered by ``tie_break``, a hash of the node id. The order of equals must not depend
on heartbeats: then all clients would be sent to the node that called last.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

MAX_UNVERIFIED = (
    2.0**38
)  # uploads are compared up to here; receipts are at most 2**14, and a float has 53 bits
UNPROVEN = 2.0**36  # more than log2(score) + seconds since 1970 / half-life can be
TIES = 1 << 20  # values of ``tie_break``


class Merits(Protocol):
    """The fields of a ``NodeRecord`` that a strategy may use."""

    @property
    def uploads(self) -> int:
        """Unverified uploads of an unclaimed node."""

    @property
    def receipts(self) -> int:
        """Uploads that their receivers confirmed."""

    @property
    def credit(self) -> int:
        """Bytes that the receipts were for."""

    @property
    def score(self) -> float:
        """Decayed receipts (unverified uploads while there is no receipt), as of ``scored_at``."""

    @property
    def scored_at(self) -> float:
        """Seconds since 1970."""


@dataclass(frozen=True)
class Strategy:
    """A way to rank owners."""

    rank: Callable[[Merits, float], float]  # of merits and a half-life (seconds)
    drawn: bool = False  # owners are drawn at random instead of taken in order


def decayed(score: float, seconds: float, half_life: float) -> float:
    """``score`` after ``seconds`` more: it halves with each ``half_life`` (seconds)."""
    return float(score * 0.5 ** (max(seconds, 0.0) / half_life))


def by_uploads(node: Merits, half_life: float) -> float:
    """The course report's order: most uploads first, verified ones before unverified ones."""
    return -(node.receipts * MAX_UNVERIFIED + min(node.uploads, MAX_UNVERIFIED - 1))


def by_bytes(node: Merits, half_life: float) -> float:
    """Most verified bytes first: an upload of a whole lecture counts more than one of a page."""
    return -float(node.credit)


def by_rate(node: Merits, half_life: float) -> float:
    """Most uploads lately first: last week's uploads count less than today's.

    All scores decay alike, so which of two is larger does not change with time. Compared is therefore what
    each score would have been at time 0, as a logarithm.
    """
    if node.score <= 0:
        return 2 * UNPROVEN
    unproven = 0.0 if node.receipts else UNPROVEN
    return unproven - (math.log2(node.score) + node.scored_at / half_life)


def alike(node: Merits, half_life: float) -> float:
    """All nodes are equally good."""
    return 0.0


def tie_break(node_id: int, salt: int) -> int:
    """The place of a node among those of equal rank: it differs between trackers, by their ``salt``."""
    return (node_id * 647543 + salt) % TIES


def order_number(rank: float, tie: int) -> int:
    """A whole number that sorts as ``(rank, tie)`` does.

    Lists of owners compare it millions of times, and one number is compared faster than a tuple of two. The
    bits of a float (IEEE 754) sort as the float, if those of a negative one are inverted.
    """
    (bits,) = _BITS.unpack(_FLOAT.pack(rank + 0.0))  # -0.0 + 0.0 is 0.0
    return int(bits if bits >= 0 else bits ^ _ALL_BUT_THE_SIGN) * TIES + tie


_FLOAT, _BITS = struct.Struct(">d"), struct.Struct(">q")
_ALL_BUT_THE_SIGN = (1 << 63) - 1


STRATEGIES: dict[str, Strategy] = {
    "uploads": Strategy(by_uploads),
    "rate": Strategy(by_rate),
    "bytes": Strategy(by_bytes),
    "random": Strategy(alike, drawn=True),
}
