"""Admission in virtual time: honest nodes never notice it, greedy ones are told when to come again."""

from __future__ import annotations

import random

import pytest

from common.errors import RateLimited
from tracker import rate_limits as module
from tracker.rate_limits import BURST, Admission, Buckets, Homes, Limits, one_owner

HOME, ELSEWHERE = "127.0.0.1", "10.0.0.9"


def refusals(admission: Admission, address: str, count: int, now: float) -> int:
    refused = 0
    for _ in range(count):
        try:
            admission.ask(address, now)
        except RateLimited:
            refused += 1
    return refused


def test_a_bucket_gives_its_burst_at_once_and_then_its_rate() -> None:
    buckets = Buckets(10.0, 8)
    assert sum(buckets.take("a", 0.0) == 0.0 for _ in range(200)) == 10 * BURST
    assert buckets.take("a", 0.0) == pytest.approx(0.1)
    assert buckets.take("a", 0.1) == 0.0
    assert sum(buckets.take("a", 5.1) == 0.0 for _ in range(200)) == 50
    assert buckets.take("b", 5.1) == 0.0  # another one's is its own


def test_what_it_says_to_wait_is_enough() -> None:
    buckets, now, rng = Buckets(3.0, 8), 0.0, random.Random(1)
    for _ in range(1000):
        wait = buckets.take("a", now)
        if wait:
            assert buckets.take("a", now + wait) == 0.0
            now += wait
        now += rng.random() * 0.1


def test_a_slow_rate_still_lets_one_through() -> None:
    buckets = Buckets(0.01, 8)
    assert buckets.take("a", 0.0) == 0.0
    assert buckets.take("a", 0.0) == pytest.approx(100.0)


def test_the_tables_are_bounded_and_forget_who_was_silent_longest() -> None:
    buckets = Buckets(0.1, 100)
    for key in range(1000):
        buckets.take(key, 0.0)
        buckets.take("mine", 0.0)
    assert len(buckets) == 100
    assert buckets.take("mine", 0.0) > 0  # a thousand others did not wash my debt away
    assert buckets.take(0, 0.0) == 0.0


def test_a_class_of_200_nodes_behind_one_address_never_notices() -> None:
    admission = Admission(Limits(), 22.0)
    asked = [start + beat * 11.0 for start in range(10) for beat in range(60)] * 20  # 200 nodes, 11 minutes
    for now in sorted(asked):
        for _ in range(4):  # a heartbeat, and as much again for each of OWN, NEED, UPDATE
            admission.ask(HOME, now)
    for node in range(200):
        for _ in range(100):  # all at once, 100 requests each
            admission.call(HOME, node, None, 700.0)
        admission.come(HOME, node, 700.0)


def test_one_address_gets_its_rate_and_others_are_not_touched() -> None:
    admission = Admission(Limits(address_rate=100), 22.0)
    assert refusals(admission, HOME, 10_000, 0.0) == 10_000 - 1000
    assert refusals(admission, ELSEWHERE, 1000, 0.0) == 0
    with pytest.raises(RateLimited) as told:
        admission.ask(HOME, 0.0)
    assert told.value.retry_after == pytest.approx(0.01)


def test_a_stranger_cannot_use_up_what_a_node_may_ask_for() -> None:
    admission = Admission(Limits(node_rate=1), 22.0)
    for _ in range(2):
        for stranger in ((ELSEWHERE, None), (HOME, "wrong" * 8)):
            with pytest.raises(RateLimited):
                for _ in range(100):
                    admission.call(stranger[0], 7, stranger[1], 0.0)
    admission.call(HOME, 7, "right" * 8, 0.0)


def test_an_address_has_its_fill_of_nodes_until_some_leave_or_fall_silent() -> None:
    admission = Admission(Limits(nodes_per_address=3), 22.0)
    for node in range(3):
        admission.come(HOME, node, 0.0)
        admission.came(HOME, node, 0.0)
    with pytest.raises(RateLimited):
        admission.come(HOME, 3, 1.0)
    admission.come(HOME, 0, 1.0)  # who is in stays in
    admission.come(ELSEWHERE, 3, 1.0)
    admission.left(1)
    admission.come(HOME, 3, 1.0)
    admission.came(HOME, 3, 1.0)
    admission.came(ELSEWHERE, 2, 2.0)  # moved
    admission.come(HOME, 4, 2.0)


def test_nodes_that_fall_silent_are_forgotten_a_few_at_a_time() -> None:
    homes = Homes(22.0)
    for node in range(1000):
        homes.heard(node, HOME, 0.0)
    now = 0.0
    while homes.count(HOME) > 1:
        now += 1.0
        homes.heard(5000, HOME, now)
        assert homes.count(HOME) >= 1000 - 4 * now
        assert now < 400
    assert len(homes) == 1 and homes.of(5000) == HOME and homes.of(3) is None


def test_a_million_forged_ids_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAX_ADDRESSES", "MAX_CALLERS", "MAX_HOMES"):
        monkeypatch.setattr(module, name, 1000)
    admission = Admission(Limits(address_rate=1e9, node_rate=1e9, nodes_per_address=10**9), 22.0)
    rng = random.Random(2)
    for number in range(20_000):
        address, now = f"10.0.{number % 256}.{rng.randrange(256)}", number * 0.001
        admission.ask(address, now)
        admission.call(address, number, None, now)
        admission.came(address, number, now)
        assert all(size <= 1001 for size in admission.remembered)


def test_homes_agree_with_a_simple_model() -> None:
    homes, model, rng, now = Homes(10.0), {}, random.Random(3), 0.0
    for _ in range(5000):
        node, address = rng.randrange(50), rng.choice([HOME, ELSEWHERE])
        now += rng.random() * 0.2
        if rng.random() < 0.1:
            homes.left(node)
            model.pop(node, None)
        else:
            homes.heard(node, address, now)
            model[node] = (address, now)
        for known, (where, when) in model.items():
            if now - when < 10.0:
                assert homes.of(known) == where
        for where in (HOME, ELSEWHERE):
            assert homes.count(where) >= sum(w == where and now - t < 10.0 for w, t in model.values())


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
    assert one_owner(remote) == counts_as
