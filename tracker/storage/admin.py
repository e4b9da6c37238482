"""``python -m tracker check | export | import``: the records of a folder, while no tracker runs on it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from common.errors import MessageError, StorageFault
from common.files import atomic_write
from common.messages import OwnedFile
from common.text import sanitize
from tracker.clock import wall_clock
from tracker.model import NodeRecord, Owners, ReporterTotal
from tracker.storage import json_files
from tracker.storage.base import Records
from tracker.storage.journal_import import import_folder, put_away
from tracker.storage.sqlite import DATABASE, Database, open_database

COMMANDS = ("check", "export", "import")
EXPORT_FORMAT = 1  # of the JSON that export writes


def main(words: Sequence[str], folder: Path) -> int:
    """Carry out one of COMMANDS on ``folder``; 1 if the records are damaged or cannot be used, else 0."""
    options = _parser(folder).parse_args(words)
    try:
        if options.command == "check":
            lines, sound = check(folder, options.repair)
        elif options.command == "export":
            lines, sound = [export(folder, options.file)], True
        else:
            lines, sound = [import_(folder, options.file, options.replace)], True
    except StorageFault as error:
        print(sanitize(str(error)), file=sys.stderr)
        return 1
    for line in lines:
        print(sanitize(line))
    return 0 if sound else 1


def _parser(folder: Path) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tracker", description=f"The tracker's records in {folder}."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("check", help="let SQLite check the database, and say what to do")
    add.add_argument(
        "--repair", action="store_true", help="set a damaged database aside, and use the JSON files"
    )
    add = commands.add_parser("export", help="write all records to one JSON file")
    add.add_argument("file", type=Path, metavar="FILE")
    add = commands.add_parser("import", help="take over the records of an export")
    add.add_argument("file", type=Path, metavar="FILE")
    add.add_argument("--replace", action="store_true", help="in place of the records that are there")
    return parser


def check(folder: Path, repair: bool) -> tuple[list[str], bool]:
    """The findings, a line each, and True if a tracker can use the records afterwards.

    ``repair``: a damaged database is kept as tracker.db.corrupt-<n>, and a new one is made of nodes.json and
    files.json. StorageFault if the folder cannot be used.
    """
    _must_exist(folder)
    found, summary = _findings(folder)
    if not found:
        return [summary, "sound"], True
    if not repair:
        advice = (
            "damaged: restore a copy of the folder; or python -m tracker check --repair sets the database"
            " aside and uses nodes.json and files.json, which may lack the last changes"
        )
        return [*found, advice], False
    path = folder / DATABASE
    kept = json_files.rename_damaged(path)
    for rest in (f"{DATABASE}-wal", f"{DATABASE}-shm"):
        (folder / rest).unlink(missing_ok=True)  # they belong to the database that is set aside
    with _opened(folder) as database:
        records = _records(database)
    return [
        *found,
        f"{path} is kept as {kept.name}",
        *records.warnings,
        _summary(folder, records),
        "repaired",
    ], True


def _findings(folder: Path) -> tuple[list[str], str]:
    """The faults of the database, a line each; and a line about its records if there is no fault."""
    path = folder / DATABASE
    try:
        with _opened(folder) as database:
            if found := database.check():
                return [f"{path}: {line}" for line in found], ""
            return [], _summary(folder, _records(database))
    except StorageFault as error:
        if "damaged" not in str(error):
            raise
        return [str(error).partition("; ")[0]], ""


def export(folder: Path, target: Path) -> str:
    """Write all records to one JSON file, replaced atomically; a line about it. StorageFault if it fails."""
    _must_exist(folder)
    with _opened(folder) as database:
        records = _records(database)
    source = _Still(records)
    blocks = [
        f'{{"format": {EXPORT_FORMAT},\n"nodes": '.encode(),
        *json_files.document(json_files.node_lines(source)),
        b',"files": ',
        *json_files.document(json_files.file_lines(source)),
        b"}\n",
    ]
    try:
        atomic_write(target, blocks)
    except OSError as error:
        raise StorageFault(f"cannot write {target}: {error.strerror or error}") from None
    return f"{_summary(folder, records)}; written to {target}"


def import_(folder: Path, source: Path, replace: bool) -> str:
    """Take over an export; a line about it. StorageFault if there are records, unless ``replace``."""
    records = _read_export(source)
    with _opened(folder) as database:
        here = _records(database)
        if here.nodes and not replace:
            raise StorageFault(f"{_summary(folder, here)}; import --replace puts {source} in their place")
        database.replace(records)
    try:
        json_files.export(_Still(records), folder)
    except OSError as error:
        raise StorageFault(f"cannot write to {folder}: {error.strerror or error}") from None
    return f"{_summary(folder, records)}; read from {source}"


class _Still:
    """Implements RecordSource: records that nothing changes."""

    def __init__(self, records: Records) -> None:
        self._nodes = {node.node_id: node for node in records.nodes}
        self._totals: dict[int, list[ReporterTotal]] = {}
        self._owned: dict[str, list[Owners]] = {}
        for total in records.totals:
            self._totals.setdefault(total.owner, []).append(total)
        for file, node_ids in records.owned:
            self._owned.setdefault(file.filename, []).append((file, node_ids))

    def node_ids(self) -> list[int]:
        return list(self._nodes)

    def node_records(self, node_ids: Sequence[int]) -> list[tuple[NodeRecord, list[ReporterTotal]]]:
        return [(self._nodes[node_id], self._totals.get(node_id, [])) for node_id in node_ids]

    def file_names(self) -> list[str]:
        return list(self._owned)

    def owners_of(self, names: Sequence[str]) -> list[tuple[str, list[Owners]]]:
        return [(name, self._owned[name]) for name in names]


def _read_export(source: Path) -> Records:
    try:
        fields = msgspec.json.decode(source.read_bytes())
        if not isinstance(fields, dict) or fields.get("format") != EXPORT_FORMAT:
            raise MessageError(f"no export of format {EXPORT_FORMAT}", "format")
        return _exported(fields.get("nodes"), fields.get("files"))
    except OSError as error:
        raise StorageFault(f"cannot read {source}: {error.strerror or error}") from None
    except (ValueError, RecursionError, MessageError) as error:
        raise StorageFault(f"{source} is no export of a tracker: {' '.join(str(error).split())}") from None


def _exported(nodes: Any, files: Any) -> Records:
    if not (isinstance(nodes, dict) and isinstance(files, dict)):
        raise MessageError("nodes and files are wanted", "nodes")
    now = wall_clock()()
    read = [json_files.read_node(name, entry, now) for name, entry in nodes.items()]
    known = {node.node_id for node, _ in read}
    owned: list[tuple[OwnedFile, list[int]]] = []
    for name, entry in files.items():
        for file, node_ids in json_files.read_owners(name, entry):
            if not known.issuperset(node_ids):
                raise MessageError(f"an owner of {name!r} is no node", "node_id")
            owned.append((file, node_ids))
    return Records([node for node, _ in read], owned, [total for _, totals in read for total in totals])


def _records(database: Database) -> Records:
    """The records of a database; of a new one, those that a tracker would begin with."""
    if not database.is_new:
        return database.load()
    folder = database.path.parent
    records = import_folder(folder)
    database.replace(records)
    put_away(folder)
    return records


def _summary(folder: Path, records: Records) -> str:
    names = len({file.filename for file, _ in records.owned})
    owners = sum(len(node_ids) for _, node_ids in records.owned)
    return f"{folder} holds {len(records.nodes)} nodes and {owners} ownerships of {names} file names"


def _must_exist(folder: Path) -> None:
    if not folder.is_dir() or not any(folder.iterdir()):
        raise StorageFault(f"there are no records in {folder} (setting TRACKER_DB_DIR)")


@contextmanager
def _opened(folder: Path) -> Iterator[Database]:
    database = open_database(folder)
    try:
        yield database
    finally:
        database.close()
