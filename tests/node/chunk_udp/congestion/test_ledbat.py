"""LEDBAT against RFC 6817: it holds the queue at its target, makes way, and empties it at times."""

from __future__ import annotations

import pytest

from node.chunk_udp.congestion.ledbat import BASE_SECONDS, TARGET, Ledbat
from node.chunk_udp.congestion.manager import CongestionManager
from node.chunk_udp.delivery_rate import RoundSample
from node.chunk_udp.loss_recovery import RoundTripTime

SEGMENT = 1000
BASE = 0.05  # seconds of round trip without a queue
RATE = 1_000_000.0  # bytes a second
BDP = RATE * BASE


class LedbatPath:
    """A link with an endless queue, in which outstanding bytes above the BDP and ``others`` wait."""

    def __init__(self) -> None:
        self.controller = Ledbat(SEGMENT)
        self.share = CongestionManager().join()
        self.now = 0.0
        self.base = BASE
        self.others = 0.0  # bytes of other flows in the queue
        self.rtt = RoundTripTime()
        self.windows: list[float] = []
        self.queues: list[float] = []  # seconds

    def round_trip(self) -> None:
        controller, window = self.controller, self.controller.window
        queue = max(0.0, window + self.others - RATE * self.base) / RATE
        self.rtt.sample(self.base + queue)
        sent_at, self.now = self.now, self.now + self.base + queue
        for _ in range(int(window / SEGMENT)):
            controller.on_received(SEGMENT, sent_at, self.rtt, self.now, True)
        arrived = int(window)
        controller.on_round(
            RoundSample(arrived, 0, RATE, False, self.rtt.latest, arrived), self.share, self.now
        )
        self.now += 1e-6
        self.windows.append(window)
        self.queues.append(queue)

    def run(self, seconds: float) -> LedbatPath:
        """``seconds`` more seconds; earlier records are cleared."""
        self.windows.clear()
        self.queues.clear()
        end = self.now + seconds
        while self.now < end:
            self.round_trip()
        return self


def usual(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def test_it_holds_the_queue_at_its_target() -> None:
    """RFC 6817, 2.4.2: off_target steers to a queueing delay of TARGET, whatever the room behind it."""
    path = LedbatPath().run(10).run(20)
    assert usual(path.queues) == pytest.approx(TARGET, rel=0.25)
    assert max(path.queues) < 1.5 * TARGET
    assert usual(path.windows) > BDP  # the link is full


def test_slow_start_ends_before_the_queue_is_at_its_target() -> None:
    path = LedbatPath().run(1)
    assert max(path.queues) < 2 * TARGET
    assert max(path.windows) > BDP / 2


def test_without_any_queue_it_grows_no_faster_than_reno() -> None:
    """2.4.2: GAIN is at most 1: a segment for each round trip."""
    path = LedbatPath()
    path.run(1)
    path.controller.on_lost(SEGMENT, path.now, path.now)
    path.now += 1e-3
    growth = []
    for _ in range(6):
        before = path.controller.window
        path.round_trip()
        growth.append(path.controller.window - before)
    assert all(step <= 1.05 * SEGMENT for step in growth if step > 0)


@pytest.mark.parametrize("kept", [2.0, 4.0])
def test_it_makes_way_for_whoever_keeps_a_longer_queue(kept: float) -> None:
    path = LedbatPath().run(10)
    path.others = RATE * BASE + kept * TARGET * RATE  # other flows fill the link and keep that queue
    path.run(10)
    assert path.windows[-1] <= 0.1 * BDP
    path.others = 0.0
    path.run(10)
    assert usual(path.windows) > BDP  # and takes what is free again


def test_it_lets_the_queue_run_empty_now_and_then_and_comes_back() -> None:
    """LEDBAT++, 4.4: its own queue must not count as base delay indefinitely."""
    path = LedbatPath().run(10).run(20)
    low = [window <= path.controller.minimum_window for window in path.windows]
    assert any(low)
    assert sum(low) < 0.15 * len(low)  # for a tenth of the time, about
    empty = low.index(True)
    assert path.queues[empty] == 0
    before, after = path.windows[empty - 1], path.windows[low.index(False, empty)]
    assert after == pytest.approx(before, rel=0.1)


def test_a_newcomer_finds_the_path_s_length_although_another_holds_a_queue() -> None:
    """Both flows together hold one queue, and each sees the other's part of it."""
    path = LedbatPath()
    path.others = RATE * BASE + TARGET * RATE  # until the other flow slows down
    path.run(1)
    path.others = 0.0
    path.run(0.2)
    path.others = RATE * BASE + TARGET * RATE
    path.run(5)
    assert path.windows[-1] <= 0.3 * BDP  # it knows that this is a queue


def test_a_longer_path_is_believed_after_a_while() -> None:
    """2.4.2: base delays are kept for some time only, because routes change."""
    path = LedbatPath().run(5)
    path.base = 2 * BASE
    path.run(5)
    assert usual(path.windows) < 0.2 * BDP  # it looks like a competing queue
    path.run(2 * BASE_SECONDS)
    path.run(30)
    assert usual(path.windows) > 1.5 * BDP


def test_a_loss_halves_the_window() -> None:
    """2.4.2: at most once a round trip, as TCP does."""
    path = LedbatPath().run(1.5)
    while path.controller.window <= path.controller.minimum_window:
        path.round_trip()
    before = path.controller.window
    path.controller.on_lost(SEGMENT, path.now, path.now)
    assert path.controller.window == pytest.approx(before / 2)
