"""How fast a file can be spread at best. Pure."""

from __future__ import annotations


def distribution_time(size: int, nodes: int, upload: int) -> float:
    """Least seconds until ``nodes`` nodes and the seed all have ``size`` bytes, which the seed had at first.

    Each of them sends at most ``upload`` bytes a second and receives without a limit. The seed must send each
    byte once, and all together must send each byte to each node: ``max(F / u_s, F / d_min,
    N * F / (u_s + sum of u_i))`` (Kumar and Ross, 2006).
    """
    return max(size / upload, nodes * size / (upload * (nodes + 1)))
