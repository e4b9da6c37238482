"""Writing to a disk that is full: wait for room instead of failing, for a limited time.

The thread that writes waits, and with it everything that waits for its buffer. So nothing that was fetched
is lost or fetched again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from common.errors import DiskFull
from node.content.positional_file import Buffer
from node.download.write_buffer import WritableContent

RETRY_SECONDS = 1.0  # between two attempts to write to a full disk


class RetryWhenFull:
    """``content`` with a ``write`` that is retried while the disk is full; DiskFull after ``limit`` seconds.

    ``on_full(seconds, reason)`` is called without a lock, once each time that the disk is full.
    ``wait(seconds)`` blocks for that long, or until the download is over, and returns True if it is.
    """

    def __init__(
        self,
        content: WritableContent,
        limit: float,
        wait: Callable[[float], bool],
        on_full: Callable[[float, str], None],
    ) -> None:
        self._content = content
        self._limit = limit
        self._wait = wait
        self._on_full = on_full
        self._lock = threading.Lock()  # guards the next two: several threads write
        self._full_since: float | None = None  # monotonic seconds
        self._reason = ""

    @property
    def reason(self) -> str:
        """Why nothing can be written at the moment; "" if it can."""
        return self._reason

    def read_into(self, offset: int, buffer: memoryview) -> object:
        """Fill ``buffer`` with the bytes from ``offset`` on. FileFault."""
        return self._content.read_into(offset, buffer)

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write ``buffers`` in sequence from ``offset`` on, once there is room."""
        while True:
            try:
                self._content.write(offset, buffers)
            except DiskFull as fault:
                if self._waited_too_long(str(fault)):
                    raise DiskFull(f"{fault}; waited {self._limit:g} s for room") from None
                if self._wait(RETRY_SECONDS):
                    raise
            else:
                self._has_room()
                return

    def _waited_too_long(self, reason: str) -> bool:
        now = time.monotonic()
        with self._lock:
            is_new, self._reason = self._full_since is None, reason
            self._full_since = now if self._full_since is None else self._full_since
            too_long = now - self._full_since >= self._limit
        if is_new:
            self._on_full(RETRY_SECONDS, reason)
        return too_long

    def _has_room(self) -> None:
        if self._full_since is not None:
            with self._lock:
                self._full_since, self._reason = None, ""
