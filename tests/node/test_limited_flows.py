"""Many connections of both transports share one limit: it holds, it is reached, and each gets its share."""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.chunk_udp import wire
from node.chunk_udp.upload_queue import UploadQueue
from node.rate_limit import MIN_RATE, LimitedFlow, RateLimit

SECONDS = 5.0
TOLERANCE = 0.03


def move(limit: RateLimit, flow: LimitedFlow, now: float, most: int = 1 << 30) -> tuple[float, int]:
    """One step of a connection with endless demand: seconds until its next step, bytes moved."""
    pause = flow.wait(min(most, limit.quantum), now)
    if pause > 0:
        return pause, 0
    size = min(most, flow.available(now))
    flow.spend(size, now)
    return flow.wait(min(most, limit.quantum), now), size


def compete(
    limit: RateLimit,
    connections: int,
    chance: random.Random,
    late: float,
    small: frozenset[int] = frozenset(),
) -> Counter[int]:
    """Bytes of each connection in SECONDS of virtual time. Threads wake up to ``late`` seconds late.

    Those of ``small`` move at most 100 bytes at a time.
    """
    moved = Counter[int]()
    flows = [limit.flow() for _ in range(connections)]
    looks = [(chance.random() * 0.01, number) for number in range(connections)]
    heapq.heapify(looks)
    while looks[0][0] < SECONDS:
        now, number = heapq.heappop(looks)
        pause, size = move(limit, flows[number], now)
        moved[number] += size
        heapq.heappush(looks, (now + max(pause, 1e-4) + chance.random() * late, number))
    return moved


@given(
    st.sampled_from([MIN_RATE, 50_000, 1_000_000, 10_000_000, 100_000_000]) | st.integers(MIN_RATE, 10**8),
    st.integers(1, 50),
    st.integers(),
    st.sampled_from([0.0, 0.002]),
)
def test_the_limit_holds_within_three_percent_over_five_seconds(
    rate: int, connections: int, seed: int, late: float
) -> None:
    moved = compete(RateLimit(rate), connections, random.Random(seed), late)
    assert sum(moved.values()) <= (1 + TOLERANCE) * rate * SECONDS
    if connections * late < 0.02 or rate > 200_000:
        assert sum(moved.values()) >= (1 - TOLERANCE) * rate * SECONDS


@pytest.mark.parametrize("rate", [MIN_RATE, 1_000_000, 100_000_000])
@pytest.mark.parametrize("connections", [2, 7, 50])
def test_equal_connections_get_equal_shares(rate: int, connections: int) -> None:
    limit = RateLimit(rate)
    moved = compete(limit, connections, random.Random(3), 0.001)
    assert max(moved.values()) - min(moved.values()) <= 3 * limit.quantum + 0.05 * max(moved.values())
    assert len(moved) == connections


def test_a_connection_with_little_to_move_waits_for_one_round_at_most() -> None:
    limit = RateLimit(1_000_000)
    flows = [limit.flow() for _ in range(20)]
    now = 0.0
    for flow in flows[1:]:
        assert flow.wait(limit.quantum, now) <= 20 * limit.quantum / limit.rate
    assert flows[0].wait(100, now) <= 20 * limit.quantum / limit.rate


def test_bytes_that_are_not_wanted_go_to_other_connections() -> None:
    limit = RateLimit(1_000_000)
    first, second = limit.flow(), limit.flow()
    first.spend(limit.depth, 0.0)
    assert first.wait(limit.quantum, 0.0) == pytest.approx(limit.quantum / limit.rate)
    first.release(0.0)
    assert first.available(0.0) == 0
    assert second.wait(limit.quantum, 0.0) == pytest.approx(limit.quantum / limit.rate)


def test_a_reservation_is_made_once_however_often_it_is_asked_for() -> None:
    limit = RateLimit(1_000_000)
    flow = limit.flow()
    flow.spend(limit.depth, 0.0)
    waits = [flow.wait(1000, at / 1e4) for at in range(10)]
    assert waits == pytest.approx([0.001 - at / 1e4 for at in range(10)])
    assert flow.available(0.0009) == 0 and flow.available(0.0011) == 1000
    flow.spend(400, 0.0011)
    assert flow.available(0.0011) == 600
    assert flow.wait(600, 0.0011) == 0


def test_protocol_messages_do_not_wait_and_are_counted() -> None:
    limit = RateLimit(1_000_000)
    flow = limit.flow()
    flow.spend(limit.depth, 0.0)
    limit.spend(5000, 0.0)
    assert flow.wait(1000, 0.0) == pytest.approx(0.006)


@pytest.mark.parametrize("rate", [50_000, 4_000_000])
@pytest.mark.parametrize("connections", [1, 20])
def test_both_transports_share_one_limit(rate: int, connections: int) -> None:
    """One classroom fetcher and TCP connections share a limit: the sum holds, and the fetcher is not
    starved."""
    limit = RateLimit(rate)
    queue = UploadQueue(limit, 0.0)
    flows = [limit.flow() for _ in range(connections)]
    udp, tcp, sequence = 0, Counter[int](), 0
    looks = [(0.0, number) for number in range(-1, connections)]  # -1: the classroom transport
    heapq.heapify(looks)
    while looks[0][0] < SECONDS:
        now, number = heapq.heappop(looks)
        if number >= 0:
            pause, size = move(limit, flows[number], now)
            tcp[number] += size
        else:
            for _ in range(8):
                sequence += 1
                request = wire.Request(7, sequence, sequence * 64_000, 64_000, b"i" * 20, b"t" * 16, 1400)
                queue.add(request, ("192.0.2.1", 7), 1400, now)
            while (batch := queue.next(now)) is not None:
                queue.sent(batch, batch.length, now)
                udp += batch.length
            pause = queue.wait(now) or 0.0
        heapq.heappush(looks, (now + max(pause, 1e-4), number))
    total = udp + sum(tcp.values())
    assert (1 - TOLERANCE) * rate * SECONDS <= total * 1.01 and total <= (1 + TOLERANCE) * rate * SECONDS
    share = total / (connections + 1)
    datagrams = 3 * 1400  # turns of whole datagrams
    assert 0.7 * share - datagrams < udp < 1.3 * share + datagrams and 0.7 * share < min(tcp.values())


def test_threads_on_a_real_clock_keep_the_limit_together() -> None:
    rate, seconds = 2_000_000, 1.5
    limit = RateLimit(rate)
    moved = Counter[int]()
    stop = threading.Event()

    def connection(number: int) -> None:
        flow = limit.flow()
        while not stop.is_set():
            pause, size = move(limit, flow, time.monotonic())
            moved[number] += size
            stop.wait(pause)

    threads = [threading.Thread(target=connection, args=(number,)) for number in range(8)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    stop.wait(seconds)
    stop.set()
    took = time.monotonic() - began
    for thread in threads:
        thread.join()
    assert sum(moved.values()) <= rate * took + limit.depth + 8 * limit.quantum
    assert sum(moved.values()) >= 0.8 * rate * seconds  # other processes may use the machine
    assert min(moved.values()) >= 0.5 * max(moved.values())
