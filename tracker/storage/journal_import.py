"""The records of a folder without a database: from the JSON files and an earlier version's journal.

That version wrote each change into journal-<number>.log before it answered, and wrote nodes.json and
files.json from time to time. Changes are absolute. So nodes.json and files.json, changed by all journals that
are there in their order, are the records as of the last answer. A line of a journal is

    <number> <safe number> <CRC-32> <JSON>

The JSON of a file's first line is an object that names the file. In all other lines it is a list of changes:
{"joined": 7, ...}, {"changed": 7, ...}, {"owns": 7, "files": [...]} or {"left": 7}. A line that a crash cut
off is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec
from msgspec import Struct

from common.errors import MessageError, StorageFault
from common.logs import log
from common.messages import OwnedFile
from common.validation import NodeId
from tracker.clock import wall_clock
from tracker.model import NodeRecord, ReporterTotal, file_key
from tracker.storage.base import Records
from tracker.storage.json_files import read_folder, read_node

JOURNAL = re.compile(r"journal-([1-9]\d{0,15})\.log\Z")
KEPT_IN = "journal.old"  # folder for the files of the earlier version, after their import
_LINE = re.compile(rb"(\d{1,19} \d{1,19} )([0-9a-f]{8}) ([^\n]*)\n\Z")
_OLD_FILES = ("snapshot.json", "previous")


class Change(Struct, omit_defaults=True):
    """A change in a journal: of one kind, and for nodes with the fields of an entry of nodes.json."""

    left: NodeId | None = None
    owns: NodeId | None = None
    files: list[dict[str, Any]] = []
    joined: NodeId | None = None
    changed: NodeId | None = None
    pair: tuple[int, int, int] | None = None  # added to the pairs that are there
    addr: tuple[str, int] | None = None
    uploads: int = 0
    rate: float = 0.0
    secret: str | None = None
    receipts: int = 0
    credit: int = 0
    last_receipt: int = 0
    pairs: list[tuple[int, int, int]] = []


def import_folder(folder: Path) -> Records:
    """All records of a folder that has no database yet. StorageFault if it cannot be read."""
    now = wall_clock()()
    records = read_folder(folder, now)
    journals = _journals(folder)
    if not journals:
        return records
    replay = Replay(records, now)
    warnings = list(records.warnings)
    try:
        for path in journals:
            skipped = sum(not replay.take(line) for line in _lines(path))
            if skipped:
                warnings.append(f"{path}: {skipped} lines are not as they were written: left out")
    except OSError as error:
        raise StorageFault(f"cannot read the journals in {folder}: {error.strerror or error}") from None
    warnings.append(f"remark: the journal in {folder} was taken over; its files are kept in {KEPT_IN}")
    return replay.records(warnings)


def put_away(folder: Path) -> None:
    """Move the earlier version's files out of the way, once their records are in the database."""
    journals = _journals(folder)
    if not journals:
        return
    target = folder / KEPT_IN
    try:
        target.mkdir(exist_ok=True)
        for path in [*journals, *(folder / name for name in _OLD_FILES)]:
            if path.exists():
                path.replace(target / path.name)
    except OSError as error:
        log(f"cannot move the journals in {folder} to {target.name}: {error.strerror or error}")


def _journals(folder: Path) -> list[Path]:
    found = ((JOURNAL.match(path.name), path) for path in folder.iterdir())
    return [path for _, path in sorted((int(match[1]), path) for match, path in found if match)]


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


class Replay:
    """Records, changed by the lines of journals."""

    def __init__(self, start: Records, now: float) -> None:
        self._now = now
        self._nodes = {node.node_id: node for node in start.nodes}
        self._totals: dict[int, dict[int, ReporterTotal]] = {}  # owner -> reporter -> total
        self._files: dict[int, dict[str, OwnedFile]] = {}  # node id -> file key -> file
        for total in start.totals:
            self._totals.setdefault(total.owner, {})[total.reporter] = total
        for file, node_ids in start.owned:
            for node_id in node_ids:
                self._own(node_id, file)

    def take(self, line: bytes) -> bool:
        """Carry out a line. False if it is not as it was written."""
        match = _LINE.match(line)
        if match is None or int(match[2], 16) != crc32(match[3], crc32(match[1])):
            return False
        try:
            if match[3].startswith(b"{"):
                return True  # the first line of a file
            for change in msgspec.json.decode(match[3], type=list[Change]):
                self._apply(change)
        except (ValueError, RecursionError, MessageError):
            return False
        return True

    def _apply(self, change: Change) -> None:
        if change.left is not None:
            self._remove(change.left)
        elif change.owns is not None:
            for file in change.files:
                self._own(change.owns, OwnedFile.from_json(file))
        else:
            self._apply_node(change)

    def _apply_node(self, change: Change) -> None:
        node_id = change.changed if change.joined is None else change.joined
        pairs = change.pairs if change.pair is None else [*change.pairs, change.pair]
        entry = {**msgspec.to_builtins(change), "pairs": pairs}
        node, totals = read_node(str(node_id), entry, self._now)
        if change.joined is not None:
            self._remove(node.node_id)
        self._nodes[node.node_id] = node
        for total in totals:
            self._totals.setdefault(total.owner, {})[total.reporter] = total

    def _own(self, node_id: int, file: OwnedFile) -> None:
        self._files.setdefault(node_id, {})[file_key(file.filename, file.info_hash)] = file

    def _remove(self, node_id: int) -> None:
        for records in (self._nodes, self._files, self._totals):
            records.pop(node_id, None)

    def records(self, warnings: list[str]) -> Records:
        """All of it."""
        groups: dict[OwnedFile, list[int]] = {}
        nodes: list[NodeRecord] = []
        totals: list[ReporterTotal] = []
        for node_id, node in self._nodes.items():
            of_node = self._totals.get(node_id, {})
            nodes.append(node._replace(reporters=len(of_node)))
            totals += of_node.values()
            for file in self._files.get(node_id, {}).values():
                groups.setdefault(file, []).append(node_id)
        return Records(nodes, list(groups.items()), totals, warnings)
