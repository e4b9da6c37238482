"""LEDBAT (RFC 6817), a background transfer: it makes way as soon as other flows build a queue.

It holds the queueing delay near a target well below the delay that TCP causes. The window grows while the
queue is shorter than the target, and shrinks in proportion while it is longer. BitTorrent's uTP uses it.

The RFC measures one-way delays by timestamps. Here the delay is the round trip beyond the shortest of the
last minute, which also counts the queue of our small requests. Two parts are from LEDBAT++
(draft-irtf-iccrg-ledbat-plus-plus): the window shrinks faster than it grows, and from time to time the queue
runs empty for a moment. Otherwise a flow that joins later would take the queue for a part of the path.
"""

from __future__ import annotations

from node.chunk_udp.congestion.base import CongestionController, FlowHandle
from node.chunk_udp.delivery_rate import RoundSample
from node.chunk_udp.loss_recovery import RoundTripTime

TARGET = 0.025  # seconds of queue; the RFC allows 0.1, LEDBAT++ has 0.06, but links with short queues exist
GAIN = 1.0  # segments in a round trip without any queue
BASE_SECONDS = 60.0  # for which a shortest round trip is remembered
BETA = 0.5  # of the window that is left after a loss
SLOWDOWN_EVERY = 9  # times its duration, after which the next slowdown begins (LEDBAT++)
SLOWDOWN_ROUNDS = 2  # rounds: one empties the queue, one measures the path


class Ledbat(CongestionController):
    """Reacts to delay first; losses halve the window as in other controllers."""

    def __init__(self, segment_size: int) -> None:
        super().__init__(segment_size)
        self._slow_start = True
        self._recovery_from = float("-inf")  # losses of earlier requests belong to the last reduction
        self._bases: list[tuple[float, float]] = []  # (when, seconds): candidates for the shortest
        self._before_slowdown = 0.0  # bytes: the window to return to, or 0
        self._slowdown_rounds = 0
        self._slowdown_at: float | None = None
        self._slowdown_began = 0.0

    def on_received(
        self, size: int, sent_at: float, rtt: RoundTripTime, now: float, window_limited: bool
    ) -> None:
        """Steer towards the target by the latest round trip."""
        if not self._bases or self._slowdown_rounds or sent_at <= self._recovery_from:
            return
        off_target = 1 - (rtt.latest - self._bases[0][1]) / TARGET
        if self._slow_start and off_target > 0.25:
            if window_limited:
                self.window += size
            return
        self._slow_start = False
        fraction = size / self.window
        if off_target > 0:
            if window_limited:
                self.window += GAIN * off_target * fraction * self.segment_size
        else:
            shrink = max(off_target, -1.0) * fraction * self.window / 2
            self.window = max(self.window + shrink, self.minimum_window)

    def on_round(self, ended: RoundSample, flow: FlowHandle, now: float) -> None:
        """Update the shortest round trip; slow down when it is time."""
        if ended.lowest_rtt < float("inf"):
            lowest = ended.lowest_rtt
            kept = [(t, r) for t, r in self._bases if t > now - BASE_SECONDS and r < lowest]
            self._bases = [*kept, (now, lowest)]
        self._slow_down(now)

    def _slow_down(self, now: float) -> None:
        if self._slowdown_rounds:
            self._slowdown_rounds -= 1
            if not self._slowdown_rounds:
                self.window = max(self._before_slowdown, self.minimum_window)
                self._slowdown_at = now + SLOWDOWN_EVERY * (now - self._slowdown_began)
        elif self._slow_start:
            return
        elif self._slowdown_at is None or now >= self._slowdown_at:
            self._before_slowdown, self._slowdown_began = self.window, now
            self._slowdown_rounds = SLOWDOWN_ROUNDS
            self.window = self.minimum_window

    def on_lost(self, size: int, sent_at: float, now: float) -> None:
        """Halve the window, once for all that was outstanding."""
        self._slow_start = False
        if sent_at <= self._recovery_from or self._slowdown_rounds:
            return
        self._recovery_from = now
        self.window = max(self.window * BETA, self.minimum_window)

    def on_persistent_congestion(self, now: float) -> None:
        """Restart from the smallest window."""
        self._recovery_from, self._slow_start, self._slowdown_rounds = now, False, 0
        self.window = self.minimum_window
