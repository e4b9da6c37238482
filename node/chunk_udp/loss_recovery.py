"""When is a request lost? Round-trip times and requests in flight, in the shape of RFC 9002. Pure.

The fetcher puts all bytes that it requests on one line, the *stream*: the first request covers stream bytes
``[0, n)``, the next ``[n, m)``, whatever bytes of the file they are. The owner answers in order. So when
stream byte P arrives, missing bytes well before P are lost. "Well before" has two meanings (section 6.1):

    more than ``_packet_threshold`` segments before P, or
    requested longer ago than ``_time_threshold`` round trips, and anything after them has arrived

Silence alone proves nothing: the answers may still be under way. After a probe timeout (section 6.2) the
connection requests the oldest bytes again. The answer to that probe lies later in the stream, so it shows
what before it is lost.

A path that reorders looks lossy at first. When bytes arrive that had counted as lost, both thresholds grow
(``on_spurious_loss``), up to a limit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from common.ranges import RangeSet

GRANULARITY = 0.001  # seconds; no timer is finer (RFC 9002, section 6.1.2)
TIME_THRESHOLD = 9 / 8  # round trips (section 6.1.2)
PACKET_THRESHOLD = 3  # segments (section 6.1.1)
MAX_PACKET_THRESHOLD = 64  # segments; where a path reorders
MAX_TIME_THRESHOLD = 2.0  # round trips; where a path reorders
INITIAL_RTT = 0.333  # seconds, before anything was measured (section 6.2.2)
MAX_RESPONSE_DELAY = 0.020  # seconds that the owner's process may be held up (max_ack_delay in RFC 9002)
MAX_PROBE_TIMEOUT = 0.25  # seconds; a single timeout may be longer on a slow path


class RoundTripTime:
    """Smoothed round-trip time and its variation, in seconds (RFC 6298, RFC 9002 section 5)."""

    def __init__(self) -> None:
        self.latest = 0.0
        self.smoothed = INITIAL_RTT
        self.variation = INITIAL_RTT / 2
        self.minimum = float("inf")

    def __repr__(self) -> str:
        return f"RoundTripTime(smoothed={self.smoothed:.6f}, minimum={self.minimum:.6f})"

    @property
    def measured(self) -> bool:
        """True after the first sample."""
        return self.minimum != float("inf")

    def sample(self, seconds: float) -> None:
        """A round trip took ``seconds``."""
        self.latest = seconds
        if seconds < self.minimum:
            if not self.measured:
                self.minimum = self.smoothed = seconds
                self.variation = seconds / 2
                return
            self.minimum = seconds
        self.variation += (abs(self.smoothed - seconds) - self.variation) / 4
        self.smoothed += (seconds - self.smoothed) / 8

    def probe_timeout(self, probes: int) -> float:
        """Seconds of silence after which to probe, doubled for each probe that stayed unanswered."""
        timeout = self.smoothed + max(4 * self.variation, GRANULARITY) + MAX_RESPONSE_DELAY
        limit = max(MAX_PROBE_TIMEOUT, timeout)
        return float(min(timeout * 2 ** min(probes, 16), limit))


@dataclass(slots=True)
class SentRequest:
    """One REQUEST under way: bytes ``[start, end)`` of the file, at ``position`` of the stream.

    While its bytes arrive in order, ``[next, end)`` is missing, and no set of ranges is needed.
    """

    sequence: int
    position: int
    start: int
    end: int
    sent_at: float
    next: int = field(init=False)  # the first byte that is missing, as long as all came in order
    ranges: RangeSet | None = None  # the missing bytes, once some came out of order
    answered: bool = False  # a part of it arrived
    complete: bool = False  # nothing of it is missing
    rare_only: bool = False  # the owner may refuse it with NOT_RARE
    delivered: int = 0  # see ``delivery_rate.Sent``
    delivered_at: float = 0.0
    first_sent_at: float = 0.0

    def __post_init__(self) -> None:
        self.next = self.start

    @property
    def missing(self) -> RangeSet:
        """The missing bytes, kept as ranges from now on."""
        if self.ranges is None:
            self.ranges = RangeSet([(self.next, self.end)])
        return self.ranges

    @property
    def first_missing(self) -> int:
        """The first missing byte, or ``end``."""
        if self.ranges is None:
            return self.next
        return self.ranges.first if self.ranges else self.end

    def stream_position(self, offset: int) -> int:
        """The position of the file's byte ``offset`` in the stream."""
        return self.position + offset - self.start


class LossCause(NamedTuple):
    """Why a range of ``request`` counts as lost. ``segments``: the packet threshold; None: by time."""

    request: SentRequest
    segments: int | None


@dataclass(frozen=True)
class Lost:
    """Bytes that count as lost now."""

    ranges: tuple[tuple[int, int], ...]
    latest_sent_at: float  # when the youngest of these requests was sent
    causes: tuple[LossCause, ...] = field(default=(), compare=False)  # of each range

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(end - start for start, end in self.ranges)


