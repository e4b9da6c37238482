"""BBR's behaviour, round trip by round trip, on a path that is a few numbers."""

from __future__ import annotations

import pytest

from node.chunk_udp.congestion.base import FlowAdvice
from node.chunk_udp.congestion.bbr import Bbr, Phase
from node.chunk_udp.congestion.manager import CongestionManager
from node.chunk_udp.congestion.queue_detector import (
    FEW_LATE_SAMPLES,
    FIRST_ROUNDS,
    LATE_SECONDS,
    LONG_QUEUE,
    QueueDetector,
)
from node.chunk_udp.delivery_rate import RoundSample
from node.chunk_udp.loss_recovery import RoundTripTime

SEGMENT = 1000
BASE = 0.05  # seconds of round trip without a queue
RATE = 2_000_000.0  # bytes a second
BDP = RATE * BASE


class PlayedFlow:
    """A flow of an access link with advice set by the test."""

    def __init__(self) -> None:
        self.view = FlowAdvice()
        self.may = True
        self.turns_back = 0
        self.rests = 0

    def report(self, believed: float, arrived: int, queue: bool, congested: bool, now: float) -> FlowAdvice:
        view, self.view = self.view, self.view._replace(loss_is_self_inflicted=None)
        return view

    def begin_backoff_probe(self, round_trip: float, now: float) -> None:
        self.rests += 1

    def may_probe(self, now: float) -> bool:
        return self.may

    def end_probe(self) -> None:
        self.turns_back += 1


class BbrPath:
    """A link of ``rate`` with room for ``room`` bytes of queue, that loses ``loss`` of all by chance."""

    def __init__(self, loss: float = 0.0, room: float = BDP) -> None:
        self.controller = Bbr(SEGMENT)
        self.flow = PlayedFlow()
        self.rate, self.room, self.loss = RATE, room, loss
        self.standing = 0.0  # seconds of queue that other flows keep
        self.queue = 0.0  # bytes of ours in the queue
        self.now = 0.0
        self.rtt = RoundTripTime()
        self.rtt.sample(BASE)
        self.phases: list[Phase] = []
        self.asked: list[float] = []  # bytes a second
        self.windows: list[float] = []
        self.queues: list[float] = []  # bytes

    def round_trip(self, limited: bool = False) -> None:
        controller = self.controller
        trip = BASE + self.standing + self.queue / self.rate
        asked = min(controller.pacing_rate(self.rtt), controller.window / trip)
        reaches = asked * (1 - self.loss)
        overflow = max(0.0, self.queue + (reaches - self.rate) * trip - self.room)
        self.queue = min(max(0.0, self.queue + (reaches - self.rate) * trip), self.room)
        self.now += trip
        self.rtt.sample(trip)
        arrived = int(min(reaches, self.rate) * trip)
        lost = int(asked * trip * self.loss + overflow)
        controller.on_received(arrived, self.now - trip, self.rtt, self.now, True)
        ended = RoundSample(arrived, lost, min(reaches, self.rate), limited, trip, int(controller.window))
        controller.on_round(ended, self.flow, self.now)
        self.phases.append(controller.phase)
        self.asked.append(asked)
        self.windows.append(controller.window)
        self.queues.append(self.queue)

    def run(self, rounds: int) -> BbrPath:
        """``rounds`` more round trips; earlier records are cleared."""
        for seen in (self.phases, self.asked, self.windows, self.queues):
            seen.clear()
        for _ in range(rounds):
            self.round_trip()
        return self

    def until(self, *phases: Phase, most: int = 100) -> BbrPath:
        for _ in range(most):
            if self.controller.phase in phases:
                return self
            self.round_trip()
        raise AssertionError(f"never came to {phases}")


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


# ---- the model


def test_it_finds_the_paths_rate_and_length_and_fills_it() -> None:
    path = BbrPath().run(40).run(40)
    assert path.controller.max_bw == pytest.approx(RATE, rel=0.05)
    assert path.controller.min_rtt == pytest.approx(BASE, rel=0.05)
    assert mean(path.asked) == pytest.approx(RATE, rel=0.07)
    assert BDP <= mean(path.windows) <= 3 * BDP


