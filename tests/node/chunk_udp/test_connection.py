"""The fetcher's state machine, event by event, in virtual time: its requests and its deliveries."""

from __future__ import annotations

import pytest

from common.errors import PeerFault
from node.chunk_udp import wire
from node.chunk_udp.connection import ConnectionState
from node.chunk_udp.events import DataReceived, OwnerStatus
from node.chunk_udp.probe_timer import ASK_INTERVAL
from tests.node.chunk_udp.conversation import (
    CONTENT,
    TERMS,
    PlayedOwner,
    ask_of,
    connect,
    requests_of,
    run_timers,
    segments,
    spans,
    take,
    told,
)

# ---- the handshake


@pytest.mark.parametrize(
    ("is_fetching", "reason"), [(False, "^does not share this file$"), (True, "^does not share it any more$")]
)
def test_an_owner_that_does_not_share_is_a_fault(is_fetching: bool, reason: str) -> None:
    connection, owner = connect(), PlayedOwner()
    if is_fetching:
        told(connection, owner).request(0, 1000, 0.05)
    (question,) = map(wire.decode, connection.datagrams_to_send())
    assert isinstance(question, wire.Ask | wire.Request)
    refusal = wire.Refuse(TERMS.transfer_id, question.sequence, wire.Refusal.NOT_SHARED)
    with pytest.raises(PeerFault, match=reason):
        take(connection, [wire.encode(refusal)], 0.1)


def test_the_first_question_is_padded_and_shows_no_token() -> None:
    (datagram,) = connect().datagrams_to_send()
    assert len(datagram) == wire.ASK_SIZE
    assert ask_of(datagram).token == wire.NO_TOKEN


def test_a_token_then_an_answer_and_bytes_may_be_asked_for() -> None:
    connection, owner = connect(), PlayedOwner()
    assert (connection.state, connection.room()) == (ConnectionState.VALIDATING, 0)
    assert take(connection, owner.answers(connection.datagrams_to_send(), 0.1), 0.1) == []
    assert (connection.state, connection.room()) == (ConnectionState.ASKING, 0)
    facts = take(connection, owner.answers(connection.datagrams_to_send(), 0.2), 0.2)
    assert facts == [OwnerStatus(len(CONTENT), True, 0, b"")]
    assert connection.state is ConnectionState.FETCHING
    assert connection.room() == connection.tracker.window > 0
    assert connection.rtt.smoothed == pytest.approx(0.1)
    assert connection.next_timer() is None  # nothing is awaited


@pytest.mark.parametrize("round_trip", [0.001, 0.5, 1.1, 1.5, 2.5])
def test_a_round_trip_longer_than_the_first_timer_does_not_matter(round_trip: float) -> None:
    """Questions are repeated before the first answer is here; whichever answer comes is good."""
    connection, owner = connect(), PlayedOwner()
    under_way: list[tuple[float, bytes]] = []
    now = 0.0
    while connection.state is not ConnectionState.FETCHING:
        assert now < 5 * round_trip + 1, "hangs in its handshake"
        under_way += [(now + round_trip, a) for a in owner.answers(connection.datagrams_to_send(), now)]
        timer = connection.next_timer()
        assert timer is not None
        now = min([timer] + [when for when, _ in under_way[:1]])
        while under_way and under_way[0][0] <= now:
            take(connection, [under_way.pop(0)[1]], now)
        connection.on_timer(now)
    assert connection.rtt.smoothed == pytest.approx(round_trip)


def test_an_answer_while_still_waiting_for_a_token_is_an_answer() -> None:
    """TOKEN 1 is late, TOKEN 2 is lost, and ASK 3 carries TOKEN 1. Its answer is TELL."""
    connection, owner = connect(), PlayedOwner()
    first = connection.datagrams_to_send()
    run_timers(connection, 1.5)
    assert len(connection.datagrams_to_send()) == 1.5 // ASK_INTERVAL  # repeated; lost
    take(connection, owner.answers(first, 1.6), 1.6)
    facts = take(connection, owner.answers(connection.datagrams_to_send(), 1.7), 1.7)
    assert [type(fact) for fact in facts] == [OwnerStatus]
    assert connection.state is ConnectionState.FETCHING


def test_each_question_is_answered_once() -> None:
    connection, owner = connect(), PlayedOwner()
    take(connection, owner.answers(connection.datagrams_to_send(), 0.1), 0.1)
    answer = owner.answers(connection.datagrams_to_send(), 0.2)
    assert len(take(connection, answer * 3, 0.2)) == 1
    assert connection.stats.stale == 2


def test_an_old_answer_does_not_answer_a_new_question() -> None:
    connection, owner = connect(), PlayedOwner()
    take(connection, owner.answers(connection.datagrams_to_send(), 0.1), 0.1)
    old = owner.answers(connection.datagrams_to_send(), 0.2)
    take(connection, old, 0.2)
    connection.ask_file_size(0.3)
    question = connection.datagrams_to_send()
    assert ask_of(question[0]).first_piece == 0
    assert take(connection, old, 0.4) == []
    assert connection.room() == 0
    assert len(take(connection, owner.answers(question, 0.5), 0.5)) == 1
    assert connection.room() > 0


def test_a_question_in_mid_transfer_lets_what_was_asked_for_arrive() -> None:
    owner = PlayedOwner()
    connection = told(connect(), owner)
    connection.request(0, 2000, 1.0)
    answers = owner.answers(connection.datagrams_to_send(), 1.0)
    connection.ask_file_size(1.0)
    assert connection.room() == 0
    assert spans(take(connection, answers, 1.1)) == [(0, 1000), (1000, 2000)]
    take(connection, owner.answers(connection.datagrams_to_send(), 1.2), 1.2)
    assert connection.room() > 0


