"""How large a segment does the path carry? Probed upward, as RFC 8899 (DPLPMTUD) does for datagrams. Pure.

A connection begins with a size that every path carries. Then it requests single segments of larger sizes:
first the largest that our own link allows, then the sizes of known tunnels and links. A probe that arrives
sets the size. A size is too large for the path if its probe is lost MAX_PROBES times. A lost
probe is no sign of congestion.

If no segment of a proven size arrives any more, the path may have changed (a black hole, section 4.3): the
size shrinks, and the search begins again.
"""

from __future__ import annotations

from node.chunk_udp import wire

MAX_PROBES = 3  # lost probes of a size after which it counts as too large (RFC 8899, section 5.1.2)
BLACK_HOLE_DIVISOR = 4  # of the size, after a black hole
OVERHEAD = 28 + wire.HEADER_SIZE  # bytes that IPv4, UDP and our header take of an MTU
MTUS = (9000, 4352, 2002, 1500, 1492, 1480, 1454, 1420, 1400, 1280)  # of links and tunnels (RFC 1191, 7.1)


class PathMtuSearch:
    """Sizes are bytes of file in a segment. ``size`` is proven, or the smallest that there is."""

    def __init__(self, size: int, largest: int) -> None:
        self.size = size
        self._largest = largest
        self._candidates = self._sizes()  # largest first
        self._lost = 0  # probes of the first candidate
        self.sequence: int | None = None  # of the request that probes the first candidate, while under way

    def _sizes(self) -> list[int]:
        known = (mtu - OVERHEAD for mtu in MTUS)
        return [size for size in (self._largest, *known) if self.size < size <= self._largest]

    @property
    def wanted(self) -> int | None:
        """The size to probe now; None at the end of the search, or while a probe is under way."""
        return self._candidates[0] if self._candidates and self.sequence is None else None

    def probe_sent(self, sequence: int) -> None:
        """Request ``sequence`` probes the wanted size."""
        self.sequence = sequence

    def probe_arrived(self, size: int) -> bool:
        """A segment of ``size`` answers the probe. True if it is as large as was wanted."""
        self.sequence = None
        if size < self._candidates[0]:  # the owner cannot or will not send such segments
            self._give_up_size()
            return False
        self.size, self._candidates, self._lost = size, [], 0
        return True

    def probe_cancelled(self) -> None:
        """The probe will not be answered, for another reason than its size."""
        self.sequence = None

    def probe_lost(self) -> None:
        """The probe was lost."""
        self.sequence = None
        self._lost += 1
        if self._lost == MAX_PROBES:
            self._give_up_size()

    def _give_up_size(self) -> None:
        too_large = self._candidates[0]
        self._candidates, self._lost = [size for size in self._candidates if size < too_large], 0

    def on_black_hole(self) -> bool:
        """No segment of this size arrives any more. False if it is the smallest already."""
        if self.size <= wire.SMALL_SEGMENT:
            return False
        self.size = max(wire.SMALL_SEGMENT, self.size // BLACK_HOLE_DIVISOR)
        self._candidates, self._lost, self.sequence = self._sizes(), 0, None
        return True
