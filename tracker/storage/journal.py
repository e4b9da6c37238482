"""The journal: what was decided, in order, safe before anybody is told so.

Theory of operation. ``note`` puts changes into a queue and gives a ticket; it is called under the lock of
whoever decides, so the queue is in the order of the facts, and costs no I/O. ``wait`` returns once the
ticket's changes are safe. The first who waits becomes the leader: it takes the whole queue, writes it in
one piece and syncs the file, once for all (group commit). What comes meanwhile is the next leader's.
No thread of its own, no delay to gather more: a group is as large as the sync before it was long.

One file, journal-<generation>.log, is written at a time; ``rotate`` begins the next one, which happens when
a snapshot begins. Its first line says which record it follows:

    1234 1234 0c5d2b77 {"journal": 8, "format": 1}

A disk that is full: what was written of the group is cut off again, its changes stay in the queue,
whoever waits gets StorageFull, and ``retry`` writes the queue when there is room. Any other error, and any
error of a sync, leaves it unknown what is on the disk, and to sync again would prove nothing: the system
has forgotten by then what it could not write. So nothing more is written to that file; StorageReadOnly for
everybody until a restart has read what there really is. (A sync that fails for lack of room does not stop
everything: the queue, that group included, goes to a new file.)
"""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Sequence
from pathlib import Path

from common.errors import StorageFault, StorageFull, StorageReadOnly
from common.logs import log
from tracker.model import Change
from tracker.storage.disk import Disk
from tracker.storage.entries import change_text
from tracker.storage.lines import encode_line

FORMAT = 1
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
Group = list[Sequence[Change]]


def journal_name(generation: int) -> str:
    """The file of a generation."""
    return f"journal-{generation}.log"


