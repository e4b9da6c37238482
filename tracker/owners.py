"""The owners of a file in order of rank. Pure.

The list is a plain list while it is short, sorted when it is asked for. A long one is a ``SortedKeyList``,
where adding, removing and taking the first few cost O(log n). So nothing takes time that grows with the
owners of a file.

A sweep removes thousands of entries, and most of its time goes into comparing keys. So the usual key is one
number, which C code reads from the node.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any

from sortedcontainers import SortedKeyList

from common.messages import OwnedFile, OwnerEntry
from tracker.model import NodeRecord

LONG = 256  # owners from which a list is kept sorted


class RegisteredNode:
    """A node in memory: its current record, deadline, order among owners, and files."""

    __slots__ = ("record", "deadline", "order", "files")

    def __init__(self, record: NodeRecord, deadline: float, order: int) -> None:
        self.record = record
        self.deadline = deadline  # seconds
        self.order = order  # rank and tie break, see ``order_number``
        self.files: dict[str, Ownership] = {}  # by file key


class Ownership:
    """One node owns one file, and describes it so. Never changed, only replaced."""

    __slots__ = ("node", "file")

    def __init__(self, node: RegisteredNode, file: OwnedFile) -> None:
        self.node = node
        self.file = file  # shared by all owners that describe it alike

    def entry(self) -> OwnerEntry:
        """The owner as NEED names it."""
        node, file = self.node.record, self.file
        return OwnerEntry(
            node.node_id, node.addr, node.shown, file.info_hash, file.complete, file.size, node.tcp_port
        )


Order = Callable[[Ownership], Any]
"""The key that ownerships are sorted by."""

by_node: Order = attrgetter("node.order")
"""Of a list that has each node once."""


def by_node_and_hash(owned: Ownership) -> tuple[int, str]:
    """Of a list that has a node many times: it may own many files of one name."""
    return owned.node.order, owned.file.info_hash or ""


class RankedOwners:
    """Ownerships in order of rank."""

    __slots__ = ("_entries", "_is_sorted", "_order")

    def __init__(self, entries: Sequence[Ownership] = (), order: Order = by_node) -> None:
        self._entries: list[Ownership] | SortedKeyList = []
        self._is_sorted = True
        self._order = order
        self.extend(entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Ownership]:
        return iter(self._entries)

    def add(self, owned: Ownership) -> None:
        """Add an ownership."""
        self.extend((owned,))

    def extend(self, entries: Sequence[Ownership]) -> None:
        """Add several ownerships."""
        if isinstance(self._entries, list):
            self._entries.extend(entries)
            self._is_sorted = False
            if len(self._entries) > LONG:
                self._entries = SortedKeyList(self._entries, key=self._order)
        else:
            self._entries.update(entries)

    def remove(self, owned: Ownership) -> None:
        """Remove an ownership. Its rank must not have changed since it was added."""
        self._entries.remove(owned)

    def detach(self, owned: Ownership) -> bool:
        """Call before its rank changes. True if it must be added again afterwards."""
        if isinstance(self._entries, list):
            self._is_sorted = False
            return False
        self._entries.remove(owned)
        return True

    def best(self, limit: int) -> list[Ownership]:
        """The first ``limit``."""
        if not self._is_sorted and isinstance(self._entries, list):
            self._entries.sort(key=self._order)
            self._is_sorted = True
        return list(islice(self._entries, limit))

    def draw(self, limit: int, rng: random.Random) -> list[Ownership]:
        """``limit`` at random."""
        size = len(self._entries)
        return [self._entries[index] for index in rng.sample(range(size), min(limit, size))]
