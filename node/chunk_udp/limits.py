"""A rate that is kept: the token bucket behind ``-up`` and ``-down``. Pure: time is an argument.

In any window of T seconds at most ``rate * T + depth`` bytes are allowed, and the depth is BURST of a
second's: so over any second the limit is kept within BURST. What was allowed and not used is lost, but for
the depth: a thread may come that late and lose nothing.
"""

from __future__ import annotations

from node.chunk_udp import wire

BURST = 0.03  # seconds' worth of bytes that may go at once; 0.05 are promised, headers of IP and UDP included
SHARE_OF_BURST = 3  # datagrams that fit into the depth, at least where that does not make them too small
SMALLEST_LIMIT = 16_000  # bytes a second; of less, one datagram of MIN_SEGMENT would be more than BURST


class RateLimit:
    """``rate`` bytes a second, or None: no limit at all. All times are monotonic seconds.

    ValueError for less than SMALLEST_LIMIT.
    """

    def __init__(self, rate: int | None, now: float) -> None:
        if rate is not None and rate < SMALLEST_LIMIT:
            raise ValueError(f"{rate} bytes a second, less than {SMALLEST_LIMIT}")
        self.rate = rate
        self.depth = 0 if rate is None else max(int(rate * BURST), wire.MIN_SEGMENT + wire.HEADER_SIZE)
        self.largest_datagram = self._largest_datagram()  # bytes, so that it fits well into the depth
        self._saved = float(self.depth)  # bytes; below 0 after what could not wait
        self._at = now

    def allowed(self, now: float) -> int | None:
        """Bytes that may go now, 0 or more; None: as many as you like."""
        if self.rate is None:
            return None
        self._save(now)
        return max(0, int(self._saved + 0.5))  # half a byte, so that ``wait`` has always been long enough

    def spend(self, size: int, now: float) -> None:
        """``size`` bytes go now. More than is allowed is a debt, which what comes later pays back."""
        if self.rate is not None:
            self._save(now)
            self._saved -= size

    def wait(self, size: int, now: float) -> float:
        """Seconds until ``size`` bytes may go, at most the depth; 0: now."""
        if self.rate is None:
            return 0.0
        self._save(now)
        return max(0.0, (min(size, self.depth) - self._saved) / self.rate)

    def _largest_datagram(self) -> int:
        if self.rate is None:
            return wire.MAX_DATAGRAM
        usual = min(self.depth, wire.SMALL_SEGMENT + wire.HEADER_SIZE)
        return min(wire.MAX_DATAGRAM, max(usual, self.depth // SHARE_OF_BURST))

    def _save(self, now: float) -> None:
        assert self.rate is not None
        if now > self._at:
            self._saved = min(float(self.depth), self._saved + (now - self._at) * self.rate)
            self._at = now
