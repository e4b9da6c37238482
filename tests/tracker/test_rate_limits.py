"""Rate limits in virtual time: honest nodes never meet them, greedy nodes get a time to retry."""

from __future__ import annotations

import random

import pytest

from common.errors import RateLimited
from tracker import rate_limits as module
from tracker.rate_limits import BURST_SECONDS, Limits, RateLimits, TokenBuckets, client_prefix

HOME, ELSEWHERE = "127.0.0.1", "10.0.0.9"


def refusals(limits: RateLimits, address: str, count: int, now: float) -> int:
    refused = 0
    for _ in range(count):
        try:
            limits.admit_request(address, now)
        except RateLimited:
            refused += 1
    return refused


def test_a_bucket_gives_its_burst_at_once_and_then_its_rate() -> None:
    buckets = TokenBuckets(10.0, 8)
    assert sum(buckets.take("a", 0.0) == 0.0 for _ in range(200)) == 10 * BURST_SECONDS
    assert buckets.take("a", 0.0) == pytest.approx(0.1)
    assert buckets.take("a", 0.1) == 0.0
    assert sum(buckets.take("a", 5.1) == 0.0 for _ in range(200)) == 50
    assert buckets.take("b", 5.1) == 0.0  # other addresses are not affected


def test_what_it_says_to_wait_is_enough() -> None:
    buckets, now, rng = TokenBuckets(3.0, 8), 0.0, random.Random(1)
    for _ in range(1000):
        wait = buckets.take("a", now)
        if wait:
            assert buckets.take("a", now + wait) == 0.0
            now += wait
        now += rng.random() * 0.1


def test_a_slow_rate_still_lets_one_through() -> None:
    buckets = TokenBuckets(0.01, 8)
    assert buckets.take("a", 0.0) == 0.0
    assert buckets.take("a", 0.0) == pytest.approx(100.0)


def test_the_tables_are_bounded_and_forget_who_was_silent_longest() -> None:
    buckets = TokenBuckets(0.1, 100)
    for key in range(1000):
        buckets.take(key, 0.0)
        buckets.take("mine", 0.0)
    assert len(buckets) == 100
    assert buckets.take("mine", 0.0) > 0  # a thousand other addresses did not wash my debt away
    assert buckets.take(0, 0.0) == 0.0


def test_a_class_of_200_nodes_behind_one_address_never_notices() -> None:
    limits = RateLimits(Limits())
    asked = [start + beat * 11.0 for start in range(10) for beat in range(60)] * 20  # 200 nodes, 11 minutes
    for now in sorted(asked):
        for _ in range(4):  # a heartbeat, and the same number each of OWN, NEED, UPDATE
            limits.admit_request(HOME, now)
    for node in range(200):
        for _ in range(100):  # all at once, 100 requests each
            limits.admit_call(HOME, node, None, 700.0)


def test_one_address_gets_its_rate_and_others_are_not_touched() -> None:
    limits = RateLimits(Limits(address_rate=100))
    assert refusals(limits, HOME, 10_000, 0.0) == 10_000 - 1000
    assert refusals(limits, ELSEWHERE, 1000, 0.0) == 0
    with pytest.raises(RateLimited) as told:
        limits.admit_request(HOME, 0.0)
    assert told.value.retry_after == pytest.approx(0.01)


def test_a_stranger_cannot_use_up_what_a_node_may_ask_for() -> None:
    limits = RateLimits(Limits(node_rate=1))
    for _ in range(2):
        for stranger in ((ELSEWHERE, None), (HOME, "wrong" * 8)):
            with pytest.raises(RateLimited):
                for _ in range(100):
                    limits.admit_call(stranger[0], 7, stranger[1], 0.0)
    limits.admit_call(HOME, 7, "right" * 8, 0.0)


def test_a_million_forged_ids_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAX_ADDRESSES", "MAX_CALLERS"):
        monkeypatch.setattr(module, name, 1000)
    limits = RateLimits(Limits(address_rate=1e9, node_rate=1e9))
    rng = random.Random(2)
    for number in range(20_000):
        address, now = f"10.0.{number % 256}.{rng.randrange(256)}", number * 0.001
        limits.admit_request(address, now)
        limits.admit_call(address, number, None, now)
        assert all(size <= 1001 for size in limits.remembered)


@pytest.mark.parametrize(
    ("remote", "counts_as"),
    [
        ("10.0.0.9", "10.0.0.9"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:10.0.0.9", "10.0.0.9"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_who_counts_as_one(remote: str, counts_as: str) -> None:
    assert client_prefix(remote) == counts_as
