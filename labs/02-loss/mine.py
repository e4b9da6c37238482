"""Lab 2: why UDP loses, and how to send so that it does not.

The receiving program reads ``drain`` bytes a second from its socket's buffer. A datagram that finds the
buffer full is gone, and UDP informs neither side. Sizes are bytes, times seconds.
"""

from __future__ import annotations


def survivors(count: int, size: int, buffer: int, rate: float, drain: float) -> float:
    """How many of ``count`` datagrams arrive that are sent back to back at ``rate`` bytes a second."""
    # answer
    return min(count, buffer / size + count * min(drain / rate, 1))
    # blank
    # return count  # yours
    # end of answer


class Pacer:
    """Decides how many datagrams may be sent now: a token bucket."""

    def __init__(self, size: int, buffer: int, drain: float) -> None:
        self.size = size
        self.buffer = buffer
        self.drain = drain
        # answer
        self.rate = 0.97 * drain / size  # datagrams a second; a little less than what is read
        self.most = 0.5 * buffer / size  # datagrams at once, at most
        self.tokens = 1.0
        self.last = 0.0
        # blank
        # end of answer

    def allow(self, now: float) -> int:
        """How many datagrams to send now. Called again and again, at times that you do not choose."""
        # answer
        self.tokens = min(self.most, self.tokens + (now - self.last) * self.rate)
        self.last = now
        whole = int(self.tokens)
        self.tokens -= whole
        return whole
        # blank
        # return 1000  # yours
        # end of answer
