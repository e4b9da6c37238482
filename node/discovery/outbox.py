"""Messages that wait until a tracker takes them. Pure; the caller locks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from common.messages import OwnedFile
from node.discovery.base import Credit

MAX_CREDITS = 10_000  # credits that wait for a tracker; the oldest are dropped

FileKey = tuple[str, str | None]  # name and info hash
Batch = tuple[list[OwnedFile], list[Credit]]


def file_key(file: OwnedFile) -> FileKey:
    """The file, whatever its state."""
    return file.filename, file.info_hash


class Outbox:
    """Files to be sent with OWN, the latest state of each, and credits to be sent with UPDATE, in order."""

    def __init__(self) -> None:
        self._files: dict[FileKey, OwnedFile] = {}
        self._credits: deque[Credit] = deque(maxlen=MAX_CREDITS)

    def __len__(self) -> int:
        return len(self._files) + len(self._credits)

    def add_files(self, files: Iterable[OwnedFile]) -> None:
        self._files.update((file_key(file), file) for file in files)

    def remove_file(self, file: OwnedFile) -> bool:
        """False if this state of the file was taken already."""
        if self._files.get(file_key(file)) != file:
            return False
        del self._files[file_key(file)]
        return True

    def add_credit(self, credit: Credit) -> None:
        self._credits.append(credit)

    def take(self) -> Batch:
        """Take everything out, to be sent."""
        batch = list(self._files.values()), list(self._credits)
        self._files.clear()
        self._credits.clear()
        return batch

    def put_back(self, batch: Batch) -> None:
        """Put in what could not be sent. A file that was added meanwhile has a newer state, which stays."""
        files, credits = batch
        newer, self._files = self._files, {}
        self.add_files([*files, *newer.values()])
        self._credits.extendleft(reversed(credits))
