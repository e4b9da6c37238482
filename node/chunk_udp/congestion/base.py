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
from typing import NamedTuple, Protocol

from node.chunk_udp.delivery_rate import RoundSample
from node.chunk_udp.loss_recovery import RoundTripTime

PACING_GAIN = 1.25  # as Linux paces: enough to fill the window in every round trip
SHORTEST_TRIP = 0.0001  # seconds; nothing is paced by shorter ones
INITIAL_SEGMENTS = 10  # RFC 6928
MINIMUM_SEGMENTS = 2
TOGETHER_ROUNDS = 4  # rounds after a reduction in which others' losses are the same trouble


class FlowAdvice(NamedTuple):
    """What the access link tells one of the connections that share it."""

    fits: float = 1.0  # part of what the connection believes to be its rate that fits beside the others
    connections: int = 1  # that share it
    congested: bool = False  # another one met congestion since the last report
    resting: bool = False  # all ask for less, to see whether less comes
    wasted: bool | None = None  # after such a rest: whether as much came


class FlowHandle(Protocol):
    """What a controller sees of the access link that all connections of this node share."""

    def report(self, believed: float, arrived: int, queue: bool, congested: bool, now: float) -> FlowAdvice:
        """Believe in ``believed`` bytes a second; ``arrived`` bytes came, through a ``queue`` or not, and
        losses showed it ``congested`` or not.
        """
        ...

    def begin_rest(self, round_trip: float, now: float) -> None:
        """Have all connections ask for less for some round trips, and see what it costs."""
        ...

    def may_probe(self, now: float) -> bool:
        """Whether it is this connection's turn to probe for more; the turn lasts until ``end_probe``."""
        ...

    def end_probe(self) -> None:
        """Somebody else's turn."""
        ...


class CongestionController(ABC):
    """Steers one connection; ``segment_size`` is in bytes of file, all times are monotonic seconds."""

    def __init__(self, segment_size: int) -> None:
        self.segment_size = segment_size
        self.window: float = INITIAL_SEGMENTS * segment_size  # bytes that may be outstanding

    @property
    def minimum_window(self) -> int:
        """Bytes below which ``window`` never falls."""
        return MINIMUM_SEGMENTS * self.segment_size

    def pacing_rate(self, rtt: RoundTripTime) -> float:
        """Bytes a second at which to ask: the window in a bit less than a round trip, so that it fills."""
        return PACING_GAIN * self.window / max(rtt.smoothed, SHORTEST_TRIP)

    @abstractmethod
    def on_received(self, size: int, sent_at: float, rtt: RoundTripTime, now: float, limited: bool) -> None:
        """``size`` bytes asked for at ``sent_at`` arrived; ``rtt`` is up to date.

        ``limited`` says whether the window was what held the connection back: if not, it need not grow.
        """

    def on_round(self, ended: RoundSample, share: FlowHandle, now: float) -> None:  # noqa: B027  # who counts bytes needs none
        """A round trip is over; ``share`` is this connection's view of the access link."""

    @abstractmethod
    def on_lost(self, size: int, sent_at: float, now: float) -> None:
        """``size`` bytes asked for at ``sent_at`` (the latest of them) are held to be lost."""

    @abstractmethod
    def on_persistent_congestion(self, now: float) -> None:
        """Nothing at all came through for several timeouts in a row."""


class LossBased(CongestionController):
    """What ``reno`` and ``cubic`` have in common: the connections of a node together behave like one flow.

    n flows of a node would take n times a stranger's share. So each grows by an n-th of what a flow by itself
    would, and a loss that one of them meets shrinks all, once (the aim of RFC 6356, for one access link).
    """

    def __init__(self, segment_size: int) -> None:
        super().__init__(segment_size)
        self._connections = 1  # of this node, at the last look
        self._slow_start_until = float("inf")  # bytes (ssthresh)
        self._recovery_from = float("-inf")  # losses asked for before this are part of the last reduction
        self._rounds = TOGETHER_ROUNDS  # since the last reduction
        self._lost = False  # anything since the last round

    def on_lost(self, size: int, sent_at: float, now: float) -> None:
        """Shrink once for all that was outstanding."""
        if sent_at > self._recovery_from:
            self._lost = True
            self._shrink(now)

    def on_round(self, ended: RoundSample, share: FlowHandle, now: float) -> None:
        """Tell the others of losses, and hear of theirs."""
        self._rounds += 1
        view = share.report(0.0, ended.delivered, False, self._lost, now)
        self._connections = view.connections
        if view.congested and not self._lost and self._rounds > TOGETHER_ROUNDS:
            self._shrink(now)
        self._lost = False

    def _shrink(self, now: float) -> None:
        self._recovery_from, self._rounds = now, 0
        self.window = max(self._reduced(), self.minimum_window)
        self._slow_start_until = self.window

    @abstractmethod
    def _reduced(self) -> float:
        """The window after a loss, in bytes."""
