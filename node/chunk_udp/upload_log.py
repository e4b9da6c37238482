"""Bytes sent, by peer and torrent: the rows of ``-peers`` about served peers.

A node fetches from several sockets, and so from several addresses. If it states its node number, all its
addresses are one row. The listening thread writes, any thread reads.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from node.chunk_udp.address_validation import Address
from node.peer import Peer
from node.transport import UploadStatus

MAX_REMEMBERED = 1024  # totals that are kept, for pairs of address and torrent
RATE_WINDOW = 1.0  # seconds; a rate is that of the current window and the one before

Queue = Sequence[tuple[Address, bytes]]  # addresses that wait for a slot, in order, and for which torrent
_Key = tuple[Address, bytes]


@dataclass
class _Uploaded:
    total: int = 0  # bytes
    recent: int = 0  # bytes in the current window
    before: int = 0  # bytes in the window before
    since: float = 0.0  # begin of the current window

    def add(self, size: int, now: float) -> None:
        self._turn(now)
        self.total += size
        self.recent += size

    def rate(self, now: float) -> float:
        """Bytes a second."""
        self._turn(now)
        return (self.recent + self.before) / (RATE_WINDOW + now - self.since)

    def _turn(self, now: float) -> None:
        elapsed = now - self.since
        if elapsed >= RATE_WINDOW:
            self.before = self.recent if elapsed < 2 * RATE_WINDOW else 0
            self.recent = 0
            self.since = now if elapsed >= 2 * RATE_WINDOW else self.since + RATE_WINDOW


class UploadLog:
    """Remembers MAX_REMEMBERED of the latest uploads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uploads: OrderedDict[_Key, _Uploaded] = OrderedDict()
        self._numbers: OrderedDict[Address, int] = OrderedDict()
        self.totals: Counter[bytes] = Counter()  # bytes by info hash

    def introduce(self, addr: Address, node_id: int) -> None:
        """The fetcher at ``addr`` states this node number."""
        with self._lock:
            self._numbers[addr] = node_id
            self._numbers.move_to_end(addr)
            if len(self._numbers) > MAX_REMEMBERED:
                self._numbers.popitem(last=False)

    def peer(self, addr: Address) -> Peer:
        """The fetcher at ``addr``, with its node number if it stated one."""
        with self._lock:
            return Peer(*addr, "udp", self._numbers.get(addr))

    def add(self, addr: Address, info_hash: bytes, size: int, now: float) -> None:
        """``size`` bytes were sent."""
        with self._lock:
            self.totals[info_hash] += size
            uploaded = self._uploads.get((addr, info_hash))
            if uploaded is None:
                uploaded = self._uploads[addr, info_hash] = _Uploaded(since=now)
                if len(self._uploads) > MAX_REMEMBERED:
                    self._uploads.popitem(last=False)
            uploaded.add(size, now)

    def rows(self, queue: Queue, now: float) -> list[UploadStatus]:
        """A row for each peer and torrent, the latest peer last; then those in the queue, in order."""
        with self._lock:
            rows: dict[tuple[object, bytes], UploadStatus] = {}
            for (addr, info_hash), uploaded in self._uploads.items():
                self._merge(rows, addr, info_hash, uploaded.total, uploaded.rate(now), None)
            for position, (addr, info_hash) in enumerate(queue, 1):
                self._merge(rows, addr, info_hash, 0, 0.0, position)
            return sorted(rows.values(), key=lambda row: row.queue_position or 0)

    def _merge(
        self,
        rows: dict[tuple[object, bytes], UploadStatus],
        addr: Address,
        info_hash: bytes,
        total: int,
        rate: float,
        position: int | None,
    ) -> None:
        node_id = self._numbers.get(addr)
        key = (addr if node_id is None else (addr[0], node_id), info_hash)
        row = rows.pop(key, None)
        if row is not None:
            total, rate = total + row.uploaded, rate + row.rate
            position = position if row.queue_position is None else row.queue_position
        rows[key] = UploadStatus(Peer(*addr, "udp", node_id), info_hash, total, rate, position)
