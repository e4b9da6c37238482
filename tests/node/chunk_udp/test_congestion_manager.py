"""One view of the access link: each flow's share, the flow that may probe, and results of a rest."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

import pytest

from faults.link import LinkFaults
from node.chunk_udp import wire
from node.chunk_udp.congestion import make_controller
from node.chunk_udp.congestion.base import FlowAdvice
from node.chunk_udp.congestion.manager import PROBE_LIMIT, RATE_MEMORY, CongestionManager, FlowHandle
from node.chunk_udp.connection import FetchConnection
from node.chunk_udp.events import ConnectionConfig
from node.rate_limit import RateLimit
from simulator.clock import Clock
from simulator.dumbbell import Dumbbell, Supply, shared_path

RATE = 1_000_000.0  # bytes a second; the link's capacity
TRIP = 0.05  # seconds
LATER = 10 * RATE_MEMORY


def report(
    shares: list[FlowHandle], believed: float, arrives: float, seconds: float, now: float, queue: bool = True
) -> tuple[float, list[FlowAdvice]]:
    """Each reports once a round trip that its part of ``arrives`` came; the time then, and the last views."""
    views: list[FlowAdvice] = []
    for _ in range(round(seconds / TRIP)):
        now += TRIP
        part = int(arrives * TRIP / len(shares))
        views = [share.report(believed, part, queue, False, now) for share in shares]
    return now, views


# ---- each flow's share


def test_whoever_is_alone_is_never_held_back() -> None:
    share = CongestionManager().join()
    _, (view,) = report([share], 10 * RATE, RATE, 1, 0.0)
    assert view == FlowAdvice()


@pytest.mark.parametrize("connections", [2, 3, 8])
def test_beliefs_that_do_not_fit_are_scaled_down_to_a_bit_less_than_arrives(connections: int) -> None:
    link = CongestionManager()
    shares = [link.join() for _ in range(connections)]
    believed = 1.5 * RATE / connections
    _, views = report(shares, believed, RATE, 1, 0.0)
    together = sum(believed * view.scale for view in views)
    assert 0.85 * RATE < together < RATE  # below it, so that the queue that they met runs empty
    assert {view.connections for view in views} == {connections}


def test_nobody_is_left_with_less_than_an_equal_part_of_its_belief() -> None:
    """At any rate of arrival (0, say): at worst each flow believed that it had the whole link."""
    link = CongestionManager()
    shares = [link.join() for _ in range(4)]
    _, views = report(shares, RATE, RATE / 100, 1, 0.0)
    assert [view.scale for view in views] == [1 / 4] * 4


def test_owners_behind_bottlenecks_of_their_own_are_not_held_back() -> None:
    link = CongestionManager()
    shares = [link.join(), link.join()]
    _, views = report(shares, RATE / 2, RATE, 1, 0.0, queue=False)
    assert [view.scale for view in views] == [1.0, 1.0]


def test_beliefs_are_not_scaled_where_most_meet_no_queue() -> None:
    """Less arrives than they believe in, because they want less: the link has room."""
    link = CongestionManager()
    shares = [link.join() for _ in range(4)]
    now, _ = report(shares, RATE, RATE / 2, 1, 0.0, queue=False)
    shares[0].report(RATE, 0, True, False, now)
    assert shares[1].report(RATE, 0, False, False, now).scale == 1.0


def test_what_arrived_long_ago_is_forgotten() -> None:
    link = CongestionManager()
    shares = [link.join(), link.join()]
    now, views = report(shares, RATE / 2, 2 * RATE, 1, 0.0)
    assert views[0].scale == 1.0
    _, views = report(shares, RATE, RATE, 2 * RATE_MEMORY, now)
    assert views[0].scale < 0.6


def test_who_has_left_counts_no_more() -> None:
    link = CongestionManager()
    first, second = link.join(), link.join()
    now, views = report([first, second], RATE, RATE, 1, 0.0)
    assert views[0].scale < 1
    second.leave()
    view = first.report(RATE, int(RATE * TRIP), True, False, now + TRIP)
    assert (view.scale, view.connections) == (1.0, 1)


def test_nothing_is_held_back_before_anything_was_measured() -> None:
    link = CongestionManager()
    shares = [link.join(), link.join()]
    assert [share.report(RATE, 1000, True, False, 0.0).scale for share in shares] == [1.0, 1.0]


# ---- congestion that one flow met


def test_congestion_is_told_to_the_others_and_to_each_once() -> None:
    link = CongestionManager()
    one, two, three = link.join(), link.join(), link.join()
    assert not one.report(RATE, 0, True, True, 1.0).congested  # it knows
    for other in (two, three):
        assert other.report(RATE, 0, True, False, 1.0).congested
    for share in (one, two, three):
        assert not share.report(RATE, 0, True, False, 1.1).congested


# ---- turns


def test_one_probes_at_a_time() -> None:
    link = CongestionManager()
    one, two = link.join(), link.join()
    assert one.may_probe(0.0)
    assert not two.may_probe(0.1)
    assert one.may_probe(0.1)  # it still is its turn
    one.end_probe()
    assert two.may_probe(0.1)
    assert not one.may_probe(0.2)


def test_a_turn_that_nobody_gives_back_ends_by_itself() -> None:
    link = CongestionManager()
    one, two = link.join(), link.join()
    assert one.may_probe(0.0)
    assert not two.may_probe(0.99 * PROBE_LIMIT)
    assert two.may_probe(1.01 * PROBE_LIMIT)
    one.end_probe()  # late: it is not its turn any more
    assert not one.may_probe(1.02 * PROBE_LIMIT)


def test_whoever_leaves_gives_its_turn_back() -> None:
    link = CongestionManager()
    one, two = link.join(), link.join()
    assert one.may_probe(0.0)
    one.leave()
    assert two.may_probe(0.0)


# ---- rests


def rest(shares: list[FlowHandle], during: float, rate: float = RATE) -> list[bool]:
    """All ask for less, and ``during`` bytes a second come; the verdicts on it, share by share."""
    now, views = report(shares, rate, rate, 1, 0.0)
    assert not any(view.resting for view in views)
    shares[0].begin_backoff_probe(TRIP, now)
    verdicts: dict[int, bool] = {}
    rested = False
    for _ in range(40):
        now += TRIP
        for index, share in enumerate(shares):
            view = share.report(rate, int(during * TRIP / len(shares)), True, False, now)
            rested = rested or view.resting
            if view.loss_is_self_inflicted is not None:
                assert index not in verdicts, "told twice"
                assert not view.resting
                verdicts[index] = view.loss_is_self_inflicted
    assert rested
    return [verdicts[index] for index in sorted(verdicts)]


@pytest.mark.parametrize("connections", [1, 4])
def test_if_as_much_came_what_was_asked_for_in_excess_was_waste(connections: int) -> None:
    link = CongestionManager()
    assert rest([link.join() for _ in range(connections)], RATE) == [True] * connections


@pytest.mark.parametrize("connections", [1, 4])
def test_if_less_came_it_was_needed(connections: int) -> None:
    link = CongestionManager()
    assert rest([link.join() for _ in range(connections)], 0.75 * RATE) == [False] * connections


def test_a_rest_with_few_bytes_shows_no_waste() -> None:
    assert rest([CongestionManager().join()], 10_000.0, rate=10_000.0) == [False]


def test_all_rest_at_the_same_time_and_not_for_long() -> None:
    link = CongestionManager()
    one, two = link.join(), link.join()
    now, _ = report([one, two], RATE, RATE, 1, 0.0)
    one.begin_backoff_probe(TRIP, now)
    one.begin_backoff_probe(100 * TRIP, now)  # there is one already
    assert one.report(RATE, 0, True, False, now).resting
    assert two.report(RATE, 0, True, False, now + TRIP).resting
    assert not one.report(RATE, 0, True, False, now + 10 * TRIP).resting
    assert not two.report(RATE, 0, True, False, now + 10 * TRIP).resting


def test_nobody_rests_before_anything_was_measured() -> None:
    share = CongestionManager().join()
    share.begin_backoff_probe(TRIP, 0.0)
    assert not share.report(RATE, 0, True, False, 0.01).resting


def test_a_newcomer_hears_no_verdict_on_a_rest_it_had_no_part_in() -> None:
    link = CongestionManager()
    assert rest([link.join()], RATE) == [True]
    assert link.join().report(RATE, 0, True, False, LATER).loss_is_self_inflicted is None


# ---- the download limit


def most_in_a_second(came: list[tuple[float, int]]) -> int:
    """The most bytes in any half-open window of one second: one begins, at worst, with an arrival."""
    times, sums = [at for at, _ in came], [0, *accumulate(size for _, size in came)]
    return max(sums[bisect_right(times, at + 1 - 1e-9)] - sums[i] for i, at in enumerate(times))


@pytest.mark.parametrize("owners", [1, 3])
@pytest.mark.parametrize(("controller", "loss"), [("bbr", 0.0), ("bbr", 0.05), ("cubic", 0.0)])
def test_over_any_second_the_download_limit_holds_and_is_reached(
    controller: str, loss: float, owners: int
) -> None:
    limit, seconds = 250_000, 4
    clock = Clock()
    bell = Dumbbell(clock, Supply(limit * seconds), RateLimit(limit))
    path = shared_path(LinkFaults(rate=2_500_000, delay=0.01, queue=100_000, loss=loss), seed=owners)
    for turn in range(owners):
        bell.add(path, controller, 0.01 * turn)
    clock.run_until(lambda: bell.supply.done, 3 * seconds, 200_000)
    came = sorted((at, size + wire.HEADER_SIZE) for flow in bell.flows for at, size in flow.arrivals)
    assert most_in_a_second(came) <= 1.05 * limit
    middle = sum(size for at, size in came if 1 <= at < seconds - 0.5) / (seconds - 1.5)
    assert middle >= (0.95 - 1.5 * loss) * limit  # lost bytes count as requested, too


def test_a_request_is_never_larger_than_what_the_limit_lets_through_at_once() -> None:
    config = ConnectionConfig(b"h" * 20, 1, 1200, 1 << 20, 2.0)

    def request_size(limit: RateLimit | None) -> int:
        controller = make_controller("fixed", 1200)
        return FetchConnection(config, controller, 0.0, None, limit).tracker.request_size

    assert request_size(None) > 5000
    assert request_size(RateLimit(32_000)) <= max(1200, 0.05 * 32_000)
