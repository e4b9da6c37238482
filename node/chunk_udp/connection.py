"""The fetcher's end of one transfer, as a state machine without a socket or a clock.

    VALIDATING ──TOKEN──▶ ASKING ──TELL──▶ FETCHING ──close()──▶ CLOSED
        ▲                    │                 │                    ▲
        └──── TOKEN ─────────┴─── (a new one, when ours expired)    │
                             │  ▲              │                    │
                        BUSY ▼  │ a second later ▼ BUSY             │
                            QUEUED ◀─────────────┘                  │
                             └──── other REFUSE, silence ───────────┘

Theory of operation. ``datagram_received`` takes what came from the owner and returns facts; ``request``
turns a byte range into a REQUEST; ``on_timer`` does what has become due. After each of these the caller
sends ``datagrams_to_send``, asks ``next_timer`` when to come back, and ``room`` how much more may be
asked for. Lost ranges come first in ``take_lost``. A byte that was asked for is reported in exactly one
Arrived, however often it arrives; a byte that was never asked for is never reported. So losses,
duplicates, delays and wrong order cost time, never bytes; whether the bytes are the right ones is for the
pieces' hashes to say.

One connection serves one thread; nothing here is shared.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from common.errors import OwnerFault, WireError
from common.ranges import RangeSet
from node.chunk_udp import wire
from node.chunk_udp.access import AccessLink, Share
from node.chunk_udp.congestion.base import CongestionController
from node.chunk_udp.delivery import Deliveries
from node.chunk_udp.facts import Arrived, Counters, Fact, NotHeld, Queued, Terms, Told
from node.chunk_udp.pacing import QUANTUM, Pacer
from node.chunk_udp.recovery import Flight, Outstanding, RoundTripTime

PERSISTENT_PROBES = 3  # probes in vain after which the window collapses
BLACK_HOLE_PROBES = 2  # probes in vain, with no segment seen ever, after which segments are made smaller
MAX_TOKENS_IN_A_ROW = 8  # tokens without any progress in between
MAX_REFUSALS = 3  # "nobody listens at that port" in a row, after which the owner counts as gone
REFUSAL_WAIT = 0.1  # seconds after which to try a closed port again: a stray refusal is forgiven
FIRST_ASK = 1 << 31  # ASKs are numbered from here, REQUESTs from 1: no answer is taken for another's
PROBE_REQUESTS = 2  # requests in all probes but the first: one may be lost, too (RFC 9002, 6.2.4)
PATIENCE = 3  # an owner is not called silent before this many probe timeouts
ASK_INTERVAL = 0.3  # seconds between two ASKs before the first answer, at most: they cost next to nothing
MAX_QUESTIONS = 3  # in a row without an answer, while FETCHING
BUSY_WAIT = 1.0  # seconds between two questions to an owner that serves others first: they keep our place
WINDOW_FRACTION = 4  # requests that share a full window: small bursts, and the next asked for in time


class State(enum.Enum):
    """Where a connection is."""

    VALIDATING = "validating"
    ASKING = "asking"
    FETCHING = "fetching"
    QUEUED = "queued"
    CLOSED = "closed"


class FetchConnection:
    """One owner, one torrent. All times are monotonic seconds, all ranges half-open."""

    def __init__(
        self, terms: Terms, controller: CongestionController, now: float, share: Share | None = None
    ) -> None:
        self.terms = terms
        self.state = State.VALIDATING
        self.segment_size = terms.segment_size
        self.counters = Counters()
        self.rtt = RoundTripTime()
        self.controller = controller
        self.share = share or AccessLink().join()
        self.deliveries = Deliveries()
        self._pacer = Pacer()
        self._paced_until: float | None = None  # when what the window allows may be asked for
        self._flight = Flight()
        self._lost = RangeSet()  # to be asked for again
        self._token = wire.NO_TOKEN
        self._tokens_in_a_row = 0
        self._to_send: list[bytes] = []
        self._token_from = 0  # the sequence of the first request that shows this token
        self._next_ask = FIRST_ASK
        self._asked: dict[int, float] = {}  # when the question was put: every ASK not yet answered
        self._first_piece = 0
        self._ask_again_at = now  # when QUEUED ends
        self._silent_since = now  # since when an answer has been due
        self._timer_from = now  # from when the probe timer runs
        self._probe_by = float("inf")  # when to probe even if the timer has not run out
        self._probes = 0  # sent since anything came
        self._refusals = 0  # of our system's, since anything came
        self._any_data = False
        self.ask_file_size(now)

    # ---- asking

    def _ask(self, now: float) -> None:
        terms, sequence = self.terms, self._next_ask
        self._next_ask += 1
        self._asked[sequence] = now
        ask = wire.Ask(terms.transfer_id, sequence, terms.info_hash, self._token, self._first_piece)
        self._to_send.append(wire.encode(ask))

    def ask_file_size(self, now: float, first_piece: int = 0) -> None:
        """Ask what the owner has; a Told follows. Until then nothing else is asked for."""
        self._first_piece = first_piece
        self._asked.clear()  # a late answer to an earlier question is none to this one
        self._silent_since = self._timer_from = now
        self.state = State.VALIDATING if self._token == wire.NO_TOKEN else State.ASKING
        self._ask(now)

    def ask_what_it_holds(self, now: float, first_piece: int = 0) -> None:
        """Ask again, while FETCHING goes on: a Told follows, unless it is lost. OwnerFault if nothing comes
        from the owner any more, question after question.
        """
        if self.state is not State.FETCHING:
            return
        if len(self._asked) >= MAX_QUESTIONS:
            raise OwnerFault("does not answer any more")
        self._first_piece = first_piece
        self._ask(now)

    @property
    def window(self) -> int:
        """Bytes that may be outstanding: what the path takes, but no more than our buffer takes."""
        return int(min(self.controller.window, self.terms.receive_limit))

    @property
    def in_flight(self) -> int:
        """Bytes asked for and not yet here or given up."""
        return self._flight.bytes

    @property
    def idle(self) -> bool:
        """Whether nothing is awaited from the owner although it would serve us."""
        waits = self._flight.requests or self._asked or self._paced_until is not None
        return self.state is State.FETCHING and not waits

    def room(self) -> int:
        """Bytes that may be asked for now; 0 unless FETCHING."""
        return max(0, self.window - self._flight.bytes) if self.state is State.FETCHING else 0

    @property
    def request_size(self) -> int:
        """Bytes to ask for in one REQUEST: whole segments, a part of the window, some milliseconds' worth."""
        quantum = self.controller.pacing_rate(self.rtt) * QUANTUM
        wanted = min(self.window / WINDOW_FRACTION, quantum, wire.MAX_REQUEST, self.share.largest_request)
        return max(1, min(int(wanted / self.segment_size), wire.MAX_SEGMENTS_PER_REQUEST)) * self.segment_size

    def may_request(self, now: float) -> bool:
        """Whether ``request_size`` bytes may be asked for now; if only not yet, ``next_timer`` says when."""
        self._paced_until = None
        room, size = self.room(), self.request_size
        if room < size and (not room or self._flight.bytes):
            return False
        free_at = max(self._pacer.free_at, now + self.share.wait(size, now))
        if free_at > now:
            self._paced_until = free_at
            return False
        return True

    def out_of_work(self) -> None:
        """More might have been asked for, but nobody wants more: what arrives says less about the path."""
        self.deliveries.out_of_work(self._flight.bytes)

    def take_lost(self, limit: int) -> tuple[int, int] | None:
        """The next lost range to ask for again, at most ``limit`` bytes; None if there is none."""
        return self._lost.take_first(limit)

    def request(self, start: int, end: int, now: float) -> None:
        """Ask for bytes ``[start, end)``, at most ``wire.MAX_REQUEST`` of them."""
        if not self._flight.requests:
            self._silent_since = self._timer_from = now
        entry = self._flight.send(start, end, now)
        self.deliveries.sent(entry, self._flight.bytes == end - start, now)
        self._pacer.spend(end - start, self.controller.pacing_rate(self.rtt), now)
        segments = -(-(end - start) // self.segment_size)
        self.share.spend(end - start + segments * wire.HEADER_SIZE, now)
        self.counters.requested_bytes += end - start
        terms = self.terms
        self._to_send.append(
            wire.encode(
                wire.Request(
                    terms.transfer_id,
                    entry.sequence,
                    start,
                    end - start,
                    terms.info_hash,
                    self._token,
                    self.segment_size,
                    terms.checked,
                )
            )
        )

    def datagrams_to_send(self) -> list[bytes]:
        """What is to be sent now, in order; handed out once."""
        datagrams, self._to_send = self._to_send, []
        return datagrams

    def unreceived(self) -> list[tuple[int, int]]:
        """Close, and return every range that was asked for and never arrived."""
        self.state = State.CLOSED
        return self._take_all_back()

    def _take_all_back(self) -> list[tuple[int, int]]:
        ranges = self._flight.abandon() + list(self._lost)
        self._lost = RangeSet()
        return ranges

    # ---- what came

    def datagram_received(self, datagram: bytes | memoryview, now: float) -> Sequence[Fact]:
        """Take one datagram from the owner's address; OwnerFault if the owner refuses."""
        try:
            message = wire.decode(datagram)
        except WireError:
            self.counters.malformed += 1
            return ()
        self.counters.received += 1
        if message.transfer_id == self.terms.transfer_id and self.state is not State.CLOSED:
            if type(message) is wire.Data and (message.checked or not self.terms.checked):
                return self._data_received(message, now)
            if isinstance(message, (wire.Token, wire.Tell, wire.Refuse)) and self._is_due(message.sequence):
                return self._answer_received(message, now)
        self.counters.stale += 1
        return ()

    def _is_due(self, sequence: int) -> bool:
        return sequence in self._asked or sequence in self._flight.requests

    def _heard(self, now: float) -> None:
        self._silent_since = self._timer_from = now
        self._probe_by = float("inf")
        self._probes = self._refusals = 0
        if self._asked and self.state is State.FETCHING:
            self._asked = dict(list(self._asked.items())[-1:])  # it lives: only the latest question is open

    def _answer_received(self, message: wire.Token | wire.Tell | wire.Refuse, now: float) -> Sequence[Fact]:
        if isinstance(message, wire.Refuse):
            return (self._refuse_received(message, now),)
        if isinstance(message, wire.Token):
            self._token_received(message, now)
            return ()
        if message.sequence in self._asked:
            return (self._tell_received(message, now),)
        self.counters.stale += 1
        return ()

    def _refuse_received(self, message: wire.Refuse, now: float) -> Fact:
        """NOT_HELD and BUSY are news; every other refusal ends it."""
        request = self._flight.requests.get(message.sequence)
        if message.reason is wire.Refusal.NOT_HELD and request is not None:
            self._heard(now)
            return NotHeld(tuple(self._flight.take_back(request.start, request.end)))
        if message.reason is not wire.Refusal.BUSY:
            raise OwnerFault(str(message.reason))
        self._heard(now)
        self._asked.clear()
        spans = self._take_all_back()
        self.state, self._ask_again_at = State.QUEUED, now + BUSY_WAIT
        return Queued(message.place, tuple(spans))

    def _tell_received(self, message: wire.Tell, now: float) -> Told:
        asked_at = self._asked[message.sequence]
        self._heard(now)
        self.rtt.sample(now - asked_at)
        self._asked.clear()
        self._tokens_in_a_row = 0
        self.state = State.FETCHING
        return Told(message.size, message.complete, message.first_piece, message.bitfield)

    def _token_received(self, message: wire.Token, now: float) -> None:
        asked_at = self._asked.pop(message.sequence, None)
        if asked_at is not None:
            self.rtt.sample(now - asked_at)
        if message.token != self._token:
            self._count_token()
            self._token, self._token_from = message.token, self._flight.next_sequence
            self._heard(now)
            if self.state is not State.FETCHING:
                self.state = State.ASKING
                self._ask(now)
        elif message.sequence in self._flight.requests and message.sequence >= self._token_from:
            self._count_token()  # it does not even take the token that it gave
        request = self._flight.requests.get(message.sequence)  # its token had expired, so it was not answered
        for span in self._flight.take_back(request.start, request.end) if request else ():
            self._lost.add(*span)

    def _count_token(self) -> None:
        self._tokens_in_a_row += 1
        if self._tokens_in_a_row > MAX_TOKENS_IN_A_ROW:
            raise OwnerFault("does not accept the tokens it gives")

    def _data_received(self, message: wire.Data, now: float) -> Sequence[Fact]:
        start, end = message.offset, message.offset + len(message.payload)
        limited = 2 * self._flight.bytes >= self.controller.window
        request = self._flight.arrive_in_order(message.sequence, start, end)
        if request is None:
            return self._out_of_order(message, start, end, limited, now)
        self._got(end - start, request, limited, now)
        return (Arrived(start, message.payload),)

    def _got(self, size: int, request: Outstanding, limited: bool, now: float) -> None:
        """``size`` new bytes came in answer to ``request``: tell whoever learns from it."""
        self._heard(now)
        self._tokens_in_a_row, self._any_data = 0, True
        self.deliveries.arrived(size, request, now)
        if not request.answered:
            request.answered = True
            self.rtt.sample(now - request.sent_at)
            self.deliveries.round_trip(self.rtt.latest)
        self.controller.on_received(size, request.sent_at, self.rtt, now, limited)
        if request.missing and self._flight.in_order:
            return  # its rate is known better when all of it is here
        self.deliveries.sample(request, self.rtt.minimum, now)
        ended = self.deliveries.end_of_round(request, self._flight.bytes)
        if ended is not None:
            self.controller.on_round(ended, self.share, now)

    def _out_of_order(
        self, message: wire.Data, start: int, end: int, limited: bool, now: float
    ) -> Sequence[Fact]:
        taken: list[tuple[int, int]] = []
        request = self._flight.requests.get(message.sequence)
        if request is not None and request.start <= start and end <= request.end:
            taken = self._flight.arrive(request, start, end)
            size = sum(e - s for s, e in taken)
            if size:
                self._got(size, request, limited, now)
        if taken != [(start, end)]:
            taken = taken + self._late(start, end, now)
        self.counters.duplicate_bytes += end - start - sum(e - s for s, e in taken)
        self._look_for_losses(now)  # if nothing new came, it may still show how far the owner has got
        return [Arrived(s, message.payload[s - start : e - start]) for s, e in taken]

    def _late(self, start: int, end: int, now: float) -> list[tuple[int, int]]:
        """What of ``[start, end)`` we still want although its own request was given up meanwhile."""
        taken = self._lost.cut(start, end) + self._flight.take_back(start, end)
        if taken:
            self._heard(now)
            self._tokens_in_a_row, self._any_data = 0, True
            self._flight.be_patient()
            self.deliveries.lost(-sum(e - s for s, e in taken))
        return taken

    def _look_for_losses(self, now: float) -> None:
        lost = self._flight.find_lost(self.segment_size, self.rtt, now)
        if lost is None:
            return
        self.counters.lost_bytes += lost.size
        self.deliveries.lost(lost.size)
        for span in lost.ranges:
            self._lost.add(*span)
        self.controller.on_lost(lost.size, lost.latest_sent_at, now)

    # ---- what the time brings

    def _waiting(self) -> bool:
        return self.state in (State.VALIDATING, State.ASKING) or bool(self._flight.requests)

    def next_timer(self) -> float | None:
        """When ``on_timer`` must be called, at the latest; None if nothing is awaited."""
        if self.state is State.QUEUED:
            return self._ask_again_at
        if self.state is State.CLOSED or not self._waiting():
            return self._paced_until
        due = min(self._probe_at(), self._give_up_at())
        also = (when for when in (self._flight.loss_time, self._paced_until) if when is not None)
        return min((due, *also))

    def _probe_at(self) -> float:
        return min(self._timer_from + self._probe_wait(self._probes), self._probe_by)

    def _probe_wait(self, probes: int) -> float:
        wait = self.rtt.probe_timeout(probes)
        return wait if self.state is State.FETCHING else min(wait, ASK_INTERVAL)

    def _give_up_at(self) -> float:
        """When silence has lasted too long; never before a probe has had its chance of being answered."""
        if not self._probes:
            return float("inf")
        limit = max(self.terms.owner_timeout, PATIENCE * self.rtt.probe_timeout(0))
        return max(self._silent_since + limit, self._timer_from + self._probe_wait(0))

    def on_timer(self, now: float) -> None:
        """Do what is due; OwnerFault when the owner has been silent for too long."""
        if self.state is State.QUEUED and self._ask_again_at <= now:
            self.ask_file_size(now, self._first_piece)
        if self._flight.loss_time is not None and self._flight.loss_time <= now:
            self._look_for_losses(now)
        if self.state is State.CLOSED or not self._waiting():
            return
        if self._give_up_at() <= now:
            raise OwnerFault(f"silent for {now - self._silent_since:.1f} s")
        if self._probe_at() <= now:
            self._probe(now)

    def refused(self, now: float) -> None:
        """The system says that nobody listens at the owner's port; OwnerFault when it says so repeatedly."""
        self._refusals += 1
        if self._refusals >= MAX_REFUSALS:
            raise OwnerFault("nobody listens at its address")
        self._probe_by = now + REFUSAL_WAIT

    def _probe(self, now: float) -> None:
        """Ask again for the oldest thing; its answer will show what before it is lost."""
        self._probes += 1
        self.counters.probes += 1
        self._timer_from = now
        self._probe_by = float("inf")
        if self.state is not State.FETCHING:
            self._ask(now)
            return
        if self._probes == PERSISTENT_PROBES:
            self.controller.on_persistent_congestion(now)
        if (
            not self._any_data
            and self._probes >= BLACK_HOLE_PROBES
            and self.segment_size > wire.SMALL_SEGMENT
        ):
            self._shrink_segments()
        silent_since = self._silent_since
        for _ in range(1 if self._probes == 1 else PROBE_REQUESTS):
            span = self._flight.oldest(self.segment_size)
            if span is not None:
                self._flight.take_back(*span)
                self.request(*span, now)
        self._silent_since = silent_since  # a probe is no news

    def _shrink_segments(self) -> None:
        """Answers came, but never a segment: the path may not carry this size (RFC 8899's black hole)."""
        self.segment_size = max(wire.SMALL_SEGMENT, self.segment_size // 4)
        self.controller.segment_size = self.segment_size
