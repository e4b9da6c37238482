"""When is a request lost? RoundSample-trip times and what is outstanding (the shape of RFC 9002).

The fetcher numbers what it asks for along one line, the *stream*: the first request covers stream
bytes ``[0, n)``, the next ``[n, m)``, whatever bytes of the file they are. An owner answers in order, so
when stream byte P has arrived, what lies well before P and has not arrived is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from common.ranges import RangeSet

GRANULARITY = 0.001  # seconds; no timer is finer (RFC 9002, 6.1.2)
TIME_THRESHOLD = 9 / 8  # of a round trip: older than this, with later data here, is lost (6.1.2)
PACKET_THRESHOLD = 3  # segments of reordering that are no loss yet (6.1.1)
MAX_PACKET_THRESHOLD = 64  # segments; the thresholds grow up to these where a path really reorders
MAX_TIME_THRESHOLD = 2.0
INITIAL_RTT = 0.333  # seconds, before anything was measured (6.2.2)
MAX_RESPONSE_DELAY = (
    0.020  # seconds an owner's process may be held up by its system without being called lost
)
MAX_PROBE_TIMEOUT = 0.25  # seconds between probes, at most, or one timeout where that is longer


class RoundTripTime:
    """Smoothed round-trip time and its variation (RFC 6298, RFC 9002 section 5); all in seconds."""

    def __init__(self) -> None:
        self.latest = 0.0
        self.smoothed = INITIAL_RTT
        self.variation = INITIAL_RTT / 2
        self.minimum = float("inf")

    @property
    def measured(self) -> bool:
        """Whether there was any sample."""
        return self.minimum != float("inf")

    def sample(self, seconds: float) -> None:
        """Take one measured round trip into account."""
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
        """Seconds of silence after which to probe, doubled for each probe already sent in vain."""
        timeout = self.smoothed + max(4 * self.variation, GRANULARITY) + MAX_RESPONSE_DELAY
        limit = max(MAX_PROBE_TIMEOUT, timeout)
        return float(min(timeout * 2 ** min(probes, 16), limit))


@dataclass(slots=True)
class SentRequest:
    """One REQUEST under way: bytes ``[start, end)`` of the file, at ``position`` of the stream.

    As long as all of it comes in order, what is missing is ``[next, end)``, and no set of ranges is made.
    """

    sequence: int
    position: int
    start: int
    end: int
    sent_at: float
    next: int = field(init=False)  # the byte that is to come, in order
    ranges: RangeSet | None = None  # what is missing, once anybody had to know
    answered: bool = False  # something of it arrived
    complete: bool = False  # nothing of it is awaited any more
    rare_only: bool = False  # it may be refused because somebody else has just got it
    delivered: int = 0  # for the delivery rate: bytes that had arrived when it was sent,
    delivered_at: float = 0.0  # when the last of them had,
    first_sent_at: float = 0.0  # and when that had been asked for

    def __post_init__(self) -> None:
        self.next = self.start

    @property
    def missing(self) -> RangeSet:
        """What is awaited, kept as ranges from now on."""
        if self.ranges is None:
            self.ranges = RangeSet([(self.next, self.end)])
        return self.ranges

    @property
    def first_missing(self) -> int:
        """The first byte that is awaited; ``end`` if none is."""
        if self.ranges is None:
            return self.next
        return self.ranges.first if self.ranges else self.end

    def stream_position(self, offset: int) -> int:
        """Where byte ``offset`` of the file lies in the stream."""
        return self.position + offset - self.start


@dataclass(frozen=True)
class Lost:
    """What a look at the outstanding requests found lost."""

    ranges: tuple[tuple[int, int], ...]
    latest_sent_at: float

    @property
    def size(self) -> int:
        """Bytes lost."""
        return sum(end - start for start, end in self.ranges)


class InFlight:
    """All that was asked for and neither arrived nor was given up, in the order of the stream."""

    def __init__(self) -> None:
        self.requests: dict[int, SentRequest] = {}  # by sequence; insertion order is stream order
        self.bytes = 0  # outstanding bytes
        self._packet_threshold = PACKET_THRESHOLD  # segments
        self._time_threshold = TIME_THRESHOLD  # round trips
        self.next_sequence = 1
        self._stream = 0  # where the next request begins
        self._arrived_up_to = 0  # the highest stream position that arrived
        self.loss_time: float | None = None  # when the time threshold will next call something lost

    def send(self, start: int, end: int, now: float) -> SentRequest:
        """Record a request for bytes ``[start, end)``, sent now."""
        sequence, size = self.next_sequence, end - start
        request = self.requests[sequence] = SentRequest(sequence, self._stream, start, end, now)
        self.next_sequence = sequence + 1
        self._stream += size
        self.bytes += size
        return request

    def arrive_in_order(self, sequence: int, start: int, end: int) -> SentRequest | None:
        """The frequent case, kept short: ``[start, end)`` is just what was to come next.

        Returns its request; None if there are gaps, or this is something else: then ``arrive`` and
        ``find_lost`` have to think. Without gaps there is nothing that they could find lost.
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
        """Bytes ``[start, end)`` came for ``request``: returns those of them that were still missing."""
        self._arrived_up_to = max(self._arrived_up_to, request.stream_position(end))
        return self._give_up(request, start, end)

    def find_lost(self, segment_size: int, rtt: RoundTripTime, now: float) -> Lost | None:
        """Take out what is lost: too far behind what arrived, or too old with later data here."""
        self.loss_time = None
        lost_before = self._arrived_up_to - self._packet_threshold * segment_size
        delay = max(self._time_threshold * max(rtt.smoothed, rtt.latest), GRANULARITY)
        ranges: list[tuple[int, int]] = []
        latest = 0.0
        arrived_up_to = self._arrived_up_to
        for request in tuple(self.requests.values()):
            if request.stream_position(request.first_missing) >= arrived_up_to:
                break  # nothing later arrived: no news is not bad news
            horizon = arrived_up_to if request.sent_at + delay <= now else lost_before
            gone = self._give_up(request, request.start, request.start + horizon - request.position)
            if gone:
                ranges += gone
                latest = max(latest, request.sent_at)
            first = request.first_missing
            if (
                self.loss_time is None
                and request.stream_position(first) < self._arrived_up_to
                and first < request.end
            ):
                self.loss_time = request.sent_at + delay
        return Lost(tuple(ranges), latest) if ranges else None

    def _give_up(self, request: SentRequest, start: int, end: int) -> list[tuple[int, int]]:
        """Take ``[start, end)`` out of ``request``: whatever of it was still missing."""
        gone = request.missing.cut(start, end)
        for s, e in gone:
            self.bytes -= e - s
        if not request.missing:
            request.complete = True
            self.requests.pop(request.sequence, None)
        return gone

    def take_back(self, start: int, end: int) -> list[tuple[int, int]]:
        """Stop waiting for ``[start, end)``, whoever was asked for it; returns what was outstanding of it."""
        overlapping = [r for r in self.requests.values() if r.start < end and start < r.end]
        return [span for request in overlapping for span in self._give_up(request, start, end)]

    def oldest(self, limit: int) -> tuple[int, int] | None:
        """The oldest missing range, at most ``limit`` bytes of it; None if nothing is outstanding."""
        for request in self.requests.values():
            start, end = next(iter(request.missing))
            return start, min(end, start + limit)
        return None

    def on_spurious_loss(self) -> None:
        """Something called lost arrived after all: this path reorders; wait longer before crying loss."""
        self._packet_threshold = min(2 * self._packet_threshold, MAX_PACKET_THRESHOLD)
        self._time_threshold = min(1.25 * self._time_threshold, MAX_TIME_THRESHOLD)

    def clear(self) -> list[tuple[int, int]]:
        """Forget everything outstanding and return its ranges."""
        ranges = [span for request in self.requests.values() for span in request.missing]
        self.requests.clear()
        self.bytes = 0
        return ranges
