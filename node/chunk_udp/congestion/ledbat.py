"""LEDBAT (RFC 6817), the background transfer: makes way as soon as others build a queue.

It holds the queueing delay near a target well below what TCP causes: the window grows while the queue is
shorter than the target, and shrinks, in proportion, while it is longer. What BitTorrent's uTP uses.

The RFC measures one-way delays by timestamps; here it is the round trip over its least lately, which also
counts the queue of our small requests. As LEDBAT++ does, the window shrinks by more than it grows, and every
now and then it lets the queue run empty for a moment, so that a queue of its own making is not taken for the
path's length by those who join later.
"""

from __future__ import annotations

from node.chunk_udp.congestion.base import CongestionController, FlowHandle
from node.chunk_udp.delivery_rate import RoundSample
from node.chunk_udp.loss_recovery import RoundTripTime

TARGET = 0.025  # seconds of queue; the RFC allows up to 0.1, LEDBAT++ takes 0.06: a short queue must do, too
GAIN = 1.0  # segments a round trip without any queue
BASE_SECONDS = 60.0  # for which a least round trip is believed
BETA = 0.5  # what is left of the window after a loss
SLOWDOWN_EVERY = 9  # times as long as a slowdown took passes before the next one (LEDBAT++)
SLOWDOWN_ROUNDS = 2


class Ledbat(CongestionController):
    """Delay first; losses halve the window as for everybody else."""

    def __init__(self, segment_size: int) -> None:
        super().__init__(segment_size)
        self._slow_start = True
        self._recovery_from = float("-inf")  # losses asked for before this are part of the last reduction
        self._bases: list[tuple[float, float]] = []  # (when, seconds): candidates for the least round trip
        self._before_slowdown = 0.0  # bytes: the window to come back to; 0 if there is none
        self._slowdown_rounds = 0
        self._slowdown_at: float | None = None
        self._slowdown_began = 0.0

    def on_received(self, size: int, sent_at: float, rtt: RoundTripTime, now: float, limited: bool) -> None:
        """Steer towards the target by what the latest round trip says of the queue."""
        if not self._bases or self._slowdown_rounds or sent_at <= self._recovery_from:
            return
        off_target = 1 - (rtt.latest - self._bases[0][1]) / TARGET
        if self._slow_start and off_target > 0.25:
            if limited:
                self.window += size
            return
        self._slow_start = False
        share = size / self.window
        if off_target > 0:
            if limited:
                self.window += GAIN * off_target * share * self.segment_size
        else:
            shrink = max(off_target, -1.0) * share * self.window / 2
            self.window = max(self.window + shrink, self.minimum_window)

    def on_round(self, ended: RoundSample, share: FlowHandle, now: float) -> None:
        """Learn the least round trip; slow down when it is time."""
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
        """Halve, once for all that was outstanding."""
        self._slow_start = False
        if sent_at <= self._recovery_from or self._slowdown_rounds:
            return
        self._recovery_from = now
        self.window = max(self.window * BETA, self.minimum_window)

    def on_persistent_congestion(self, now: float) -> None:
        """Begin again from the smallest window."""
        self._recovery_from, self._slow_start, self._slowdown_rounds = now, False, 0
        self.window = self.minimum_window