def test_it_keeps_the_queue_short_most_of_the_time() -> None:
    path = BbrPath(room=10 * BDP).run(40).run(60)
    assert sorted(path.queues)[len(path.queues) // 2] < 0.1 * BDP
    assert max(path.queues) < BDP


def test_the_first_answers_do_not_slow_the_first_window_down() -> None:
    """One segment in the first round trip is no rate sample: the whole window is requested within a round
    trip."""
    controller, rtt = Bbr(SEGMENT), RoundTripTime()
    rtt.sample(BASE)
    controller.on_received(SEGMENT, 0.0, rtt, BASE, True)
    first = RoundSample(SEGMENT, 0, SEGMENT / BASE, False, BASE, 9 * SEGMENT)
    controller.on_round(first, PlayedFlow(), BASE)
    assert controller.pacing_rate(rtt) >= controller.window / BASE


def test_a_queue_on_a_long_path_ends_the_start_after_few_answers_but_not_the_first_ones() -> None:
    controller, rtt = Bbr(SEGMENT), RoundTripTime()
    long = 10 * BASE
    now = 0.0
    for number in range(FIRST_ROUNDS + 1):
        for _ in range(FEW_LATE_SAMPLES + 1):
            rtt.sample(long + (LONG_QUEUE + 0.01 if number else 0.0))
            controller.on_received(SEGMENT, now - long, rtt, now, True)
            now += 0.8 * LATE_SECONDS
        assert controller.phase is (Phase.DRAIN if number == FIRST_ROUNDS else Phase.STARTUP)
        ended = RoundSample(3 * SEGMENT, 0, (number + 1) * SEGMENT / BASE, False, long, SEGMENT)
        controller.on_round(ended, PlayedFlow(), now)


@pytest.mark.parametrize(("jitter", "queue"), [(0.0, True), (0.02, False)])
def test_a_short_queue_is_seen_where_round_trips_do_not_vary_by_themselves(
    jitter: float, queue: bool
) -> None:
    detector, rtt = QueueDetector(), RoundTripTime()
    for number in range(100):
        rtt.sample(BASE + jitter * (number % 3))
        detector.on_received(rtt)
    least = RoundSample(SEGMENT, 0, RATE, False, BASE, SEGMENT)
    assert not detector.on_round(least, 1.0)
    longer = RoundSample(SEGMENT, 0, RATE, False, BASE + 0.01, SEGMENT)
    assert detector.on_round(longer, 1.1) is queue


@pytest.mark.parametrize(("before", "then", "ends"), [(0.0, 0.2, True), (0.2, 0.25, False), (0.2, 0.5, True)])
def test_a_loss_that_grows_with_the_rate_ends_the_start_and_is_not_made_good(
    before: float, then: float, ends: bool
) -> None:
    """TCP keeps the queue full: the round trip never changes, and losses alone show that there is no room."""
    controller = Bbr(SEGMENT)
    for number, loss in enumerate((before, before, before, then)):
        asked = 10 * SEGMENT << number
        lost = int(asked * loss)
        ended = RoundSample(asked - lost, lost, (asked - lost) / BASE, False, BASE, asked)
        controller.on_round(ended, PlayedFlow(), BASE * number)
    assert (controller.phase is Phase.DRAIN) is ends
    assert controller.compensation.loss <= 0.21


@pytest.mark.parametrize("factor", [0.1, 0.5])
def test_a_path_that_became_slower_is_believed_within_two_seconds(factor: float) -> None:
    path = BbrPath().run(40)
    path.rate = factor * RATE
    path.run(40)
    assert path.controller.max_bw <= 1.3 * path.rate


@pytest.mark.parametrize("factor", [1.5, 10])
def test_a_path_that_became_faster_is_found_by_probing(factor: float) -> None:
    path = BbrPath(room=10 * BDP).run(40)
    path.rate = factor * RATE
    path.run(40)
    assert path.controller.max_bw >= 0.9 * path.rate


def test_what_comes_slowly_for_want_of_work_says_nothing_of_the_path() -> None:
    path = BbrPath().run(40)
    believed = path.controller.max_bw
    for _ in range(30):
        ended = RoundSample(1000, 0, RATE / 100, True, BASE, 1000)
        path.controller.on_round(ended, path.flow, path.now)
    assert path.controller.max_bw == believed


def test_persistent_congestion_is_over_with_the_next_round() -> None:
    path = BbrPath().run(40)
    path.controller.on_persistent_congestion(path.now)
    assert path.controller.window == path.controller.minimum_window
    path.run(2)
    assert path.windows[-1] >= BDP


# ---- the phases


def test_startup_doubles_until_the_path_is_full_and_the_queue_is_drained_then() -> None:
    path = BbrPath(room=10 * BDP)
    assert path.controller.phase is Phase.STARTUP
    path.run(20)
    assert path.phases[0] is Phase.STARTUP
    assert Phase.DRAIN in path.phases and Phase.CRUISE in path.phases
    last_startup = max(turn for turn, phase in enumerate(path.phases) if phase is Phase.STARTUP)
    assert last_startup < 10
    assert path.phases[last_startup + 1] is Phase.DRAIN
    assert path.queues[-1] < max(path.queues)


def test_it_probes_now_and_then_and_drains_afterwards() -> None:
    path = BbrPath().run(40).run(60)
    up = [turn for turn, phase in enumerate(path.phases[:-1]) if phase is Phase.UP]
    assert 2 <= len(up) <= 20
    assert all(path.phases[turn + 1] is Phase.DRAIN for turn in up)
    assert path.phases.count(Phase.CRUISE) > len(path.phases) / 2


def test_it_probes_only_when_it_is_its_turn_and_gives_the_turn_back() -> None:
    path = BbrPath().run(40)
    path.until(Phase.CRUISE)
    path.flow.may, path.flow.turns_back = False, 0
    path.run(40)
    assert set(path.phases) == {Phase.CRUISE}
    path.flow.may = True
    path.until(Phase.UP).until(Phase.CRUISE)
    assert path.flow.turns_back == 1


# ---- with competing flows


def test_it_asks_for_as_much_of_its_belief_as_fits_and_eases_back() -> None:
    path = BbrPath().run(40).until(Phase.CRUISE)
    path.flow.may = False
    path.flow.view = FlowAdvice(scale=0.5, connections=2)
    path.run(1)
    assert path.controller.pacing_rate(path.rtt) == pytest.approx(0.5 * path.controller.max_bw, rel=0.05)
    path.flow.view = FlowAdvice(scale=1.0, connections=2)
    path.run(3)
    assert path.controller.pacing_rate(path.rtt) < 0.9 * path.controller.max_bw  # not at once
    path.run(10)
    assert path.controller.pacing_rate(path.rtt) == pytest.approx(path.controller.max_bw, rel=0.05)


def test_it_rests_as_long_as_all_rest() -> None:
    path = BbrPath().run(40).until(Phase.CRUISE)
    path.flow.view = FlowAdvice(resting=True)
    path.run(5)
    assert set(path.phases) == {Phase.DOWN}
    assert path.controller.pacing_rate(path.rtt) < 0.9 * path.controller.max_bw
    path.flow.view = FlowAdvice()
    path.run(1)
    assert path.phases == [Phase.CRUISE]


# ---- losses


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.2])
def test_losses_without_a_queue_are_made_good(loss: float) -> None:
    path = BbrPath(loss=loss).run(60).until(Phase.CRUISE)
    path.flow.may = False
    path.run(30)
    assert path.controller.compensation.loss == pytest.approx(loss, rel=0.3)
    assert path.asked[-1] * (1 - loss) == pytest.approx(RATE, rel=0.07)


