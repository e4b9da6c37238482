"""Swarms of the peer wire in virtual time: how soon all have the content, and what cheats achieve."""

from __future__ import annotations

from simulator.bounds import distribution_time
from simulator.wire_swarm import WireSwarm, WireSwarmPlan, flash_swarm


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
