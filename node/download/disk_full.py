"""Writing to a disk that is full: waiting for room instead of failing, for a stated time.

Whoever writes waits, so all that stands behind it waits too: the buffers are all taken, the owners' threads
wait for one, and nothing that was fetched is lost or fetched again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from common.errors import DiskFull
from node.content.positional_file import Buffer

ROOM_CHECK = 1.0  # seconds between two tries to write to a full disk


class Part(Protocol):
    """Where bytes land: a PartFile, or something that stands before one."""

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write ``buffers``, one behind the other, at ``offset``. DiskFull, FileFault."""
        ...

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from ``offset`` and return its length. FileFault."""
        ...


class RetryWhenFull:
    """``part``, whose ``write`` waits while there is no room on its disk; DiskFull after ``limit`` seconds.

    ``told(seconds, reason)`` is called once for each time that the disk is full, without a lock.
    ``wait(seconds)`` returns after so long, or at once when the download is over, and says whether it is.
    """

    def __init__(
        self, part: Part, limit: float, wait: Callable[[float], bool], told: Callable[[float, str], None]
    ) -> None:
        self._part = part
        self._limit = limit
        self._wait = wait
        self._told = told
        self._lock = threading.Lock()  # guards what follows; several threads write
        self._since: float | None = None  # when the disk became full; monotonic seconds
        self._reason = ""

    @property
    def reason(self) -> str:
        """Why nothing can be written now; "" while it can."""
        return self._reason

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """As the part does."""
        return self._part.read_into(offset, buffer)

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """As the part does, once there is room."""
        while True:
            try:
                self._part.write(offset, buffers)
            except DiskFull as fault:
                if self._waited_too_long(str(fault)):
                    raise DiskFull(f"{fault}; waited {self._limit:g} s for room") from None
                if self._wait(ROOM_CHECK):
                    raise
            else:
                self._room()
                return

    def _waited_too_long(self, reason: str) -> bool:
        now = time.monotonic()
        with self._lock:
            is_new, self._reason = self._since is None, reason
            self._since = now if self._since is None else self._since
            too_long = now - self._since >= self._limit
        if is_new:
            self._told(ROOM_CHECK, reason)
        return too_long

    def _room(self) -> None:
        if self._since is not None:
            with self._lock:
                self._since, self._reason = None, ""