def test_many_losses_make_it_try_whether_asking_for_less_costs_anything() -> None:
    few, many = BbrPath(loss=0.001).run(100), BbrPath(loss=0.1).run(100)
    assert few.flow.rests == 0
    assert many.flow.rests > 0


def test_losses_that_asking_for_less_would_avoid_are_no_longer_made_good() -> None:
    path = BbrPath(loss=0.2).run(60).until(Phase.CRUISE)
    made_good = path.controller.compensation.loss
    path.flow.view = FlowAdvice(loss_is_self_inflicted=True)
    path.run(1)
    assert path.controller.compensation.loss < 0.8 * made_good
    path.flow.view = FlowAdvice(loss_is_self_inflicted=True)
    path.run(1)
    assert path.controller.compensation.loss < 0.6 * made_good


def test_losses_that_are_nobodys_fault_go_on_being_made_good() -> None:
    path = BbrPath(loss=0.2).run(60).until(Phase.CRUISE)
    made_good = path.controller.compensation.loss
    path.flow.view = FlowAdvice(loss_is_self_inflicted=False)
    path.run(1)
    assert path.controller.compensation.loss >= 0.9 * made_good


def test_losses_with_a_standing_queue_are_congestion() -> None:
    """A competing flow keeps the queue full: losses by overflow lower the request rate."""
    path = BbrPath().run(40).until(Phase.CRUISE)
    before = path.controller.window
    path.standing, path.loss = BASE, 0.1
    path.run(10)
    assert path.controller.compensation.loss < 0.02
    assert min(path.windows) < 0.9 * before


def test_congestion_that_another_one_meets_counts_too() -> None:
    path = BbrPath().run(40).until(Phase.CRUISE)
    before = path.controller.window
    path.standing = BASE
    for _ in range(10):
        path.flow.view = FlowAdvice(scale=1.0, connections=2, congested=True)
        path.round_trip()
    assert path.controller.window < 0.9 * before


def test_a_share_of_a_real_access_link_is_taken_as_it_is() -> None:
    controller, flow = Bbr(SEGMENT), CongestionManager().join()
    controller.on_round(RoundSample(10_000, 0, RATE, False, BASE, 10_000), flow, BASE)
    assert controller.max_bw == RATE


def test_rounds_without_a_round_trip_leave_the_window_finite() -> None:
    controller, flow = Bbr(SEGMENT), CongestionManager().join()
    for number in range(10):
        controller.on_round(RoundSample(SEGMENT, 0, RATE, False, float("inf"), SEGMENT), flow, number / 10)
        assert controller.minimum_window <= controller.window < float("inf")
    assert controller.phase is not Phase.STARTUP
