"""How fast does it arrive? Delivery rates and round trips, from the requests' own records.

A sample compares what has arrived between the sending of a request and its answer with the time that took
(draft-cheng-iccrg-delivery-rate-estimation): neither faster than it was asked for, nor faster than it came,
so that answers that arrive in a heap do not count as a fast link. A round ends when something comes that was
asked for after its begin.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

SHORTEST_ROUND = 0.004  # seconds; over loopback many round trips make one round, which is learned enough


class Sent(Protocol):
    """What is recorded with each request for the sake of samples."""

    sent_at: float
    delivered: int  # bytes that had arrived in all when it was sent
    delivered_at: float  # when the last of them did
    first_sent_at: float  # when what arrived then had been sent


class RoundSample(NamedTuple):  # made for nearly every request
    """What one round trip brought."""

    delivered: int  # bytes
    lost: int  # bytes
    rate: float  # bytes a second, the best sample; 0 without one
    limited: bool  # whether the best sample was held back by a lack of work instead of by the path
    lowest_rtt: float  # seconds; infinite if none was measured
    in_flight: int  # bytes outstanding at its end


class DeliveryRate:
    """Counts what arrives, in bytes; all times are monotonic seconds."""

    def __init__(self) -> None:
        self.delivered = 0
        self._delivered_at = 0.0
        self._first_sent_at = 0.0
        self._round_ends_at = 0  # when something asked for with this much delivered arrives
        self._round_since = float("-inf")
        self._round_from = 0  # bytes delivered at its begin
        self._lost = 0
        self._rate = 0.0
        self._limited = False
        self._limited_until = -1  # bytes delivered: up to there a lack of work shows in the samples
        self._lowest_rtt = float("inf")

    def sent(self, request: Sent, idle: bool, now: float) -> None:
        """``request`` goes out now; ``idle``: with nothing else outstanding."""
        if idle:
            self._delivered_at = self._first_sent_at = now
        request.delivered, request.delivered_at = self.delivered, self._delivered_at
        request.first_sent_at = self._first_sent_at

    def mark_app_limited(self, in_flight: int) -> None:
        """More might have been asked for, but there was nothing to ask for."""
        self._limited_until = self.delivered + in_flight

    def lost(self, size: int) -> None:
        """``size`` bytes are held to be lost."""
        self._lost += size

    def round_trip(self, seconds: float) -> None:
        """A round trip was measured."""
        if seconds < self._lowest_rtt:
            self._lowest_rtt = seconds

    def arrived(
        self, size: int, request: Sent, shortest: float, in_flight: int, now: float
    ) -> RoundSample | None:
        """``size`` bytes came that ``request`` asked for: the round that ended with them, if one did.

        They show a rate, too, unless that is one over less than ``shortest`` seconds.
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
                self._rate, self._limited = rate, request.delivered < self._limited_until
        if request.delivered < self._round_ends_at or now < self._round_since + SHORTEST_ROUND:
            return None
        return self._end_round(in_flight, now)

    def _end_round(self, in_flight: int, now: float) -> RoundSample:
        self._round_since = now
        ended = RoundSample(
            self.delivered - self._round_from,
            self._lost,
            self._rate,
            self._limited,
            self._lowest_rtt,
            in_flight,
        )
        self._round_ends_at = self._round_from = self.delivered
        self._lost, self._rate, self._limited, self._lowest_rtt = 0, 0.0, False, float("inf")
        return ended
