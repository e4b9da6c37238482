"""Torrents in memory, as transports serve them."""

from __future__ import annotations

from collections.abc import Sequence

from common.bitfield import Bitfield
from common.errors import FileFault
from common.metainfo import Metainfo
from common.torrent_files import FileEntry
from node.transport import SentBlock, StreamSocket


def memory_info(size: int, piece_length: int = 1 << 16, info_hash: bytes = b"i" * 20) -> Metainfo:
    """Metainfo for ``size`` bytes, without hashes."""
    return Metainfo("x.bin", (FileEntry(("x.bin",), size),), piece_length, b"", info_hash, "", b"")


class MemoryTorrent:
    """A ServedTorrent. Tests and simulations change its fields while it is served."""

    def __init__(self, data: bytes, piece_length: int = 1 << 16, info_hash: bytes = b"i" * 20) -> None:
        self.data = data
        self.info = memory_info(len(data), piece_length, info_hash)
        self.have = Bitfield.full(self.info.geometry.piece_count)
        self.is_served = True
        self.fault: FileFault | None = None  # raised by every read

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset`` on."""
        if self.fault is not None:
            raise self.fault
        buffer[:] = self.data[offset : offset + len(buffer)]

    def send_to(self, sock: StreamSocket, offset: int, length: int) -> int:
        """Send bytes from ``offset`` on."""
        if self.fault is not None:
            raise self.fault
        return sock.send(memoryview(self.data)[offset : offset + length])

    def send_blocks(self, sock: StreamSocket, blocks: Sequence[SentBlock]) -> None:
        """The blocks are read."""
