"""Which torrents a seed asks its classroom tracker about, to dial their leechers. Pure; the caller locks.

A standard leecher asks the tracker every few minutes, so it would learn late of a seed that comes after it.
So a seed asks after each OWN, and then for one torrent every MEET_SECONDS in turn, and dials the leechers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from common.messages import OwnedFile

MEET_AT_ONCE = 8  # torrents that are asked about after one OWN; the others follow in turn
MEET_SECONDS = 60.0  # seconds between two questions in turn


class MeetingPlan:
    """Times are monotonic seconds."""

    def __init__(self) -> None:
        self._due: deque[OwnedFile] = deque(maxlen=MEET_AT_ONCE)
        self._turn = 0  # of the next torrent that is asked about in turn
        self._next_turn = float("inf")

    def announced(self, files: Iterable[OwnedFile], now: float) -> None:
        """These were announced: the complete ones have leechers, perhaps."""
        complete = [file for file in files if file.complete and file.info_hash is not None]
        self._due.extend(complete[:MEET_AT_ONCE])
        if complete:
            self._next_turn = now + MEET_SECONDS

    def next_due(self, now: float) -> float:
        """When ``take`` has something."""
        return now if self._due else self._next_turn

    def take(self, served: Iterable[OwnedFile], now: float) -> OwnedFile | None:
        """A file to ask about now."""
        complete = [file for file in served if file.complete and file.info_hash is not None]
        if self._due:
            file = self._due.popleft()
            return file if file in complete else None
        if now < self._next_turn:
            return None
        self._next_turn = now + MEET_SECONDS if complete else float("inf")
        self._turn += 1
        return complete[self._turn % len(complete)] if complete else None
