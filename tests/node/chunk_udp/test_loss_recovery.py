"""Round-trip times and losses, against the numbers of RFC 6298 and RFC 9002."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from common.ranges import RangeSet
from node.chunk_udp.loss_recovery import (
    GRANULARITY,
    INITIAL_RTT,
    MAX_PACKET_THRESHOLD,
    MAX_PROBE_TIMEOUT,
    MAX_RESPONSE_DELAY,
    PACKET_THRESHOLD,
    TIME_THRESHOLD,
    InFlight,
    Lost,
    RoundTripTime,
)

SEGMENT = 1000


def measured(*samples: float) -> RoundTripTime:
    rtt = RoundTripTime()
    for sample in samples:
        rtt.sample(sample)
    return rtt


# ---- round-trip times


def test_before_any_sample_the_usual_guess_is_used() -> None:
    rtt = RoundTripTime()
    assert not rtt.measured
    assert rtt.probe_timeout(0) == pytest.approx(INITIAL_RTT * 3 + MAX_RESPONSE_DELAY)


def test_the_first_sample_replaces_the_guess() -> None:
    """RFC 6298, 2.2: SRTT = R, RTTVAR = R / 2, so the timer is 3 R."""
    rtt = measured(0.1)
    assert (rtt.smoothed, rtt.variation, rtt.minimum, rtt.latest) == (0.1, 0.05, 0.1, 0.1)
    assert rtt.probe_timeout(0) == pytest.approx(0.3 + MAX_RESPONSE_DELAY)


def test_later_samples_are_smoothed() -> None:
    """RFC 6298, 2.3: RTTVAR first, with the old SRTT; alpha 1/8, beta 1/4."""
    rtt = measured(0.1, 0.2)
    assert rtt.variation == pytest.approx(0.75 * 0.05 + 0.25 * 0.1)
    assert rtt.smoothed == pytest.approx(0.875 * 0.1 + 0.125 * 0.2)
    assert (rtt.minimum, rtt.latest) == (0.1, 0.2)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=50))
def test_the_smoothed_time_stays_among_the_samples(samples: list[float]) -> None:
    rtt = measured(*samples)
    assert min(samples) - 1e-9 <= rtt.smoothed <= max(samples) + 1e-9
    assert rtt.minimum == min(samples)
    assert rtt.variation >= 0


def test_a_steady_path_has_a_timer_close_to_its_round_trip() -> None:
    assert measured(*[0.1] * 100).probe_timeout(0) == pytest.approx(0.1 + GRANULARITY + MAX_RESPONSE_DELAY)


@given(st.lists(st.floats(0, 10), max_size=20), st.integers(0, 1000))
def test_each_probe_doubles_the_timer_up_to_a_limit(samples: list[float], probes: int) -> None:
    rtt = measured(*samples)
    once = rtt.probe_timeout(0)
    assert once >= GRANULARITY + MAX_RESPONSE_DELAY
    assert rtt.probe_timeout(probes) == pytest.approx(
        min(once * 2 ** min(probes, 40), max(once, MAX_PROBE_TIMEOUT))
    )


# ---- what is lost


def flight_of(count: int, now: float = 0.0) -> InFlight:
    """``count`` requests of a segment each, for consecutive bytes from 0 on."""
    flight = InFlight()
    for number in range(count):
        flight.send(number * SEGMENT, (number + 1) * SEGMENT, now)
    return flight


def arrive(flight: InFlight, number: int) -> list[tuple[int, int]]:
    """All that request ``number`` (from 0) asked for comes."""
    request = flight.requests[number + 1]
    return flight.arrive(request, request.start, request.end)


RTT = measured(0.1)


def test_what_is_a_little_behind_is_not_lost() -> None:
    flight = flight_of(10)
    for number in range(1, 1 + PACKET_THRESHOLD - 1):
        arrive(flight, number)
    assert flight.find_lost(SEGMENT, RTT, 0.1) is None


def test_what_is_three_segments_behind_is_lost() -> None:
    flight = flight_of(10)
    for number in range(1, 1 + PACKET_THRESHOLD):
        arrive(flight, number)
    assert flight.find_lost(SEGMENT, RTT, 0.1) == Lost(((0, SEGMENT),), 0.0)
    assert flight.bytes == 6 * SEGMENT
    assert flight.find_lost(SEGMENT, RTT, 0.1) is None  # once


def test_what_is_a_little_behind_is_lost_when_it_is_too_old() -> None:
    flight = flight_of(3)
    arrive(flight, 1)
    assert flight.find_lost(SEGMENT, RTT, 0.1) is None
    assert flight.loss_time == pytest.approx(TIME_THRESHOLD * 0.1)
    assert flight.find_lost(SEGMENT, RTT, flight.loss_time or 0) == Lost(((0, SEGMENT),), 0.0)
    assert flight.loss_time is None  # the rest has nothing later behind it
    assert flight.bytes == SEGMENT


def test_the_latest_round_trip_counts_if_it_is_the_longer() -> None:
    """RFC 9002, 6.1.2: a path that has just become slow is not one that loses."""
    rtt = measured(0.1, 0.5)
    flight = flight_of(3)
    arrive(flight, 1)
    assert flight.find_lost(SEGMENT, rtt, 0.5) is None
    assert flight.loss_time == pytest.approx(TIME_THRESHOLD * 0.5)


def test_no_news_is_not_bad_news() -> None:
    flight = flight_of(5)
    arrive(flight, 0)
    assert flight.find_lost(SEGMENT, RTT, 1000.0) is None
    assert flight.loss_time is None
    assert flight.bytes == 4 * SEGMENT


def test_a_gap_within_a_request_is_lost_and_its_end_is_waited_for() -> None:
    flight = InFlight()
    request = flight.send(0, 10 * SEGMENT, 0.0)
    flight.arrive(request, 0, SEGMENT)
    flight.arrive(request, 2 * SEGMENT, 5 * SEGMENT)
    assert flight.find_lost(SEGMENT, RTT, 0.01) == Lost(((SEGMENT, 2 * SEGMENT),), 0.0)
    assert list(request.missing) == [(5 * SEGMENT, 10 * SEGMENT)]
    assert flight.bytes == 5 * SEGMENT


def test_order_is_that_of_asking_and_not_of_the_file() -> None:
    """Low bytes asked for late are not behind high bytes asked for early."""
    flight = InFlight()
    high = flight.send(50 * SEGMENT, 54 * SEGMENT, 0.0)
    flight.send(0, SEGMENT, 0.0)
    flight.arrive(high, high.start, high.end)
    assert flight.find_lost(SEGMENT, RTT, 10.0) is None


def test_a_path_that_reorders_makes_it_patient() -> None:
    flight = flight_of(10)
    flight.on_spurious_loss()
    for number in range(1, 6):
        arrive(flight, number)
        assert flight.find_lost(SEGMENT, RTT, 0.1) is None  # five behind would have been lost before
    arrive(flight, 6)
    assert flight.find_lost(SEGMENT, RTT, 0.1) is not None


def test_patience_has_an_end() -> None:
    flight = flight_of(MAX_PACKET_THRESHOLD + 2)
    for _ in range(100):
        flight.on_spurious_loss()
    for number in range(1, MAX_PACKET_THRESHOLD + 1):
        arrive(flight, number)
    assert flight.find_lost(SEGMENT, RTT, 0.1) is not None


def test_taking_back_is_from_whoever_was_asked() -> None:
    flight = flight_of(3)
    assert flight.take_back(500, 1500) == [(500, 1000), (1000, 1500)]
    assert flight.take_back(500, 1500) == []
    assert flight.bytes == 2 * SEGMENT
    assert flight.oldest(10_000) == (0, 500)
    assert flight.oldest(200) == (0, 200)


def test_nothing_outstanding_has_no_oldest() -> None:
    assert InFlight().oldest(1000) is None


class EveryByteIsAccountedFor(RuleBasedStateMachine):
    """Whatever comes, in whatever order: each byte is wanted, outstanding, lost or here, and only that."""

    @initialize()
    def begin(self) -> None:
        self.flight = InFlight()
        self.rtt = measured(0.1)
        self.now = 0.0
        self.wanted = RangeSet([(0, 40_000)])
        self.lost = RangeSet()
        self.here = RangeSet()
        self.asked: list[tuple[int, int, int]] = []  # sequence, start, end: may come at any time

    @rule(size=st.integers(1, 5000), again=st.booleans())
    def ask(self, size: int, again: bool) -> None:
        span = (self.lost if again else self.wanted).take_first(size)
        if span is not None:
            self.asked.append((self.flight.send(*span, self.now).sequence, *span))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def come(self, data: st.DataObject) -> None:
        sequence, start, end = data.draw(st.sampled_from(self.asked))
        start = data.draw(st.integers(start, end - 1))
        end = data.draw(st.integers(start + 1, end))
        request = self.flight.requests.get(sequence)
        taken = [] if request is None else self.flight.arrive(request, start, end)
        for span in taken:
            self.here.add(*span)
        self.find_losses()  # as a connection does whenever something came out of order

    @precondition(lambda self: self.flight.requests)
    @rule(data=st.data())
    def come_in_order(self, data: st.DataObject) -> None:
        """The fast path is taken only if the general path has the same result."""
        request = data.draw(st.sampled_from(list(self.flight.requests.values())))
        start = request.missing.first
        end = data.draw(st.integers(start + 1, request.end))
        before = [span for r in self.flight.requests.values() for span in r.missing]
        oldest = next(iter(self.flight.requests))
        if self.flight.arrive_in_order(request.sequence, start, end) is None:
            assert [span for r in self.flight.requests.values() for span in r.missing] == before
            return
        assert request.sequence == oldest
        self.here.add(start, end)
        assert self.flight.find_lost(SEGMENT, self.rtt, self.now) is None

    @rule(seconds=st.floats(0, 0.2))
    def look_for_losses(self, seconds: float) -> None:
        self.now += seconds
        self.find_losses()

    def find_losses(self) -> None:
        found = self.flight.find_lost(SEGMENT, self.rtt, self.now)
        for span in found.ranges if found else ():
            assert not RangeSet(self.lost).cut(*span)
            self.lost.add(*span)
        assert self.flight.loss_time is None or self.flight.loss_time > self.now

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        _, start, end = data.draw(st.sampled_from(self.asked))
        for span in self.flight.take_back(start, end):
            self.lost.add(*span)

    @rule()
    def clear(self) -> None:
        for span in self.flight.clear():
            self.wanted.add(*span)

    @rule()
    def on_spurious_loss(self) -> None:
        self.flight.on_spurious_loss()

    @invariant()
    def all_bytes_are_somewhere_once(self) -> None:
        outstanding = [span for request in self.flight.requests.values() for span in request.missing]
        assert self.flight.bytes == sum(end - start for start, end in outstanding)
        assert all(request.missing for request in self.flight.requests.values())
        everywhere = [*outstanding, *self.wanted, *self.lost, *self.here]
        assert sum(end - start for start, end in everywhere) == 40_000
        assert RangeSet(everywhere) == RangeSet([(0, 40_000)])


TestEveryByteIsAccountedFor = EveryByteIsAccountedFor.TestCase
TestEveryByteIsAccountedFor.settings = settings(stateful_step_count=40)
