"""Swarms of the peer wire in virtual time: how soon all have the content, and what cheats achieve."""

from __future__ import annotations

from itertools import accumulate

import pytest

from simulator.bounds import distribution_time
from simulator.wire_swarm import Conduct, MemberPlan, WireSwarm, WireSwarmPlan, flash_swarm


def ran(plan: WireSwarmPlan, limit: float = 600) -> WireSwarm:
    swarm = WireSwarm(plan)
    swarm.run(limit)
    return swarm


def test_a_flash_crowd_needs_little_more_than_the_bound() -> None:
    """The figure for 16 leechers and 64 MiB is printed by ``python -m simulator --swarm 16``."""
    plan = flash_swarm(10, 16 << 20, 1 << 17, 2_000_000, 1)
    swarm = ran(plan)
    bound = distribution_time(plan.size, 10, 2_000_000)
    assert max(swarm.ended.values()) <= 1.35 * bound
    assert swarm.wasted <= 0.02 * plan.size * 10


def test_the_same_seed_is_the_same_run() -> None:
    plan = flash_swarm(4, 1 << 20, 1 << 16, 500_000, 1)
    assert [m.trace for m in ran(plan).members] == [m.trace for m in ran(plan).members]


@pytest.mark.parametrize("stalled_at", [0.98, 0.5])  # of what each seed would send
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
