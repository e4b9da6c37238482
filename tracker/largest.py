"""Which files have the most owners, known at any time without looking through all files. Pure.

Files with about as many owners as each other stand in one group, and the groups' numbers in one sorted list.
An eighth more or fewer owners take a file to another group, at the same cost however many files there are.
There are few groups: N ownerships make at most some sqrt(2 N), because a group of n costs n. Files with a
single owner, by far the most, stand in none.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from tracker.owners import FileOwners

SMALLEST = 2  # owners; a file with fewer is in no group
COARSE = (
    8  # a file changes its group when its owners are more or fewer by an eighth: the order is about right
)


class Largest:
    """Files by how many own them."""

    def __init__(self) -> None:
        self._groups: dict[int, dict[FileOwners, None]] = {}
        self._numbers: list[int] = []  # of owners, for which there is a group, lowest first

    def note(self, owners: FileOwners) -> None:
        """Whenever there may be more or fewer of them than at the last time; mostly it does nothing."""
        before, now = owners.standing, len(owners)
        if abs(now - before) * COARSE < before and now >= SMALLEST:
            return
        owners.standing = now
        if before >= SMALLEST:
            group = self._groups[before]
            del group[owners]
            if not group:
                del self._groups[before]
                del self._numbers[bisect_left(self._numbers, before)]
        if now >= SMALLEST:
            if now not in self._groups:
                self._groups[now] = {}
                insort(self._numbers, now)
            self._groups[now][owners] = None

    def __iter__(self) -> Iterator[FileOwners]:
        """Those with ``SMALLEST`` owners or more, those with the most first, about."""
        for number in reversed(self._numbers):
            yield from self._groups[number]
