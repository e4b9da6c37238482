"""How large a segment does the path carry? Tried out, upward, as RFC 8899 does for datagrams.

Begin with what every path carries, then ask for single segments of larger sizes: the largest that our own
link allows first, then what is known of tunnels and other links on the way. One that arrives is the new size.
One that is lost MAX_PROBES times is too large for this path; its loss is no congestion. When nothing comes
any more at a size that used to work, the path may have changed: fall back, and search again.
"""

from __future__ import annotations

from node.chunk_udp import wire

MAX_PROBES = 3  # lost probes of a size after which it counts as too large (RFC 8899, 5.1.2)
OVERHEAD = 28 + wire.HEADER_SIZE  # bytes that IPv4, UDP and our header take of an MTU
MTUS = (
    9000,
    4352,
    2002,
    1500,
    1492,
    1480,
    1454,
    1420,
    1400,
    1280,
)  # of real links and tunnels (RFC 1191, 7.1)


class PathMtuSearch:
    """Sizes are bytes of file in a segment. ``size`` is known to work, or the least there is."""

    def __init__(self, size: int, largest: int) -> None:
        self.size = size
        self._largest = largest
        self._open = self._sizes()  # still to be tried, largest first
        self._tries = 0
        self.sequence: int | None = None  # the request that tries ``_open[0]``, while it is under way

    def _sizes(self) -> list[int]:
        known = (mtu - OVERHEAD for mtu in MTUS)
        return [size for size in (self._largest, *known) if self.size < size <= self._largest]

    @property
    def wanted(self) -> int | None:
        """The size to try now; None if there is none, or a trial is under way."""
        return self._open[0] if self._open and self.sequence is None else None

    def tries(self, sequence: int) -> None:
        """Request ``sequence`` tries the size wanted."""
        self.sequence = sequence

    def arrived(self, size: int) -> bool:
        """A segment of ``size`` answers the trial; whether it is as large as was wanted."""
        self.sequence = None
        if size < self._open[0]:  # the owner cannot send such segments, or will not
            self._too_large()
            return False
        self.size, self._open, self._tries = size, [], 0
        return True

    def unanswered(self) -> None:
        """The trial will not be answered, for another reason than its size."""
        self.sequence = None

    def lost(self) -> None:
        """The trial got lost."""
        self.sequence = None
        self._tries += 1
        if self._tries == MAX_PROBES:
            self._too_large()

    def _too_large(self) -> None:
        tried = self._open[0]
        self._open, self._tries = [size for size in self._open if size < tried], 0

    def on_black_hole(self) -> bool:
        """Nothing comes at this size any more; False if it is the least already."""
        if self.size <= wire.SMALL_SEGMENT:
            return False
        self.size = max(wire.SMALL_SEGMENT, self.size // 4)
        self._open, self._tries, self.sequence = self._sizes(), 0, None
        return True