def test_a_repeated_token_for_a_question_takes_no_request_back() -> None:
    """Questions and requests are numbered apart."""
    connection, owner = connect(), PlayedOwner()
    token = owner.answers(connection.datagrams_to_send(), 0.1)
    take(connection, token, 0.1)
    take(connection, owner.answers(connection.datagrams_to_send(), 0.2), 0.2)
    connection.request(0, 1000, 0.3)
    take(connection, token * 20, 0.4)
    assert connection.tracker.in_flight.bytes == 1000
    assert connection.tracker.take_lost(1000) is None


def test_a_late_answer_to_the_question_before_the_last_is_taken() -> None:
    connection = told(connect(), PlayedOwner())
    for now in (1.0, 2.0):
        connection.poll_have(now)
    asks = [wire.decode(datagram) for datagram in connection.datagrams_to_send()]
    late = wire.Tell(TERMS.transfer_id, asks[0].sequence, len(CONTENT), True)
    assert take(connection, [wire.encode(late)], 2.1) == [OwnerStatus(len(CONTENT), True, 0, b"")]


# ---- requested and unrequested bytes


def test_every_segment_arrives_once_however_often_it_comes() -> None:
    owner = PlayedOwner()
    connection = told(connect(), owner)
    connection.request(500, 4250, 1.0)
    answers = owner.answers(connection.datagrams_to_send(), 1.0)
    facts = take(connection, [answers[2], *answers, *answers], 1.1)
    assert sorted(spans(facts)) == [(500, 1500), (1500, 2500), (2500, 3500), (3500, 4250)]
    assert connection.stats.duplicate_bytes == 3750 + 1000
    assert connection.tracker.in_flight.bytes == 0


def test_data_of_another_transfer_is_dropped() -> None:
    owner = PlayedOwner()
    connection = told(connect(), owner)
    connection.request(0, 1000, 1.0)
    (request,) = requests_of(connection.datagrams_to_send())
    strange = request._replace(transfer_id=request.transfer_id ^ 1)
    assert take(connection, segments(strange), 1.1) == []
    assert connection.stats.stale == 1
    assert connection.tracker.in_flight.bytes == 1000


@pytest.mark.parametrize("sequence", [1, 2, 99, 1 << 31])
@pytest.mark.parametrize("offset", [0, 999, 2000, 50_000, 2**64 - 1000])
def test_bytes_that_were_never_asked_for_are_never_delivered(sequence: int, offset: int) -> None:
    """Only [1000, 2000) is wanted, with any sequence."""
    owner = PlayedOwner()
    connection = told(connect(), owner)
    connection.request(1000, 2000, 1.0)
    connection.datagrams_to_send()
    data = wire.Data(TERMS.transfer_id, sequence, offset, bytes(1000), True)
    facts = connection.datagram_received(wire.encode(data), 1.1)
    delivered = [(f.offset, f.offset + len(f.payload)) for f in facts if isinstance(f, DataReceived)]
    assert delivered == ([(1000, 1999)] if offset == 999 else [])
    assert connection.tracker.in_flight.bytes == (1 if offset == 999 else 1000)


def test_what_is_not_a_datagram_of_ours_is_counted_and_dropped() -> None:
    connection = connect()
    for junk in (b"", b"x", bytes(32), bytes(65_507), connection.datagrams_to_send()[0][:-1]):
        assert connection.datagram_received(junk, 0.1) == ()
    assert connection.stats.malformed == 5


def test_after_closing_nothing_is_taken_and_all_that_is_missing_is_given_back() -> None:
    owner = PlayedOwner()
    connection = told(connect(), owner)
    connection.request(0, 3000, 1.0)
    connection.request(3000, 5000, 1.0)
    answers = owner.answers(connection.datagrams_to_send(), 1.0)
    take(connection, answers[1:2], 1.1)
    assert sorted(connection.unreceived()) == [(0, 1000), (2000, 3000), (3000, 5000)]
    assert connection.unreceived() == []
    assert take(connection, answers, 1.2) == []
    assert (connection.room(), connection.next_timer()) == (0, None)


@pytest.mark.parametrize("segment_size", [512, 1200, 1400, 7216, 61_440, wire.MAX_SEGMENT])
@pytest.mark.parametrize("window", [1, 10, 100, 5000])
def test_what_is_asked_for_at_a_time_is_what_an_owner_answers(segment_size: int, window: int) -> None:
    connection = connect(segment_size=segment_size, receive_limit=1 << 40)
    connection.tracker.controller.window = window * segment_size
    size = connection.tracker.request_size
    assert size % segment_size == 0
    assert segment_size <= size <= wire.MAX_REQUEST
    assert size <= wire.MAX_SEGMENTS_PER_REQUEST * segment_size


def test_no_more_is_asked_for_than_our_own_buffer_takes() -> None:
    owner = PlayedOwner()
    connection = told(connect(receive_limit=3000), owner)
    connection.tracker.controller.window = 1e9
    assert connection.tracker.window == connection.room() == 3000


def test_who_was_asked_for_checksums_is_not_believed_without() -> None:
    owner = PlayedOwner()
    connection = told(connect(checked=True), owner)
    connection.request(0, 2000, 1.0)
    answers = owner.answers(connection.datagrams_to_send(), 1.0)
    messages = [wire.decode(answer) for answer in answers]
    bare = [wire.encode(m._replace(checked=False)) for m in messages if isinstance(m, wire.Data)]
    assert len(bare) == 2
    assert take(connection, bare, 1.01) == [] and connection.stats.stale == 2
    assert spans(take(connection, answers, 1.02)) == [(0, 1000), (1000, 2000)]
