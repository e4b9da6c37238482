"""A compact list of peers (BEP 23, BEP 7) that stays up to date. Pure.

An announce is answered with a slice of bytes, so its cost does not grow with the swarm, and hardly with the
number of peers in the answer. A removed entry is replaced with the last one.
"""

from __future__ import annotations

PeerName = bytes | int
"""The key of a ``PeerRecord``, or the id of a node that listens on TCP."""


class CompactList:
    """Endpoints of ``size`` bytes each: 6 for IPv4, 18 for IPv6."""

    __slots__ = ("size", "_bytes", "_names", "_places")

    def __init__(self, size: int) -> None:
        self.size = size
        self._bytes = bytearray()
        self._names: list[PeerName] = []
        self._places: dict[PeerName, int] = {}

    def __len__(self) -> int:
        return len(self._names)

    def add(self, name: PeerName, endpoint: bytes) -> None:
        """Add a peer that is not in the list."""
        self._places[name] = len(self._names)
        self._names.append(name)
        self._bytes += endpoint

    def remove(self, name: PeerName) -> None:
        """Remove a peer, if it is in the list."""
        place = self._places.pop(name, None)
        if place is None:
            return
        last = self._names.pop()
        if last != name:
            self._names[place] = last
            self._places[last] = place
            self._bytes[place * self.size : (place + 1) * self.size] = self._bytes[-self.size :]
        del self._bytes[-self.size :]

    def window(self, wanted: int, without: PeerName, chance: float) -> tuple[int, int]:
        """Where a window of up to ``wanted`` peers starts, and how many it has. It may wrap around the end.

        ``without`` is outside of it: the peer that asks. ``chance``: at random, from 0.0 to below 1.0.
        """
        total = len(self._names)
        own = self._places.get(without)
        if own is None:
            return int(chance * total), min(wanted, total)
        count = min(wanted, total - 1)
        return (own + 1 + int(chance * (total - count))) % total, count

    def endpoints(self, start: int, count: int) -> bytes:
        """The bytes of a window."""
        size, end = self.size, start + count
        found = self._bytes[start * size : end * size]
        if (rest := end - len(self._names)) > 0:
            found += self._bytes[: rest * size]
        return bytes(found)

    def names(self, start: int, count: int) -> list[PeerName]:
        """The peers of a window, in the same order."""
        return [*self._names[start : start + count], *self._names[: max(start + count - len(self._names), 0)]]
