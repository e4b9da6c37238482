"""How fast can a file be spread at best? Pure."""

from __future__ import annotations


def distribution_time(size: int, nodes: int, upload: int) -> float:
    """Seconds until ``nodes`` nodes have ``size`` bytes that one more had at first, at least.

    Each of them, the first one too, may send ``upload`` bytes a second, and receive without a limit. The
    first one must send each byte once, and all together must send it to each: ``max(F / u_s, F / d_min,
    N * F / (u_s + sum of u_i))`` (Kumar and Ross, 2006).
    """
    return max(size / upload, nodes * size / (upload * (nodes + 1)))
