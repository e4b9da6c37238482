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
DataReceived, however often it arrives; a byte that was never asked for is never reported. So losses,
duplicates, delays and wrong order cost time, never bytes; whether the bytes are the right ones is for the
pieces' hashes to say.

One connection serves one thread; nothing here is shared.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from common.errors import PeerFault, WireError
from node.chunk_udp import wire
from node.chunk_udp.congestion.base import CongestionController
from node.chunk_udp.congestion.manager import CongestionManager, FlowHandle
from node.chunk_udp.events import (
    ConnectionConfig,
    ConnectionStats,
    Event,
    NotHeld,
    NotRare,
    OwnerStatus,
    QueuedByOwner,
)
from node.chunk_udp.loss_recovery import RoundTripTime
from node.chunk_udp.request_tracker import PlannedRequest, RequestTracker

PERSISTENT_PROBES = 3  # probes in vain after which the window collapses
BLACK_HOLE_PROBES = 2  # probes in vain, with no segment seen ever, after which segments are made smaller
LATE_BLACK_HOLE_PROBES = 5  # the same where segments of this size have come before
MAX_TOKENS_IN_A_ROW = 8  # tokens without any progress in between
MAX_REFUSALS = 3  # "nobody listens at that port" in a row, after which the owner counts as gone
REFUSAL_WAIT = 0.1  # seconds after which to try a closed port again: a stray refusal is forgiven
FIRST_ASK = 1 << 31  # ASKs are numbered from here, REQUESTs from 1: no answer is taken for another's
PROBE_REQUESTS = 4  # requests in a probe, at most: one more each time, as many may get lost (a burst, say)
PATIENCE = 3  # an owner is not called silent before this many probe timeouts
ASK_INTERVAL = 0.1  # seconds between two ASKs before the first answer: under a flood each is a chance
MAX_QUESTIONS = 3  # in a row without an answer, while FETCHING
HAVE_POLL_INTERVAL = 1.0  # seconds between two ASKs to a partial owner that serves us
BUSY_WAIT = 1.0  # seconds between two questions to an owner that serves others first: they keep our place


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
        self,
        terms: ConnectionConfig,
        controller: CongestionController,
        now: float,
        share: FlowHandle | None = None,
    ) -> None:
        self.terms = terms
        self.checksums = terms.checked  # ask for them, and take no payload without one
        self.state = State.VALIDATING
        self.rtt = RoundTripTime()
        self.share = share or CongestionManager().join()
        self._bytes = RequestTracker(terms, controller, self.rtt, self.share)
        self._token = wire.NO_TOKEN
        self._tokens_in_a_row = 0
        self._to_send: list[bytes] = []
        self._token_from = 0  # the sequence of the first request that shows this token
        self._next_ask = FIRST_ASK
        self._asked: dict[int, float] = {}  # when the question was put: every ASK not yet answered
        self._first_piece = 0  # of the bitfield page that is asked for
        self._poll_at = float("inf")  # when to ask a partial owner again what it holds
        # The first poll comes early, since a new owner soon holds more. It comes at a random moment: fetchers
        # that start together would otherwise poll each other in step and pass news on late.
        self._poll_wait = HAVE_POLL_INTERVAL * (0.3 + 0.7 * terms.poll_phase)
        self._ask_again_at = now  # when QUEUED ends
        self._silent_since = now  # since when an answer has been due
        self._timer_from = now  # from when the probe timer runs
        self._probe_by = float("inf")  # when to probe even if the timer has not run out
        self._probes = 0  # sent since anything came
        self._refusals = 0  # of our system's, since anything came
        self.ask_file_size(now)

    # ---- asking

    def _ask(self, now: float) -> None:
        terms, sequence = self.terms, self._next_ask
        self._next_ask += 1
        self._asked[sequence] = now
        page, token = self._first_piece, self._token
        ask = wire.Ask(terms.transfer_id, sequence, terms.info_hash, token, page, terms.node_id)
        self._to_send.append(wire.encode(ask))

    def ask_file_size(self, now: float, first_piece: int = 0) -> None:
        """Ask what the owner has; a OwnerStatus follows. Until then nothing else is asked for."""
        self._first_piece = first_piece
        self._asked.clear()  # a late answer to an earlier question is none to this one
        self._silent_since = self._timer_from = now
        self.state = State.VALIDATING if self._token == wire.NO_TOKEN else State.ASKING
        self._ask(now)

    def poll_have(self, now: float) -> None:
        """Ask again while FETCHING goes on: a OwnerStatus follows, unless a datagram is lost.

        PeerFault if MAX_QUESTIONS polls in a row had no answer, and no data came either.
        """
        self._poll_at = now + HAVE_POLL_INTERVAL  # also makes up for a lost answer
        if self.state is not State.FETCHING:
            return
        if len(self._asked) >= MAX_QUESTIONS:
            raise PeerFault("does not answer any more")
        self._ask(now)

    def _plan_poll(self, told: wire.Tell, now: float) -> None:
        """The next page of its bitfield at once; from the first page on after an interval."""
        if told.complete:
            self._poll_at = float("inf")
        elif len(told.bitfield) == wire.MAX_BITFIELD and told.first_piece == self._first_piece:
            self._first_piece, self._poll_at = told.first_piece + 8 * wire.MAX_BITFIELD, now
        else:
            self._first_piece, self._poll_at = 0, now + self._poll_wait
            self._poll_wait = HAVE_POLL_INTERVAL

    # ---- asking for bytes

    @property
    def controller(self) -> CongestionController:
        """Who says how much may be outstanding, and how fast to ask."""
        return self._bytes.controller

    @property
    def counters(self) -> ConnectionStats:
        """What happened so far."""
        return self._bytes.counters

    @property
    def segment_size(self) -> int:
        """Bytes of file in a segment that the path is known, or at first believed, to carry."""
        return self._bytes.search.size

    @property
    def window(self) -> int:
        """Bytes that may be outstanding."""
        return self._bytes.window

    @property
    def in_flight(self) -> int:
        """Bytes asked for and not yet here or given up."""
        return self._bytes.flight.bytes

    @property
    def idle(self) -> bool:
        """Whether nothing is awaited from the owner although it would serve us."""
        waits = self._bytes.flight.requests or self._asked or self._bytes.paced_until is not None
        return self.state is State.FETCHING and not waits

    def room(self) -> int:
        """Bytes that may be asked for now, if slowly; 0 unless FETCHING."""
        return self._bytes.room() if self.state is State.FETCHING else 0

    @property
    def request_size(self) -> int:
        """Bytes to ask for at once."""
        return self._bytes.request_size

    def may_request(self, now: float) -> int:
        """How many bytes may be asked for now; 0: none, and if only not yet, ``next_timer`` says when."""
        return self._bytes.may_request(now) if self.state is State.FETCHING else 0

    def mark_app_limited(self) -> None:
        """More might have been asked for, but nobody wants more: what arrives says less about the path."""
        self._bytes.deliveries.mark_app_limited(self._bytes.flight.bytes)

    def take_lost(self, limit: int) -> tuple[int, int] | None:
        """The next lost range to ask for again, at most ``limit`` bytes; None if there is none."""
        return self._bytes.take_lost(limit)

    def cancel_lost(self, start: int, end: int) -> list[tuple[int, int]]:
        """Do not ask again for what was lost of ``[start, end)``; returns that."""
        return self._bytes.cancel_lost(start, end)

    def request(self, start: int, end: int, now: float, rare_only: bool = False) -> None:
        """Ask for bytes ``[start, end)``, at most ``wire.MAX_REQUEST`` of them. ``rare_only``: a NotRare may
        follow instead.
        """
        if not self._bytes.flight.requests:
            self._silent_since = self._timer_from = now
        for order in self._bytes.request(start, end, now, rare_only):
            self._send(order)

    def _send(self, order: PlannedRequest) -> None:
        terms, length = self.terms, order.end - order.start
        request = wire.Request(
            terms.transfer_id,
            order.sequence,
            order.start,
            length,
            terms.info_hash,
            self._token,
            order.segment_size,
            self.checksums,
            order.rare_only,
        )
        self._to_send.append(wire.encode(request))

    def datagrams_to_send(self) -> list[bytes]:
        """What is to be sent now, in order; handed out once."""
        datagrams, self._to_send = self._to_send, []
        return datagrams

    def unreceived(self) -> list[tuple[int, int]]:
        """Close, and return every range that was asked for and never arrived."""
        self.state = State.CLOSED
        return self._bytes.take_all_back()

    # ---- what came

    def datagram_received(self, datagram: bytes | memoryview, now: float) -> Sequence[Event]:
        """Take one datagram from the owner's address; PeerFault if the owner refuses."""
        try:
            message = wire.decode(datagram)
        except WireError:
            self._bytes.counters.malformed += 1
            return ()
        self._bytes.counters.received += 1
        if message.transfer_id == self.terms.transfer_id and self.state is not State.CLOSED:
            if type(message) is wire.Data and (message.checked or not self.checksums):
                arrived = self._bytes.data_received(message, now)
                if arrived:
                    self._tokens_in_a_row = 0
                    self._silent_since = self._timer_from = now
                    if self._probes or self._refusals or self._asked:
                        self._heard(now)
                return arrived
            if isinstance(message, (wire.Token, wire.Tell, wire.Refuse)) and self._is_due(message.sequence):
                return self._answer_received(message, now)
        self.counters.stale += 1
        return ()

    def _is_due(self, sequence: int) -> bool:
        return sequence in self._asked or sequence in self._bytes.flight.requests

    def _heard(self, now: float) -> None:
        self._silent_since = self._timer_from = now
        self._probe_by = float("inf")
        self._probes = self._refusals = 0
        if self._asked and self.state is State.FETCHING:
            self._asked = dict(list(self._asked.items())[-1:])  # it lives: only the latest question is open

    def _answer_received(self, message: wire.Token | wire.Tell | wire.Refuse, now: float) -> Sequence[Event]:
        if isinstance(message, wire.Refuse):
            return (self._refuse_received(message, now),)
        if isinstance(message, wire.Token):
            self._token_received(message, now)
            return ()
        if message.sequence in self._asked:
            return (self._tell_received(message, now),)
        self.counters.stale += 1
        return ()

    def _refuse_received(self, message: wire.Refuse, now: float) -> Event:
        """NOT_HELD, BUSY, and NOT_RARE where it was allowed, are news; every other refusal ends it."""
        request = self._bytes.flight.requests.get(message.sequence)
        if request is not None and (
            message.reason is wire.Refusal.NOT_HELD
            or (message.reason is wire.Refusal.NOT_RARE and request.rare_only)
        ):
            self._heard(now)
            spans = tuple(self._bytes.take_back(request))
            return NotHeld(spans) if message.reason is wire.Refusal.NOT_HELD else NotRare(spans)
        if message.reason is not wire.Refusal.BUSY:
            raise PeerFault(str(message.reason))
        self._heard(now)
        self._asked.clear()
        back = self._bytes.take_all_back()
        self.state, self._ask_again_at = State.QUEUED, now + BUSY_WAIT
        return QueuedByOwner(message.place, tuple(back))

    def _tell_received(self, message: wire.Tell, now: float) -> OwnerStatus:
        asked_at = self._asked[message.sequence]
        self._heard(now)
        self.rtt.sample(now - asked_at)
        self._asked.clear()
        self._tokens_in_a_row = 0
        self.state = State.FETCHING
        self._plan_poll(message, now)
        return OwnerStatus(message.size, message.complete, message.first_piece, message.bitfield)

    def _token_received(self, message: wire.Token, now: float) -> None:
        asked_at = self._asked.pop(message.sequence, None)
        if asked_at is not None:
            self.rtt.sample(now - asked_at)
        if message.token != self._token:
            self._count_token()
            self._token, self._token_from = message.token, self._bytes.flight.next_sequence
            self._heard(now)
            if self.state is not State.FETCHING:
                self.state = State.ASKING
                self._ask(now)
        elif message.sequence in self._bytes.flight.requests and message.sequence >= self._token_from:
            self._count_token()  # it does not even take the token that it gave
        request = self._bytes.flight.requests.get(
            message.sequence
        )  # its token had expired, so it was not answered
        if request is not None:
            self._bytes.ask_later(self._bytes.take_back(request))

    def _count_token(self) -> None:
        self._tokens_in_a_row += 1
        if self._tokens_in_a_row > MAX_TOKENS_IN_A_ROW:
            raise PeerFault("does not accept the tokens it gives")

    # ---- what the time brings

    def _waiting(self) -> bool:
        return self.state in (State.VALIDATING, State.ASKING) or bool(self._bytes.flight.requests)

    def next_timer(self) -> float | None:
        """When ``on_timer`` must be called, at the latest; None if nothing is awaited."""
        if self.state is State.QUEUED:
            return self._ask_again_at
        if self.state is State.FETCHING:
            due = self._poll_at
            paced_until = self._bytes.paced_until
            if paced_until is not None and paced_until < due:
                due = paced_until
        else:
            due = float("inf")
        if self.state is not State.CLOSED and self._waiting():
            due = min(due, self._probe_at())
            if self._probes:
                due = min(due, self._give_up_at())
            loss_time = self._bytes.flight.loss_time
            if loss_time is not None and loss_time < due:
                due = loss_time
        return None if due == float("inf") else due

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
        """Do what is due; PeerFault when the owner has been silent for too long."""
        if self.state is State.QUEUED and self._ask_again_at <= now:
            self.ask_file_size(now, self._first_piece)
        loss_time = self._bytes.flight.loss_time
        if loss_time is not None and loss_time <= now:
            self._bytes.look_for_losses(now)
        if self.state is State.FETCHING and self._poll_at <= now:
            self.poll_have(now)
        if self.state is State.CLOSED or not self._waiting():
            return
        if self._give_up_at() <= now:
            raise PeerFault(f"silent for {now - self._silent_since:.1f} s")
        if self._probe_at() <= now:
            self._probe(now)

    def refused(self, now: float) -> None:
        """The system says that nobody listens at the owner's port; PeerFault when it says so repeatedly."""
        self._refusals += 1
        if self._refusals >= MAX_REFUSALS:
            raise PeerFault("nobody listens at its address")
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
        hole = LATE_BLACK_HOLE_PROBES if self._bytes.any_data else BLACK_HOLE_PROBES
        if self._probes >= hole:
            self._bytes.on_black_hole()
        for order in self._bytes.ask_oldest(now, min(self._probes, PROBE_REQUESTS)):
            self._send(order)
