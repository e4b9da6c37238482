"""The link model does what it is told, as often as it is told, and the same for the same seed."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from faults.link import Link, LinkFaults

EVERYTHING = LinkFaults(
    loss=0.2, duplicate=0.2, reorder=0.2, corrupt=0.2, delay=0.05, jitter=0.01, rate=100_000, queue=20_000
)


def datagram(number: int) -> bytes:
    return number.to_bytes(4, "big") * 25


def trace(faults: LinkFaults, seed: int) -> list[list[tuple[float, bytes]]]:
    """What 500 datagrams, sent a millisecond apart, arrive as."""
    link = Link(faults, seed)
    return [link.send(datagram(number), number * 0.001) for number in range(500)]


def test_without_faults_everything_arrives_at_once_and_unchanged() -> None:
    assert trace(LinkFaults(), 1) == [[(n * 0.001, datagram(n))] for n in range(500)]


def test_the_same_seed_gives_the_same_trace_and_another_seed_another() -> None:
    assert trace(EVERYTHING, 7) == trace(EVERYTHING, 7)
    assert trace(EVERYTHING, 7) != trace(EVERYTHING, 8)


def test_one_fault_more_leaves_the_fate_of_the_others_alone() -> None:
    plain, doubling = (trace(LinkFaults(loss=0.3, duplicate=d), 3) for d in (0.0, 0.5))
    assert [bool(arrivals) for arrivals in plain] == [bool(arrivals) for arrivals in doubling]


@pytest.mark.parametrize(
    ("fault", "counter"),
    [("loss", "lost"), ("duplicate", "duplicated"), ("reorder", "held_back"), ("corrupt", "corrupted")],
)
def test_a_probability_is_met(fault: str, counter: str) -> None:
    for probability in (0.0, 0.3, 1.0):
        link = Link(LinkFaults(**{fault: probability}), 5)  # type: ignore[arg-type]  # queue is an int
        for number in range(2000):
            link.send(datagram(number), 0.0)
        assert getattr(link.counters, counter) == pytest.approx(2000 * probability, abs=100)
        assert link.counters.sent == 2000


def test_what_is_lost_never_arrives_and_what_is_doubled_arrives_twice() -> None:
    assert trace(LinkFaults(loss=1.0), 1) == [[]] * 500
    assert {len(arrivals) for arrivals in trace(LinkFaults(duplicate=1.0), 1)} == {2}


def test_what_is_corrupted_never_arrives_as_it_was() -> None:
    arrived = [arrivals[0][1] for arrivals in trace(LinkFaults(corrupt=1.0), 1)]
    assert all(got != datagram(number) for number, got in enumerate(arrived))
    shorter = sum(len(got) < 100 for got in arrived)
    assert 75 < shorter < 175  # one in four is cut
    assert all(len(got) <= 100 for got in arrived)


def test_an_empty_datagram_survives_corruption() -> None:
    assert Link(LinkFaults(corrupt=1.0), 1).send(b"", 0.0) == [(0.0, b"")]


def test_delay_and_jitter_bound_the_time() -> None:
    arrivals = trace(LinkFaults(delay=0.1, jitter=0.05), 2)
    times = [arrival[0][0] - n * 0.001 for n, arrival in enumerate(arrivals)]
    assert 0.1 <= min(times) < 0.11
    assert 0.14 < max(times) <= 0.15


def test_what_is_held_back_is_overtaken() -> None:
    arrivals = trace(LinkFaults(reorder=0.1, reorder_by=0.02), 2)
    order = [n for _, n in sorted((arrival[0][0], n) for n, arrival in enumerate(arrivals))]
    assert order != sorted(order)
    assert sorted(order) == list(range(500))


def test_a_rate_spaces_the_datagrams() -> None:
    link = Link(LinkFaults(rate=1000, queue=1000), 1)
    times = [link.send(datagram(n), 0.0)[0][0] for n in range(10)]  # 100 bytes each: 0.1 s each
    assert times == pytest.approx([0.1 * (n + 1) for n in range(10)])


def test_a_full_queue_drops_and_has_room_again_later() -> None:
    link = Link(LinkFaults(rate=1000, queue=300), 1)
    assert [len(link.send(datagram(n), 0.0)) for n in range(5)] == [1, 1, 1, 0, 0]
    assert link.counters.overflowed == 2
    assert link.send(datagram(9), 0.1)[0][0] == pytest.approx(0.4)  # one has left, so one fits


def runs_of(things: list[bool]) -> list[int]:
    """How long each row of True is."""
    return [len(list(row)) for yes, row in itertools.groupby(things) if yes]


def test_bursts_lose_a_row_of_datagrams_as_long_and_as_often_as_told() -> None:
    arrivals = fates(LinkFaults(burst_begin=0.01, burst_end=0.1), 20_000)
    lost = [not arrived for arrived in arrivals]
    lengths = runs_of(lost)
    assert sum(lost) / len(lost) == pytest.approx(0.01 / 0.11, abs=0.02)
    assert sum(lengths) / len(lengths) == pytest.approx(10, abs=2)


def test_a_burst_need_not_lose_everything_and_the_good_times_need_not_be_perfect() -> None:
    always = LinkFaults(burst_begin=1.0, burst_end=0.0, burst_loss=0.3)
    assert sum(map(bool, fates(always, 5000))) == pytest.approx(3500, abs=150)
    hardly = LinkFaults(loss=0.2, burst_begin=0.001, burst_end=1.0)
    assert sum(map(bool, fates(hardly, 5000))) == pytest.approx(4000, abs=150)


def fates(faults: LinkFaults, count: int) -> list[list[tuple[float, bytes]]]:
    link = Link(faults, 11)
    return [link.send(datagram(number), 0.0) for number in range(count)]


def test_an_outage_takes_what_would_leave_in_it_again_and_again() -> None:
    link = Link(LinkFaults(outage=2.0, outage_every=7.0), 1, begins=100.0)
    passed = [bool(link.send(datagram(n), 100.0 + n * 0.5)) for n in range(40)]
    assert passed == [n * 0.5 % 7.0 < 5.0 for n in range(40)]
    assert link.counters.cut_off == passed.count(False)


def test_what_waits_in_the_queue_when_the_outage_comes_is_lost() -> None:
    link = Link(LinkFaults(rate=1000, queue=1000, outage=1.0, outage_every=2.0), 1, begins=0.0)
    assert [bool(link.send(datagram(n), 0.75)) for n in range(4)] == [True, True, False, False]


def test_schedules_count_from_the_first_datagram_unless_told() -> None:
    link = Link(LinkFaults(outage=1.0, outage_every=2.0), 1)
    assert [bool(link.send(datagram(0), 50.5 + at)) for at in (0.0, 0.9, 1.1, 2.1)] == [
        True,
        True,
        False,
        True,
    ]


def test_a_rate_changes_when_told_also_for_what_is_waiting() -> None:
    link = Link(LinkFaults(rate=1000, queue=1000, rates=((1.0, 100), (3.0, 1000))), 1, begins=10.0)
    times = [link.send(datagram(n), 10.9)[0][0] for n in range(5)]  # 100 bytes: 0.1 s, then 1 s each
    assert times == pytest.approx([11.0, 12.0, 13.0, 13.1, 13.2])


def test_a_queue_that_drains_slowly_is_full_sooner() -> None:
    link = Link(LinkFaults(rate=1000, queue=300, rates=((1.0, 100),)), 1, begins=0.0)
    assert [len(link.send(datagram(n), 1.5)) for n in range(4)] == [1, 1, 1, 0]
    assert not link.send(datagram(4), 2.0)  # half of one has left: no room for a whole one
    assert link.send(datagram(5), 2.5)


def test_what_damage_means_can_be_told() -> None:
    link = Link(LinkFaults(corrupt=1.0), 1, damage=lambda datagram, where, how: datagram[::-1])
    assert link.send(b"abc", 0.0) == [(0.0, b"cba")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"loss": 1.5},
        {"corrupt": -0.1},
        {"delay": -1},
        {"rate": 0},
        {"queue": -1},
        {"burst_end": 2},
        {"outage": 1},
        {"rates": ((1.0, 5.0),)},
        {"rate": 1, "rates": ((2.0, 5.0), (1.0, 5.0))},
        {"rates": ((1.0, 0.0),), "rate": 1},
    ],
)
def test_faults_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(reversed(wrong)) if "rates" not in wrong else "rates"):
        LinkFaults(**wrong)
