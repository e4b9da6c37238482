"""SHA-1 on this machine, and how fast a torrent is made and content is verified."""

from __future__ import annotations

import hashlib
import mmap
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.content import BenchContent
from bench.records import HashRun
from common.torrent_encoding import TorrentNotes
from node.content.hashing import processors
from node.content.new_torrent import NewTorrent
from node.content.torrent_file import parse_torrent_file
from node.content.verifying import verify_path

BUFFER = 1 << 20
ANNOUNCE = "http://127.0.0.1:12345/announce"


def sha1_rate(size: int) -> float:
    """Bytes a second that one core hashes: ``size`` bytes, always the same 1 MiB."""
    begun = time.perf_counter()
    _sha1_of_one_mib(size)
    return max(BUFFER, size // BUFFER * BUFFER) / (time.perf_counter() - begun)


def hash_run(content: BenchContent) -> HashRun:
    """All rates of a file in the page cache, measured in turn; every processor hashes."""
    each = max(BUFFER, content.size // processors() // BUFFER * BUFFER)
    planned = NewTorrent.plan(content.path)
    info = parse_torrent_file(content.torrent)
    return HashRun(
        sha1=_rate(each * processors(), lambda: _on_all(lambda: _sha1_of_one_mib(each))),
        sha1_of_memory=_memory_rate(content.path, each),
        create=_rate(content.size, lambda: planned.encode(TorrentNotes(ANNOUNCE), processors())),
        verify=_rate(content.size, lambda: verify_path(info, content.path, processors())),
    )


def _memory_rate(path: Path, each: int) -> float:
    """Of bytes that no cache holds: each processor hashes ``each`` bytes of memory, once.

    The memory is the file's own pages, mapped, so that nothing is copied.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        whole = memoryview(mapped)

        def hash_part(first: int) -> None:
            digest = hashlib.sha1(usedforsecurity=False)
            for start in range(first, first + each, BUFFER):
                digest.update(whole[start : start + BUFFER])

        parts = [lambda first=first: hash_part(first) for first in range(0, each * processors(), each)]
        rate = _rate(each * processors(), lambda: _run(parts))
        whole.release()
    return rate


def _on_all(task: Callable[[], None]) -> None:
    _run([task] * processors())


def _run(tasks: Sequence[Callable[[], object]]) -> None:
    with ThreadPoolExecutor(len(tasks)) as pool:
        for future in [pool.submit(task) for task in tasks]:
            future.result()


def _rate(size: int, call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return size / (time.perf_counter() - begun)


def _sha1_of_one_mib(size: int) -> None:
    buffer = bytes(BUFFER)
    digest = hashlib.sha1(usedforsecurity=False)
    for _ in range(max(1, size // BUFFER)):
        digest.update(buffer)
