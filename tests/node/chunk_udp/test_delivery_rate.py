"""Rates are measured from arrivals: never above the rate of requests or the rate of arrival."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.chunk_udp.delivery_rate import DeliveryRate, RoundSample
from node.chunk_udp.loss_recovery import SentRequest

SIZE = 1000  # bytes of each request


class RequestPath:
    """Requests of one size, sent and answered at the test's command."""

    def __init__(self) -> None:
        self.deliveries = DeliveryRate()
        self.under_way: list[SentRequest] = []
        self.rounds: list[RoundSample] = []
        self._count = itertools.count(1)

    def send(self, now: float) -> None:
        number = next(self._count)
        request = SentRequest(number, 0, 0, SIZE, now)
        self.under_way.append(request)
        self.deliveries.sent(request, len(self.under_way) == 1, now)

    def arrive(self, now: float, shortest: float = 0.0) -> None:
        """The answer to the oldest one is here."""
        request = self.under_way.pop(0)
        deliveries = self.deliveries
        deliveries.round_trip(now - request.sent_at)
        ended = deliveries.arrived(SIZE, request, shortest, SIZE * len(self.under_way), now)
        if ended:
            self.rounds.append(ended)

    def run(self, sent: list[float], came: list[float]) -> list[RoundSample]:
        """Send and receive at these times; the rounds that this made."""
        events = sorted([(at, 0) for at in sent] + [(at, 1) for at in came])
        for at, is_arrival in events:
            if is_arrival:
                self.arrive(at)
            else:
                self.send(at)
        return self.rounds


def every(gap: float, count: int, begin: float = 0.0) -> list[float]:
    return [begin + gap * turn for turn in range(count)]


# ---- rates


def test_a_steady_stream_shows_its_rate() -> None:
    rounds = RequestPath().run(every(0.01, 50), every(0.01, 50, begin=0.095))
    assert [ended.rate for ended in rounds[2:]] == pytest.approx([SIZE / 0.01] * len(rounds[2:]))
    assert len(rounds) >= 5


def test_what_comes_in_a_heap_is_no_faster_than_it_was_asked_for() -> None:
    heaps = [0.1 + 0.1 * (turn // 10) for turn in range(50)]
    rounds = RequestPath().run(every(0.01, 50), [at + 0.05 for at in heaps])
    assert max(ended.rate for ended in rounds) <= SIZE / 0.01 * 1.001


def test_what_was_asked_for_at_once_is_no_faster_than_it_comes() -> None:
    rounds = RequestPath().run([0.0] * 50 + [0.6] * 50, every(0.01, 50, 0.1) + every(0.01, 50, 0.7))
    assert 0 < max(ended.rate for ended in rounds) <= SIZE / 0.01 * 1.001


@given(st.lists(st.floats(0, 0.2), min_size=5, max_size=60))
def test_whenever_it_comes_asking_evenly_bounds_the_rate(delays: list[float]) -> None:
    sent = every(0.01, len(delays))
    came = list(itertools.accumulate((at + 0.011 + d for at, d in zip(sent, delays, strict=True)), max))
    for ended in RequestPath().run(sent, came):
        assert ended.rate <= SIZE / 0.01 * 1.001


@given(st.lists(st.floats(0, 0.05), min_size=5, max_size=60), st.floats(0.001, 0.02))
def test_whenever_it_is_asked_for_coming_evenly_bounds_the_rate(gaps: list[float], gap: float) -> None:
    sent = list(itertools.accumulate(gaps))
    came, last = [], 0.0
    for at in sent:  # a link that takes ``gap`` seconds for each
        last = max(last, at + 0.03) + gap
        came.append(last)
    for ended in RequestPath().run(sent, came):
        assert ended.rate <= SIZE / gap * 1.001


def test_a_pause_does_not_count_as_slowness() -> None:
    path = RequestPath()
    path.run(every(0.01, 20), every(0.01, 20, 0.055))
    path.rounds.clear()
    path.run(every(0.01, 20, 100.0), every(0.01, 20, 100.055))
    assert [ended.rate for ended in path.rounds[2:]] == pytest.approx([SIZE / 0.01] * len(path.rounds[2:]))


def test_too_short_a_time_shows_nothing() -> None:
    """Shorter than any round trip on this path: a timer's or an interrupt's whim."""
    path = RequestPath()
    path.send(0.0)
    path.arrive(0.001, shortest=0.05)
    assert [ended.rate for ended in path.rounds] == [0.0]


# ---- held back by a lack of work


def test_a_rate_without_enough_work_says_so_until_the_flight_is_over() -> None:
    path = RequestPath()
    for at in every(0.01, 5):
        path.send(at)
    path.deliveries.mark_app_limited(5 * SIZE)
    for at in every(0.01, 5, 0.1):
        path.arrive(at)
    assert path.rounds[-1].app_limited
    path.rounds.clear()
    path.run(every(0.01, 20, 0.2), every(0.01, 20, 0.255))
    assert path.rounds and not path.rounds[-1].app_limited


# ---- rounds


def test_a_round_is_a_round_trip() -> None:
    rounds = RequestPath().run(every(0.01, 100), every(0.01, 100, 0.105))
    assert len(rounds) == pytest.approx(10, abs=2)
    assert rounds[5].in_flight == pytest.approx(10 * SIZE, abs=SIZE)
    assert [ended.lowest_rtt for ended in rounds] == pytest.approx([0.105] * len(rounds))


def test_rounds_add_up() -> None:
    path = RequestPath()
    for at in every(0.01, 30):
        path.send(at)
    path.deliveries.lost(3 * SIZE)
    for at in every(0.01, 30, 0.5):
        path.arrive(at)
        path.deliveries.lost(7)
    path.send(1.0)
    path.arrive(1.1)
    assert sum(ended.delivered for ended in path.rounds) == 31 * SIZE == path.deliveries.delivered
    assert sum(ended.lost for ended in path.rounds) == 3 * SIZE + 30 * 7


def test_what_was_held_lost_and_came_after_all_is_taken_back() -> None:
    path = RequestPath()
    path.send(0.0)
    path.deliveries.lost(SIZE)
    path.deliveries.lost(-SIZE)
    path.arrive(0.1)
    assert path.rounds[-1].lost == 0


def test_each_round_forgets_the_last_one() -> None:
    path = RequestPath()
    path.run([0.0], [0.1])
    path.send(1.0)
    path.deliveries.lost(5)
    path.arrive(1.5)
    assert (path.rounds[0].lowest_rtt, path.rounds[1].lowest_rtt) == pytest.approx((0.1, 0.5))
    assert (path.rounds[0].lost, path.rounds[1].lost) == (0, 5)
