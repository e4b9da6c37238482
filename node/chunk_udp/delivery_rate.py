"""How fast do bytes arrive? Delivery rate samples and rounds (draft-cheng-iccrg-delivery-rate-estimation).

A sample divides the bytes that arrived between the sending of a request and its answer by that time. The time
is the longer of two intervals, between the sendings and between the arrivals. So the rate is never higher
than that of the requests, and never higher than that of the arrivals. Answers that arrive in a heap do not
look like a fast link.

A round ends when an answer arrives to a request that was sent after the round began. Pure.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

MIN_ROUND = 0.004  # seconds; over loopback many round trips make one round


class Sent(Protocol):
    """The fields of a sent request that samples need."""

    sent_at: float
    delivered: int  # bytes that had arrived in all when it was sent
    delivered_at: float  # when the last of them arrived
    first_sent_at: float  # when the request for these was sent


class RoundSample(NamedTuple):  # made for nearly every request
    """The measurements of one round."""

    delivered: int  # bytes
    lost: int  # bytes
    rate: float  # bytes a second, the best sample; 0 without one
    app_limited: bool  # the best sample was bounded by a lack of work, not by the path
    lowest_rtt: float  # seconds; infinite if none was measured
    in_flight: int  # bytes outstanding at its end


class DeliveryRate:
    """Counts bytes that arrive. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.delivered = 0
        self._delivered_at = 0.0
        self._first_sent_at = 0.0
        self._round_ends_at = 0  # the round ends with a request that has this ``delivered``
        self._round_since = float("-inf")
        self._round_from = 0  # bytes delivered at its begin
        self._lost = 0
        self._rate = 0.0
        self._app_limited = False
        self._app_limited_until = -1  # bytes delivered; earlier samples show a lack of work
        self._lowest_rtt = float("inf")

    def sent(self, request: Sent, idle: bool, now: float) -> None:
        """``request`` goes out now. ``idle``: no other request is outstanding."""
        if idle:
            self._delivered_at = self._first_sent_at = now
        request.delivered, request.delivered_at = self.delivered, self._delivered_at
        request.first_sent_at = self._first_sent_at

    def mark_app_limited(self, in_flight: int) -> None:
        """The window has room, but there is nothing to request."""
        self._app_limited_until = self.delivered + in_flight

    def lost(self, size: int) -> None:
        """``size`` bytes count as lost. Negative if bytes arrived that had counted as lost."""
        self._lost += size

    def round_trip(self, seconds: float) -> None:
        """A round-trip time was measured."""
        if seconds < self._lowest_rtt:
            self._lowest_rtt = seconds

    def arrived(
        self, size: int, request: Sent, shortest: float, in_flight: int, now: float
    ) -> RoundSample | None:
        """``size`` bytes arrived in answer to ``request``. Returns the round if it ends with them.

        An interval below ``shortest`` seconds gives no rate sample.
        """
        self.delivered += size
        self._delivered_at = now
        sent_at = request.sent_at
        if sent_at > self._first_sent_at:
            self._first_sent_at = sent_at
        interval = max(now - request.delivered_at, sent_at - request.first_sent_at)
        if interval >= shortest and interval > 0:
            rate = (self.delivered - request.delivered) / interval
            if rate > self._rate:
                self._rate, self._app_limited = rate, request.delivered < self._app_limited_until
        if request.delivered < self._round_ends_at or now < self._round_since + MIN_ROUND:
            return None
        return self._end_round(in_flight, now)

    def _end_round(self, in_flight: int, now: float) -> RoundSample:
        self._round_since = now
        ended = RoundSample(
            self.delivered - self._round_from,
            self._lost,
            self._rate,
            self._app_limited,
            self._lowest_rtt,
            in_flight,
        )
        self._round_ends_at = self._round_from = self.delivered
        self._lost, self._rate, self._app_limited, self._lowest_rtt = 0, 0.0, False, float("inf")
        return ended
