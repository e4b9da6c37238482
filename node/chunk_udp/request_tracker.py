"""The bytes of one connection: requested, arrived, lost. Pure.

``connection`` decides whether requests may be sent at all. This module decides how many bytes to request,
when, and in which sizes. From the answers it learns round-trip times, delivery rates, losses, and the
segment size that the path carries. A requested byte is in exactly one DataReceived, however often it
arrives. A byte that was never requested is in none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from common.ranges import RangeSet
from node.chunk_udp import wire
from node.chunk_udp.congestion.base import CongestionController
from node.chunk_udp.congestion.manager import FlowHandle
from node.chunk_udp.datagram_size import largest_datagram
from node.chunk_udp.delivery_rate import DeliveryRate
from node.chunk_udp.events import ConnectionConfig, ConnectionStats, DataReceived
from node.chunk_udp.loss_log import LATE, LossLog, reason
from node.chunk_udp.loss_recovery import InFlight, Lost, RoundTripTime, SentRequest
from node.chunk_udp.pacing import PACING_SECONDS, Pacer
from node.chunk_udp.path_mtu import PathMtuSearch
from node.rate_limit import RateLimit

SLOW_RATE = 200_000  # bytes a second; on faster paths bursts of two lose more in competition with TCP
MIN_SEGMENTS_WHEN_SLOW = 3  # in a request on a slow path, where the window allows: requests cost bytes, too
WINDOW_FRACTION = 4  # requests that share a full window: answers are small bursts, and never all at once


class PlannedRequest(NamedTuple):
    """One REQUEST to send: bytes ``[start, end)`` in segments of ``segment_size``."""

    sequence: int
    start: int
    end: int
    segment_size: int
    rare_only: bool = False


class RequestTracker:
    """One connection's bytes. Times are monotonic seconds, ranges half-open."""

    def __init__(
        self,
        config: ConnectionConfig,
        controller: CongestionController,
        rtt: RoundTripTime,
        flow: FlowHandle,
        download_limit: RateLimit | None = None,
    ) -> None:
        self.controller = controller
        self.flow = flow
        self.stats = ConnectionStats()
        self.in_flight = InFlight()
        self.delivery = DeliveryRate()
        self.mtu = PathMtuSearch(config.segment_size, max(config.segment_size, config.largest_segment))
        self.paced_until: float | None = None  # when a request that fits into the window may be sent
        self.any_data = False
        self.losses: LossLog | None = None  # notes losses for people, if these are reported
        self._flow_limit = None if download_limit is None else download_limit.flow()
        self._largest_request = float("inf") if download_limit is None else largest_datagram(download_limit)
        self._unreported = 0  # bytes that arrived in order, of a request that is not complete yet
        self._probe = 0, 0  # the range that the latest path MTU probe requested
        self._receive_limit = config.receive_limit
        self._rtt = rtt
        self._pacer = Pacer()
        self._rate = controller.pacing_rate(rtt)  # bytes a second at which to request
        self._size = 0  # ``request_size``, as computed
        self._sized_at = float("-inf")  # at this moment
        self._lost = RangeSet()  # to be requested again

    # ---- how much, and when

    @property
    def window(self) -> int:
        """Bytes that may be outstanding: the smaller of the path's and our buffer's limit."""
        return int(min(self.controller.window, self._receive_limit))

    @property
    def request_size(self) -> int:
        """Bytes to request at once: whole segments, a fraction of the window, PACING_SECONDS of the rate."""
        self._rate = self.controller.pacing_rate(self._rtt)
        size = self.mtu.size
        paced = self._rate * PACING_SECONDS
        if self._rate < SLOW_RATE:
            paced = max(paced, MIN_SEGMENTS_WHEN_SLOW * size)
        wanted = min(self.window / WINDOW_FRACTION, paced, wire.MAX_REQUEST, self._largest_request)
        size *= max(1, min(int(wanted / size), wire.MAX_SEGMENTS_PER_REQUEST))
        return max(size, self.mtu.wanted or 0)

    def room(self) -> int:
        """Bytes that the window still allows to request."""
        return max(0, self.window - self.in_flight.bytes)

    def may_request(self, now: float) -> int:
        """Bytes to request now; 0: none, until ``paced_until`` if only pacing forbids it.

        Called after every datagram, so the frequent answers come before the costly computations.
        """
        self.paced_until = None
        outstanding = self.in_flight.bytes
        room = self.window - outstanding
        if room <= 0 or (room < self.mtu.size and outstanding):
            return 0
        free_at = self._pacer.free_at
        if free_at > now and outstanding:
            self.paced_until = free_at
            return 0
        if now != self._sized_at:
            self._size, self._sized_at = self.request_size, now
        size = self._size
        if room < size and outstanding:
            return 0
        if free_at <= now and self._flow_limit is not None:
            free_at = now + self._flow_limit.wait(size, now)
        if free_at > now:
            self.paced_until = free_at
            return 0
        return size

    def mark_app_limited(self, now: float) -> None:
        """The window has room, but nothing is wanted: the next arrivals do not measure the path."""
        self.delivery.mark_app_limited(self.in_flight.bytes)
        if self._flow_limit is not None:
            self._flow_limit.release(now)

    def take_lost(self, limit: int) -> tuple[int, int] | None:
        """The next lost range to request again, at most ``limit`` bytes; None without losses."""
        return self._lost.take_first(limit)

    def cancel_lost(self, start: int, end: int) -> list[tuple[int, int]]:
        """Do not request the lost bytes of ``[start, end)`` again. Returns them."""
        cancelled = self._lost.cut(start, end)
        if self.losses is not None:
            for span in cancelled:
                self.losses.forget(*span)
        return cancelled

    def request(self, start: int, end: int, now: float, rare_only: bool = False) -> list[PlannedRequest]:
        """Plan the requests for bytes ``[start, end)``, a path MTU probe included where one is due."""
        probe = self.mtu.wanted
        if probe is None or end - start < probe:
            return [self._plan(start, end, self.mtu.size, now, rare_only)]
        plans = [self._plan(start, start + probe, probe, now, rare_only)]
        self.mtu.probe_sent(plans[0].sequence)
        self._sized_at = float("-inf")  # the next request is no probe: its size differs
        self._probe = start, start + probe
        if start + probe < end:
            plans.append(self._plan(start + probe, end, self.mtu.size, now, rare_only))
        return plans

    def _plan(
        self, start: int, end: int, segment_size: int, now: float, rare_only: bool = False
    ) -> PlannedRequest:
        size = end - start
        request = self.in_flight.send(start, end, now)
        request.rare_only = rare_only
        self.delivery.sent(request, self.in_flight.bytes == size, now)
        self._pacer.spend(size, self._rate, now)
        if self._flow_limit is not None:
            self._flow_limit.spend(size + -(-size // segment_size) * wire.HEADER_SIZE, now)
        self.stats.requested_bytes += size
        if self.losses is not None and self.losses.open:
            self.losses.requested(start, end, request.sequence, segment_size)
        return PlannedRequest(request.sequence, start, end, segment_size, rare_only)

    # ---- what arrives

    def data_received(self, message: wire.Data, now: float) -> Sequence[DataReceived]:
        """One segment from the owner. Returns the new bytes in it."""
        start, end = message.offset, message.offset + len(message.payload)
        if message.sequence == self.mtu.sequence and self.mtu.probe_arrived(end - start):
            self.controller.segment_size = self.mtu.size
        request = self.in_flight.arrive_in_order(message.sequence, start, end)
        if request is None:
            return self._out_of_order(message, start, end, now)
        if not request.answered:
            self._first_answer(request, now)
        self._unreported += end - start
        if request.complete:  # the controller learns from whole requests, which costs less
            self._report(request, now)
            if self.losses is not None and self.losses.open:
                self._note_arrived(self.losses, request, now)
        return (DataReceived(start, message.payload),)

    def _first_answer(self, request: SentRequest, now: float) -> None:
        """The first bytes in answer to ``request``: a round-trip time."""
        request.answered = self.any_data = True
        self._rtt.sample(now - request.sent_at)
        self.delivery.round_trip(self._rtt.latest)

    def _report(self, request: SentRequest, now: float) -> None:
        """Report the new bytes, the last of which answer ``request``, to rate estimation and controller."""
        size, self._unreported = self._unreported, 0
        in_flight = self.in_flight.bytes
        window_limited = 2 * (in_flight + size) >= self.controller.window
        self.controller.on_received(size, request.sent_at, self._rtt, now, window_limited)
        ended = self.delivery.arrived(size, request, self._rtt.minimum, in_flight, now)
        if ended is not None:
            self.controller.on_round(ended, self.flow, now)

    def _out_of_order(self, message: wire.Data, start: int, end: int, now: float) -> Sequence[DataReceived]:
        new: list[tuple[int, int]] = []
        request = self.in_flight.requests.get(message.sequence)
        if request is not None and request.start <= start and end <= request.end:
            new = self.in_flight.arrive(request, start, end)
            if new:
                if not request.answered:
                    self._first_answer(request, now)
                self._unreported += sum(e - s for s, e in new)
                self._report(request, now)
        if self.losses is not None and request is not None:
            self._note_arrived(self.losses, request, now)
        if new != [(start, end)]:
            new = new + self._late(start, end, now)
        self.stats.duplicate_bytes += end - start - sum(e - s for s, e in new)
        self.look_for_losses(now)  # even old bytes may show how far the owner has got
        return [DataReceived(s, message.payload[s - start : e - start]) for s, e in new]

    def _late(self, start: int, end: int, now: float) -> list[tuple[int, int]]:
        """The bytes of ``[start, end)`` that are still wanted although their own request was given up."""
        if self.losses is not None and self.losses.open:
            for request in self.in_flight.requests.values():
                if request.start < end and start < request.end:
                    self._note_arrived(self.losses, request, now)
        new = self._lost.cut(start, end) + self.in_flight.take_back(start, end)
        if new:
            self.any_data = True
            self.in_flight.on_spurious_loss()
            self.delivery.lost(-sum(e - s for s, e in new))
            if self.losses is not None:
                for span in new:
                    self.losses.arrived(*span, now, LATE)
        return new

    # ---- what is lost

    def look_for_losses(self, now: float) -> None:
        """Take lost bytes out of flight, to be requested again."""
        lost = self.in_flight.find_lost(self.mtu.size, self._rtt, now)
        if lost is None:
            return
        self.stats.lost_bytes += lost.size
        for span in lost.ranges:
            self._lost.add(*span)
        if self.losses is not None:
            self._note_lost(self.losses, lost, now)
        first, last = self._probe
        size = lost.size - sum(max(0, min(last, end) - max(first, start)) for start, end in lost.ranges)
        self._check_probe()
        if size:  # a lost path MTU probe is no sign of congestion (RFC 8899, section 3)
            self.delivery.lost(size)
            window = self.controller.window
            self.controller.on_lost(size, lost.latest_sent_at, now)
            if self.losses is not None and self.controller.window < window:
                self.losses.reduced(int(self.controller.window), f"{size:,} bytes were lost", now)

    def _note_lost(self, losses: LossLog, lost: Lost, now: float) -> None:
        """The bytes should have arrived a round trip after their request."""
        for cause in lost.causes:
            self._note_arrived(losses, cause.request, now)
        for (start, end), cause in zip(lost.ranges, lost.causes, strict=True):
            expected_at = cause.request.sent_at + self._rtt.smoothed
            losses.lost(start, end, cause.request.sequence, reason(cause, now), expected_at, now)

    def _note_silence(self, losses: LossLog, span: tuple[int, int], now: float) -> None:
        """The oldest bytes are requested again, although they may only be late."""
        oldest = next(iter(self.in_flight.requests.values()))
        self._note_arrived(losses, oldest, now)
        silence = f"no answer for {1000 * (now - oldest.sent_at):.0f} ms"
        losses.lost(*span, oldest.sequence, silence, oldest.sent_at + self._rtt.smoothed, now)

    def _note_arrived(self, losses: LossLog, request: SentRequest, now: float) -> None:
        """The bytes of ``request`` are here but those that are missing, or were lost since."""
        if not losses.open:
            return
        here = RangeSet([(request.start, request.end)])
        away = self._lost.overlap(request.start, request.end)
        for other in self.in_flight.requests.values():
            if other.start < request.end and request.start < other.end:
                away += other.ranges if other.ranges is not None else [(other.next, other.end)]
        for span in away:
            here.cut(*span)
        for span in here:
            losses.arrived(*span, now)

    def request_oldest(self, now: float, times: int) -> list[PlannedRequest]:
        """Request the oldest outstanding segments again: the answers show what before them is lost."""
        plans = []
        for _ in range(times):
            span = self.in_flight.oldest(self.mtu.size)
            if span is not None:
                if self.losses is not None:
                    self._note_silence(self.losses, span, now)
                self.in_flight.take_back(*span)
                self._check_probe()
                plans.append(self._plan(*span, self.mtu.size, now))
        return plans

    def _check_probe(self) -> None:
        if self.mtu.sequence is not None and self.mtu.sequence not in self.in_flight.requests:
            self.mtu.probe_lost()

    def on_black_hole(self) -> None:
        """The path does not carry segments of this size, or no longer."""
        if self.mtu.on_black_hole():
            self.controller.segment_size = self.mtu.size

    def take_back(self, request: SentRequest) -> list[tuple[int, int]]:
        """Wait no longer for ``request``. Returns its outstanding ranges."""
        if request.sequence == self.mtu.sequence:
            self.mtu.probe_cancelled()
        if self.losses is not None:
            self.losses.forget(request.start, request.end)
        return self.in_flight.take_back(request.start, request.end)

    def request_later(self, ranges: Sequence[tuple[int, int]]) -> None:
        """``ranges`` were not answered: request them again, before new ranges."""
        for span in ranges:
            self._lost.add(*span)

    def take_all_back(self) -> list[tuple[int, int]]:
        """Wait for nothing any more. Returns all ranges that were outstanding or lost."""
        self.mtu.probe_cancelled()
        ranges = self.in_flight.clear() + list(self._lost)
        self._lost = RangeSet()
        if self.losses is not None:
            self.losses.open.clear()
        return ranges
