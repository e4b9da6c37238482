"""Snapshots: all the tracker knows, as nodes.json and files.json, a line an entry.

Taken in slices while requests go on, each a few hundred entries copied under the lock of whoever owns them
and written to the file at once: no second copy of everything is ever in memory. What changes between two
slices is in the journal that began before the first one, and is brought about again when that is
replayed.

The steps, each of which may be the last: write the texts to *.new and sync them; replace snapshot.json,
which knows the new texts and the old; give the old ones a second name in previous/; replace the two files;
delete the journals that neither needs. Between any two of them the folder is whole.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar
from zlib import crc32

from tracker.storage.base import SnapshotSource
from tracker.storage.disk import Disk
from tracker.storage.entries import name_text, node_text, owners_text
from tracker.storage.journal import journal_name
from tracker.storage.manifest import (
    FILES,
    MANIFEST,
    NODES,
    PARTS,
    PREVIOUS,
    Manifest,
    Text,
    before,
    encode_manifest,
)
from tracker.storage.reading import journals_in

Item = TypeVar("Item")
Pause = Callable[[], None]
"""Called after each slice, so that a snapshot in the background leaves the processor to others."""

SLICE = 200  # entries copied under the lock at a time: well below a millisecond
BLOCK = 200  # lines written at a time


def new_name(path: Path) -> Path:
    """What a file is called until it is whole."""
    return path.with_name(path.name + ".new")


class Snapshots:
    """Writes the snapshots of one folder. Errors are OSErrors, after which the next one may be tried."""

    def __init__(self, disk: Disk, folder: Path, texts: Manifest) -> None:
        """``texts``: the whole ones that are there now."""
        self._disk = disk
        self._folder = folder
        self._texts = dict(texts)

    def write(self, source: SnapshotSource, generation: int, pause: Pause = lambda: None) -> None:
        """The snapshot that the journal of this generation goes on from."""
        try:
            self._write(source, generation, pause)
        except OSError:
            for name in (*PARTS, MANIFEST):  # the room may be wanted
                with contextlib.suppress(OSError):
                    self._disk.unlink(new_name(self._folder / name))
            raise

    def _write(self, source: SnapshotSource, generation: int, pause: Pause) -> None:
        nodes = self._write_new(NODES, generation, node_lines(source, pause))
        files = self._write_new(FILES, generation, file_lines(source, pause))
        old = {before(name): self._texts[name] for name in PARTS if name in self._texts}
        self._write_manifest({NODES: nodes, FILES: files, **old})
        self._keep_previous()
        for name, text in ((NODES, nodes), (FILES, files)):
            path = self._folder / name
            self._disk.replace(new_name(path), path)
            self._texts[name] = text
        self._disk.sync_folder(self._folder)
        self._delete_journals(min(text.generation for text in self._texts.values()))

    def _write_new(self, name: str, generation: int, lines: Iterable[str]) -> Text:
        path = new_name(self._folder / name)
        size = check = 0
        file = self._disk.create(path)
        try:
            for block in document(lines):
                self._disk.write(file, block)
                size, check = size + len(block), crc32(block, check)
            self._disk.sync(file)
        finally:
            self._close(file)
        return Text(generation, size, check)

    def _keep_previous(self) -> None:
        """Give the texts that will be replaced their second name."""
        self._disk.make_folder(self._folder / PREVIOUS)
        for name in PARTS:
            if name not in self._texts:
                continue
            path = self._folder / before(name)
            self._disk.unlink(new_name(path))
            self._disk.link(self._folder / name, new_name(path))
            self._disk.replace(new_name(path), path)
            self._texts[before(name)] = self._texts[name]
        self._disk.sync_folder(self._folder / PREVIOUS)

    def _write_manifest(self, manifest: Manifest) -> None:
        path = self._folder / MANIFEST
        file = self._disk.create(new_name(path))
        try:
            self._disk.write(file, encode_manifest(manifest))
            self._disk.sync(file)
        finally:
            self._close(file)
        self._disk.replace(new_name(path), path)
        self._disk.sync_folder(self._folder)

    def _close(self, file: int) -> None:
        with contextlib.suppress(OSError):  # what was written is synced, or has failed already
            self._disk.close(file)

    def _delete_journals(self, first: int) -> None:
        for generation in journals_in(self._disk, self._folder):
            if generation < first:
                self._disk.unlink(self._folder / journal_name(generation))


def node_lines(source: SnapshotSource, pause: Pause = lambda: None) -> Iterator[str]:
    """The entries of nodes.json."""
    for node_ids in _slices(source.node_ids()):
        for node in source.node_records(node_ids):
            yield f'"{node.node_id}": {node_text(node)}'
        pause()


def file_lines(source: SnapshotSource, pause: Pause = lambda: None) -> Iterator[str]:
    """The entries of files.json."""
    for names in _slices(source.file_names()):
        for name, groups in source.owners_of(names):
            yield f"{name_text(name)}: {owners_text(groups)}"
        pause()


def document(lines: Iterable[str]) -> Iterator[bytes]:
    """A JSON object, an entry a line, in blocks."""
    rest = iter(lines)
    separator, end = "{\n", "{}\n"
    while block := list(itertools.islice(rest, BLOCK)):
        yield (separator + ",\n".join(block)).encode()
        separator, end = ",\n", "\n}\n"
    yield end.encode()


def _slices(items: list[Item]) -> Iterator[list[Item]]:
    for start in range(0, len(items), SLICE):
        yield items[start : start + SLICE]
