"""NewReno (RFC 9002, section 7): one segment more for each round trip, half of it after a loss.

The one that every textbook draws as a sawtooth. Its share falls with the round-trip time and with the square
root of the loss rate (Mathis: about 1.2 segments / (rtt * sqrt(loss))).
"""

from __future__ import annotations

from node.chunk_udp.congestion.base import LossBased
from node.chunk_udp.loss_recovery import RoundTripTime

LEFT_AFTER_LOSS = 0.5  # of the window


class Reno(LossBased):
    """Slow start until the first loss, additive increase and multiplicative decrease afterwards."""

    def on_received(self, size: int, sent_at: float, rtt: RoundTripTime, now: float, limited: bool) -> None:
        """Grow by what arrived in slow start, else by a segment for each window that arrived."""
        if sent_at <= self._recovery_from or not limited:
            return
        if self.window < self._slow_start_until:
            self.window += size
        else:
            self.window += self.segment_size * size / self.window / self._connections

    def _reduced(self) -> float:
        return self.window * LEFT_AFTER_LOSS

    def on_persistent_congestion(self, now: float) -> None:
        """Begin again from the smallest window, in slow start up to half of where it was."""
        self._recovery_from = now
        self._slow_start_until = max(self.window * LEFT_AFTER_LOSS, self.minimum_window)
        self.window = self.minimum_window
