"""A storage for tests: keeps what it is told for as long as the object lives."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from common.messages import OwnedFile
from tracker.registry import FileKey, file_key
from tracker.storage.former import Change, DropNode, NodeRecord, Records, SaveNode


class MemoryStorage:
    """Implements Storage; one object may be loaded again, as a folder may."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nodes: dict[int, NodeRecord] = {}
        self._owned: dict[int, dict[FileKey, OwnedFile]] = {}
        self._ticket = 0

    def load(self) -> Records:
        """All of it."""
        with self._lock:
            owned = tuple(
                (node_id, file) for node_id, files in self._owned.items() for file in files.values()
            )
            return Records(tuple(self._nodes.values()), owned)

    def record(self, changes: Sequence[Change], urgent: bool = True) -> int:
        """Kept at once."""
        with self._lock:
            for change in changes:
                self._apply(change)
            self._ticket += 1
            return self._ticket

    def wait(self, ticket: int, timeout: float) -> bool:
        """True: there is no disk to wait for."""
        return True

    def close(self) -> None:
        """Nothing to let go of."""

    def _apply(self, change: Change) -> None:
        if isinstance(change, SaveNode):
            self._nodes[change.node.node_id] = change.node
        elif isinstance(change, DropNode):
            self._nodes.pop(change.node_id, None)
            self._owned.pop(change.node_id, None)
        else:
            files = self._owned.setdefault(change.node_id, {})
            files.update((file_key(file.filename, file.info_hash), file) for file in change.files)
