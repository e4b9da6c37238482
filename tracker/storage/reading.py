"""A folder read back: the newest snapshot that is whole, and what the journals since then changed about it.

Reading changes nothing in the folder. What is damaged is listed, with what is read instead:

- nodes.json or files.json is not as the tracker wrote it: the text before it, in previous/, which longer
  journals bring to the same state.
- snapshot.json is: nodes.json and files.json as they are, and every journal.
- There is no snapshot.json: the files are an earlier version's, or somebody's own; good entries are taken.
- A journal has damage before its end: nothing can stand in for that, so StorageFault names it; ``lenient``
  reads around it, to save what can be saved.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from common.errors import MalformedInput, MessageError, StorageFault
from tracker.model import NodeRecord, Owners
from tracker.storage.disk import Disk
from tracker.storage.entries import read_node, read_node_id, read_owners, read_owners_lines
from tracker.storage.journal import journal_name
from tracker.storage.manifest import (
    FILES,
    MANIFEST,
    MAX_MANIFEST,
    NODES,
    PARTS,
    PREVIOUS,
    Manifest,
    Text,
    before,
    decode_manifest,
    measure,
)
from tracker.storage.replay import REMEDY, JournalReader, Replay, Tail

Entry = TypeVar("Entry")
Source = tuple[Path, Text] | None
"""Which file a part is read from, and what is known of its text."""

MAX_FILE_BYTES = 1 << 30  # of a file of no known checksum, which is read in one piece
BATCH = 256  # entries decoded at a time
AROUND = "what can be read is taken"
_JOURNAL = re.compile(r"journal-([1-9]\d{0,15})\.log\Z")


@dataclass(frozen=True)
class Damage:
    """A file that is not what it should be."""

    path: Path
    why: str
    instead: str  # what is read in its place


@dataclass
class Contents:
    """What is in a folder."""

    nodes: list[NodeRecord] = field(default_factory=list)
    owned: list[Owners] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)  # a line each
    texts: Manifest = field(default_factory=dict)  # those that are there and whole
    journals: list[int] = field(default_factory=list)  # generations
    tail: Tail = field(default_factory=lambda: Tail(0))
    changed: bool = False  # whether the journals say more than the snapshot


def journals_in(disk: Disk, folder: Path) -> list[int]:
    """The generations of the journals in a folder, in order."""
    found = filter(None, map(_JOURNAL.match, disk.names(folder)))
    return sorted(int(match[1]) for match in found)


def read_folder(disk: Disk, folder: Path, lenient: bool = False) -> Contents:
    """All that is kept in a folder; StorageFault if it cannot be read, or not whole unless ``lenient``."""
    try:
        return _Reading(disk, folder, lenient).contents()
    except OSError as error:
        raise StorageFault(f"cannot read {error.filename or folder}: {error.strerror or error}") from None


class _Reading:
    def __init__(self, disk: Disk, folder: Path, lenient: bool) -> None:
        self._disk = disk
        self._folder = folder
        self._lenient = lenient
        self._found = Contents(journals=journals_in(disk, folder))
        self._replay = Replay()
        self._manifest: Manifest | None = None

    def contents(self) -> Contents:
        found = self._found
        doubted = self._read_manifest()
        sources = {name: self._source(name) for name in PARTS}
        begin = min(source[1].generation if source else 0 for source in sources.values())
        self._read_journals(begin, None if doubted or begin else 0)
        found.nodes = list(self._replay.nodes(self._read_nodes(sources[NODES])))
        known = {node.node_id for node in found.nodes}
        owned = self._replay.owned(self._read_owners(sources[FILES]))
        found.owned = list(self._known(owned, known))
        return found

    # ---- which files

    def _read_manifest(self) -> bool:
        """Whether there is one that is damaged."""
        path = self._folder / MANIFEST
        try:
            with self._disk.open(path) as file:
                self._manifest = decode_manifest(file.read(MAX_MANIFEST))
        except FileNotFoundError:
            return False
        except MalformedInput as error:
            self._damaged(path, str(error), "what it was about is taken as it is")
            return True
        return False

    def _source(self, name: str) -> Source:
        """The newest text of a part that is whole."""
        last, previous = self._folder / name, self._folder / before(name)
        why = "missing"
        for path, at in ((last, name), (previous, before(name))):
            try:
                text = self._identified(name, measure(self._disk, path))
            except FileNotFoundError:
                continue
            if text is not None:
                self._found.texts[at] = text
                if at != name:
                    self._damaged(last, why, "the one before it and the journals since are taken")
                return path, text
            why = "not as the tracker wrote it"
        return self._no_source(last, why)

    def _identified(self, name: str, found: Text) -> Text | None:
        if self._manifest is None:
            return found
        known = (self._manifest.get(name), self._manifest.get(before(name)))
        return next((text for text in known if text is not None and text.is_that_of(found)), None)

    def _no_source(self, last: Path, why: str) -> Source:
        if self._manifest is None or (why == "missing" and before(last.name) not in self._manifest):
            return None  # never written: the journals hold all there is, or their first one shows a gap
        if not self._lenient:
            raise StorageFault(
                f"{last} is {why}, and none before it is whole in {last.parent / PREVIOUS}; {REMEDY}"
            )
        self._damaged(last, why, AROUND)
        for path in (last, self._folder / before(last.name)):
            try:
                return path, measure(self._disk, path)
            except FileNotFoundError:
                continue
        return None

    def _read_journals(self, begin: int, first: int | None) -> None:
        found = self._found
        wanted = [generation for generation in found.journals if generation >= begin]
        if begin and begin not in wanted:
            self._missing(self._folder / journal_name(begin))
        reader = JournalReader(self._disk, self._folder, self._replay, first, self._lenient)
        reader.read(wanted)
        found.tail, found.changed = reader.tail, reader.records > 0
        for path, what in reader.damage:
            self._damaged(path, what, AROUND)
        if found.tail.torn:
            path = self._folder / journal_name(found.tail.generation)
            found.remarks.append(f"{path}: the last {found.tail.torn} bytes are no whole record: cut off")

    # ---- what is in them

    def _read_nodes(self, source: Source) -> Iterator[NodeRecord]:
        def nodes(path: Path) -> Iterator[NodeRecord]:
            lines = self._lines(path)
            while batch := list(itertools.islice(lines, BATCH)):
                for name, entry in json.loads(b"{%b}" % b",".join(batch)).items():
                    yield _node(name, entry)

        return self._read_part(source, nodes, _node)

    def _read_owners(self, source: Source) -> Iterator[Owners]:
        def owned(path: Path) -> Iterator[list[Owners]]:
            lines = self._lines(path)
            while batch := list(itertools.islice(lines, BATCH)):
                yield read_owners_lines(batch)

        return itertools.chain.from_iterable(self._read_part(source, owned, read_owners))

    def _read_part(
        self, source: Source, ours: Callable[[Path], Iterator[Entry]], read: Callable[[str, Any], Entry]
    ) -> Iterator[Entry]:
        """``ours`` reads a file as we wrote it, ``read`` an entry of one that anybody wrote."""
        if source is None:
            return
        path, text = source
        try:
            if self._manifest is not None and text in self._manifest.values():
                yield from ours(path)
            else:
                yield from self._anybodys(path, text, read)
        except (MessageError, ValueError, RecursionError) as error:
            self._damaged(path, " ".join(str(error).split()) or "not JSON", "no entries of it are taken over")

    def _lines(self, path: Path) -> Iterator[bytes]:
        """The entries of a file as we write it, a line each between braces."""
        with self._disk.open(path) as file:
            file.readline()
            for line in file:
                if line != b"}\n":
                    yield line.rstrip(b",\n")

    def _anybodys(self, path: Path, text: Text, read: Callable[[str, Any], Entry]) -> Iterator[Entry]:
        kept, wrong = 0, ""
        for name, entry in self._document(path, text).items():
            try:
                value = read(name, entry)
            except MessageError as error:
                wrong = wrong or f"{name!r}: {error}"
                continue
            kept += 1
            yield value
        if wrong:
            self._damaged(path, wrong, f"{kept} entries are taken over")

    def _document(self, path: Path, text: Text) -> dict[str, Any]:
        """The entries of a file of any form."""
        if text.bytes > MAX_FILE_BYTES:
            raise StorageFault(f"{path} is larger than {MAX_FILE_BYTES} bytes; it is not a tracker's record")
        with self._disk.open(path) as file:
            entries = json.loads(file.read().decode("utf-8"))
        if not isinstance(entries, dict):
            raise ValueError("not a JSON object")
        return entries

    def _known(self, owned: Iterator[Owners], known: set[int]) -> Iterator[Owners]:
        """Without owners that are no nodes: somebody's editing, or damage that was read around."""
        strangers = 0
        for file, node_ids in owned:
            if not known.issuperset(node_ids):
                count = len(node_ids)
                node_ids = [node_id for node_id in node_ids if node_id in known]
                strangers += count - len(node_ids)
            if node_ids:
                yield file, node_ids
        if strangers:
            self._found.remarks.append(f"{strangers} owners in {FILES} are not in {NODES}: left out")

    def _damaged(self, path: Path, why: str, instead: str) -> None:
        self._found.damage.append(Damage(path, why, instead))

    def _missing(self, path: Path) -> None:
        if not self._lenient:
            raise StorageFault(f"{path} is missing; {REMEDY}")
        self._damaged(path, "missing", AROUND)


def _node(name: str, entry: object) -> NodeRecord:
    return read_node(read_node_id(name), entry)
