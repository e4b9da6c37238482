"""NewReno (RFC 9002, section 7): one more segment for each round trip, half the window after a loss.

The sawtooth of every textbook. Its share falls with the round-trip time and with the square root of the loss
rate (Mathis et al., 1997: about 1.2 segments / (rtt * sqrt(loss))).
"""

from __future__ import annotations

from node.chunk_udp.congestion.base import LossBased
from node.chunk_udp.loss_recovery import RoundTripTime

LOSS_REDUCTION_FACTOR = 0.5  # of the window that is left after a loss (kLossReductionFactor)


class Reno(LossBased):
    """Slow start until the first loss, then additive increase and multiplicative decrease."""

    def on_received(
        self, size: int, sent_at: float, rtt: RoundTripTime, now: float, window_limited: bool
    ) -> None:
        """Grow by ``size`` in slow start, else by a segment for each window that arrived."""
        if sent_at <= self._recovery_from or not window_limited:
            return
        if self.window < self._slow_start_until:
            self.window += size
        else:
            self.window += self.segment_size * size / self.window / self._connections

    def _reduced(self) -> float:
        return self.window * LOSS_REDUCTION_FACTOR

    def on_persistent_congestion(self, now: float) -> None:
        """Restart from the smallest window, in slow start up to half of the window before."""
        self._recovery_from = now
        self._slow_start_until = max(self.window * LOSS_REDUCTION_FACTOR, self.minimum_window)
        self.window = self.minimum_window
