"""A compact list of the peers of a swarm (BEP 23, BEP 7) that stays up to date. Pure.

The leechers stand first, the seeds behind them. An announce is answered with one slice of bytes: of the whole
list for a leecher, of the front part for a seed. So its cost does not grow with the swarm, and hardly with
the number of peers in the answer.

A removed entry is replaced with the last one of its part, and that one with the last seed:

    leechers    seeds            L2 is removed: L3 takes its place, and S3 takes L3's
    L1 L2 L3    S1 S2 S3   -->   L1 L3    S3 S1 S2  as a set: the order inside a part means nothing
"""

from __future__ import annotations

PeerName = bytes | int
"""The key of a ``PeerRecord``, or the id of a node that listens on TCP."""


class CompactList:
    """Endpoints of ``size`` bytes each: 6 for IPv4, 18 for IPv6."""

    __slots__ = ("size", "leechers", "_bytes", "_names", "_places")

    def __init__(self, size: int) -> None:
        self.size = size
        self.leechers = 0  # entries of the front part
        self._bytes = bytearray()
        self._names: list[PeerName] = []
        self._places: dict[PeerName, int] = {}

    def __len__(self) -> int:
        return len(self._names)

    def add(self, name: PeerName, endpoint: bytes, complete: bool) -> None:
        """Add a peer that is not in the list."""
        place = len(self._names)
        self._names.append(name)
        self._bytes += endpoint
        self._places[name] = place
        if not complete:
            self._swap(self.leechers, place)
            self.leechers += 1

    def remove(self, name: PeerName) -> None:
        """Remove a peer, if it is in the list."""
        place = self._places.get(name)
        if place is None:
            return
        if place < self.leechers:
            self.leechers -= 1
            self._swap(place, self.leechers)
            place = self.leechers
        self._swap(place, len(self._names) - 1)
        self._names.pop()
        del self._bytes[-self.size :]
        del self._places[name]

    def window(self, wanted: int, without: PeerName, chance: float, leechers_only: bool) -> tuple[int, int]:
        """Where a window of up to ``wanted`` peers starts, and how many it has. It may wrap around the end.

        ``without`` is outside of it: the peer that asks. ``chance``: at random, from 0.0 to below 1.0.
        """
        total = self.leechers if leechers_only else len(self._names)
        own = self._places.get(without, total)
        if own >= total:
            return int(chance * total), wanted if wanted < total else total
        count = wanted if wanted < total else total - 1
        start = own + 1 + int(chance * (total - count))
        return (start if start < total else start - total), count

    def endpoints(self, start: int, count: int, leechers_only: bool) -> bytearray:
        """The bytes of a window."""
        size, data = self.size, self._bytes
        start *= size
        end = start + count * size
        total = self.leechers * size if leechers_only else len(data)
        return data[start:end] if end <= total else data[start:total] + data[: end - total]

    def names(self, start: int, count: int, leechers_only: bool) -> list[PeerName]:
        """The peers of a window, in the same order."""
        total = self.leechers if leechers_only else len(self._names)
        rest = max(start + count - total, 0)
        return [*self._names[start : start + count - rest], *self._names[:rest]]

    def _swap(self, one: int, other: int) -> None:
        if one == other:
            return
        names, data, size = self._names, self._bytes, self.size
        names[one], names[other] = names[other], names[one]
        self._places[names[one]], self._places[names[other]] = one, other
        a, b = slice(one * size, (one + 1) * size), slice(other * size, (other + 1) * size)
        data[a], data[b] = data[b], data[a]
