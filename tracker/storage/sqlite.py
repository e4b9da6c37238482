"""The tracker's records in an SQLite database, tracker.db: one table each for nodes, owned files, totals
and standard peers.

The database runs in WAL mode. With ``synchronous=FULL`` a commit is on the disk when it returns; with NORMAL
a power cut may take the last commits, the death of the process takes none. The exclusive locking mode keeps
other trackers out and needs no shared memory.

The writes of all transactions that wait are committed together. Each SQL statement releases and takes
Python's interpreter lock, for which a busy server's threads compete. So the rows of a commit are passed as
one JSON text a statement, which ``json_each`` takes apart inside SQLite, instead of as one call a row.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from common.errors import StorageFault, StorageFull, StorageReadOnly
from common.messages import OwnedFile
from tracker.model import (
    FilesDropped,
    FilesOwned,
    NodeLeft,
    NodeRecord,
    NodeWrite,
    Owners,
    PeerLeft,
    PeerRecord,
    ReporterTotal,
    Write,
    file_key,
)
from tracker.storage.base import Records

DATABASE = "tracker.db"
FORMAT = 2  # of the tables; SQLite keeps it as user_version
RESTORE_ROWS = 10_000  # rows of one statement when all records are written

_TABLES = """
CREATE TABLE IF NOT EXISTS nodes(
    node_id INTEGER PRIMARY KEY, host TEXT NOT NULL, port INTEGER NOT NULL, secret TEXT, home TEXT,
    uploads INTEGER NOT NULL, receipts INTEGER NOT NULL, credit INTEGER NOT NULL,
    score REAL NOT NULL, scored_at REAL NOT NULL, last_receipt INTEGER NOT NULL, reporters INTEGER NOT NULL,
    tcp_port INTEGER);