class Journal:
    """Writes journals in one folder. Thread-safe."""

    def __init__(self, disk: Disk, folder: Path, durable: bool) -> None:
        """``durable``: sync before anybody is told; else a power cut may take the last records."""
        self._disk = disk
        self._folder = folder
        self._durable = durable
        self._lock = threading.Lock()
        self._turn = threading.Condition(self._lock)  # a leader is done
        self._leading = False
        self._queue: Group = []
        self._noted = self._kept = 0  # tickets
        self._fault: StorageFault | None = None
        # The leader's own:
        self._generation = 0
        self._file: int | None = None
        self._number = self._safe = 0  # records: written, known to be on the disk
        self._size = 0  # bytes of the file, all whole records
        self._suspect = False  # whether nothing more may be written to the file, but to the next one

    def begin(self, generation: int, number: int) -> None:
        """Open the first file, empty, behind record ``number``, which is safe. May raise OSError."""
        self._number = self._safe = number
        self._begin_file(generation)

    @property
    def noted(self) -> int:
        """The last ticket."""
        return self._noted

    @property
    def size(self) -> int:
        """Bytes of the file that is being written."""
        return self._size

    def fault(self) -> StorageFault | None:
        """Why nothing can be kept just now, if so."""
        return self._fault

    def check_writable(self) -> None:
        """StorageFull or StorageReadOnly, if what would be noted now would not be kept."""
        if self._fault is not None:
            raise _again(self._fault)

    def note(self, changes: Sequence[Change]) -> int:
        """Queue what has happened at once, to be kept as one: after a crash all of it is there or nothing."""
        with self._lock:
            if not isinstance(self._fault, StorageReadOnly):
                self._queue.append(changes)
            self._noted += 1
            return self._noted

    def wait(self, ticket: int) -> None:
        """Until the ticket's changes are kept. StorageFull or StorageReadOnly if they are not."""
        with self._lock:
            while self._kept < ticket:
                if self._fault is not None:
                    raise _again(self._fault)
                if self._leading:
                    self._turn.wait()
                else:
                    self._lead()

    def retry(self) -> None:
        """Try to write what a full disk kept in the queue; nothing happens otherwise."""
        with self._lock:
            if isinstance(self._fault, StorageFull) and not self._leading:
                self._lead()

    def rotate(self) -> int:
        """Keep all that was noted, and begin a new file; its generation.

        OSError if there can be no new file: then the old one is written as before.
        """
        with self._lock:
            while self._leading:
                self._turn.wait()
            self._lead(rotate=True)
            if self._fault is not None:
                raise _again(self._fault)
            return self._generation

    def close(self) -> None:
        """Keep what can be kept, and let go of the file."""
        with contextlib.suppress(StorageFault):
            self.wait(self._noted)
        with self._lock:
            while self._leading:
                self._turn.wait()
            if self._fault is None:
                self._fault = StorageReadOnly("the tracker's records are closed")
            self._let_go()

    def _lead(self, rotate: bool = False) -> None:
        """With the lock held, which is let go meanwhile: keep the queue as it is now, for all who wait."""
        self._leading = True
        group, ticket, self._queue = self._queue, self._noted, []
        fault = self._fault
        self._lock.release()
        try:
            if not isinstance(fault, StorageReadOnly):
                fault = self._broken(OSError("writing was broken off"))  # if anything unforeseen is raised
                fault = self._keep(group)
            if fault is None and rotate:
                fault = self._settle()
            if fault is None and rotate:
                self._begin_file(self._generation + 1)
        finally:
            self._lock.acquire()
            self._leading = False
            if fault is None:
                self._kept = ticket
            else:
                self._queue = [*group, *self._queue] if isinstance(fault, StorageFull) else []
            self._tell(fault)
            self._turn.notify_all()

    def _tell(self, fault: StorageFault | None) -> None:
        if str(fault) != str(self._fault):  # said once, not with every request
            log(str(fault) if fault else f"{self._folder}: records are kept again")
        self._fault = fault

    def _keep(self, group: Group) -> StorageFault | None:
        """Write a group and sync it; what is in the way, if so."""
        if self._suspect:
            try:
                self._begin_file(self._generation + 1)
            except OSError as error:
                return self._full(error) if error.errno in NO_ROOM else self._broken(error)
            self._suspect = False
        return self._append(group) if group else None

    def _append(self, group: Group) -> StorageFault | None:
        assert self._file is not None
        number, lines = self._number, []
        for changes in group:
            number += 1
            text = ", ".join(map(change_text, changes))
            lines.append(encode_line(number, self._safe, f"[{text}]"))
        data = b"".join(lines)
        try:
            self._disk.write(self._file, data)
        except OSError as error:
            return self._cut(error)
        if self._durable:
            try:
                self._disk.sync(self._file)
            except OSError as error:
                self._suspect = True
                return self._full(error) if error.errno in NO_ROOM else self._broken(error)
            self._safe = number
        self._number, self._size = number, self._size + len(data)
        return None

    def _cut(self, error: OSError) -> StorageFault:
        """After a write that failed: take back what it wrote."""
        assert self._file is not None
        if error.errno not in NO_ROOM:
            return self._broken(error)
        try:
            self._disk.truncate(self._file, self._size)
        except OSError:
            self._suspect = True
        return self._full(error)

    def _settle(self) -> StorageFault | None:
        """Sync what was not synced with its group: no gap may lie before a later file."""
        if self._safe < self._number and self._file is not None:
            try:
                self._disk.sync(self._file)
            except OSError as error:
                return self._broken(error)
            self._safe = self._number
        return None

    def _begin_file(self, generation: int) -> None:
        path = self._folder / journal_name(generation)
        header = encode_line(self._number, self._safe, f'{{"journal": {generation}, "format": {FORMAT}}}')
        file = self._disk.create(path)
        try:
            self._disk.write(file, header)
            self._disk.sync(file)
            self._disk.sync_folder(self._folder)
        except OSError:
            with contextlib.suppress(OSError):
                self._disk.close(file)
            with contextlib.suppress(OSError):
                self._disk.unlink(path)
            raise
        self._let_go()
        self._generation, self._file, self._size = generation, file, len(header)

    def _let_go(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._disk.close(self._file)
            self._file = None

    def _full(self, error: OSError) -> StorageFull:
        return StorageFull(f"no room for the tracker's records in {self._folder}: {_why(error)}")

    def _broken(self, error: OSError) -> StorageReadOnly:
        return StorageReadOnly(
            f"the disk failed under {self._folder / journal_name(self._generation)}: {_why(error)}; "
            "records can be read only, until the disk is seen to and the tracker started again"
        )


def _why(error: OSError) -> str:
    return error.strerror or str(error)


def _again(fault: StorageFault) -> StorageFault:
    """A new exception for each thread that raises it: a traceback belongs to one."""
    return type(fault)(*fault.args)
