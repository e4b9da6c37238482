"""CUBIC (RFC 9438): after a loss the window grows back along a cubic curve of the time since.

The curve is concave up to the window of the last loss, has a plateau there, then is convex to look for more.
It depends on time, not on round trips, so connections of different round-trip times share a link more fairly.
"""

from __future__ import annotations

from node.chunk_udp.congestion.base import LossBased
from node.chunk_udp.loss_recovery import RoundTripTime

C = 0.4  # segments per second cubed: the steepness of the curve (RFC 9438, section 5)
BETA = 0.7  # of the window that is left after a loss
ALPHA = 3 * (1 - BETA) / (1 + BETA)  # additive increase that gives Reno's share with this BETA


class Cubic(LossBased):
    """Window in bytes inside; the curve is computed in segments, as the RFC writes it."""

    def __init__(self, segment_size: int) -> None:
        super().__init__(segment_size)
        self._epoch: float | None = None  # when the current curve began
        self._w_max = 0.0  # segments: the window before the last reduction
        self._w_prior = 0.0  # segments: the window at the last reduction
        self._k = 0.0  # seconds from the begin of the curve to its plateau
        self._w_est = 0.0  # segments: the window that Reno would have by now

    def on_received(
        self, size: int, sent_at: float, rtt: RoundTripTime, now: float, window_limited: bool
    ) -> None:
        """Grow by ``size`` in slow start, along the curve afterwards."""
        if sent_at <= self._recovery_from or not window_limited:
            return
        if self.window < self._slow_start_until:
            self.window += size
            return
        if self._epoch is None:
            self._start_curve(now)
        assert self._epoch is not None
        segments = self.window / self.segment_size
        steepness = C / self._connections  # all connections of the node together follow one curve
        target = steepness * (now - self._epoch + rtt.smoothed - self._k) ** 3 + self._w_max
        target = min(max(target, segments), 1.5 * segments)
        alpha = ALPHA if self._w_est < self._w_prior else 1.0  # section 4.3
        self._w_est += alpha * size / self.window / self._connections
        grown = segments + (target - segments) / segments * (size / self.segment_size)
        self.window = max(grown, self._w_est) * self.segment_size

    def _start_curve(self, now: float) -> None:
        segments = self.window / self.segment_size
        self._epoch = now
        self._w_est = segments
        if self._w_max <= segments:
            self._w_max, self._k = segments, 0.0
        else:
            self._k = ((self._w_max - segments) * self._connections / C) ** (1 / 3)

    def _reduced(self) -> float:
        """Remember the window that was too large."""
        segments = self.window / self.segment_size
        self._w_prior = segments
        # Fast convergence (section 4.7): a loss below the last peak shows a new flow. Leave room for it.
        self._w_max = segments * (1 + BETA) / 2 if segments < self._w_max else segments
        self._epoch = None
        return self.window * BETA

    def on_persistent_congestion(self, now: float) -> None:
        """Restart from the smallest window, in slow start up to a fraction of the window before."""
        self._recovery_from = now
        self._w_prior = self.window / self.segment_size
        self._slow_start_until = max(self.window * BETA, self.minimum_window)
        self.window = self.minimum_window
        self._epoch = None