CREATE TABLE IF NOT EXISTS owned(
    node_id INTEGER, file TEXT, filename TEXT NOT NULL, size INTEGER, complete INTEGER NOT NULL,
    PRIMARY KEY(node_id, file)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS totals(
    owner INTEGER, reporter INTEGER, receipts INTEGER NOT NULL, credit INTEGER NOT NULL,
    PRIMARY KEY(owner, reporter)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS peers(
    key TEXT PRIMARY KEY, ipv4 TEXT NOT NULL, ipv6 TEXT NOT NULL, complete INTEGER NOT NULL, home TEXT)
    WITHOUT ROWID;
"""
_FROM_FORMAT_1 = "ALTER TABLE nodes ADD COLUMN tcp_port INTEGER"


def _put(table: str, columns: int) -> str:
    values = ", ".join(f"json_extract(value, '$[{column}]')" for column in range(columns))
    return f"INSERT OR REPLACE INTO {table} SELECT {values} FROM json_each(?)"


def _delete(table: str, column: str) -> str:
    return f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))"


_PUT_NODES, _PUT_OWNED, _PUT_TOTALS = _put("nodes", 13), _put("owned", 5), _put("totals", 4)
_PUT_PEERS = _put("peers", 5)
_DELETES = (_delete("nodes", "node_id"), _delete("owned", "node_id"), _delete("totals", "owner"))
_DELETE_OWNED = (
    "DELETE FROM owned WHERE (node_id, file) IN "
    "(SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))"
)
_DELETE_PEERS = _delete("peers", "key")
_to_json = msgspec.json.Encoder().encode

Row = Sequence[object]


@dataclass
class _NodeWrites:
    """The rows of one node in a commit."""

    left: bool = False  # first, all earlier rows of the node are deleted
    node: Row | None = None
    owned: dict[str, Row | None] = field(default_factory=dict)  # None: owned no longer
    totals: dict[int, Row] = field(default_factory=dict)


class Database:
    """An open database. Not thread-safe, but it may be used by one thread after another."""

    def __init__(self, folder: Path, durable: bool = True) -> None:
        """Open it, or make an empty one. StorageFault if it cannot be used; no other tracker may use it.

        ``durable``: a commit also survives a power cut.
        """
        self.path = folder / DATABASE
        self.is_new = False  # its first records were never written
        try:
            self.connection = sqlite3.connect(self.path, 0.0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise StorageFault(f"cannot use {self.path}: {error}") from None
        try:
            self._set_up(durable)
        except sqlite3.Error as error:
            self.connection.close()
            raise _unusable(self.path, error) from None
        except BaseException:
            self.connection.close()
            raise
        self._file = os.stat(self.path)

    def _set_up(self, durable: bool) -> None:
        run = self.connection.execute
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "fullfsync=ON"):
            run(f"PRAGMA {pragma}")
        run(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        (version,) = run("PRAGMA user_version").fetchone()
        if version not in (0, 1, FORMAT):
            raise StorageFault(f"{self.path} was written by another version of this program")
        self.is_new = version == 0
        run("BEGIN IMMEDIATE")
        for statement in _TABLES.split(";"):
            run(statement)
        if version == 1:
            run(_FROM_FORMAT_1)
            run(f"PRAGMA user_version={FORMAT}")
        run("COMMIT")

    def load(self) -> Records:
        """All records. StorageFault if the database is damaged."""
        run = self.connection.execute
        try:
            nodes = [
                NodeRecord(node_id, (host, port), *rest)
                for node_id, host, port, *rest in run("SELECT * FROM nodes")
            ]
            totals = [ReporterTotal(*row) for row in run("SELECT * FROM totals")]
            peers = [_peer_record(*row) for row in run("SELECT * FROM peers")]
            return Records(nodes, list(self._load_owned()), totals, peers=peers)
        except sqlite3.Error as error:
            raise _unusable(self.path, error) from None

    def _load_owned(self) -> Iterator[Owners]:
        groups: defaultdict[tuple[str, str, int | None, int], list[int]] = defaultdict(list)
        for row in self.connection.execute("SELECT * FROM owned"):
            groups[row[1:]].append(row[0])
        for (file, filename, size, complete), node_ids in groups.items():
            info_hash = None if file.startswith(":") else file
            yield OwnedFile(filename, info_hash, size, bool(complete)), node_ids

    def commit(self, transactions: Iterable[Sequence[Write]]) -> None:
        """Write all of them, or none. StorageFull if there is no room, StorageReadOnly if the disk failed."""
        statements = _statements(transactions)
        try:
            self._execute(statements)
        except sqlite3.Error as error:
            raise self._fault(error) from None

    def _execute(self, statements: Sequence[tuple[str, tuple[str, ...]]]) -> None:
        run = self.connection.execute
        if len(statements) == 1:  # is a transaction by itself
            run(*statements[0])
            return
        run("BEGIN IMMEDIATE")
        try:
            for statement in statements:
                run(*statement)
            run("COMMIT")
        except BaseException:
            if self.connection.in_transaction:  # some errors have rolled back already
                with contextlib.suppress(sqlite3.Error):
                    run("ROLLBACK")
            raise

    def replace(self, records: Records) -> None:
        """Let the database hold these records and nothing else."""
        owned = [(node_id, *_about(file)) for file, node_ids in records.owned for node_id in node_ids]
        rows: list[tuple[str, Sequence[Row]]] = [
            (_PUT_NODES, [_node_row(node) for node in records.nodes]),
            (_PUT_OWNED, owned),
            (_PUT_TOTALS, records.totals),
            (_PUT_PEERS, [_peer_row(peer) for peer in records.peers]),
        ]
        run = self.connection.execute
        try:
            run("BEGIN IMMEDIATE")
            for table in ("nodes", "owned", "totals", "peers"):
                run(f"DELETE FROM {table}")
            for statement, all_rows in rows:
                for start in range(0, len(all_rows), RESTORE_ROWS):
                    run(statement, (_text(all_rows[start : start + RESTORE_ROWS]),))
            run(f"PRAGMA user_version={FORMAT}")
            run("COMMIT")
            self.is_new = False
        except sqlite3.Error as error:
            raise self._fault(error) from None

    def check(self) -> list[str]:
        """The findings of SQLite's own integrity check, a line each; empty if there is none."""
        try:
            found = [str(row[0]) for row in self.connection.execute("PRAGMA integrity_check")]
        except sqlite3.Error as error:
            return [str(error)]
        return [] if found == ["ok"] else [line for text in found for line in text.splitlines()]

    def was_removed(self) -> bool:
        """True if the path no longer leads to the open file: commits would go to a file without a name."""
        try:
            return not os.path.samestat(os.stat(self.path), self._file)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:  # it cannot be looked at now
            return False

    def close(self) -> None:
        """Move all commits from the WAL into the database file, and release it."""
        with contextlib.suppress(sqlite3.Error):
            self.connection.close()

    def _fault(self, error: sqlite3.Error) -> StorageFault:
        if "full" in str(error):
            return StorageFull(f"no room for the tracker's records in {self.path.parent}: {error}")
        return StorageReadOnly(
            f"the disk failed under {self.path}: {error}; "
            "records can be read only, until the disk is repaired and the tracker started again"
        )


def open_database(folder: Path, durable: bool = True) -> Database:
    """The database of a folder, which is made if needed; StorageFault if it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise StorageFault(f"cannot use the folder {folder}: {error.strerror or error}") from None
    return Database(folder, durable)


def is_in_use(folder: Path) -> bool:
    """True if a tracker has the database of the folder open. No file is made, no record changed."""
    if not (folder / DATABASE).is_file():
        return False
    try:
        uri = f"{(folder / DATABASE).resolve().as_uri()}?mode=rw"
        with contextlib.closing(sqlite3.connect(uri, 0.0, uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error as error:
        return "locked" in str(error)
    return False


def _unusable(path: Path, error: sqlite3.Error) -> StorageFault:
    text = str(error)
    if "locked" in text:
        return StorageFault(
            f"{path.parent} is in use by another tracker; give this one its own TRACKER_DB_DIR"
        )
    if "malformed" in text or "not a database" in text or "encrypted" in text:
        return StorageFault(
            f"{path} is damaged: {text}; python -m tracker check says more, check --repair sets it aside"
        )
    return StorageFault(f"cannot use {path}: {text}")


def _statements(transactions: Iterable[Sequence[Write]]) -> list[tuple[str, tuple[str, ...]]]:
    """The SQL of a commit. Writes are absolute, so of several to one row only the last counts."""
    nodes: dict[int, _NodeWrites] = {}
    peers: dict[bytes, PeerRecord | PeerLeft] = {}
    for writes in transactions:
        for write in writes:
            if isinstance(write, (PeerRecord, PeerLeft)):
                peers[write.key] = write
            else:
                _note(nodes, write)
    statements: list[tuple[str, tuple[str, ...]]] = []
    if left := [node_id for node_id, node in nodes.items() if node.left]:
        statements += [(delete, (_text(left),)) for delete in _DELETES]
    dropped = [(n, key) for n, node in nodes.items() for key, row in node.owned.items() if row is None]
    if dropped:
        statements.append((_DELETE_OWNED, (_text(dropped),)))
    if gone := [key.hex() for key, peer in peers.items() if isinstance(peer, PeerLeft)]:
        statements.append((_DELETE_PEERS, (_text(gone),)))
    for put, rows in (
        (_PUT_NODES, [node.node for node in nodes.values() if node.node]),
        (_PUT_OWNED, [row for node in nodes.values() for row in node.owned.values() if row]),
        (_PUT_TOTALS, [row for node in nodes.values() for row in node.totals.values()]),
        (_PUT_PEERS, [_peer_row(peer) for peer in peers.values() if isinstance(peer, PeerRecord)]),
    ):
        if rows:
            statements.append((put, (_text(rows),)))
    return statements


def _note(nodes: dict[int, _NodeWrites], write: NodeWrite) -> None:
    node_id = write.owner if isinstance(write, ReporterTotal) else write.node_id
    node = nodes.get(node_id)
    if node is None or isinstance(write, NodeLeft):
        node = nodes[node_id] = _NodeWrites(left=isinstance(write, NodeLeft))
    if isinstance(write, NodeRecord):
        node.node = _node_row(write)
    elif isinstance(write, FilesOwned):
        for file in write.files:
            about = _about(file)
            node.owned[about[0]] = (node_id, *about)
    elif isinstance(write, FilesDropped):
        node.owned |= dict.fromkeys(write.keys)
    elif isinstance(write, ReporterTotal):
        node.totals[write.reporter] = write


def _node_row(node: NodeRecord) -> Row:
    return (node.node_id, *node.addr, *node[2:])


def _peer_row(peer: PeerRecord) -> Row:
    return peer.key.hex(), peer.ipv4.hex(), peer.ipv6.hex(), peer.complete, peer.home


def _peer_record(key: str, ipv4: str, ipv6: str, complete: int, home: str | None) -> PeerRecord:
    return PeerRecord(bytes.fromhex(key), bytes.fromhex(ipv4), bytes.fromhex(ipv6), bool(complete), home)


def _about(file: OwnedFile) -> tuple[str, str, int | None, bool]:
    return file_key(file.filename, file.info_hash), file.filename, file.size, file.complete


def _text(rows: Sequence[object]) -> str:
    return _to_json(rows).decode()
