"""The fetcher's end of one transfer, as a state machine without a socket or a clock.

    VALIDATING ──TOKEN──▶ ASKING ──TELL──▶ FETCHING ──unreceived()──▶ CLOSED
        ▲                    │                 │
        └──── TOKEN ─────────┴─── (a new one, when ours expired)
                             │  ▲              │
                        BUSY ▼  │ after BUSY_WAIT ▼ BUSY
                            QUEUED ◀───────────┘

Any other REFUSE, and silence for longer than ``owner_timeout``, raise PeerFault.

Theory of operation. ``datagram_received`` takes a datagram from the owner and returns events. ``request``
turns a byte range into REQUESTs. ``on_timer`` does what is due. After each of these the caller sends
``datagrams_to_send``. ``next_timer`` is the time to call ``on_timer``, and ``may_request`` the number of
bytes that may be requested now. Lost ranges come from ``tracker.take_lost`` and go first.

A requested byte is in exactly one DataReceived, however often it arrives. A byte that was never requested
is in none. So losses, duplicates, delays and reordering cost time, but never change bytes. The hashes of the
pieces decide whether the bytes are right.

One connection belongs to one thread. Nothing here is shared, except for the flow handle and the limit.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from common.errors import PeerFault, WireError
from node.chunk_udp import wire
from node.chunk_udp.asks import Asks
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
from node.chunk_udp.have_poll import HavePoll
from node.chunk_udp.loss_recovery import RoundTripTime
from node.chunk_udp.probe_timer import ProbeTimer
from node.chunk_udp.request_tracker import PlannedRequest, RequestTracker
from node.rate_limit import RateLimit

PERSISTENT_PROBES = 3  # unanswered probes after which the window collapses (RFC 9002, section 7.6)
BLACK_HOLE_PROBES = 2  # unanswered probes after which segments shrink, if none has ever arrived
LATE_BLACK_HOLE_PROBES = 5  # the same, if segments of this size have arrived before
MAX_PROBE_REQUESTS = 4  # requests in a probe; each probe has one more, since a burst may have been lost
MAX_POLLS = 3  # in a row without an answer, while FETCHING
BUSY_WAIT = 1.0  # seconds between ASKs while QUEUED; they keep the queue position


class ConnectionState(enum.Enum):
    """See the picture above."""

    VALIDATING = "validating"
    ASKING = "asking"
    FETCHING = "fetching"
    QUEUED = "queued"
    CLOSED = "closed"


class FetchConnection:
    """One owner, one torrent. Times are monotonic seconds, ranges half-open."""

    def __init__(
        self,
        config: ConnectionConfig,
        controller: CongestionController,
        now: float,
        flow: FlowHandle | None = None,
        download_limit: RateLimit | None = None,
    ) -> None:
        self.config = config
        self.checksums = config.checked  # ask for them, and take no payload without
        self.state = ConnectionState.VALIDATING
        self.rtt = RoundTripTime()
        self.flow = flow or CongestionManager().join()
        self.tracker = RequestTracker(config, controller, self.rtt, self.flow, download_limit)
        self._asks = Asks(config)
        self._to_send: list[bytes] = []
        self._poll = HavePoll(config.poll_phase)
        self._timer = ProbeTimer(self.rtt, config.owner_timeout, now)
        self._ask_again_at = now  # when to ask while QUEUED
        self.ask_file_size(now)

    # ---- asking for the size and the pieces

    def _ask(self, now: float) -> None:
        self._to_send.append(self._asks.ask(self._poll.first_piece, now))

    def ask_file_size(self, now: float) -> None:
        """Ask what the owner holds; an OwnerStatus follows. Until then no bytes are requested."""
        self._asks.forget_all()
        self._timer.restart(now)
        unknown = self._asks.token == wire.NO_TOKEN
        self.state = ConnectionState.VALIDATING if unknown else ConnectionState.ASKING
        self._ask(now)

    def poll_have(self, now: float) -> None:
        """Ask again while FETCHING goes on; an OwnerStatus follows, unless a datagram is lost.

        PeerFault if MAX_POLLS in a row had no answer and no data arrived either.
        """
        self._poll.asked(now)
        if self.state is not ConnectionState.FETCHING:
            return
        if len(self._asks) >= MAX_POLLS:
            raise PeerFault("does not answer any more")
        self._ask(now)

    # ---- requesting bytes

    @property
    def stats(self) -> ConnectionStats:
        """Counts so far."""
        return self.tracker.stats

    @property
    def idle(self) -> bool:
        """True if the owner would serve us, but nothing is awaited from it."""
        waits = self.tracker.in_flight.requests or self._asks or self.tracker.paced_until is not None
        return self.state is ConnectionState.FETCHING and not waits

    def room(self) -> int:
        """Bytes that may be requested, pacing apart; 0 unless FETCHING."""
        return self.tracker.room() if self.state is ConnectionState.FETCHING else 0

    def may_request(self, now: float) -> int:
        """Bytes to request now; 0: none, until ``next_timer`` if only pacing forbids it."""
        return self.tracker.may_request(now) if self.state is ConnectionState.FETCHING else 0

    def request(self, start: int, end: int, now: float, rare_only: bool = False) -> None:
        """Request bytes ``[start, end)``, at most ``wire.MAX_REQUEST`` of them.

        With ``rare_only`` a NotRare may follow instead of data.
        """
        if not self.tracker.in_flight.requests:
            self._timer.restart(now)
        for plan in self.tracker.request(start, end, now, rare_only):
            self._send(plan)

    def _send(self, plan: PlannedRequest) -> None:
        config, length = self.config, plan.end - plan.start
        request = wire.Request(
            config.transfer_id,
            plan.sequence,
            plan.start,
            length,
            config.info_hash,
            self._asks.token,
            plan.segment_size,
            self.checksums,
            plan.rare_only,
        )
        self._to_send.append(wire.encode(request))

    def datagrams_to_send(self) -> list[bytes]:
        """The datagrams to send now, in order. Each is returned once."""
        datagrams, self._to_send = self._to_send, []
        return datagrams

    def unreceived(self) -> list[tuple[int, int]]:
        """Close the connection. Returns all requested ranges that never arrived."""
        self.state = ConnectionState.CLOSED
        return self.tracker.take_all_back()

    # ---- what arrives

    def datagram_received(self, datagram: bytes | memoryview, now: float) -> Sequence[Event]:
        """Take one datagram from the owner's address; PeerFault if the owner refuses."""
        try:
            message = wire.decode(datagram)
        except WireError:
            self.tracker.stats.malformed += 1
            return ()
        self.tracker.stats.received += 1
        if message.transfer_id == self.config.transfer_id and self.state is not ConnectionState.CLOSED:
            if type(message) is wire.Data and (message.checked or not self.checksums):
                received = self.tracker.data_received(message, now)
                if received:
                    self._asks.on_progress()
                    self._timer.restart(now)
                    if self._timer.probes or self._timer.port_errors or self._asks:
                        self._on_sign_of_life(now)
                return received
            if isinstance(message, (wire.Token, wire.Tell, wire.Refuse)) and self._is_due(message.sequence):
                return self._answer_received(message, now)
        self.stats.stale += 1
        return ()

    def _is_due(self, sequence: int) -> bool:
        return sequence in self._asks or sequence in self.tracker.in_flight.requests

    def _on_sign_of_life(self, now: float) -> None:
        self._timer.on_sign_of_life(now)
        if self._asks and self.state is ConnectionState.FETCHING:
            self._asks.forget_older()  # earlier polls no longer count as silence

    def _answer_received(self, message: wire.Token | wire.Tell | wire.Refuse, now: float) -> Sequence[Event]:
        if isinstance(message, wire.Refuse):
            return (self._refuse_received(message, now),)
        if isinstance(message, wire.Token):
            self._token_received(message, now)
            return ()
        if message.sequence in self._asks:
            return (self._tell_received(message, now),)
        self.stats.stale += 1
        return ()

    def _refuse_received(self, message: wire.Refuse, now: float) -> Event:
        """NOT_HELD, BUSY, and NOT_RARE where it was allowed, are events. Any other REFUSE is a fault."""
        request = self.tracker.in_flight.requests.get(message.sequence)
        if request is not None and (
            message.reason is wire.Refusal.NOT_HELD
            or (message.reason is wire.Refusal.NOT_RARE and request.rare_only)
        ):
            self._on_sign_of_life(now)
            ranges = tuple(self.tracker.take_back(request))
            return NotHeld(ranges) if message.reason is wire.Refusal.NOT_HELD else NotRare(ranges)
        if message.reason is not wire.Refusal.BUSY:
            was_shared = self.state is ConnectionState.FETCHING
            stopped = was_shared and message.reason is wire.Refusal.NOT_SHARED
            raise PeerFault("does not share it any more" if stopped else str(message.reason))
        self._on_sign_of_life(now)
        self._asks.forget_all()
        back = self.tracker.take_all_back()
        self.state, self._ask_again_at = ConnectionState.QUEUED, now + BUSY_WAIT
        return QueuedByOwner(message.queue_position, tuple(back))

    def _tell_received(self, message: wire.Tell, now: float) -> OwnerStatus:
        self._sample_rtt(message, now)
        self._on_sign_of_life(now)
        self._asks.forget_all()
        self._asks.on_progress()
        self.state = ConnectionState.FETCHING
        self._poll.answered(message, now)
        return OwnerStatus(message.size, message.complete, message.first_piece, message.bitfield)

    def _token_received(self, message: wire.Token, now: float) -> None:
        self._sample_rtt(message, now)
        in_flight = self.tracker.in_flight
        request = in_flight.requests.get(message.sequence)
        if self._asks.on_token(message, request is not None, in_flight.next_sequence):
            self._on_sign_of_life(now)
            if self.state is not ConnectionState.FETCHING:
                self.state = ConnectionState.ASKING
                self._ask(now)
        if request is not None:  # its token had expired, so it will not be answered
            self.tracker.request_later(self.tracker.take_back(request))

    def _sample_rtt(self, message: wire.Token | wire.Tell, now: float) -> None:
        asked_at = self._asks.answered(message.sequence)
        if asked_at is not None:
            self.rtt.sample(now - asked_at)

    # ---- timers

    @property
    def _handshake(self) -> bool:
        return self.state is not ConnectionState.FETCHING

    def _awaits_answer(self) -> bool:
        asks = self.state in (ConnectionState.VALIDATING, ConnectionState.ASKING)
        return asks or bool(self.tracker.in_flight.requests)

    def next_timer(self) -> float | None:
        """When ``on_timer`` must be called at the latest; None if nothing is awaited."""
        if self.state is ConnectionState.QUEUED:
            return self._ask_again_at
        due = float("inf")
        if self.state is ConnectionState.FETCHING:
            due = self._poll.at
            paced_until = self.tracker.paced_until
            if paced_until is not None and paced_until < due:
                due = paced_until
        if self.state is not ConnectionState.CLOSED and self._awaits_answer():
            due = min(due, self._timer.next(self._handshake))
            loss_time = self.tracker.in_flight.loss_time
            if loss_time is not None and loss_time < due:
                due = loss_time
        return None if due == float("inf") else due

    def on_timer(self, now: float) -> None:
        """Do what is due; PeerFault if the owner has been silent for too long."""
        if self.state is ConnectionState.QUEUED and self._ask_again_at <= now:
            self.ask_file_size(now)
        loss_time = self.tracker.in_flight.loss_time
        if loss_time is not None and loss_time <= now:
            self.tracker.look_for_losses(now)
        if self.state is ConnectionState.FETCHING and self._poll.at <= now:
            self.poll_have(now)
        if self.state is ConnectionState.CLOSED or not self._awaits_answer():
            return
        if self._timer.check(self._handshake, now):
            self._probe(now)

    def on_port_error(self, now: float) -> None:
        """The system reports a closed port at the owner's address; PeerFault after several in a row."""
        self._timer.on_port_error(now)

    def _probe(self, now: float) -> None:
        """Ask again, or request the oldest bytes again: the answer shows what before them is lost."""
        probes = self._timer.probe_sent(now)
        self.stats.probes += 1
        if self.state is not ConnectionState.FETCHING:
            self._ask(now)
            return
        if probes == PERSISTENT_PROBES:
            self.tracker.controller.on_persistent_congestion(now)
        black_hole = LATE_BLACK_HOLE_PROBES if self.tracker.any_data else BLACK_HOLE_PROBES
        if probes >= black_hole:
            self.tracker.on_black_hole()
        for plan in self.tracker.request_oldest(now, min(probes, MAX_PROBE_REQUESTS)):
            self._send(plan)
