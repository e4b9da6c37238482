"""The machine's yardstick, one core's SHA-1 rate, and how fast a torrent is made."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from bench.content import Content
from node.content.torrent_file import create_torrent

BUFFER = 1 << 20
ANNOUNCE = "http://127.0.0.1:12345/announce"


def sha1_rate(size: int) -> float:
    """Bytes a second that one core hashes: ``size`` bytes, 1 MiB at a time, the same 1 MiB."""
    buffer = bytes(BUFFER)
    digest = hashlib.sha1(usedforsecurity=False)
    begun = time.perf_counter()
    for _ in range(max(1, size // BUFFER)):
        digest.update(buffer)
    return max(BUFFER, size // BUFFER * BUFFER) / (time.perf_counter() - begun)


def create_rate(content: Content) -> float:
    """Bytes a second with which a torrent is made of a file in the page cache, as a node makes it."""
    torrent = Path(f"{content.torrent}.again")
    begun = time.perf_counter()
    create_torrent(content.path, torrent, ANNOUNCE)
    seconds = time.perf_counter() - begun
    torrent.unlink()
    return content.size / seconds
