"""The size of a measurement: full, or just enough to see that it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """Durations, rounds and counts of the tracker's figures."""

    seconds: float = 4.0  # of load in a round
    rounds: int = 3  # of which the median counts
    poll_rounds: int = 7  # the same, for the pollers: their effect is small
    replay_seconds: float = 20.0  # of load; a start replays its journal
    nodes: int = 100_000  # in a large tracker
    threads: tuple[int, ...] = (4, 8, 12, 16, 24, 32)  # that answer, to compare
    kills: int = 1000
    redis_kills: int = 200
    ids: int = 1_000_000  # that are forged
    slow_clients: int = 1000
    herd: int = 10_000  # nodes
    gone: float = 60.0  # seconds that their tracker is away
    redis_nodes: tuple[int, ...] = (10_000, 100_000)
    redis_owners: int = 50_000
    seed: int = 1


FULL = Effort()
QUICK = Effort(
    seconds=0.3,
    rounds=1,
    poll_rounds=1,
    replay_seconds=1.0,
    nodes=2000,
    threads=(4, 8),
    kills=3,
    redis_kills=3,
    ids=2000,
    slow_clients=20,
    herd=200,
    gone=1.0,
    redis_nodes=(1000,),
    redis_owners=1000,
)
