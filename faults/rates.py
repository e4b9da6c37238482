"""A rate that changes at given times, and the time that bytes take at it. Pure.

Times are seconds on the caller's clock, rates bytes a second.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence


class Rates:
    """``first`` until the first change; each (time, rate) of ``changes``, ascending, from its time on."""

    def __init__(self, first: float, changes: Sequence[tuple[float, float]] = ()) -> None:
        self._times = [float("-inf"), *(time for time, _ in changes)]
        self._rates = [first, *(rate for _, rate in changes)]

    def passed_at(self, begins: float, size: float) -> float:
        """When ``size`` bytes have passed that begin at ``begins``."""
        step = bisect_right(self._times, begins) - 1
        while step + 1 < len(self._times):
            room = (self._times[step + 1] - begins) * self._rates[step]
            if size <= room:
                break
            size -= room
            step += 1
            begins = self._times[step]
        return begins + size / self._rates[step]

    def passing(self, begins: float, ends: float) -> float:
        """Bytes that pass between two times; 0 if the second is not later."""
        if ends <= begins:
            return 0.0
        step = bisect_right(self._times, begins) - 1
        total = 0.0
        while step + 1 < len(self._times) and self._times[step + 1] < ends:
            step += 1
            total += (self._times[step] - begins) * self._rates[step - 1]
            begins = self._times[step]
        return total + (ends - begins) * self._rates[step]
