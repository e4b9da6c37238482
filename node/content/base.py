"""The interface to a torrent's bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from common.bitfield import Bitfield
from node.content.positional_file import Buffer
from node.transport import StreamSocket


class Content(Protocol):
    """A torrent's bytes on disk, in one file or many. Offsets count from the first file's first byte.

    Every method may be called from any thread.
    """

    @property
    def have(self) -> Bitfield:
        """The verified pieces. A snapshot: replaced when a piece is verified, never changed."""

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` with the bytes from ``offset`` on.

        FileFault if the content is not what was verified; TransientFileFault if it cannot be read at the
        moment; ValueError outside the content.
        """

    def send_to(self, sock: StreamSocket, offset: int, length: int) -> int:
        """Send verified bytes from ``offset`` on to a connected socket; returns how many, 1 to ``length``.

        As ``node.transport.ServedTorrent.send_to``. FileFault also for bytes that are not verified.
        """

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write ``buffers`` in sequence from ``offset`` on. DiskFull, FileFault; ValueError outside."""

    def finish(self) -> Path:
        """Sync the complete content to disk and give it its final name, which is returned.

        FileFault, with the unfinished content kept, if that name is taken or the disk fails.
        """
