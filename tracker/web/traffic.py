"""What has been asked and answered: counts, times, and how the swarm was over the last hour and day.

Thread-safe and bounded: a counter for each kind of request and status there is, and two rings of samples. An
answer is only appended to a list, which is one step of the interpreter and needs no lock; some hundred are
counted at a time.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)  # seconds, upper ends
MINUTE, HOUR = 60.0, 3600.0  # seconds
MINUTES, HOURS = 60, 24  # samples that are kept of each
AT_A_TIME = 256  # answers that may wait to be counted


@dataclass(frozen=True)
class Sample:
    """How it was at a moment."""

    time: float  # Unix time
    nodes: int
    files: int  # that somebody has
    owned: int  # (node, file) pairs
    requests: int  # answered since the start
    refused: int  # of these, with a status of 400 and more


@dataclass
class Tally:
    """The answers to one kind of request."""

    statuses: dict[int, int]
    slower: list[int]  # how many took longer than the bucket before and at most this one; the last: longer
    seconds: float = 0.0  # of all together


class Traffic:
    """Counts. ``note`` is called for every answer."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock``: Unix time."""
        self._clock = clock
        self._lock = threading.Lock()
        self._noted: deque[tuple[str, int, float]] = deque()  # kind, status, seconds: not counted yet
        self._tallies: dict[str, Tally] = {}
        self._answered = self._refused = 0
        self._started = clock()
        self._minutes: deque[Sample] = deque(maxlen=MINUTES)
        self._hours: deque[Sample] = deque(maxlen=HOURS)
        self._next_minute = self._next_hour = 0.0

    def note(self, kind: str, status: int, seconds: float) -> None:
        """An answer was given. ``kind`` is one of ours, never a text from outside."""
        self._noted.append((kind, status, seconds))
        if len(self._noted) >= AT_A_TIME:
            with self._lock:
                self._count()

    def _count(self) -> None:
        """Count what was noted; with the lock held."""
        for _ in range(len(self._noted)):
            kind, status, seconds = self._noted.popleft()
            tally = self._tallies.get(kind)
            if tally is None:
                tally = self._tallies[kind] = Tally({}, [0] * (len(BUCKETS) + 1))
            tally.statuses[status] = tally.statuses.get(status, 0) + 1
            tally.slower[bisect_left(BUCKETS, seconds)] += 1
            tally.seconds += seconds
            self._answered += 1
            self._refused += status >= 400

    def due(self) -> bool:
        """Whether it is time for a sample."""
        return self._clock() >= self._next_minute

    def sample(self, nodes: int, files: int, owned: int) -> None:
        """Keep how things are, if it is time for that."""
        now = self._clock()
        with self._lock:
            if now < self._next_minute:
                return
            self._count()
            taken = Sample(now, nodes, files, owned, self._answered, self._refused)
            self._minutes.append(taken)
            self._next_minute = now + MINUTE
            if now >= self._next_hour:
                self._hours.append(taken)
                self._next_hour = now + HOUR

    def tallies(self) -> dict[str, Tally]:
        """A copy of all counters."""
        with self._lock:
            self._count()
            return {
                kind: Tally(dict(tally.statuses), list(tally.slower), tally.seconds)
                for kind, tally in self._tallies.items()
            }

    def to_json(self) -> dict[str, Any]:
        """For /stats."""
        with self._lock:
            self._count()
            answered = {
                kind: {str(status): count for status, count in tally.statuses.items()}
                for kind, tally in self._tallies.items()
            }
            return {
                "uptime": round(self._clock() - self._started, 3),
                "requests": {"answered": self._answered, "refused": self._refused, "by_kind": answered},
                "minutes": [asdict(sample) for sample in self._minutes],
                "hours": [asdict(sample) for sample in self._hours],
            }
