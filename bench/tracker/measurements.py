"""The tracker's figures by name, and the software that some of them need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec

from bench.judging import Figure
from bench.tracker import durability, herd, kills, pollers, siege, throughput, udp, viewers
from bench.tracker.effort import Effort

Measure = Callable[[Effort], Iterator[Figure]]


def missing(name: str) -> str:
    """Why this cannot be measured here; "" if it can."""
    if name not in ON_REDIS:
        return ""
    if find_spec("redis") is None:
        return "redis-py is not installed (requirements-redis.txt)"
    from faults.redis_server import program

    return "" if program() else "redis-server is not installed"


def _redis_speed(effort: Effort) -> Iterator[Figure]:
    from bench.tracker import on_redis

    return on_redis.speed(effort)


def _redis_memory(effort: Effort) -> Iterator[Figure]:
    from bench.tracker import on_redis

    return on_redis.memory(effort)


def _redis_need(effort: Effort) -> Iterator[Figure]:
    from bench.tracker import on_redis

    return on_redis.need(effort)


def _several(effort: Effort) -> Iterator[Figure]:
    from bench.tracker import several

    return several.several(effort)


BY_NAME: dict[str, Measure] = {  # in the table's order
    "register": throughput.register,
    "need": throughput.need,
    "udp": udp.udp,
    "sweep": throughput.sweep,
    "memory": throughput.memory,
    "million": throughput.million,
    "own": durability.own,
    "start": durability.start,
    "export": durability.export,
    "threads": durability.threads,
    "pollers": pollers.pollers,
    "viewers": viewers.viewers,
    "herd": herd.lost_tracker,
    "redis": _redis_speed,
    "redis-memory": _redis_memory,
    "redis-need": _redis_need,
    "siege": siege.siege,
    "kills": kills.kills,
    "several": _several,
}
LONG = ("siege", "kills", "several")  # minutes each
ON_REDIS = ("redis", "redis-memory", "redis-need", "several")  # only these import redis-py, which is optional
