"""A lost datagram's story: the detection of the loss, the repeated request, and the cost."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from node.chunk_udp.connection import FetchConnection
from node.chunk_udp.loss_log import LossLog
from node.chunk_udp.wire import HEADER_SIZE, REQUEST_SIZE
from node.notes import ConnectionNote, RangeLost, RangeRepaired, WindowReduced
from node.peer import Peer
from tests.node.chunk_udp.conversation import TERMS, PlayedOwner, connect, run_timers, spans, take, told

OWNER = Peer("192.0.2.1", 4000, node_id=5)


def noted(**terms: object) -> tuple[FetchConnection, PlayedOwner, list[ConnectionNote]]:
    owner, notes = PlayedOwner(), list[ConnectionNote]()
    connection = told(connect(**terms), owner)
    connection.tracker.losses = LossLog(OWNER, TERMS.info_hash, notes.append)
    return connection, owner, notes


def ask(connection: FetchConnection, owner: PlayedOwner, count: int, now: float) -> list[bytes]:
    for start in range(0, 1000 * count, 1000):
        connection.request(start, start + 1000, now)
    return owner.answers(connection.datagrams_to_send(), now)


def test_the_story_of_one_lost_datagram() -> None:
    connection, owner, notes = noted()
    answers = ask(connection, owner, 8, 1.0)
    expected_at = 1.0 + connection.rtt.smoothed
    take(connection, answers[1:6], 1.02)  # the first answer is lost
    lost = notes[0]
    assert isinstance(lost, RangeLost) and (lost.start, lost.end, lost.request) == (0, 1000, 1)
    assert (lost.peer, lost.at, lost.reason) == (OWNER, 1.02, "more than 3 later segments came first")
    assert isinstance(notes[1], WindowReduced) and notes[1].window == connection.tracker.window
    span = connection.tracker.take_lost(5000)
    assert span == (0, 1000)
    connection.request(*span, 1.03)
    take(connection, [*answers[6:], *owner.answers(connection.datagrams_to_send(), 1.03)], 1.5)
    repaired = notes[-1]
    assert isinstance(repaired, RangeRepaired) and repaired.lost == lost
    assert (repaired.by, repaired.again) == ("asked again", 9)
    assert abs(repaired.delay - (1.5 - expected_at)) < 0.5  # the round trip is measured meanwhile
    assert repaired.cost == 1000 + REQUEST_SIZE + HEADER_SIZE
    assert len(notes) == 3


def test_an_answer_that_only_came_late_costs_nothing_if_it_was_not_asked_for_again() -> None:
    connection, owner, notes = noted()
    answers = ask(connection, owner, 8, 1.0)
    take(connection, [*answers[1:5], answers[0]], 1.02)
    repaired = notes[-1]
    assert isinstance(repaired, RangeRepaired)
    assert (repaired.by, repaired.again, repaired.cost) == ("late", 0, 0)


def test_after_silence_the_oldest_bytes_are_requested_again() -> None:
    connection, owner, notes = noted()
    ask(connection, owner, 1, 1.0)  # and the only answer is lost
    run_timers(connection, 2.2)
    lost = notes[0]
    assert isinstance(lost, RangeLost) and lost.reason.startswith("no answer for ")
    take(connection, owner.answers(connection.datagrams_to_send()[:1], 2.3), 2.3)
    assert any(isinstance(note, RangeRepaired) and note.lost == lost for note in notes)


def test_bytes_that_another_peer_delivers_are_no_repair() -> None:
    connection, owner, notes = noted()
    take(connection, ask(connection, owner, 8, 1.0)[1:6], 1.02)
    connection.tracker.cancel_lost(0, 1000)
    take(connection, owner.answers(connection.datagrams_to_send(), 1.03), 1.04)
    assert not any(isinstance(note, RangeRepaired) for note in notes)


@given(st.integers(0, 2**32), st.floats(0.0, 0.4))
def test_a_range_is_repaired_when_its_last_byte_is_here_and_not_before(seed: int, loss: float) -> None:
    rng, now, end = random.Random(seed), 1.0, 60_000
    connection, owner, notes = noted(owner_timeout=1e9)
    here: set[int] = set()  # thousands of bytes that arrived
    offset = seen = 0

    def check() -> None:
        nonlocal seen
        for note in notes[seen:]:
            lost = note.lost if isinstance(note, RangeRepaired) else note
            if isinstance(lost, RangeLost):
                is_here = set(range(lost.start // 1000, lost.end // 1000)) <= here
                assert is_here is isinstance(note, RangeRepaired)
        seen = len(notes)

    for _ in range(2000):
        while size := connection.may_request(now):
            span = connection.tracker.take_lost(size)
            if span is None and offset < end:
                span, offset = (offset, min(offset + size, end)), min(offset + size, end)
            if span is None:
                break
            connection.request(*span, now)
        answers = owner.answers(connection.datagrams_to_send(), now)
        kept = [answer for answer in answers if rng.random() >= loss]
        if rng.random() < 0.3:
            rng.shuffle(kept)
        now += 0.01
        for answer in kept:
            for start, stop in spans(take(connection, [answer], now)):
                here.update(range(start // 1000, stop // 1000))
            check()
        due = connection.next_timer()
        if due is not None and due <= now:
            connection.on_timer(now)
            check()
        if offset == end and not connection.tracker.in_flight.bytes and len(here) == end // 1000:
            break
    assert len(here) == end // 1000
    lost = [note for note in notes if isinstance(note, RangeLost)]
    repaired = [note.lost for note in notes if isinstance(note, RangeRepaired)]
    assert sorted(lost) == sorted(repaired)
