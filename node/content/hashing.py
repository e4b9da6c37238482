"""Hashing for downloads, on several threads: hashlib releases the interpreter lock while it hashes.

Each thread reads through one buffer of its own, so memory does not grow with pieces or files.

    HashPool         jobs of all downloads: write what arrived, hash the pieces that it completes
    verify_content   the verified pieces of a file on disk, after a restart
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TypeAlias

from common.bitfield import Bitfield
from common.errors import SwarmError
from common.geometry import Geometry
from common.logs import log
from common.metainfo import Metainfo
from node.content.piece_hashing import ReadInto, hash_range, piece_hashes

Verdict: TypeAlias = bool | SwarmError  # right, wrong, or why the piece could not be read
Job: TypeAlias = Callable[[memoryview], None]  # called with a buffer to read through; must not raise

# Each read and each hash ends with a wait for the interpreter lock, up to 5 ms while another thread computes.
# A smaller buffer means more such waits.
BUFFER_LENGTH = 1 << 20  # bytes
SMALL = 1 << 17  # bytes that are written and hashed in less time than another thread needs to wake up
MAX_WAITING = 1024  # jobs in the queue; then ``run`` waits


def processors() -> int:
    """The number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class HashPool:
    """Hashing threads for any number of downloads, behind one bounded queue.

    With ``inline_from`` or more active sources (default: the number of processors) each source's thread
    hashes what it received: no processor is idle, and the bytes are still in its cache.
    """

    def __init__(self, threads: int, inline_from: int | None = None) -> None:
        self._inline_from = inline_from or processors()
        self._jobs: deque[Job] = deque()
        lock = threading.Lock()
        self._has_job = threading.Condition(lock)  # two conditions: one job wakes one thread
        self._has_room = threading.Condition(lock)
        self._local = threading.local()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"hash-{number}", daemon=True)
            for number in range(max(1, threads))
        ]
        for thread in self._threads:
            thread.start()

    def run(self, job: Job, inline: bool = False) -> bool:
        """Have ``job(buffer)`` called on a hashing thread, or on this thread now if ``inline``.

        Waits while MAX_WAITING jobs are queued. False if the pool is closed: the job will not be called.
        """
        if inline:
            if self._closed:
                return False
            job(self._small_buffer())
            return True
        with self._has_room:
            self._has_room.wait_for(lambda: self._closed or len(self._jobs) < MAX_WAITING)
            if self._closed:
                return False
            self._jobs.append(job)
            self._has_job.notify()
        return True

    def runs_inline(self, size: int, active_sources: Callable[[], int]) -> bool:
        """True if the calling thread should hash ``size`` bytes itself.

        For small sizes, waking a thread costs more. With as many active sources as processors, no
        processor is idle.
        """
        return size <= SMALL or (size <= BUFFER_LENGTH and active_sources() >= self._inline_from)

    def close(self) -> None:
        """Finish the running jobs, drop the queued ones, end the threads. Not from within a job."""
        with self._has_job:
            self._closed = True
            self._jobs.clear()
            self._has_job.notify_all()
            self._has_room.notify_all()
        for thread in self._threads:
            thread.join()

    def _small_buffer(self) -> memoryview:
        """A buffer for each thread that runs jobs inline."""
        try:
            buffer: memoryview = self._local.buffer
        except AttributeError:
            buffer = self._local.buffer = memoryview(bytearray(SMALL))
        return buffer

    def _work(self) -> None:
        buffer = memoryview(bytearray(BUFFER_LENGTH))
        while True:
            with self._has_job:
                self._has_job.wait_for(lambda: self._closed or self._jobs)
                if self._closed:
                    return
                job = self._jobs.popleft()
                self._has_room.notify()
            try:
                job(buffer)
            except Exception as error:  # the job has ended its download; other downloads need this thread
                log(f"a hashing job failed: {error!r}")
            del job  # it may refer to a download's buffers


def verify_content(
    read_into: ReadInto,
    metainfo: Metainfo,
    threads: int,
    on_progress: Callable[[int, int], None] | None = None,
    cancelled: threading.Event | None = None,
    is_hole: Callable[[int, int], bool] | None = None,
    trusted: Bitfield | None = None,
) -> Bitfield:
    """The pieces that match their hashes. ``on_progress(bytes done, size)`` follows each, on this thread.

    ``is_hole(start, end)`` (as ``PartFile.is_hole``) saves reading bytes that were never written: such a
    piece is all zeros, and that hash is computed once. If ``cancelled`` is set meanwhile, the remaining
    pieces count as missing. ``trusted``: pieces that are known to be right, and are not read. An error of
    ``read_into`` is raised here.
    """
    geometry = metainfo.geometry
    verified = trusted.copy() if trusted is not None else Bitfield(geometry.piece_count)
    holes, written = _split_by_hole(geometry, list(verified.missing()), is_hole)
    results = chain(
        _hashes_of_zeros(geometry, holes), piece_hashes(read_into, geometry, threads, written, cancelled)
    )
    done = sum(map(geometry.piece_length_of, verified))
    for index, digest in results:
        if digest == metainfo.piece_hash(index):
            verified.set(index)
        done += geometry.piece_length_of(index)
        if on_progress is not None:
            on_progress(done, geometry.size)
    return verified


def _hashes_of_zeros(geometry: Geometry, indexes: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """``(index, SHA-1)`` of pieces that are all zeros."""
    digests: dict[int, bytes] = {}  # by length: the last piece may be shorter
    for index in indexes:
        length = geometry.piece_length_of(index)
        if length not in digests:
            zeros = memoryview(bytearray(min(BUFFER_LENGTH, length)))
            digests[length] = hash_range(lambda offset, part: None, 0, length, zeros)
        yield index, digests[length]


def _split_by_hole(
    geometry: Geometry, indexes: Sequence[int], is_hole: Callable[[int, int], bool] | None
) -> tuple[list[int], list[int]]:
    """Those of the pieces ``indexes`` that are holes, and the written ones."""
    holes: list[int] = []
    written: list[int] = []
    for index in indexes:
        hole = is_hole is not None and is_hole(*geometry.piece_range(index))
        (holes if hole else written).append(index)
    return holes, written
