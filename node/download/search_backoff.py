"""When a download searches for peers again, and when it gives up. Pure."""

from __future__ import annotations

import enum

from common.backoff import Backoff

SEARCH = Backoff(first=0.5, limit=8.0)  # seconds between two searches while there is no source
# Seconds between two searches while there are sources, but fewer than allowed. Nodes that started together
# have pieces soon; later ones are fewer.
REFRESH = Backoff(first=0.25, limit=10.0, growth=1.5)


class SearchStep(enum.Enum):
    """The next step while there is no source."""

    WAIT = "wait"
    ASK = "ask"
    GIVE_UP = "give up"


class SearchBackoff:
    """Waits that grow, up to ``limit`` seconds without a byte. All times are monotonic seconds."""

    def __init__(self, limit: float, now: float) -> None:
        self._limit = limit
        self._received = -1
        self._progress_at = self._asked_at = now
        self._searches = 0  # since the last progress
        self._refreshes = 0
        self._next: float | None = None  # when the present wait ends

    def note_progress(self, received: int, now: float) -> None:
        """``received`` bytes are here. If there are more than before, the next wait is short again."""
        if received != self._received:
            self._received, self._progress_at, self._searches = received, now, 0

    def wants_refresh(self, now: float) -> bool:
        """True if it is time to search for more peers although some deliver."""
        self._next = None
        if now - self._asked_at < REFRESH.bound(self._refreshes):
            return False
        self._asked_at = now
        self._refreshes += 1
        return True

    def seconds_left(self, now: float) -> float:
        """Seconds until the present wait ends; 0 without a wait."""
        return max(0.0, self._next - now) if self._next is not None else 0.0

    def next_step(self, now: float) -> tuple[SearchStep, bool]:
        """The next step while there is no source and no search, and True if a wait begins with it."""
        if now - self._progress_at > self._limit:
            return SearchStep.GIVE_UP, False
        if self._next is None:
            self._next = now + SEARCH.bound(self._searches)
            self._searches += 1
            return SearchStep.WAIT, True
        if now < self._next:
            return SearchStep.WAIT, False
        self._next, self._asked_at = None, now
        return SearchStep.ASK, False
