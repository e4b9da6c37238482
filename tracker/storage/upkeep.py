"""What people do with a folder of records while no tracker runs on it: check, repair, export, import."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import MessageError, StorageFault
from tracker.model import NodeRecord, Owners
from tracker.storage.disk import Disk
from tracker.storage.entries import read_node, read_node_id, read_owners
from tracker.storage.folder import free_name, lock_folder
from tracker.storage.journal import Journal
from tracker.storage.reading import MAX_FILE_BYTES, Contents, read_folder
from tracker.storage.snapshot import Snapshots, document, file_lines, new_name, node_lines

EXPORT_FORMAT = 1


@dataclass(frozen=True)
class Verdict:
    """What was found, a line each, and whether a tracker can work on it."""

    lines: Sequence[str]
    sound: bool


class Still:
    """A source of snapshots that nothing changes."""

    def __init__(self, contents: Contents) -> None:
        self._nodes = {node.node_id: node for node in contents.nodes}
        self._owned: dict[str, list[Owners]] = {}
        for file, node_ids in contents.owned:
            self._owned.setdefault(file.filename, []).append((file, node_ids))

    def node_ids(self) -> list[int]:
        """All."""
        return list(self._nodes)

    def node_records(self, node_ids: Sequence[int]) -> list[NodeRecord]:
        """Of these."""
        return [self._nodes[node_id] for node_id in node_ids]

    def file_names(self) -> list[str]:
        """All."""
        return list(self._owned)

    def owners_of(self, names: Sequence[str]) -> list[tuple[str, list[Owners]]]:
        """Of these."""
        return [(name, self._owned[name]) for name in names]


def check(disk: Disk, folder: Path, repair: bool) -> Verdict:
    """Read everything; with ``repair``, set aside what is damaged and keep what can be read.

    StorageFault if the folder cannot be read or, for a repair, written.
    """
    with _locked(disk, folder, there=True):
        contents = read_folder(disk, folder, lenient=True)
        found = [f"{damage.path}: {damage.why}" for damage in contents.damage]
        lines = [*found, *contents.remarks, _summary(folder, contents)]
        if not found:
            return Verdict([*lines, "sound"], True)
        if not repair:
            return Verdict(
                [*lines, "damaged: python -m tracker check --repair keeps what can be read"], False
            )
        damaged = dict.fromkeys(damage.path for damage in contents.damage)
        kept = [_keep_aside(disk, path) for path in damaged]
        _write(disk, folder, contents)
        return Verdict([*lines, *filter(None, kept), "repaired: what could be read is kept"], True)


def export(disk: Disk, folder: Path, target: Path) -> str:
    """Write all records to one JSON file, replaced atomically; what was written. StorageFault if damaged."""
    with _locked(disk, folder, there=True):
        contents = read_folder(disk, folder)
    source = Still(contents)
    try:
        file = disk.create(new_name(target))
        try:
            disk.write(file, f'{{"format": {EXPORT_FORMAT},\n"nodes": '.encode())
            for block in document(node_lines(source)):
                disk.write(file, block)
            disk.write(file, b',"files": ')
            for block in document(file_lines(source)):
                disk.write(file, block)
            disk.write(file, b"}\n")
            disk.sync(file)
        finally:
            disk.close(file)
        disk.replace(new_name(target), target)
    except OSError as error:
        raise StorageFault(f"cannot write {target}: {error.strerror or error}") from None
    return f"{_summary(folder, contents)}; written to {target}"


def import_(disk: Disk, folder: Path, source: Path, replace: bool) -> str:
    """Take over all records of an export; StorageFault if the folder has some already, unless ``replace``."""
    contents = _read_export(disk, source)
    with _locked(disk, folder):
        here = read_folder(disk, folder, lenient=True)
        if (here.nodes or here.damage) and not replace:
            raise StorageFault(f"{_summary(folder, here)}; import --replace puts {source} in their place")
        contents.journals, contents.texts, contents.tail = here.journals, here.texts, here.tail
        _write(disk, folder, contents)
    return f"{_summary(folder, contents)}; read from {source}"


def _write(disk: Disk, folder: Path, contents: Contents) -> None:
    """Let a folder hold just this, with nothing before it."""
    generation = 1 + max([0, *contents.journals, *(text.generation for text in contents.texts.values())])
    journal = Journal(disk, folder, durable=True)
    try:
        journal.begin(generation, contents.tail.number or 0)
        Snapshots(disk, folder, {}).write(Still(contents), generation)
    except OSError as error:
        raise StorageFault(f"cannot write to {folder}: {error.strerror or error}") from None
    finally:
        journal.close()


def _keep_aside(disk: Disk, path: Path) -> str:
    """Give a damaged file a second name, under which it stays; what was done."""
    try:
        aside = free_name(disk, path)
        disk.link(path, aside)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise StorageFault(f"{path} cannot be set aside: {error.strerror or error}") from None
    return f"{path} is kept as {aside.name}"


def _read_export(disk: Disk, source: Path) -> Contents:
    try:
        with disk.open(source) as file:
            data = file.read(MAX_FILE_BYTES)
        fields = json.loads(data)
        if not isinstance(fields, dict) or fields.get("format") != EXPORT_FORMAT:
            raise MessageError(f"no export of format {EXPORT_FORMAT}", "format")
        return _exported(fields)
    except OSError as error:
        raise StorageFault(f"cannot read {source}: {error.strerror or error}") from None
    except (ValueError, RecursionError, MessageError) as error:
        raise StorageFault(f"{source} is no export of a tracker: {' '.join(str(error).split())}") from None


def _exported(fields: Mapping[str, Any]) -> Contents:
    nodes, files = fields.get("nodes"), fields.get("files")
    if not (isinstance(nodes, dict) and isinstance(files, dict)):
        raise MessageError("nodes and files are wanted", "nodes")
    contents = Contents(nodes=[read_node(read_node_id(name), entry) for name, entry in nodes.items()])
    known = {node.node_id for node in contents.nodes}
    for name, entry in files.items():
        for file, node_ids in read_owners(name, entry):
            if not known.issuperset(node_ids):
                raise MessageError(f"an owner of {name!r} is no node", "node_id")
            contents.owned.append((file, node_ids))
    return contents


def _summary(folder: Path, contents: Contents) -> str:
    names = len({file.filename for file, _ in contents.owned})
    owners = sum(len(node_ids) for _, node_ids in contents.owned)
    return f"{folder} holds {len(contents.nodes)} nodes and {owners} ownerships of {names} file names"


@contextmanager
def _locked(disk: Disk, folder: Path, there: bool = False) -> Iterator[None]:
    """Alone in a folder, which must be ``there`` already or is made."""
    if there and not disk.names(folder):
        raise StorageFault(f"there are no records in {folder} (setting TRACKER_DB_DIR)")
    release: Callable[[], None] = lock_folder(disk, folder)
    try:
        yield
    finally:
        release()
