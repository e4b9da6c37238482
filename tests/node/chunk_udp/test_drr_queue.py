"""Requests that wait: fair by bytes, bounded, sent once, forgotten when old. Virtual time only."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.chunk_udp import wire
from node.chunk_udp.drr_queue import MAX_FLOW_REQUESTS, MAX_QUEUED_REQUESTS, MAX_REQUEST_AGE, Added, DrrQueue

HEADER = wire.HEADER_SIZE
MUCH = 1 << 30
NOW = 10.0


def address(number: int) -> tuple[str, int]:
    return ("192.0.2.7", number)


def request(offset: int = 0, length: int = 3000, transfer: int = 1, sequence: int = 1) -> wire.Request:
    return wire.Request(transfer, sequence, offset, length, b"h" * 20, bytes(16), 1000)


def sent_by(queue: DrrQueue, budget: int | None = None, most: int = MUCH, now: float = NOW) -> Counter[int]:
    """Send until nothing waits or about ``most`` bytes went out: bytes of datagrams, by port."""
    sent: Counter[int] = Counter()
    while sum(sent.values()) < most and (portion := queue.next(budget, now)) is not None:
        queue.sent(portion, portion.length)
        sent[portion.addr[1]] += portion.length + -(-portion.length // portion.segment) * HEADER
    return sent


def test_what_is_asked_for_is_sent_whole_and_in_order() -> None:
    queue = DrrQueue()
    for number in range(3):
        assert queue.add(request(number * 3000), address(1), 1000, MUCH, NOW) is Added.QUEUED
    spans = []
    while (portion := queue.next(None, NOW)) is not None:
        queue.sent(portion, portion.length)
        spans.append((portion.offset, portion.length))
    assert spans == [(0, 3000), (3000, 3000), (6000, 3000)]
    assert not queue and len(queue) == 0


def test_a_small_budget_cuts_between_datagrams() -> None:
    queue = DrrQueue()
    queue.add(request(length=2500), address(1), 1000, MUCH, NOW)
    assert queue.next(1000 + HEADER - 1, NOW) is None
    portion = queue.next(2500, NOW)
    assert portion is not None and (portion.offset, portion.length, portion.segment) == (0, 2000, 1000)
    queue.sent(portion, 1000)  # the system took no more
    portion = queue.next(MUCH, NOW)
    assert portion is not None and (portion.offset, portion.length) == (1000, 1500)
    queue.sent(portion, 1000)
    portion = queue.next(500 + HEADER, NOW)
    assert portion is not None and portion.length == 500


def test_a_request_goes_in_one_turn_if_its_last_short_datagram_fits_too() -> None:
    queue = DrrQueue()
    queue.add(request(length=1600), address(1), 1000, MUCH, NOW)
    needed = 1600 + 2 * HEADER
    for budget, length in ((needed - 1, 1000), (needed, 1600), (MUCH, 1600)):
        portion = queue.next(budget, NOW)
        assert portion is not None and portion.length == length


DEMANDS = st.lists(st.lists(st.integers(1, 64_000), min_size=1, max_size=20), min_size=2, max_size=6)


@given(DEMANDS, st.integers(512, 8000), st.integers(9000, 200_000), st.integers(1, 2_000_000), st.booleans())
def test_whoever_has_something_waiting_gets_as_much_as_anybody_within_a_turn(
    demands: list[list[int]], segment: int, quantum: int, most: int, limited: bool
) -> None:
    """Among clients with constant demand, no client is more than a turn and a datagram ahead."""
    queue = DrrQueue(quantum)
    asked: Counter[int] = Counter()
    for port, lengths in enumerate(demands):
        for number, length in enumerate(lengths):
            queue.add(request(number * 70_000, length), address(port), segment, MUCH, NOW)
            asked[port] += length
    sent = sent_by(queue, segment + HEADER if limited else None, most)
    unsatisfied = [port for port in asked if queue.forget(address(port))]
    for one in unsatisfied:
        for other in asked:
            assert sent[other] - sent[one] <= quantum + segment + HEADER


@given(DEMANDS, st.integers(512, 8000), st.integers(9000, 200_000))
def test_nothing_is_left_unsent_while_it_might_be(
    demands: list[list[int]], segment: int, quantum: int
) -> None:
    queue = DrrQueue(quantum)
    for port, lengths in enumerate(demands):
        for number, length in enumerate(lengths):
            queue.add(request(number * 70_000, length), address(port), segment, MUCH, NOW)
    sent = sent_by(queue)
    wanted = {
        port: sum(length + -(-length // segment) * HEADER for length in lengths)
        for port, lengths in enumerate(demands)
    }
    assert sent == wanted and not queue and len(queue) == 0 and queue.addresses == 0


def test_who_asks_little_does_not_wait_behind_who_asks_much() -> None:
    queue = DrrQueue(quantum=10_000)
    for number in range(60):
        queue.add(request(number * 64_000, 64_000), address(1), 1000, MUCH, NOW)
    queue.add(request(), address(2), 1000, MUCH, NOW)
    ahead = 0
    while (portion := queue.next(None, NOW)) is not None and portion.addr == address(1):
        queue.sent(portion, portion.length)
        ahead += portion.length
    assert ahead <= 10_000


def test_the_same_again_is_sent_once_and_in_the_smaller_segments() -> None:
    queue = DrrQueue()
    queue.add(request(sequence=1), address(1), 1000, MUCH, NOW)
    assert queue.add(request(sequence=2), address(1), 600, MUCH, NOW) is Added.AGAIN
    assert queue.add(request(sequence=3), address(1), 9000, MUCH, NOW) is Added.AGAIN
    portion = queue.next(None, NOW)
    assert portion is not None and (portion.request.sequence, portion.segment) == (1, 600)
    for other in (request(1), request(length=2999), request(transfer=2)):
        assert queue.add(other, address(1), 1000, MUCH, NOW) is Added.QUEUED
    assert queue.add(request(), address(2), 1000, MUCH, NOW) is Added.QUEUED


def test_the_same_again_once_some_of_it_went_out_is_sent_again() -> None:
    queue = DrrQueue()
    queue.add(request(sequence=1), address(1), 1000, MUCH, NOW)
    portion = queue.next(None, NOW)
    assert portion is not None
    queue.sent(portion, 1000)
    assert queue.add(request(sequence=2), address(1), 1000, MUCH, NOW) is Added.QUEUED
    assert sent_by(queue) == {1: 5000 + 5 * HEADER}


def test_what_is_old_is_not_sent() -> None:
    queue = DrrQueue()
    queue.add(request(0), address(1), 1000, MUCH, NOW)
    queue.add(request(3000), address(1), 1000, MUCH, NOW + 1)
    queue.add(request(0), address(2), 1000, MUCH, NOW)
    assert sent_by(queue, now=NOW + MAX_REQUEST_AGE + 0.5) == {1: 3000 + 3 * HEADER}
    assert queue.aged == 2 and not queue


def test_an_address_may_have_so_many_bytes_and_requests_waiting() -> None:
    queue = DrrQueue()
    assert queue.add(request(0, 9000), address(1), 1000, 5000, NOW) is Added.QUEUED  # the first, always
    assert queue.add(request(9000, 1), address(1), 1000, 5000, NOW) is Added.FULL
    for number in range(MAX_FLOW_REQUESTS):
        assert queue.add(request(number, 1), address(2), 1000, 5000, NOW) is Added.QUEUED
    assert queue.add(request(MAX_FLOW_REQUESTS, 1), address(2), 1000, 5000, NOW) is Added.FULL


def test_only_so_many_requests_wait_in_all() -> None:
    queue = DrrQueue()
    for port in range(MAX_QUEUED_REQUESTS):
        assert queue.add(request(), address(port), 1000, MUCH, NOW) is Added.QUEUED
    assert queue.add(request(), address(MAX_QUEUED_REQUESTS), 1000, MUCH, NOW) is Added.FULL
    assert len(queue) == MAX_QUEUED_REQUESTS
    assert queue.forget(address(0)) == [request()] and queue.forget(address(0)) == []
    assert queue.add(request(), address(MAX_QUEUED_REQUESTS), 1000, MUCH, NOW) is Added.QUEUED


def test_a_request_that_cannot_be_answered_is_dropped_whole() -> None:
    queue = DrrQueue()
    queue.add(request(0), address(1), 1000, MUCH, NOW)
    queue.add(request(3000), address(1), 1000, MUCH, NOW)
    portion = queue.next(None, NOW)
    assert portion is not None
    queue.sent(portion, 1000)
    queue.drop(portion)
    portion = queue.next(None, NOW)
    assert portion is not None and portion.offset == 3000


@pytest.mark.parametrize("quantum", [600, 70_000])
def test_a_datagram_larger_than_a_turn_is_saved_up_for(quantum: int) -> None:
    queue = DrrQueue(quantum)
    for port in (1, 2):
        queue.add(request(length=60_000), address(port), 60_000, MUCH, NOW)
    assert sent_by(queue) == {1: 60_000 + HEADER, 2: 60_000 + HEADER}
