"""The interface of congestion controllers, and their obligations.

In this protocol the fetcher requests every byte, so the fetcher limits itself. A controller decides how many
bytes may be requested and not yet received (``window``), and how fast to request them (``pacing_rate``). It
is pure: it sees bytes and times as arguments, never a clock or a socket.

A controller of your own is a subclass in a file of your own: ``-use mine.py:MyController``. It needs a
constructor that takes the segment size, ``on_received``, ``on_lost`` and ``on_persistent_congestion``. The
events come in this order, all on the connection's thread:

    on_received              a request was answered in full; many times in a round trip
    on_round                 a round trip is over, with a summary of it
    on_lost                  bytes count as lost
    on_persistent_congestion nothing has come through for several timeouts

Obligations, checked for every controller by one contract suite:

- ``window`` is at least two segments at any time, so a transfer always moves;
- losses among bytes that were requested before the last reduction do not reduce the window again (one
  reduction for one round trip's losses, RFC 9002 section 7.3.1);
- nothing is assumed about the order in which requests are answered.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from node.chunk_udp.congestion.manager import FlowAdvice, FlowHandle
from node.chunk_udp.delivery_rate import RoundSample
from node.chunk_udp.loss_recovery import RoundTripTime

__all__ = ["CongestionController", "FlowAdvice", "FlowHandle", "LossBased", "RoundSample", "RoundTripTime"]

PACING_GAIN = 1.25  # as in Linux: enough to fill the window in every round trip
MIN_PACED_RTT = 0.0001  # seconds; shorter round trips do not raise the rate
INITIAL_SEGMENTS = 10  # RFC 6928
MINIMUM_SEGMENTS = 2  # segments; a transfer always moves, and a loss can be seen
SHARED_LOSS_ROUNDS = 4  # after a reduction, in which losses of our other connections are the same congestion


class CongestionController(ABC):
    """Steers one connection. ``segment_size`` is in bytes of file, times are monotonic seconds."""

    def __init__(self, segment_size: int) -> None:
        self.segment_size = segment_size  # changes when the path MTU search finds another size
        self.window: float = INITIAL_SEGMENTS * segment_size  # bytes that may be outstanding

    @property
    def minimum_window(self) -> int:
        """Bytes below which ``window`` never falls."""
        return MINIMUM_SEGMENTS * self.segment_size

    def pacing_rate(self, rtt: RoundTripTime) -> float:
        """Bytes a second at which to request: the window in a bit less than a round trip."""
        return PACING_GAIN * self.window / max(rtt.smoothed, MIN_PACED_RTT)

    @abstractmethod
    def on_received(
        self, size: int, sent_at: float, rtt: RoundTripTime, now: float, window_limited: bool
    ) -> None:
        """``size`` bytes, requested at ``sent_at``, arrived. ``rtt`` includes them.

        ``window_limited`` is False if the window was far from full: then it need not grow.
        """

    def on_round(self, ended: RoundSample, flow: FlowHandle, now: float) -> None:  # noqa: B027  # optional
        """A round trip is over. ``flow`` connects this controller with the node's other connections."""

    @abstractmethod
    def on_lost(self, size: int, sent_at: float, now: float) -> None:
        """``size`` bytes, the youngest requested at ``sent_at``, count as lost."""

    @abstractmethod
    def on_persistent_congestion(self, now: float) -> None:
        """Nothing has come through for several timeouts in a row."""


class LossBased(CongestionController):
    """The base of ``reno`` and ``cubic``: a node's connections together behave like one flow.

    n connections would take n times the share of another node's single flow. So each grows by an n-th of a
    single flow's growth, and a loss in one of them shrinks all, once. That is the aim of RFC 6356,
    for one access link.
    """

    def __init__(self, segment_size: int) -> None:
        super().__init__(segment_size)
        self._connections = 1  # of this node, at the last report
        self._slow_start_until = float("inf")  # bytes (ssthresh)
        self._recovery_from = float("-inf")  # losses of earlier requests belong to the last reduction
        self._rounds = SHARED_LOSS_ROUNDS  # since the last reduction
        self._lost = False  # since the last round

    def on_lost(self, size: int, sent_at: float, now: float) -> None:
        """Shrink, once for all that was outstanding."""
        if sent_at > self._recovery_from:
            self._lost = True
            self._shrink(now)

    def on_round(self, ended: RoundSample, flow: FlowHandle, now: float) -> None:
        """Report losses to the node's other connections, and react to theirs."""
        self._rounds += 1
        advice = flow.report(0.0, ended.delivered, False, self._lost, now)
        self._connections = advice.connections
        if advice.congested and not self._lost and self._rounds > SHARED_LOSS_ROUNDS:
            self._shrink(now)
        self._lost = False

    def _shrink(self, now: float) -> None:
        self._recovery_from, self._rounds = now, 0
        self.window = max(self._reduced(), self.minimum_window)
        self._slow_start_until = self.window

    @abstractmethod
    def _reduced(self) -> float:
        """The window after a loss, in bytes."""
