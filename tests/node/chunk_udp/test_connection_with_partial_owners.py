"""Owners that lack pieces, or are busy: asked again, waited for, and given up in the end."""

from __future__ import annotations

import dataclasses

import pytest

from common.errors import PeerFault
from node.chunk_udp import wire
from node.chunk_udp.congestion import make_controller
from node.chunk_udp.connection import BUSY_WAIT, MAX_POLLS, ConnectionState, FetchConnection
from node.chunk_udp.events import (
    ConnectionConfig,
    DataReceived,
    Event,
    NotHeld,
    NotRare,
    OwnerStatus,
    QueuedByOwner,
)

TERMS = ConnectionConfig(
    info_hash=b"h" * 20, transfer_id=0xC0FFEE, segment_size=1000, receive_limit=64_000, owner_timeout=2.0
)
SIZE = 100_000


def take(connection: FetchConnection, message: wire.Message, now: float) -> list[Event]:
    return list(connection.datagram_received(wire.encode(message), now))


def sent(connection: FetchConnection) -> list[wire.Message]:
    return [wire.decode(datagram) for datagram in connection.datagrams_to_send()]


def tell(ask: wire.Message, *, complete: bool = False, bitfield: bytes = b"") -> wire.Tell:
    return wire.Tell(ask.transfer_id, ask.sequence, SIZE, complete, 0, bitfield)


def fetching(bitfield: bytes = b"\xf0") -> FetchConnection:
    """Through the handshake with an owner that has the first four pieces."""
    connection = FetchConnection(TERMS, make_controller("cubic", TERMS.segment_size), 0.0)
    (ask,) = sent(connection)
    take(connection, wire.Token(ask.transfer_id, ask.sequence, b"t" * wire.TOKEN_SIZE), 0.01)
    (ask,) = sent(connection)
    (fact,) = take(connection, tell(ask, bitfield=bitfield), 0.02)
    assert fact == OwnerStatus(SIZE, False, 0, bitfield) and connection.state is ConnectionState.FETCHING
    return connection


def test_it_is_asked_again_while_bytes_keep_coming() -> None:
    connection = fetching()
    connection.request(0, 2000, 1.0)
    connection.poll_have(1.0)
    request, ask = sent(connection)
    assert connection.state is ConnectionState.FETCHING and connection.room() > 0
    data = wire.Data(request.transfer_id, request.sequence, 0, bytes(1000), True)
    assert [type(fact) for fact in take(connection, data, 1.1)] == [DataReceived]
    assert take(connection, tell(ask, bitfield=b"\xff"), 1.2) == [OwnerStatus(SIZE, False, 0, b"\xff")]
    assert connection.tracker.in_flight.bytes == 1000


def test_a_lost_question_is_nobodys_fault_but_silence_is() -> None:
    connection = fetching()
    for turn in range(MAX_POLLS):
        connection.poll_have(1.0 + turn)
    with pytest.raises(PeerFault, match="does not answer"):
        connection.poll_have(9.0)


def test_questions_do_not_pile_up_while_something_comes() -> None:
    connection = fetching()
    for turn in range(10 * MAX_POLLS):
        now = 1.0 + turn
        connection.request(0, 1000, now)
        connection.poll_have(now)
        request, _ = sent(connection)
        take(connection, wire.Data(request.transfer_id, request.sequence, 0, bytes(1000), True), now + 0.1)


def test_what_it_does_not_hold_after_all_comes_back_and_the_rest_goes_on() -> None:
    connection = fetching()
    connection.request(0, 2000, 1.0)
    connection.request(5000, 7000, 1.0)
    first, second = sent(connection)
    refusal = wire.Refuse(first.transfer_id, second.sequence, wire.Refusal.NOT_HELD)
    assert take(connection, refusal, 1.1) == [NotHeld(((5000, 7000),))]
    assert connection.tracker.in_flight.bytes == 2000 and connection.state is ConnectionState.FETCHING
    assert take(connection, refusal, 1.2) == []  # a second copy of it


def test_a_late_no_to_a_request_that_is_gone_is_no_fault() -> None:
    """Its bytes were asked for again meanwhile, and that request has an answer of its own."""
    connection = fetching()
    connection.request(0, 1000, 0.03)
    (first,) = sent(connection)
    timer = connection.next_timer()
    assert timer is not None
    connection.on_timer(timer)
    (probe,) = sent(connection)
    late = wire.Refuse(first.transfer_id, first.sequence, wire.Refusal.NOT_HELD)
    assert take(connection, late, timer + 0.1) == []
    again = dataclasses.replace(late, sequence=probe.sequence)
    assert take(connection, again, timer + 0.2) == [NotHeld(((0, 1000),))]


