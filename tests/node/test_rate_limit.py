"""A limit that holds over any second, and that a sender with enough to send reaches. Virtual time only."""

from __future__ import annotations

import random
from bisect import bisect_right
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.chunk_udp import wire
from node.chunk_udp.datagram_size import largest_datagram
from node.rate_limit import MIN_BURST, MIN_RATE, RateLimit, limit_of

RATES = st.integers(MIN_RATE, 10**9)
SECONDS = 3.0


def send_all_the_time(
    limit: RateLimit, datagram: int, chance: random.Random, late: float
) -> list[tuple[float, int]]:
    """The sends of a sender with endless demand: ``(when, bytes)``. It wakes up to ``late`` seconds late."""
    sent, now = [], 0.0
    while now < SECONDS:
        size = min(datagram, largest_datagram(limit))
        count = limit.available(now) // size
        if count:
            limit.spend(count * size, now)
            sent.append((now, count * size))
        now += max(limit.wait(size, now), 0.001) + chance.uniform(0, late)
    return sent


def most_in_a_second(sent: list[tuple[float, int]]) -> int:
    """The most bytes in any half-open window of one second: one begins, at worst, with a sending."""
    times, sums = [at for at, _ in sent], [0, *accumulate(size for _, size in sent)]
    return max(sums[bisect_right(times, at + 1 - 1e-9)] - sums[i] for i, at in enumerate(times))


@given(
    RATES, st.integers(wire.MIN_SEGMENT, wire.MAX_SEGMENT), st.integers(), st.sampled_from([0.0, 0.002, 0.01])
)
def test_over_any_second_the_limit_holds_and_is_reached(
    rate: int, segment: int, seed: int, late: float
) -> None:
    limit = RateLimit(rate)
    sent = send_all_the_time(limit, segment + wire.HEADER_SIZE, random.Random(seed), late)
    assert most_in_a_second(sent) <= 1.05 * rate
    if late <= 0.002 or rate >= 200_000:  # below, the depth is a few datagrams, and lateness is lost
        assert sum(size for _, size in sent) >= 0.95 * rate * SECONDS


@pytest.mark.parametrize("rate", [500_000, 4_000_000, 100_000_000])
def test_a_file_in_ethernet_packets_is_within_five_percent_however_it_is_counted(rate: int) -> None:
    """As bytes of file, as datagrams, and as packets with IP's and UDP's headers."""
    datagram = 1440 + wire.HEADER_SIZE
    sent = send_all_the_time(RateLimit(rate), datagram, random.Random(1), 0.005)
    packets = [(at, size // datagram * 1500) for at, size in sent]
    assert most_in_a_second(packets) <= 1.05 * rate
    assert sum(size // datagram * 1440 for _, size in sent) >= 0.95 * rate * SECONDS


@given(RATES, st.lists(st.tuples(st.floats(0, 0.1), st.integers(1, 2000)), max_size=50))
def test_what_could_not_wait_is_paid_back(rate: int, answers: list[tuple[float, int]]) -> None:
    limit, now, owed = RateLimit(rate), 0.0, 0
    for wait, size in answers:
        now += wait
        limit.spend(size, now)
        owed += size
    now += limit.wait(limit.depth, now) + 1e-6
    assert owed + limit.available(now) <= limit.depth + rate * now + 1


@given(RATES)
def test_a_datagram_always_fits(rate: int) -> None:
    limit = RateLimit(rate)
    assert (
        MIN_BURST
        == wire.MIN_SEGMENT + wire.HEADER_SIZE
        <= largest_datagram(limit)
        <= limit.depth
        <= 0.05 * rate
    )
    assert largest_datagram(limit) <= wire.MAX_DATAGRAM


def test_a_clock_that_stands_still_gives_nothing() -> None:
    limit = RateLimit(1_000_000)
    limit.spend(limit.depth, 10.0)
    assert limit.available(10.0) == limit.available(5.0) == 0
    assert limit.wait(1000, 10.0) == pytest.approx(0.001)
    assert limit.available(10.001) == pytest.approx(1000, abs=1)


def test_without_a_limit_all_is_allowed() -> None:
    assert limit_of(None) is None
    assert largest_datagram(None) == wire.MAX_DATAGRAM


def test_a_limit_that_could_not_be_kept_is_none() -> None:
    with pytest.raises(ValueError, match="16000"):
        RateLimit(MIN_RATE - 1)
