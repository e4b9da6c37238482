"""The bytes of one transfer: what may be asked for, what was, what came of it, what is lost.

``connection`` decides whether anything may be asked for at all; here is how much, when, in which portions,
and what the answers teach: round trips, delivery rates, losses, the path's segment size. A byte that was
asked for is handed out in exactly one DataReceived, however often it comes; a byte never asked for never is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from common.ranges import RangeSet
from node.chunk_udp import wire
from node.chunk_udp.congestion.base import CongestionController
from node.chunk_udp.congestion.manager import FlowHandle
from node.chunk_udp.delivery_rate import DeliveryRate
from node.chunk_udp.events import ConnectionConfig, ConnectionStats, DataReceived
from node.chunk_udp.loss_recovery import InFlight, RoundTripTime, SentRequest
from node.chunk_udp.pacing import QUANTUM, Pacer
from node.chunk_udp.path_mtu import PathMtuSearch

MIN_SEGMENTS = 3  # in a request on a slow path, where the window allows: requests cost bytes, too
SLOW_RATE = (
    200_000  # bytes a second; on faster paths bursts of two would lose more than single segments beside TCP
)
WINDOW_FRACTION = 4  # requests that share a full window: small bursts, and the next asked for in time


class PlannedRequest(NamedTuple):
    """One REQUEST to send: bytes ``[start, end)`` in segments of ``segment_size``."""

    sequence: int
    start: int
    end: int
    segment_size: int
    rare_only: bool = False


class RequestTracker:
    """One connection's bytes. All times are monotonic seconds, all ranges half-open."""

    def __init__(
        self, terms: ConnectionConfig, controller: CongestionController, rtt: RoundTripTime, share: FlowHandle
    ) -> None:
        self.controller = controller
        self.share = share
        self.counters = ConnectionStats()
        self.flight = InFlight()
        self.deliveries = DeliveryRate()
        self.search = PathMtuSearch(terms.segment_size, max(terms.segment_size, terms.largest_segment))
        self.paced_until: float | None = None  # when what the window allows may be asked for
        self.any_data = False
        self._unreported = 0  # bytes that came in order, of a request that is not complete yet
        self._trial = 0, 0  # the bytes that the latest trial of a larger segment asked for
        self._receive_limit = terms.receive_limit
        self._rtt = rtt
        self._pacer = Pacer()
        self._rate = controller.pacing_rate(rtt)  # bytes a second at which to ask
        self._size = 0  # bytes to ask for at once, as found out
        self._sized_at = float("-inf")  # at this moment: what is asked for at one moment is alike
        self._lost = RangeSet()  # to be asked for again

    # ---- how much, and when

    @property
    def window(self) -> int:
        """Bytes that may be outstanding: what the path takes, but no more than our buffer takes."""
        return int(min(self.controller.window, self._receive_limit))

    @property
    def request_size(self) -> int:
        """Bytes to ask for at once: whole segments, a part of the window, some milliseconds' worth."""
        self._rate = self.controller.pacing_rate(self._rtt)
        size = self.search.size
        quantum = self._rate * QUANTUM
        if self._rate < SLOW_RATE:
            quantum = max(quantum, MIN_SEGMENTS * size)
        wanted = min(self.window / WINDOW_FRACTION, quantum, wire.MAX_REQUEST, self.share.largest_request)
        size *= max(1, min(int(wanted / size), wire.MAX_SEGMENTS_PER_REQUEST))
        return max(size, self.search.wanted or 0)

    def room(self) -> int:
        """Bytes that may be asked for as far as the window goes."""
        return max(0, self.window - self.flight.bytes)

    def may_request(self, now: float) -> int:
        """How many bytes may be asked for; 0: none now, and if only not yet, ``paced_until`` says when."""
        self.paced_until = None
        outstanding = self.flight.bytes
        room = self.window - outstanding
        if room <= 0 or (room < self.search.size and outstanding):
            return 0  # the frequent case, and no need to know the size
        free_at = self._pacer.free_at
        if free_at > now and outstanding:  # nor here
            self.paced_until = free_at
            return 0
        if now != self._sized_at:
            self._size, self._sized_at = self.request_size, now
        size = self._size
        if room < size and outstanding:
            return 0
        if self.share.limited:
            free_at = max(free_at, now + self.share.wait(size, now))
        if free_at > now:
            self.paced_until = free_at
            return 0
        return size

    def take_lost(self, limit: int) -> tuple[int, int] | None:
        """The next lost range to ask for again, at most ``limit`` bytes; None if there is none."""
        return self._lost.take_first(limit)

    def cancel_lost(self, start: int, end: int) -> list[tuple[int, int]]:
        """Do not ask again for what was lost of ``[start, end)``; returns that."""
        return self._lost.cut(start, end)

    def request(self, start: int, end: int, now: float, rare_only: bool = False) -> list[PlannedRequest]:
        """Bytes ``[start, end)`` are asked for: by which requests."""
        trial = self.search.wanted
        if trial is None or end - start < trial:
            return [self._order(start, end, self.search.size, now, rare_only)]
        orders = [self._order(start, start + trial, trial, now, rare_only)]
        self.search.tries(orders[0].sequence)
        self._sized_at = float("-inf")  # there is no other trial
        self._trial = start, start + trial
        if start + trial < end:
            orders.append(self._order(start + trial, end, self.search.size, now, rare_only))
        return orders

    def _order(
        self, start: int, end: int, segment_size: int, now: float, rare_only: bool = False
    ) -> PlannedRequest:
        size = end - start
        entry = self.flight.send(start, end, now)
        entry.rare_only = rare_only
        self.deliveries.sent(entry, self.flight.bytes == size, now)
        self._pacer.spend(size, self._rate, now)
        if self.share.limited:
            self.share.spend(size + -(-size // segment_size) * wire.HEADER_SIZE, now)
        self.counters.requested_bytes += size
        return PlannedRequest(entry.sequence, start, end, segment_size, rare_only)

    # ---- what came

    def data_received(self, message: wire.Data, now: float) -> Sequence[DataReceived]:
        """One segment from the owner: what of it is new."""
        start, end = message.offset, message.offset + len(message.payload)
        if message.sequence == self.search.sequence and self.search.arrived(end - start):
            self.controller.segment_size = self.search.size
        request = self.flight.arrive_in_order(message.sequence, start, end)
        if request is None:
            return self._out_of_order(message, start, end, now)
        if not request.answered:
            self._answered(request, now)
        self._unreported += end - start
        if request.complete:  # what all of a request teaches is told at once, when it is here
            self._got(request, now)
        return (DataReceived(start, message.payload),)

    def _answered(self, request: SentRequest, now: float) -> None:
        """The first bytes in answer to ``request``: a round trip."""
        request.answered = self.any_data = True
        self._rtt.sample(now - request.sent_at)
        self.deliveries.round_trip(self._rtt.latest)

    def _got(self, request: SentRequest, now: float) -> None:
        """New bytes came, the last of them in answer to ``request``: tell whoever learns from it."""
        size, self._unreported = self._unreported, 0
        in_flight = self.flight.bytes
        limited = 2 * (in_flight + size) >= self.controller.window
        self.controller.on_received(size, request.sent_at, self._rtt, now, limited)
        ended = self.deliveries.arrived(size, request, self._rtt.minimum, in_flight, now)
        if ended is not None:
            self.controller.on_round(ended, self.share, now)

    def _out_of_order(self, message: wire.Data, start: int, end: int, now: float) -> Sequence[DataReceived]:
        taken: list[tuple[int, int]] = []
        request = self.flight.requests.get(message.sequence)
        if request is not None and request.start <= start and end <= request.end:
            taken = self.flight.arrive(request, start, end)
            if taken:
                if not request.answered:
                    self._answered(request, now)
                self._unreported += sum(e - s for s, e in taken)
                self._got(request, now)
        if taken != [(start, end)]:
            taken = taken + self._late(start, end)
        self.counters.duplicate_bytes += end - start - sum(e - s for s, e in taken)
        self.look_for_losses(now)  # if nothing new came, it may still show how far the owner has got
        return [DataReceived(s, message.payload[s - start : e - start]) for s, e in taken]

    def _late(self, start: int, end: int) -> list[tuple[int, int]]:
        """What of ``[start, end)`` we still want although its own request was given up meanwhile."""
        taken = self._lost.cut(start, end) + self.flight.take_back(start, end)
        if taken:
            self.any_data = True
            self.flight.on_spurious_loss()
            self.deliveries.lost(-sum(e - s for s, e in taken))
        return taken

    # ---- what did not

    def look_for_losses(self, now: float) -> None:
        """Take what is lost out of the flight, to be asked for again."""
        lost = self.flight.find_lost(self.search.size, self._rtt, now)
        if lost is None:
            return
        self.counters.lost_bytes += lost.size
        for span in lost.ranges:
            self._lost.add(*span)
        first, last = self._trial
        size = lost.size - sum(max(0, min(last, end) - max(first, start)) for start, end in lost.ranges)
        self._see_to_trial()
        if size:  # else only a trial of a larger segment was: that is no congestion (RFC 8899, 3)
            self.deliveries.lost(size)
            self.controller.on_lost(size, lost.latest_sent_at, now)

    def ask_oldest(self, now: float, times: int) -> list[PlannedRequest]:
        """Ask again for the oldest outstanding segments: the answers will show what before them is lost."""
        orders = []
        for _ in range(times):
            span = self.flight.oldest(self.search.size)
            if span is not None:
                self.flight.take_back(*span)
                self._see_to_trial()
                orders.append(self._order(*span, self.search.size, now))
        return orders

    def _see_to_trial(self) -> None:
        if self.search.sequence is not None and self.search.sequence not in self.flight.requests:
            self.search.lost()

    def on_black_hole(self) -> None:
        """The path does not carry segments of this size, or not any more."""
        if self.search.on_black_hole():
            self.controller.segment_size = self.search.size

    def take_back(self, request: SentRequest) -> list[tuple[int, int]]:
        """Stop waiting for ``request``; returns what of it is outstanding."""
        if request.sequence == self.search.sequence:
            self.search.unanswered()
        return self.flight.take_back(request.start, request.end)

    def ask_later(self, spans: Sequence[tuple[int, int]]) -> None:
        """``spans`` were asked for in vain: they come first among what is asked for next."""
        for span in spans:
            self._lost.add(*span)

    def take_all_back(self) -> list[tuple[int, int]]:
        """Stop waiting for anything; returns all that was outstanding or lost."""
        self.search.unanswered()
        ranges = self.flight.clear() + list(self._lost)
        self._lost = RangeSet()
        return ranges
