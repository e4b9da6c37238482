"""Who owns what: each file with its owners, by key and by name, and the files with the most. Pure.

A file is known by its info hash, or by its name where its owner gave no hash; each owner is listed under
that key and under the name, both in order of merit (``owners``), and each node knows what it owns.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Sequence

from common.messages import OwnedFile
from tracker.largest import SMALLEST, Largest
from tracker.model import FileKey, Found, SwarmView, file_key
from tracker.nodes import Node, Owned
from tracker.owners import FileOwners

MAX_TOLD = 256  # files whose last answer is kept: 4 MB, if each has 50 owners


class Catalogue:
    """``files`` and ``names`` may be read by everybody, and are changed only here."""

    def __init__(self) -> None:
        self.files: dict[FileKey, FileOwners] = {}
        self.names: dict[str, FileOwners] = {}  # file name -> all who own a file of this name
        self.owned = 0  # ownerships
        self._largest = Largest()
        self._told: deque[FileOwners] = deque()

    def add(self, node: Node, file: OwnedFile) -> None:
        """Note that a node has a file, in place of what it said before of the same."""
        owners = self.files.setdefault(file_key(file.filename, file.info_hash), FileOwners())
        before = node.files.get(owners)
        if before is not None:
            owners.drop(before)
            self._drop_name(before)
        else:
            self.owned += 1
        entry = Owned(node, owners.described(file))
        node.files[owners] = entry
        owners.add(entry)
        self._largest.note(owners)
        self.names.setdefault(file.filename, FileOwners()).add(entry)

    def restore(self, file: OwnedFile, nodes: Sequence[Node]) -> None:
        """``add`` for many nodes, each named once, at the start."""
        key = file_key(file.filename, file.info_hash)
        owners = self.files.get(key)
        if owners is None:  # nearly always
            owners = self.files[key] = FileOwners()
            entries = [Owned(node, file) for node in nodes]
        else:  # some have all and some a part; or it is said twice, in a file that people wrote
            entries = []
            for node in nodes:
                if owners in node.files:
                    self.add(node, file)
                else:
                    entries.append(Owned(node, file))
        for entry in entries:
            entry.node.files[owners] = entry
        self.owned += len(entries)
        owners.extend(entries)
        self._largest.note(owners)
        names = self.names.get(file.filename)
        if names is None:
            names = self.names[file.filename] = FileOwners()
        names.extend(entries)

    def forget(self, node: Node) -> None:
        """Take a node that is ``gone`` off the lists of all its files."""
        self.owned -= len(node.files)
        for owners, entry in node.files.items():
            file = entry.file
            owners.mourn(entry)
            self._largest.note(owners)
            if not owners:
                del self.files[file_key(file.filename, file.info_hash)]
            names = self.names[file.filename]
            names.mourn(entry)
            if not names:
                del self.names[file.filename]

    def tell(self, owners: FileOwners, limit: int, drawn: bool, rng: random.Random) -> Found:
        """``FileOwners.tell``; of MAX_TOLD files the answer is kept, those asked for lately."""
        before = owners.told
        found = owners.tell(limit, drawn, rng)
        if owners.told is not before:
            self._told.append(owners)
            if len(self._told) > MAX_TOLD:
                self._told.popleft().told = None
        return found

    def largest(self, limit: int) -> list[SwarmView]:
        """Up to ``limit`` files, those with the most owners, about."""
        most = sorted(itertools.islice(self._largest, limit), key=len, reverse=True)
        some = itertools.islice(self.files.values(), len(most) + limit)  # that many at most are looked at
        single = (owners for owners in some if len(owners) < SMALLEST)
        return [_view(owners) for owners in (*most, *itertools.islice(single, limit - len(most)))]

    def _drop_name(self, entry: Owned) -> None:
        names = self.names[entry.file.filename]
        names.drop(entry)
        if not names:
            del self.names[entry.file.filename]


def _view(owners: FileOwners) -> SwarmView:
    file = owners.any_file()
    return SwarmView(
        file.filename, file.info_hash, file.size, len(owners.whole or ()), len(owners.partial or ())
    )
