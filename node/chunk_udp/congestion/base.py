"""What every congestion controller owes the connection that it steers.

The fetcher asks, so the fetcher limits: a controller says how many bytes may be asked for and not yet
received. It is pure: it sees bytes and times that it is handed, never a clock or a socket.

Obligations, checked for all of them by one contract suite:

- ``window`` is at least two segments at any time, so that a transfer always moves;
- losses that were requested before the last reduction do not reduce the window again (one reduction for
  one round trip's losses, RFC 9002 section 7.3.1);
- nothing is assumed about the order in which requests are answered.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

INITIAL_SEGMENTS = 10  # RFC 6928
MINIMUM_SEGMENTS = 2


class CongestionController(ABC):
    """Steers one connection; ``segment_size`` is in bytes of file, all times are monotonic seconds."""

    def __init__(self, segment_size: int) -> None:
        self.segment_size = segment_size
        self.window: float = INITIAL_SEGMENTS * segment_size  # bytes that may be outstanding

    @property
    def minimum_window(self) -> int:
        """Bytes below which ``window`` never falls."""
        return MINIMUM_SEGMENTS * self.segment_size

    @abstractmethod
    def on_received(self, size: int, sent_at: float, rtt: float, now: float, limited: bool) -> None:
        """``size`` bytes asked for at ``sent_at`` arrived; ``rtt`` is the smoothed round-trip time.

        ``limited`` says whether the window was what held the connection back: if not, it need not grow.
        """

    @abstractmethod
    def on_lost(self, size: int, sent_at: float, now: float) -> None:
        """``size`` bytes asked for at ``sent_at`` (the latest of them) are held to be lost."""

    @abstractmethod
    def on_persistent_congestion(self, now: float) -> None:
        """Nothing at all came through for several timeouts in a row."""