class InFlight:
    """All bytes that were requested, have not arrived and are not given up, in the order of the stream."""

    def __init__(self) -> None:
        self.requests: dict[int, SentRequest] = {}  # by sequence; insertion order is stream order
        self.bytes = 0
        self.next_sequence = 1
        self.loss_time: float | None = None  # when the time threshold will next call bytes lost
        self._packet_threshold = PACKET_THRESHOLD  # segments
        self._time_threshold = TIME_THRESHOLD  # round trips
        self._stream = 0  # position of the next request
        self._arrived_up_to = 0  # the highest position that arrived

    def send(self, start: int, end: int, now: float) -> SentRequest:
        """Record a request for bytes ``[start, end)`` that is sent now."""
        sequence, size = self.next_sequence, end - start
        request = self.requests[sequence] = SentRequest(sequence, self._stream, start, end, now)
        self.next_sequence = sequence + 1
        self._stream += size
        self.bytes += size
        return request

    def arrive_in_order(self, sequence: int, start: int, end: int) -> SentRequest | None:
        """The fast path: ``[start, end)`` are exactly the next bytes of the stream, and nothing is missing.

        Returns their request. None in all other cases: then ``arrive`` and ``find_lost`` decide. Without a
        gap ``find_lost`` could find nothing.
        """
        request = self.requests.get(sequence)
        if (
            request is None
            or self.loss_time is not None
            or request.position + start - request.start != self._arrived_up_to
        ):
            return None
        if request.ranges is not None:
            if not request.ranges.advance(start, end):
                return None
            request.complete = not request.ranges
        elif start == request.next and end <= request.end:
            request.next = end
            request.complete = end == request.end
        else:
            return None
        self._arrived_up_to += end - start
        self.bytes -= end - start
        if request.complete:
            del self.requests[sequence]
        return request

    def arrive(self, request: SentRequest, start: int, end: int) -> list[tuple[int, int]]:
        """Bytes ``[start, end)`` arrived for ``request``. Returns the missing part of them."""
        self._arrived_up_to = max(self._arrived_up_to, request.stream_position(end))
        return self._remove(request, start, end)

    def find_lost(self, segment_size: int, rtt: RoundTripTime, now: float) -> Lost | None:
        """Remove and return the bytes that are lost now, by either threshold. Sets ``loss_time``."""
        self.loss_time = None
        lost_before = self._arrived_up_to - self._packet_threshold * segment_size
        delay = max(self._time_threshold * max(rtt.smoothed, rtt.latest), GRANULARITY)
        ranges: list[tuple[int, int]] = []
        causes: list[LossCause] = []
        latest = 0.0
        arrived_up_to = self._arrived_up_to
        for request in tuple(self.requests.values()):
            if request.stream_position(request.first_missing) >= arrived_up_to:
                break  # nothing after it arrived: the answer may still be under way
            segments = None if request.sent_at + delay <= now else self._packet_threshold
            horizon = arrived_up_to if segments is None else lost_before
            gone = self._remove(request, request.start, request.start + horizon - request.position)
            if gone:
                ranges += gone
                causes += [LossCause(request, segments)] * len(gone)
                latest = max(latest, request.sent_at)
            first = request.first_missing
            if (
                self.loss_time is None
                and request.stream_position(first) < self._arrived_up_to
                and first < request.end
            ):
                self.loss_time = request.sent_at + delay
        return Lost(tuple(ranges), latest, tuple(causes)) if ranges else None

    def _remove(self, request: SentRequest, start: int, end: int) -> list[tuple[int, int]]:
        """Wait no longer for ``[start, end)`` of ``request``. Returns the part that was missing."""
        gone = request.missing.cut(start, end)
        for s, e in gone:
            self.bytes -= e - s
        if not request.missing:
            request.complete = True
            self.requests.pop(request.sequence, None)
        return gone

    def take_back(self, start: int, end: int) -> list[tuple[int, int]]:
        """Wait no longer for ``[start, end)``, in any request. Returns the part that was outstanding."""
        overlapping = [r for r in self.requests.values() if r.start < end and start < r.end]
        return [span for request in overlapping for span in self._remove(request, start, end)]

    def oldest(self, limit: int) -> tuple[int, int] | None:
        """The oldest missing range, at most ``limit`` bytes of it; None if nothing is outstanding."""
        for request in self.requests.values():
            start, end = next(iter(request.missing))
            return start, min(end, start + limit)
        return None

    def on_spurious_loss(self) -> None:
        """Bytes arrived that had counted as lost: this path reorders, so wait longer from now on."""
        self._packet_threshold = min(2 * self._packet_threshold, MAX_PACKET_THRESHOLD)
        self._time_threshold = min(1.25 * self._time_threshold, MAX_TIME_THRESHOLD)

    def clear(self) -> list[tuple[int, int]]:
        """Forget all requests. Returns their missing ranges."""
        ranges = [span for request in self.requests.values() for span in request.missing]
        self.requests.clear()
        self.bytes = 0
        return ranges
