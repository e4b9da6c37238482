"""Group commit: one database commit makes durable what all waiting requests have written.

``append`` queues the writes of a transaction and returns a sequence number. ``sync`` returns once all writes
up to that number are committed. The first thread that waits becomes the leader: it takes the whole queue and
commits it, for all. Writes that come meanwhile are the next leader's. So a group is as large as the commit
before it was slow, and no thread must be woken before a commit begins.

A full disk: nothing of the group is committed, its writes stay in the queue, and requests get StorageFull.
A thread tries again from time to time. After any other error it is unknown what is on the disk, so nothing
more is written: StorageReadOnly for all, until a new start has read what there is. The same holds once the
database file is removed under a running tracker: SQLite would go on writing to a file without a name.

The same thread exports the records as JSON soon after they change, and the less often the longer that takes.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from common.errors import StorageFault, StorageFull, StorageReadOnly
from common.logs import log
from tracker.model import Write
from tracker.storage import json_files
from tracker.storage.base import Records, RecordSource
from tracker.storage.journal_import import import_folder, put_away
from tracker.storage.sqlite import Database, open_database

EXPORT_SHARE = 0.05  # of the time may go into exports
EXPORT_DELAY = 0.05  # seconds from a change to the export, if none was made lately: people look at the files
EXPORT_REST = 0.002  # seconds between two slices of an export, which are left to requests


class GroupCommit:
    """Implements Durability with an SQLite database in a folder."""

    def __init__(self, folder: Path, save_interval: float, durable: bool = True) -> None:
        """``save_interval``: seconds between exports and between retries on a full disk."""
        self.folder = folder
        self._interval = save_interval
        self._durable = durable
        self._database: Database | None = None
        self._lock = threading.Lock()
        self._committed = threading.Condition(self._lock)
        self._leading = False  # a thread is committing
        self._queue: list[Sequence[Write]] = []
        self._appended = self._durable_until = 0  # sequence numbers
        self._fault: StorageFault | None = None
        self._removed = False  # the database file, under this tracker
        # The background thread's:
        self._source: RecordSource | None = None
        self._exported = -1  # sequence number; after a crash the files may be older than the database
        self._export_due = 0.0  # monotonic seconds
        self._export_complaint = ""
        self._changed = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="storage", daemon=True)

    def load(self) -> Records:
        """All records; of a new database, those of the JSON files or of an earlier version's journal."""
        database = open_database(self.folder, self._durable)
        try:
            if database.is_new:
                records = import_folder(self.folder)
                database.replace(records)
                put_away(self.folder)
            else:
                records = database.load()
        except BaseException:
            database.close()
            raise
        self._database = database
        return records

    def start(self, source: RecordSource) -> None:
        """Export the records of ``source`` from now on."""
        self._source = source
        self._thread.start()

    # ---- commits

    def check_writable(self) -> None:
        """StorageFull or StorageReadOnly, if the last commit failed."""
        if self._fault is not None:
            raise _again(self._fault)

    def append(self, writes: Sequence[Write]) -> int:
        """Queue the writes of one transaction; its sequence number."""
        with self._lock:
            if not isinstance(self._fault, StorageReadOnly):
                self._queue.append(writes)
            self._appended += 1
            number = self._appended
        if not self._changed.is_set():
            self._changed.set()
        return number

    def sync(self, number: int) -> None:
        """Return once everything up to ``number`` is committed; StorageFull or StorageReadOnly."""
        with self._lock:
            while self._durable_until < number:
                if self._fault is not None:
                    raise _again(self._fault)
                if self._leading:
                    self._committed.wait()
                else:
                    self._lead()

    def health(self) -> str:
        """Why nothing can be committed just now; "" if it can."""
        self._notice_removal()
        return str(self._fault or "")

    def retry(self) -> None:
        """Commit what a full disk left in the queue."""
        with self._lock:
            if isinstance(self._fault, StorageFull) and not self._leading:
                self._lead()

    def _lead(self) -> None:
        """Commit the queue. The lock is held before and after, and released in between."""
        self._leading = True
        group, number, self._queue = self._queue, self._appended, []
        fault: StorageFault | None = StorageReadOnly(f"writing to {self.folder} was broken off")
        self._lock.release()
        try:
            assert self._database is not None
            if group:
                self._database.commit(group)
            fault = None
        except StorageFault as error:
            fault = error
        finally:
            self._lock.acquire()
            self._leading = False
            self._finish(group, number, fault)
            self._committed.notify_all()

    def _finish(self, group: list[Sequence[Write]], number: int, fault: StorageFault | None) -> None:
        if isinstance(self._fault, StorageReadOnly):  # set by another thread during this commit
            return
        if fault is None:
            self._durable_until = number
        else:
            self._queue = [*group, *self._queue] if isinstance(fault, StorageFull) else []
        if str(fault) != str(self._fault):  # once, not with every request
            log(str(fault) if fault else f"{self.folder}: records are written again")
        self._fault = fault

    def _notice_removal(self) -> None:
        """Refuse all writes from now on, if the database file was removed or replaced under this tracker."""
        database = self._database
        if database is None or self._removed or not database.was_removed():
            return
        with self._lock:
            self._removed = True
            if isinstance(self._fault, StorageReadOnly):  # another thread was faster, or the disk failed
                return
            self._queue = []
            self._fault = StorageReadOnly(
                f"{database.path} was removed under the running tracker, which records nothing from now on; "
                "start the tracker again, and all nodes come back by themselves"
            )
            self._committed.notify_all()
        log(str(self._fault))

    def close(self) -> None:
        """Commit everything, export it, and release the database. Calling it twice is harmless."""
        self._closing.set()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join()
        with contextlib.suppress(StorageFault):
            self.sync(self._appended)
        if self._source is not None:
            self._try_export(rest=0.0)
            self._source = None
        with self._lock:
            while self._leading:
                self._committed.wait()
            if self._fault is None:
                self._fault = StorageReadOnly("the tracker's records are closed")
            if self._database is not None:
                self._database.close()
                self._database = None

    # ---- the background thread

    def _run(self) -> None:
        while True:
            self._changed.wait(self._interval)
            if self._closing.wait(min(EXPORT_DELAY, self._interval)):
                return
            self._changed.clear()
            if self._closing.is_set():  # ``close`` may have set ``_changed`` just before it was cleared
                return
            try:
                self._work()
            except Exception as error:  # a bug; exports go on with the next change
                log(f"unexpected error while storing: {type(error).__name__}: {error}")

    def _work(self) -> None:
        self._notice_removal()
        self.retry()
        with contextlib.suppress(StorageFault):  # it is logged
            self.sync(self._appended)  # removals of silent nodes, for which no request waits
        begin = time.monotonic()
        if begin >= self._export_due:
            self._try_export(EXPORT_REST)
            end = time.monotonic()
            self._export_due = end + (end - begin) * (1 / EXPORT_SHARE - 1)

    def _try_export(self, rest: float) -> None:
        """Write nodes.json and files.json, if anything has changed. ``rest``: seconds between slices.

        Not after the database was removed: another tracker may have its records in the folder now.
        """
        self._notice_removal()
        number = self._appended
        if self._source is None or number == self._exported or self._removed:
            return
        try:
            json_files.export(self._source, self.folder, lambda: self._pause(rest))
            self._exported = number
            complaint = ""
        except OSError as error:
            complaint = f"cannot write the JSON files in {self.folder}: {error.strerror or error}"
        if complaint != self._export_complaint:
            log(complaint or f"the JSON files in {self.folder} are written again")
        self._export_complaint = complaint

    def _pause(self, rest: float) -> None:
        if rest and not self._closing.is_set():
            time.sleep(rest)


def _again(fault: StorageFault) -> StorageFault:
    """A new exception for each thread that raises it: a traceback belongs to one."""
    return type(fault)(*fault.args)
