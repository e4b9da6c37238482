"""One direction of a path with faults. Pure: no socket, no clock.

The same seed and the same datagrams at the same times give the same trace. Every datagram draws the same
number of random numbers. So a higher probability of one fault does not change the fate of other datagrams.

    datagram ─▶ queue and rate ─▶ outage? ─▶ loss, bursts ─▶ corruption ─▶ delay, jitter, reordering, twice
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from faults.rates import Rates

Damage = Callable[[bytes, float, float], bytes]  # datagram, where in it, how; both in [0, 1)


@dataclass(frozen=True)
class LinkFaults:
    """The faults of a link. The default is a link without faults.

    Bursts follow the model of Gilbert and Elliott: the link is good or bad, and while it is bad a datagram is
    lost with probability ``burst_loss`` instead of ``loss``. A burst lasts ``1 / burst_end`` datagrams on
    average.
    """

    loss: float = 0.0  # probability
    duplicate: float = 0.0  # probability of arriving twice
    reorder: float = 0.0  # probability of a delay by ``reorder_by``, in which later datagrams overtake
    reorder_by: float = 0.01  # seconds
    corrupt: float = 0.0  # probability of one changed byte, or of a missing end
    delay: float = 0.0  # seconds, for every datagram
    jitter: float = 0.0  # max seconds of additional delay (uniform; this also reorders)
    rate: float | None = None  # bytes a second; None: no limit
    queue: int = 64 * 1024  # bytes that may wait for a limited rate; further datagrams are dropped
    burst_begin: float = 0.0  # probability that a burst begins with a datagram
    burst_end: float = 1.0  # probability that a burst is over with the next datagram
    burst_loss: float = 1.0  # probability of loss in a burst
    outage: float = 0.0  # seconds without a link at the end of every ``outage_every``
    outage_every: float = 0.0  # seconds
    rates: tuple[tuple[float, float], ...] = ()  # (seconds since the link's begin, bytes a second from then)

    def __post_init__(self) -> None:
        for name in ("loss", "duplicate", "reorder", "corrupt", "burst_begin", "burst_end", "burst_loss"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a probability, not {getattr(self, name)}")
        if min(self.delay, self.jitter, self.reorder_by, self.queue) < 0:
            raise ValueError("delay, jitter, reorder_by and queue cannot be negative")
        if self.rate is not None and self.rate <= 0:
            raise ValueError("rate is in bytes a second, and positive")
        if not 0 <= self.outage <= self.outage_every:
            raise ValueError("outage is a part of outage_every, both in seconds")
        if self.rates and (self.rate is None or list(self.rates) != sorted(self.rates)):
            raise ValueError("rates follow a first rate, in the order of their times")
        if any(rate <= 0 for _, rate in self.rates):
            raise ValueError("rates are in bytes a second, and positive")


@dataclass
class LinkCounters:
    """Counts of datagrams."""

    sent: int = 0
    lost: int = 0  # by chance
    overflowed: int = 0  # the queue was full
    cut_off: int = 0  # by an outage
    corrupted: int = 0
    duplicated: int = 0
    held_back: int = 0


def damaged(datagram: bytes, where: float, how: float) -> bytes:
    """``datagram`` with one byte changed or, one time in four, without its end; both in [0, 1)."""
    if not datagram:
        return datagram
    at = int(where * len(datagram))
    if how < 0.25:
        return datagram[:at]
    flips = 1 + int((how - 0.25) / 0.75 * 255)  # 1..255: never unchanged
    return datagram[:at] + bytes([datagram[at] ^ flips]) + datagram[at + 1 :]


class Link:
    """One direction of a path with ``faults``, drawn from ``seed``.

    Schedules (outages, rates) count from ``begins``, in seconds of the clock of ``send``, or from the first
    datagram if it is None. ``damage`` corrupts a datagram.
    """

    def __init__(
        self, faults: LinkFaults, seed: int, begins: float | None = None, damage: Damage = damaged
    ) -> None:
        self.faults = faults
        self.counters = LinkCounters()
        self._damage = damage
        self._random = random.Random(seed)
        self._in_burst = False
        self._free_at = float("-inf")  # when the last byte of the queue will have left
        self._begins: float | None = None
        self._rates: Rates | None = None
        if begins is not None:
            self._begin(begins)

    def send(self, datagram: bytes, now: float) -> list[tuple[float, bytes]]:
        """The arrivals of ``datagram``, sent at ``now`` (seconds): up to two pairs (when, bytes)."""
        faults, counters = self.faults, self.counters
        lost, doubled, held, damage, *luck, burst = [self._random.random() for _ in range(9)]
        if self._begins is None:
            self._begin(now)
        counters.sent += 1
        leaves_at = self._through_queue(len(datagram), now)
        if leaves_at is None:
            counters.overflowed += 1
            return []
        if faults.outage and self._is_out(leaves_at):
            counters.cut_off += 1
            return []
        if lost < self._loss(burst):
            counters.lost += 1
            return []
        if damage < faults.corrupt:
            counters.corrupted += 1
            datagram = self._damage(datagram, luck[0], luck[1])
        arrives_at = leaves_at + faults.delay
        if held < faults.reorder:
            counters.held_back += 1
            arrives_at += faults.reorder_by
        arrivals = [(arrives_at + luck[2] * faults.jitter, datagram)]
        if doubled < faults.duplicate:
            counters.duplicated += 1
            arrivals.append((arrives_at + luck[3] * faults.jitter, datagram))
        return arrivals

    def _begin(self, begins: float) -> None:
        self._begins = begins
        if self.faults.rate is not None:
            self._rates = Rates(self.faults.rate, [(begins + at, rate) for at, rate in self.faults.rates])

    def _is_out(self, time: float) -> bool:
        faults = self.faults
        return (time - (self._begins or 0.0)) % faults.outage_every >= faults.outage_every - faults.outage

    def _loss(self, burst: float) -> float:
        """The probability of loss for this datagram, with which a burst may begin or end."""
        faults = self.faults
        if not faults.burst_begin:
            return faults.loss
        self._in_burst = burst >= faults.burst_end if self._in_burst else burst < faults.burst_begin
        return faults.burst_loss if self._in_burst else faults.loss

    def _through_queue(self, size: int, now: float) -> float | None:
        """When ``size`` bytes have passed a limited link; None if its queue is full."""
        rates = self._rates
        if rates is None:
            return now
        if rates.passing(now, self._free_at) + size > self.faults.queue:
            return None
        self._free_at = rates.passed_at(max(now, self._free_at), size)
        return self._free_at
