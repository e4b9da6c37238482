"""The link model does what it is told, as often as it is told, and the same for the same seed."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    "wrong", [{"loss": 1.5}, {"corrupt": -0.1}, {"delay": -1}, {"rate": 0}, {"queue": -1}]
)
def test_faults_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LinkFaults(**wrong)  # type: ignore[arg-type]  # queue is an int
