"""Swarms of the peer wire in virtual time: the time until all are complete, and the success of cheats."""

from __future__ import annotations

from itertools import accumulate

import pytest

from simulator.bounds import distribution_time
from simulator.wire_outcome import WireSummary, run_swarm, swarm_plan
from simulator.wire_swarm import Conduct, MemberPlan, WireSwarm, WireSwarmPlan, flash_swarm

pytestmark = pytest.mark.timeout(400)  # on a busy machine


def ran(plan: WireSwarmPlan, limit: float = 600) -> WireSwarm:
    swarm = WireSwarm(plan)
    swarm.run(limit)
    return swarm


def test_a_flash_crowd_needs_little_more_than_the_bound() -> None:
    """The figure for 16 leechers and 64 MiB is printed by ``python -m simulator --swarm 16``."""
    plan = flash_swarm(8, 12 << 20, 1 << 17, 2_000_000, 1)
    swarm = ran(plan)
    bound = distribution_time(plan.size, 8, 2_000_000)
    assert max(swarm.ended.values()) <= 1.35 * bound
    assert swarm.wasted <= 0.02 * plan.size * 8


def test_the_same_seed_is_the_same_run() -> None:
    plan = flash_swarm(4, 1 << 20, 1 << 16, 500_000, 1)
    assert [m.trace for m in ran(plan).members] == [m.trace for m in ran(plan).members]


@pytest.mark.parametrize("stalled_at", [0.98, 0.5])  # of the bytes of each seed
def test_two_of_eight_seeds_that_stall_do_not_hold_up_the_end(stalled_at: float) -> None:
    size, upload = 64 << 20, 200_000
    seeds = 6 * (MemberPlan(Conduct.SEEDS, upload),)
    staller = MemberPlan(Conduct.STALLS, upload, stalls_after=int(size / 8 * stalled_at))
    leecher = (MemberPlan(Conduct.SHARES, upload),)
    with_stallers = ran(WireSwarmPlan(1, size, 1 << 18, (*seeds, staller, staller, *leecher)))
    without = ran(WireSwarmPlan(1, size, 1 << 18, (*seeds, *leecher)))
    assert last_hundredth(with_stallers) <= 1.5 * last_hundredth(without)
    assert with_stallers.wasted <= 0.02 * size


def last_hundredth(swarm: WireSwarm) -> float:
    """Seconds that the last 1% of the content took to the last member."""
    arrivals = swarm.members[-1].arrivals
    sums = list(accumulate(size for _, size in arrivals))
    at = next(at for (at, _), total in zip(arrivals, sums, strict=True) if total >= 0.99 * swarm.plan.size)
    return swarm.clock.now - at


SEEDS = range(10)  # ``make soak`` runs 1,000


def test_swarms_with_cheats_keep_all_invariants() -> None:
    """Liars, stallers, free-riders: no run hangs, all get the content, and no honest peer is banned."""
    summary = WireSummary()
    for seed in SEEDS:
        summary.add(run_swarm(seed))
    assert summary.wasted <= 0.02 * summary.fetched
    assert summary.banned > 0 and summary.free_riders
    assert {m.conduct for seed in SEEDS for m in swarm_plan(seed).members} == set(Conduct)


def test_free_riders_finish_later_than_sharers_when_upload_is_scarce() -> None:
    upload = 60_000  # of each; sharers begin with other pieces, so they have much to trade
    members = (
        *8 * (MemberPlan(Conduct.SHARES, upload, have=0.3),),
        MemberPlan(Conduct.SEEDS, upload),
        *3 * (MemberPlan(Conduct.FREE_RIDES, upload, have=0.3),),
    )
    for seed in (2,):
        swarm = ran(WireSwarmPlan(seed, 12 << 20, 1 << 16, members))
        sharers = sorted(swarm.ended[number] for number in range(8))
        riders = sorted(swarm.ended[number] for number in range(9, 12))
        assert riders[0] > sharers[4], "the first free-rider after the median sharer"
        assert sum(riders) / 3 > 1.05 * sum(sharers) / 8
