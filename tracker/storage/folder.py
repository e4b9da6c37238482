"""The records of one tracker in a folder: snapshots that people can read, and the journal behind them.

    nodes.json  files.json      all there is, as of a moment ago: see ``entries``
    snapshot.json               what is known of these two: see ``manifest``
    previous/                   the two before them
    journal-<generation>.log    what has happened since, safe before anybody is told so: see ``journal``

One thread takes a snapshot soon after something changed, and the less often the longer it takes: one of a
small classroom is there a second later, one of 100,000 nodes takes no more than SHARE of the time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from common.errors import StorageFault
from common.logs import log
from tracker.model import Change
from tracker.storage.base import SnapshotSource
from tracker.storage.disk import Disk, SystemDisk
from tracker.storage.journal import Journal, journal_name
from tracker.storage.manifest import MANIFEST, PARTS
from tracker.storage.reading import Contents, Damage, read_folder
from tracker.storage.snapshot import Snapshots, new_name

SHARE = 0.05  # of the time may go into snapshots
SOON = 0.05  # seconds after a change until a snapshot begins, if none is too recent: people look at the files
REST = 0.002  # seconds that a snapshot in the background leaves to others after each slice
COPY_BLOCK = 1 << 20  # bytes
MAX_SET_ASIDE = 1000  # *.corrupt-<n> files of one name


class FolderKeeper:
    """Implements Keeper in a folder that belongs to one tracker at a time."""

    def __init__(
        self, folder: Path, save_interval: float, durable: bool = True, disk: Disk | None = None
    ) -> None:
        """``save_interval``: seconds between looks for a snapshot that is due; ``durable``: see Journal."""
        self._folder = folder
        self._interval = save_interval
        self._disk = disk or SystemDisk()
        self._journal = Journal(self._disk, folder, durable)
        self._snapshots = Snapshots(self._disk, folder, {})
        self._source: SnapshotSource | None = None
        self._release: Callable[[], None] = lambda: None
        self._saved = 0  # ticket of the last snapshot; -1: there must be one in any case
        self._due = 0.0  # monotonic seconds: no snapshot in the background before this
        self._complaint = ""
        self._closing = threading.Event()
        self._news = threading.Event()  # something was noted
        self._thread = threading.Thread(target=self._save_now_and_then, name="storage", daemon=True)

    def load(self) -> Contents:
        """All that was kept; what is damaged is set aside. StorageFault if the folder cannot be used."""
        self._release = lock_folder(self._disk, self._folder)
        try:
            contents = read_folder(self._disk, self._folder)
            self._take_over(contents)
        except OSError as error:
            self._release()
            raise StorageFault(f"cannot write to {self._folder}: {error.strerror or error}") from None
        except BaseException:
            self._release()
            raise
        return contents

    def check_writable(self) -> None:
        """StorageFull or StorageReadOnly if what would happen now could not be kept."""
        self._journal.check_writable()

    def note(self, changes: Sequence[Change]) -> int:
        """Take note of what has happened at once; the ticket is for ``wait``."""
        ticket = self._journal.note(changes)
        if not self._news.is_set():
            self._news.set()
        return ticket

    def wait(self, ticket: int) -> None:
        """Until it is kept; StorageFull or StorageReadOnly if it is not."""
        self._journal.wait(ticket)

    def start(self, source: SnapshotSource) -> None:
        """Take snapshots of ``source`` from now on."""
        self._source = source
        self._thread.start()

    def health(self) -> str:
        """Why nothing can be recorded just now; "" if it can."""
        return str(self._journal.fault() or "")

    def save(self, rest: float = 0.0) -> None:
        """A snapshot now, if anything has changed since the last one; OSError or StorageFault if it fails.

        ``rest``: seconds left to others after each slice.
        """
        ticket = self._journal.noted
        if self._source is None or ticket == self._saved:
            return
        generation = self._journal.rotate()
        self._snapshots.write(self._source, generation, lambda: self._pause(rest))
        self._saved = ticket
        self._complain("")

    def close(self) -> None:
        """A last snapshot, if the disk takes it; let another tracker have the folder. Twice is harmless."""
        self._closing.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join()
        self._attempt(self.save)
        self._source = None
        self._journal.close()
        self._release()

    def _take_over(self, contents: Contents) -> None:
        """Make safe what was read, and open the journal behind it."""
        for damage in contents.damage:
            contents.remarks.append(self._set_aside(damage))
            contents.texts.pop(damage.path.name, None)
        for name in (*PARTS, MANIFEST):
            self._disk.unlink(new_name(self._folder / name))
        tail = contents.tail
        if contents.changed or tail.torn:
            self._rewrite(self._folder / journal_name(tail.generation), tail.size)
        known = [0, *contents.journals, *(text.generation for text in contents.texts.values())]
        self._journal.begin(max(known) + 1, tail.number or 0)
        self._snapshots = Snapshots(self._disk, self._folder, contents.texts)
        if contents.changed or contents.damage or len(contents.texts) < len(PARTS):
            self._saved = -1

    def _rewrite(self, path: Path, size: int) -> None:
        """Write a journal anew up to its end: it may be known to the system only, not to the disk.

        A run that was killed had not synced the last of it; one whose sync failed could not. To sync it now
        would prove nothing, and what is recorded from now on relies on it.
        """
        copy = new_name(path)
        target = self._disk.create(copy)
        try:
            with self._disk.open(path) as source:
                while size and (block := source.read(min(size, COPY_BLOCK))):
                    self._disk.write(target, block)
                    size -= len(block)
            self._disk.sync(target)
        finally:
            self._disk.close(target)
        self._disk.replace(copy, path)

    def _set_aside(self, damage: Damage) -> str:
        """Keep a damaged file under another name; the remark on it."""
        try:
            aside = free_name(self._disk, damage.path)
            self._disk.replace(damage.path, aside)
        except FileNotFoundError:
            return f"{damage.path} is {damage.why}; {damage.instead}"
        return f"{damage.path} is damaged ({damage.why}); it is kept as {aside.name}, {damage.instead}"

    def _save_now_and_then(self) -> None:
        while True:
            self._attempt(self._tend)
            self._news.wait(self._interval)
            if self._closing.wait(min(SOON, self._interval)):
                return
            self._news.clear()

    def _tend(self) -> None:
        self._journal.retry()
        begin = time.monotonic()
        if begin < self._due:
            self._journal.wait(self._journal.noted)  # removals of silent nodes, for which nobody waits
            return
        try:
            self.save(REST)
        finally:
            end = time.monotonic()
            self._due = end + (end - begin) * (1 / SHARE - 1)

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except StorageFault:
            pass  # the journal has told
        except OSError as error:
            self._complain(f"cannot save to {self._folder}: {error.strerror or error}; the journal goes on")

    def _complain(self, complaint: str) -> None:
        if complaint != self._complaint:  # said once, not with every try
            log(complaint or f"saving to {self._folder} works again")
        self._complaint = complaint

    def _pause(self, rest: float) -> None:
        if rest and not self._closing.is_set():
            time.sleep(rest)


def lock_folder(disk: Disk, folder: Path) -> Callable[[], None]:
    """Make a folder and keep other trackers out of it, until the function is called that is returned."""
    try:
        disk.make_folder(folder)
        return disk.lock(folder)
    except OSError as error:
        raise StorageFault(f"cannot use the folder {folder}: {error.strerror or error}") from None


def free_name(disk: Disk, path: Path) -> Path:
    """The next free *.corrupt-<n> of a damaged file; FileNotFoundError if the file is gone."""
    taken = set(disk.names(path.parent))
    if path.name not in taken:
        raise FileNotFoundError(path)
    for number in range(1, MAX_SET_ASIDE + 1):
        aside = path.with_name(f"{path.name}.corrupt-{number}")
        if aside.name not in taken:
            return aside
    raise StorageFault(f"{path} is damaged, and {MAX_SET_ASIDE} damaged ones are there already; look at them")
