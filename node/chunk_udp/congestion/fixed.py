"""The course report's way, made finite: always the same amount outstanding, whatever the network says.

The report sends a whole chunk at once; here 32 segments may be under way. Kept to show what happens
without congestion control: fine on an idle loopback, unfair and lossy on anything shared.
"""

from __future__ import annotations

from node.chunk_udp.congestion.base import CongestionController
from node.chunk_udp.loss_recovery import RoundTripTime

WINDOW_SEGMENTS = 32


class Fixed(CongestionController):
    """A constant window."""

    def __init__(self, segment_size: int) -> None:
        super().__init__(segment_size)
        self.window = WINDOW_SEGMENTS * segment_size

    def pacing_rate(self, rtt: RoundTripTime) -> float:
        """All at once."""
        return float("inf")

    def on_received(self, size: int, sent_at: float, rtt: RoundTripTime, now: float, limited: bool) -> None:
        """Nothing is learned."""

    def on_lost(self, size: int, sent_at: float, now: float) -> None:
        """Nothing is learned."""

    def on_persistent_congestion(self, now: float) -> None:
        """Nothing is learned."""
