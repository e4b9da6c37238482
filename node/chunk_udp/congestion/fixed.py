"""A constant window, whatever the network does: the course report's way, made finite.

The report sends a whole chunk at once; here 32 segments may be under way. It shows what happens without
congestion control: fast on an idle loopback, unfair and lossy on any shared link.
"""

from __future__ import annotations

from node.chunk_udp.congestion.base import CongestionController
from node.chunk_udp.loss_recovery import RoundTripTime

WINDOW_SEGMENTS = 32  # segments, whatever the path


class Fixed(CongestionController):
    """Ignores all events."""

    def __init__(self, segment_size: int) -> None:
        super().__init__(segment_size)
        self.window = WINDOW_SEGMENTS * segment_size

    def pacing_rate(self, rtt: RoundTripTime) -> float:
        """Infinite: no pacing."""
        return float("inf")

    def on_received(
        self, size: int, sent_at: float, rtt: RoundTripTime, now: float, window_limited: bool
    ) -> None:
        """Ignored."""

    def on_lost(self, size: int, sent_at: float, now: float) -> None:
        """Ignored."""

    def on_persistent_congestion(self, now: float) -> None:
        """Ignored."""
