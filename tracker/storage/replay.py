"""The journals read back: what they change about the snapshot before them.

Only what the journals touch is held in memory here; the snapshot's entries then pass by one by one, each
taken as it is, changed, or left out. As changes are absolute, it does no harm that the snapshot was taken
while they happened, nor that a journal is replayed that the snapshot holds already.

A record is broken where a line is not as it was written. That is a torn tail, which is cut, if nothing says
that the record was ever safe; and damage, which is named, if something does: see ``lines``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import MessageError, StorageFault
from common.messages import OwnedFile
from tracker.model import (
    Change,
    FileKey,
    FilesOwned,
    NodeChanged,
    NodeJoined,
    NodeLeft,
    NodeRecord,
    Owners,
    Pair,
    file_key,
)
from tracker.storage.disk import Disk
from tracker.storage.entries import read_change
from tracker.storage.journal import FORMAT, journal_name
from tracker.storage.lines import MAX_LINE, Line, decode_line

REMEDY = "python -m tracker check --repair sets it aside and keeps what can be read"


@dataclass
class Touched:
    """What the journals say of a node."""

    fresh: bool = False  # it joined or left: nothing that the snapshot says of it holds
    node: NodeRecord | None = None
    pairs: dict[int, Pair] = field(default_factory=dict)
    files: dict[FileKey, OwnedFile] = field(default_factory=dict)


class Replay:
    """The sum of changes."""

    def __init__(self) -> None:
        self._touched: dict[int, Touched] = {}

    def apply(self, change: Change) -> None:
        """Take in the next change."""
        if isinstance(change, FilesOwned):
            files = self._of(change.node_id).files
            files.update((file_key(file.filename, file.info_hash), file) for file in change.files)
        elif isinstance(change, NodeChanged):
            touched = self._of(change.node.node_id)
            touched.node = change.node
            if change.pair is not None:
                touched.pairs[change.pair.reporter] = change.pair
        elif isinstance(change, NodeJoined):
            pairs = {pair.reporter: pair for pair in change.node.pairs}
            self._touched[change.node.node_id] = Touched(True, change.node, pairs)
        elif isinstance(change, NodeLeft):
            self._touched[change.node_id] = Touched(True)

    def nodes(self, snapshot: Iterable[NodeRecord]) -> Iterator[NodeRecord]:
        """All nodes, given those of the snapshot."""
        if not self._touched:  # as after a clean end: nothing to look up
            yield from snapshot
            return
        rest = dict(self._touched)
        for node in snapshot:
            touched = rest.pop(node.node_id, None)
            if touched is None:
                yield node
            elif (now := _merged(None if touched.fresh else node, touched)) is not None:
                yield now
        for touched in rest.values():
            if (now := _merged(None, touched)) is not None:
                yield now

    def owned(self, snapshot: Iterable[Owners]) -> Iterator[Owners]:
        """All ownerships, given those of the snapshot."""
        if not self._touched:
            yield from snapshot
            return
        for file, node_ids in snapshot:
            if self._touched.keys().isdisjoint(node_ids):
                yield file, node_ids
                continue
            key = file_key(file.filename, file.info_hash)
            yield file, [node_id for node_id in node_ids if not self._replaces(node_id, key)]
        groups: dict[OwnedFile, list[int]] = {}
        for node_id, touched in self._touched.items():
            for file in touched.files.values():
                groups.setdefault(file, []).append(node_id)
        yield from groups.items()

    def _of(self, node_id: int) -> Touched:
        touched = self._touched.get(node_id)
        if touched is None:
            touched = self._touched[node_id] = Touched()
        return touched

    def _replaces(self, node_id: int, key: FileKey) -> bool:
        touched = self._touched.get(node_id)
        return touched is not None and (touched.fresh or key in touched.files)


def _merged(before: NodeRecord | None, touched: Touched) -> NodeRecord | None:
    node = touched.node or before
    if node is None:
        return None
    pairs = {pair.reporter: pair for pair in before.pairs} if before else {}
    pairs.update(touched.pairs)
    return _with_pairs(node, tuple(pairs.values()))


def _with_pairs(node: NodeRecord, pairs: tuple[Pair, ...]) -> NodeRecord:
    return node if node.pairs == pairs else node._replace(pairs=pairs)


@dataclass
class Tail:
    """Where a journal ends."""

    number: int | None  # of the last whole record; None: any may come next
    generation: int = 0
    size: int = 0  # bytes that are whole lines
    torn: int = 0  # bytes behind them


class JournalReader:
    """Reads journals in their order, and says where they end."""

    def __init__(
        self, disk: Disk, folder: Path, replay: Replay, first: int | None = None, lenient: bool = False
    ) -> None:
        """``first``: the record before the first one, if known; ``lenient``: go on behind damage."""
        self._disk = disk
        self._folder = folder
        self._replay = replay
        self._lenient = lenient
        self.tail = Tail(first)
        self.records = 0  # that were taken in
        self.damage: list[tuple[Path, str]] = []  # the file, and what is wrong with it

    def read(self, generations: Iterable[int]) -> None:
        """All of it. StorageFault names the first damage, unless lenient; OSError passes."""
        for generation in generations:
            path = self._folder / journal_name(generation)
            self.tail = Tail(self.tail.number, generation)
            with self._disk.open(path) as file:
                while raw := file.readline(MAX_LINE):
                    self._read(path, raw)

    def _read(self, path: Path, raw: bytes) -> None:
        tail = self.tail
        line = decode_line(raw)
        if line is None or (tail.torn and not self._was_safe(line)):
            tail.torn += len(raw)
            return
        if tail.torn:
            self._damaged(
                path,
                f"{tail.torn} bytes from byte {tail.size} on are not record {self._next} as it was written",
            )
            tail.size, tail.torn = tail.size + tail.torn, 0
        if tail.size == 0:
            self._begin(path, line)
        else:
            self._take(path, line)
        tail.size += len(raw)

    @property
    def _next(self) -> str:
        return "1" if self.tail.number is None else str(self.tail.number + 1)

    def _was_safe(self, line: Line) -> bool:
        """Whether what is broken before this line is no record that a crash cut off: it was once known to be
        on the disk, or it came between two records.
        """
        tail = self.tail
        if tail.size == 0 or tail.number is None:
            return True
        return line.safe > tail.number or line.number == tail.number + 1

    def _begin(self, path: Path, line: Line) -> None:
        """The first line of a file."""
        header = _decoded(line.text)
        last = self.tail.number
        if not isinstance(header, dict) or header.get("journal") != self.tail.generation:
            self._damaged(path, "its first line is not its own")
        elif header.get("format") != FORMAT:
            raise StorageFault(f"{path} was written by another version of this program")
        elif last is not None and line.number > last:
            self._damaged(path, f"records {self._next} to {line.number} are missing before it")
        self.tail.number = line.number

    def _take(self, path: Path, line: Line) -> None:
        if self.tail.number is not None and line.number != self.tail.number + 1:
            self._damaged(path, f"record {line.number} stands where record {self._next} is wanted")
        try:
            changes = _decoded(line.text)
            if not isinstance(changes, list):
                raise MessageError("a list of changes is wanted", "changes")
            for change in map(read_change, changes):
                self._replay.apply(change)
        except MessageError as error:
            self._damaged(path, f"record {line.number} is none: {error}")
        self.tail.number = line.number
        self.records += 1

    def _damaged(self, path: Path, what: str) -> None:
        if not self._lenient:
            raise StorageFault(f"{path} is damaged: {what}; {REMEDY}")
        self.damage.append((path, what))


def _decoded(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
