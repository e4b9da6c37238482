"""One direction of a bad path, without a socket or a clock: a datagram in, when what comes out.

The same seed and the same datagrams at the same times give the same trace. Every datagram draws the same
number of random numbers, so that raising one fault's probability leaves the fate of others as it was.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class LinkFaults:
    """What a link does to datagrams; nothing at all unless told."""

    loss: float = 0.0  # probability of vanishing
    duplicate: float = 0.0  # probability of arriving twice
    reorder: float = 0.0  # probability of being held back for ``reorder_by``, so that later ones overtake it
    reorder_by: float = 0.01  # seconds
    corrupt: float = 0.0  # probability of one byte arriving changed, or of the end missing
    delay: float = 0.0  # seconds that everything takes
    jitter: float = 0.0  # seconds more that a datagram takes, at most (evenly spread; this reorders, too)
    rate: float | None = None  # bytes a second; None: no limit
    queue: int = 64 * 1024  # bytes that may wait for a limited rate; what finds no room is dropped

    def __post_init__(self) -> None:
        for name in ("loss", "duplicate", "reorder", "corrupt"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a probability, not {getattr(self, name)}")
        if min(self.delay, self.jitter, self.reorder_by, self.queue) < 0:
            raise ValueError("delay, jitter, reorder_by and queue cannot be negative")
        if self.rate is not None and self.rate <= 0:
            raise ValueError("rate is in bytes a second, and positive")


@dataclass
class LinkCounters:
    """What happened so far, in datagrams."""

    sent: int = 0
    lost: int = 0  # by chance
    overflowed: int = 0  # for want of room in the queue
    corrupted: int = 0
    duplicated: int = 0
    held_back: int = 0


class Link:
    """One direction of a path with ``faults``; ``seed`` decides all that is left to chance."""

    def __init__(self, faults: LinkFaults, seed: int) -> None:
        self.faults = faults
        self.counters = LinkCounters()
        self._random = random.Random(seed)
        self._free_at = float("-inf")  # when the last byte of the queue will have left

    def send(self, datagram: bytes, now: float) -> list[tuple[float, bytes]]:
        """What arrives of ``datagram``, sent at ``now`` (seconds): (when, bytes), none, one or two times."""
        faults, counters = self.faults, self.counters
        lost, doubled, held, damaged, *luck = [self._random.random() for _ in range(8)]
        counters.sent += 1
        leaves_at = self._through_queue(len(datagram), now)
        if leaves_at is None:
            counters.overflowed += 1
            return []
        if lost < faults.loss:
            counters.lost += 1
            return []
        if damaged < faults.corrupt:
            counters.corrupted += 1
            datagram = _damaged(datagram, luck[0], luck[1])
        arrives_at = leaves_at + faults.delay
        if held < faults.reorder:
            counters.held_back += 1
            arrives_at += faults.reorder_by
        arrivals = [(arrives_at + luck[2] * faults.jitter, datagram)]
        if doubled < faults.duplicate:
            counters.duplicated += 1
            arrivals.append((arrives_at + luck[3] * faults.jitter, datagram))
        return arrivals

    def _through_queue(self, size: int, now: float) -> float | None:
        """When ``size`` bytes have left a limited link; None if its queue has no room for them."""
        rate = self.faults.rate
        if rate is None:
            return now
        begins_at = max(now, self._free_at)
        if (begins_at - now) * rate + size > self.faults.queue:
            return None
        self._free_at = begins_at + size / rate
        return self._free_at


def _damaged(datagram: bytes, where: float, how: float) -> bytes:
    """``datagram`` with one byte changed or, one time in four, without its end; both in [0, 1)."""
    if not datagram:
        return datagram
    at = int(where * len(datagram))
    if how < 0.25:
        return datagram[:at]
    flips = 1 + int((how - 0.25) / 0.75 * 255)  # 1..255: never what it was
    return datagram[:at] + bytes([datagram[at] ^ flips]) + datagram[at + 1 :]
