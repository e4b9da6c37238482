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
bytes that may be requested now. Lost ranges come back by ``take_lost`` and go first.

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
MAX_TOKENS_IN_A_ROW = 8  # without any progress between them
FIRST_ASK = 1 << 31  # ASKs are numbered from here, REQUESTs from 1: an answer cannot be mistaken
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
        self._tracker = RequestTracker(config, controller, self.rtt, self.flow, download_limit)
        self._token = wire.NO_TOKEN
        self._tokens_in_a_row = 0
        self._token_from = 0  # the sequence of the first request that shows this token
        self._to_send: list[bytes] = []
        self._next_ask = FIRST_ASK
        self._asked: dict[int, float] = {}  # sequence of each unanswered ASK -> when it was sent
        self._poll = HavePoll(config.poll_phase)
        self._timer = ProbeTimer(self.rtt, config.owner_timeout, now)
        self._ask_again_at = now  # when to ask while QUEUED
        self.ask_file_size(now)

    # ---- asking for the size and the pieces

    def _ask(self, now: float) -> None:
        config, sequence = self.config, self._next_ask
        self._next_ask += 1
        self._asked[sequence] = now
        page, token = self._poll.first_piece, self._token
        ask = wire.Ask(config.transfer_id, sequence, config.info_hash, token, page, config.node_id)
        self._to_send.append(wire.encode(ask))

    def ask_file_size(self, now: float) -> None:
        """Ask what the owner holds; an OwnerStatus follows. Until then no bytes are requested."""
        self._asked.clear()  # a late answer to an earlier ASK does not count
        self._timer.restart(now)
        unknown = self._token == wire.NO_TOKEN
        self.state = ConnectionState.VALIDATING if unknown else ConnectionState.ASKING
        self._ask(now)

    def poll_have(self, now: float) -> None:
        """Ask again while FETCHING goes on; an OwnerStatus follows, unless a datagram is lost.

        PeerFault if MAX_POLLS in a row had no answer and no data arrived either.
        """
        self._poll.asked(now)
        if self.state is not ConnectionState.FETCHING:
            return
        if len(self._asked) >= MAX_POLLS:
            raise PeerFault("does not answer any more")
        self._ask(now)

    # ---- requesting bytes

    @property
    def controller(self) -> CongestionController:
        """Decides how much may be outstanding, and how fast to request."""
        return self._tracker.controller

    @property
    def stats(self) -> ConnectionStats:
        """Counts so far."""
        return self._tracker.stats

    @property
    def segment_size(self) -> int:
        """Bytes of file in a segment that the path is known, or at first believed, to carry."""
        return self._tracker.mtu.size

    @property
    def window(self) -> int:
        """Bytes that may be outstanding."""
        return self._tracker.window

    @property
    def in_flight(self) -> int:
        """Bytes that are outstanding."""
        return self._tracker.in_flight.bytes

    @property
    def idle(self) -> bool:
        """True if the owner would serve us, but nothing is awaited from it."""
        waits = self._tracker.in_flight.requests or self._asked or self._tracker.paced_until is not None
        return self.state is ConnectionState.FETCHING and not waits

    def room(self) -> int:
        """Bytes that may be requested, pacing apart; 0 unless FETCHING."""
        return self._tracker.room() if self.state is ConnectionState.FETCHING else 0

    @property
    def request_size(self) -> int:
        """Bytes to request at once."""
        return self._tracker.request_size

    def may_request(self, now: float) -> int:
        """Bytes to request now; 0: none, until ``next_timer`` if only pacing forbids it."""
        return self._tracker.may_request(now) if self.state is ConnectionState.FETCHING else 0

    def mark_app_limited(self) -> None:
        """The window has room, but nothing is wanted: the next arrivals do not measure the path."""
        self._tracker.delivery.mark_app_limited(self._tracker.in_flight.bytes)

    def take_lost(self, limit: int) -> tuple[int, int] | None:
        """The next lost range to request again, at most ``limit`` bytes; None without losses."""
        return self._tracker.take_lost(limit)

    def cancel_lost(self, start: int, end: int) -> list[tuple[int, int]]:
        """Do not request the lost bytes of ``[start, end)`` again. Returns them."""
        return self._tracker.cancel_lost(start, end)

    def request(self, start: int, end: int, now: float, rare_only: bool = False) -> None:
        """Request bytes ``[start, end)``, at most ``wire.MAX_REQUEST`` of them.

        With ``rare_only`` a NotRare may follow instead of data.
        """
        if not self._tracker.in_flight.requests:
            self._timer.restart(now)
        for plan in self._tracker.request(start, end, now, rare_only):
            self._send(plan)

    def _send(self, plan: PlannedRequest) -> None:
        config, length = self.config, plan.end - plan.start
        request = wire.Request(
            config.transfer_id,
            plan.sequence,
            plan.start,
            length,
            config.info_hash,
            self._token,
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
        return self._tracker.take_all_back()

    # ---- what arrives

    def datagram_received(self, datagram: bytes | memoryview, now: float) -> Sequence[Event]:
        """Take one datagram from the owner's address; PeerFault if the owner refuses."""
        try:
            message = wire.decode(datagram)
        except WireError:
            self._tracker.stats.malformed += 1
            return ()
        self._tracker.stats.received += 1
        if message.transfer_id == self.config.transfer_id and self.state is not ConnectionState.CLOSED:
            if type(message) is wire.Data and (message.checked or not self.checksums):
                received = self._tracker.data_received(message, now)
                if received:
                    self._tokens_in_a_row = 0
                    self._timer.restart(now)
                    if self._timer.probes or self._timer.port_errors or self._asked:
                        self._on_sign_of_life(now)
                return received
            if isinstance(message, (wire.Token, wire.Tell, wire.Refuse)) and self._is_due(message.sequence):
                return self._answer_received(message, now)
        self.stats.stale += 1
        return ()

    def _is_due(self, sequence: int) -> bool:
        return sequence in self._asked or sequence in self._tracker.in_flight.requests

    def _on_sign_of_life(self, now: float) -> None:
        self._timer.on_sign_of_life(now)
        if self._asked and self.state is ConnectionState.FETCHING:
            self._asked = dict(list(self._asked.items())[-1:])  # earlier polls no longer count as silence

    def _answer_received(self, message: wire.Token | wire.Tell | wire.Refuse, now: float) -> Sequence[Event]:
        if isinstance(message, wire.Refuse):
            return (self._refuse_received(message, now),)
        if isinstance(message, wire.Token):
            self._token_received(message, now)
            return ()
        if message.sequence in self._asked:
            return (self._tell_received(message, now),)
        self.stats.stale += 1
        return ()

    def _refuse_received(self, message: wire.Refuse, now: float) -> Event:
        """NOT_HELD, BUSY, and NOT_RARE where it was allowed, are events. Any other REFUSE is a fault."""
        request = self._tracker.in_flight.requests.get(message.sequence)
        if request is not None and (
            message.reason is wire.Refusal.NOT_HELD
            or (message.reason is wire.Refusal.NOT_RARE and request.rare_only)
        ):
            self._on_sign_of_life(now)
            ranges = tuple(self._tracker.take_back(request))
            return NotHeld(ranges) if message.reason is wire.Refusal.NOT_HELD else NotRare(ranges)
        if message.reason is not wire.Refusal.BUSY:
            raise PeerFault(str(message.reason))
        self._on_sign_of_life(now)
        self._asked.clear()
        back = self._tracker.take_all_back()
        self.state, self._ask_again_at = ConnectionState.QUEUED, now + BUSY_WAIT
        return QueuedByOwner(message.queue_position, tuple(back))

    def _tell_received(self, message: wire.Tell, now: float) -> OwnerStatus:
        asked_at = self._asked[message.sequence]
        self._on_sign_of_life(now)
        self.rtt.sample(now - asked_at)
        self._asked.clear()
        self._tokens_in_a_row = 0
        self.state = ConnectionState.FETCHING
        self._poll.answered(message, now)
        return OwnerStatus(message.size, message.complete, message.first_piece, message.bitfield)

    def _token_received(self, message: wire.Token, now: float) -> None:
        asked_at = self._asked.pop(message.sequence, None)
        if asked_at is not None:
            self.rtt.sample(now - asked_at)
        requests = self._tracker.in_flight.requests
        if message.token != self._token:
            self._count_token()
            self._token, self._token_from = message.token, self._tracker.in_flight.next_sequence
            self._on_sign_of_life(now)
            if self.state is not ConnectionState.FETCHING:
                self.state = ConnectionState.ASKING
                self._ask(now)
        elif message.sequence in requests and message.sequence >= self._token_from:
            self._count_token()  # the owner does not accept the very token that it gave
        request = requests.get(message.sequence)
        if request is not None:  # its token had expired, so it will not be answered
            self._tracker.request_later(self._tracker.take_back(request))

    def _count_token(self) -> None:
        self._tokens_in_a_row += 1
        if self._tokens_in_a_row > MAX_TOKENS_IN_A_ROW:
            raise PeerFault("does not accept the tokens it gives")

    # ---- timers

    @property
    def _handshake(self) -> bool:
        return self.state is not ConnectionState.FETCHING

    def _awaits_answer(self) -> bool:
        asks = self.state in (ConnectionState.VALIDATING, ConnectionState.ASKING)
        return asks or bool(self._tracker.in_flight.requests)

    def next_timer(self) -> float | None:
        """When ``on_timer`` must be called at the latest; None if nothing is awaited."""
        if self.state is ConnectionState.QUEUED:
            return self._ask_again_at
        due = float("inf")
        if self.state is ConnectionState.FETCHING:
            due = self._poll.at
            paced_until = self._tracker.paced_until
            if paced_until is not None and paced_until < due:
                due = paced_until
        if self.state is not ConnectionState.CLOSED and self._awaits_answer():
            due = min(due, self._timer.next(self._handshake))
            loss_time = self._tracker.in_flight.loss_time
            if loss_time is not None and loss_time < due:
                due = loss_time
        return None if due == float("inf") else due

    def on_timer(self, now: float) -> None:
        """Do what is due; PeerFault if the owner has been silent for too long."""
        if self.state is ConnectionState.QUEUED and self._ask_again_at <= now:
            self.ask_file_size(now)
        loss_time = self._tracker.in_flight.loss_time
        if loss_time is not None and loss_time <= now:
            self._tracker.look_for_losses(now)
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
            self.controller.on_persistent_congestion(now)
        black_hole = LATE_BLACK_HOLE_PROBES if self._tracker.any_data else BLACK_HOLE_PROBES
        if probes >= black_hole:
            self._tracker.on_black_hole()
        for plan in self._tracker.request_oldest(now, min(probes, MAX_PROBE_REQUESTS)):
            self._send(plan)
