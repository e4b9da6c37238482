"""The tracker's records as two readable JSON files, nodes.json and files.json, each replaced atomically.

Theory of operation. ``record`` only brings a mirror in memory up to date; one writer thread saves the
mirror. While it writes, further changes gather, and the next save takes them all (group commit): the
cost of an fsync is shared by everyone who waits for it. Changes that nobody waits for are saved at most
``save_interval`` seconds later.

A save writes a temporary file, fsyncs it, renames it over the old one and fsyncs the folder, so that a
reader, or a crash, finds the old text or the new one and never a half. nodes.json goes first: an owner
in files.json that nodes.json does not know is left out at the next start.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from common.errors import StorageFault
from common.logs import log
from tracker.storage.former import Change, Records, SaveNode, SaveOwner
from tracker.storage.lock import FolderLock
from tracker.storage.mirror import Mirror, document, parse_files, parse_nodes

Entry = TypeVar("Entry")

MAX_SET_ASIDE = 1000  # *.corrupt-<n> files of one name
MAX_FILE_BYTES = 1 << 30  # of one JSON file; a larger one is not ours


class JsonFiles:
    """Implements Storage in a folder that belongs to one tracker at a time."""

    def __init__(self, folder: Path, save_interval: float) -> None:
        """``save_interval``: seconds for which a change that nobody waits for may stay unsaved."""
        self._folder = folder
        self._save_interval = save_interval
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)  # something for the writer to do
        self._done = threading.Condition(self._lock)  # a save was tried
        self._mirror = Mirror()
        self._recorded = self._tried = self._saved = 0  # tickets
        self._urgent = self._closing = False
        self._fault = ""
        self._folder_lock = FolderLock(folder / ".lock")
        self._writer = threading.Thread(target=self._write_groups, name="storage", daemon=True)

    def load(self) -> Records:
        """Read both files, setting aside what is broken, and start the writer."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._folder_lock.acquire()
        except OSError as error:
            raise StorageFault(f"cannot use the folder {self._folder}: {error.strerror or error}") from None
        try:
            records = self._read_both()
            self._take_over(records)
        except BaseException:
            self._folder_lock.release()
            raise
        self._writer.start()
        return records

    def _read_both(self) -> Records:
        nodes, node_remarks = self._read("nodes.json", parse_nodes)
        owned, file_remarks = self._read("files.json", parse_files)
        known = {node.node_id for node in nodes}
        kept = [(node_id, file) for node_id, file in owned if node_id in known]
        remarks = [*node_remarks, *file_remarks]
        if len(kept) < len(owned):  # a crash between the two files, or someone's editor
            remarks.append(f"{len(owned) - len(kept)} owners in files.json are not in nodes.json: left out")
        return Records(tuple(nodes), tuple(kept), tuple(remarks))

    def _take_over(self, records: Records) -> None:
        """Let the mirror and the folder say what was read; StorageFault if the folder cannot be written."""
        for node in records.nodes:
            self._mirror.apply(SaveNode(node))
        for node_id, file in records.owned:
            self._mirror.apply(SaveOwner(node_id, (file,)))
        self._mirror.nodes_changed = self._mirror.files_changed = True
        try:
            self.save_db_as_json(self._mirror.take_nodes(), self._mirror.take_files())
        except OSError as error:
            raise StorageFault(f"cannot save to {self._folder}: {error.strerror or error}") from None

    def record(self, changes: Sequence[Change], urgent: bool = True) -> int:
        """Bring the mirror up to date and wake the writer."""
        with self._lock:
            for change in changes:
                self._mirror.apply(change)
            self._recorded += 1
            self._urgent |= urgent
            self._work.notify()
            return self._recorded

    def wait(self, ticket: int, timeout: float) -> bool:
        """Wait for the group that holds the ticket."""
        with self._lock:
            self._done.wait_for(lambda: self._tried >= ticket, timeout)
            return self._saved >= ticket

    def close(self) -> None:
        """Save what is not saved, end the writer, let another tracker have the folder."""
        with self._lock:
            self._closing = True
            self._work.notify()
        if self._writer.is_alive():
            self._writer.join(timeout=5)
        self._folder_lock.release()

    def _write_groups(self) -> None:
        while True:
            with self._lock:
                closing = self._await_work()
                ticket = self._recorded
                nodes, files = self._mirror.take_nodes(), self._mirror.take_files()
            fault = self._try_to_save(nodes, files)
            with self._lock:
                self._tried = ticket
                if fault:
                    self._mirror.nodes_changed |= nodes is not None
                    self._mirror.files_changed |= files is not None
                else:
                    self._saved = ticket
                self._done.notify_all()
            if closing:
                return

    def _await_work(self) -> bool:
        """With the lock held: wait until there is something to save now; whether it is the last time."""
        self._work.wait_for(lambda: self._closing or self._urgent or self._dirty)
        if not (self._closing or self._urgent):
            self._work.wait_for(lambda: self._closing or self._urgent, self._save_interval)
        self._urgent = False
        return self._closing

    @property
    def _dirty(self) -> bool:
        return self._mirror.nodes_changed or self._mirror.files_changed

    def _try_to_save(self, nodes: Sequence[str] | None, files: Sequence[str] | None) -> str:
        try:
            self.save_db_as_json(nodes, files)
            fault = ""
        except OSError as error:
            fault = (
                f"cannot save to {self._folder}: {error.strerror or error}; records are kept in memory only"
            )
        if fault != self._fault:  # said once, not with every request
            log(fault or f"saving to {self._folder} works again")
        self._fault = fault
        return fault

    def save_db_as_json(self, nodes: Sequence[str] | None, files: Sequence[str] | None) -> None:
        """Replace the files whose lines are given (the report's ``save_db_as_json``); may raise OSError."""
        for name, lines in (("nodes.json", nodes), ("files.json", files)):
            if lines is not None:
                replace_file(self._folder / name, document(lines))

    def _read(
        self, name: str, parse: Callable[[Mapping[str, Any]], tuple[list[Entry], str]]
    ) -> tuple[list[Entry], list[str]]:
        path = self._folder / name
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise StorageFault(
                    f"{path} is larger than {MAX_FILE_BYTES} bytes; it is not a tracker's record"
                )
            content = path.read_bytes()
        except FileNotFoundError:
            return [], []
        except OSError as error:
            raise StorageFault(f"cannot read {path}: {error.strerror or error}") from None
        entries, wrong = _decoded(content)
        kept, wrong_entry = parse(entries)
        wrong = wrong or wrong_entry
        if not wrong:
            return kept, []
        aside = self._set_aside(path)
        return kept, [
            f"{path} is damaged ({wrong}); it is kept as {aside.name}, {len(kept)} entries are taken over"
        ]

    def _set_aside(self, path: Path) -> Path:
        for number in range(1, MAX_SET_ASIDE + 1):
            aside = path.with_name(f"{path.name}.corrupt-{number}")
            if not aside.exists():
                try:
                    os.replace(path, aside)
                except OSError as error:
                    raise StorageFault(
                        f"{path} is damaged and cannot be set aside: {error.strerror or error}"
                    ) from None
                return aside
        raise StorageFault(
            f"{path} is damaged, and {MAX_SET_ASIDE} damaged ones are there already; look at them"
        )


def _decoded(content: bytes) -> tuple[dict[str, Any], str]:
    try:
        entries = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return {}, " ".join(str(error).split()) or "not JSON"
    return (entries, "") if isinstance(entries, dict) else ({}, "not a JSON object")


def replace_file(path: Path, content: bytes) -> None:
    """Make ``path`` hold ``content``; whoever looks, whenever the power fails, finds old or new text."""
    temporary = path.with_name(path.name + ".new")
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    if os.name == "posix":  # the rename itself must survive, too; Windows has no fsync of folders
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