def test_a_busy_owner_is_asked_again_once_a_second_until_it_serves_us() -> None:
    connection = fetching()
    connection.request(0, 2000, 1.0)
    (request,) = sent(connection)
    busy = wire.Refuse(request.transfer_id, request.sequence, wire.Refusal.BUSY, 7)
    assert take(connection, busy, 1.1) == [QueuedByOwner(7, ((0, 2000),))]
    assert connection.state is ConnectionState.QUEUED and connection.room() == 0
    now = 1.1
    for _ in range(20):  # far longer than owner_timeout: it answers, so it lives
        assert connection.next_timer() == now + BUSY_WAIT
        now += BUSY_WAIT
        connection.on_timer(now)
        (ask,) = sent(connection)
        assert isinstance(ask, wire.Ask)
        take(connection, wire.Refuse(ask.transfer_id, ask.sequence, wire.Refusal.BUSY), now)
    connection.on_timer(now + BUSY_WAIT)
    (ask,) = sent(connection)
    take(connection, tell(ask, complete=True), now + BUSY_WAIT)
    assert connection.state is ConnectionState.FETCHING and connection.idle


def test_what_was_to_be_asked_for_later_wakes_nobody_up_while_we_wait_in_line() -> None:
    """An expired timer that is never reset would make the loop spin."""
    connection = fetching()
    at, now = 0, 1.0
    while connection.may_request(now):
        end = at + connection.tracker.request_size
        connection.request(at, end, now)
        at = end
    asked = sent(connection)
    due = connection.next_timer()
    assert due is not None and due < now + 0.1, "not paced: the test shows nothing"
    take(connection, wire.Refuse(asked[0].transfer_id, asked[0].sequence, wire.Refusal.BUSY, 1), 1.05)
    connection.on_timer(1.05 + BUSY_WAIT)
    assert connection.state is ConnectionState.ASKING
    later = connection.next_timer()
    assert later is not None and later > 1.05 + BUSY_WAIT


def test_a_busy_owner_that_falls_silent_is_given_up() -> None:
    connection = fetching()
    connection.request(0, 2000, 1.0)
    (request,) = sent(connection)
    take(connection, wire.Refuse(request.transfer_id, request.sequence, wire.Refusal.BUSY), 1.1)
    with pytest.raises(PeerFault, match="silent"):
        for _ in range(50):
            timer = connection.next_timer()
            assert timer is not None and timer < 10
            connection.on_timer(timer)


def test_what_it_has_just_sent_to_somebody_else_comes_back_if_that_was_agreed() -> None:
    connection = fetching()
    connection.request(0, 2000, 1.0, rare_only=True)
    connection.request(2000, 3000, 1.0)
    first, second = sent(connection)
    assert isinstance(first, wire.Request) and first.rare_only
    assert isinstance(second, wire.Request) and not second.rare_only
    refusal = wire.Refuse(first.transfer_id, first.sequence, wire.Refusal.NOT_RARE)
    assert take(connection, refusal, 1.1) == [NotRare(((0, 2000),))]
    assert connection.tracker.in_flight.bytes == 1000 and connection.state is ConnectionState.FETCHING
    assert take(connection, refusal, 1.2) == []  # a late copy of it is no news


def test_an_owner_that_will_not_give_what_is_meant_is_given_up() -> None:
    connection = fetching()
    connection.request(0, 2000, 1.0)
    (request,) = sent(connection)
    refusal = wire.Refuse(request.transfer_id, request.sequence, wire.Refusal.NOT_RARE)
    with pytest.raises(PeerFault, match="another node"):
        take(connection, refusal, 1.1)


def test_what_is_asked_for_again_after_a_loss_is_meant() -> None:
    connection = fetching()
    connection.request(0, 1000, 0.03, rare_only=True)
    (request,) = sent(connection)
    assert isinstance(request, wire.Request) and request.rare_only
    timer = connection.next_timer()
    assert timer is not None
    connection.on_timer(timer)
    assert [m.rare_only for m in sent(connection) if isinstance(m, wire.Request)] == [False]


@pytest.mark.parametrize("reason", [wire.Refusal.NOT_HELD, wire.Refusal.NOT_RARE])
def test_a_refused_trial_of_a_larger_segment_is_tried_again(reason: wire.Refusal) -> None:
    terms = dataclasses.replace(TERMS, segment_size=wire.SMALL_SEGMENT, largest_segment=1440)
    connection = FetchConnection(terms, make_controller("cubic", wire.SMALL_SEGMENT), 0.0)
    (ask,) = sent(connection)
    take(connection, wire.Token(ask.transfer_id, ask.sequence, b"t" * wire.TOKEN_SIZE), 0.01)
    (ask,) = sent(connection)
    take(connection, tell(ask, complete=True), 0.02)

    def trials(start: int, now: float) -> list[wire.Request]:
        connection.request(start, start + 4000, now, rare_only=True)
        requests = [message for message in sent(connection) if isinstance(message, wire.Request)]
        return [request for request in requests if request.segment_size == 1440]

    (trial,) = trials(0, 1.0)
    assert trial.rare_only
    take(connection, wire.Refuse(trial.transfer_id, trial.sequence, reason), 1.1)
    assert trials(4000, 1.2)
