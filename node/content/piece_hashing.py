"""SHA-1 of many pieces on several threads: hashlib releases the interpreter lock while it hashes.

A thread takes a job of consecutive pieces and reads through one buffer of its own, so memory grows with
neither pieces nor files. Small pieces are read several at a time: a system call for each would cost more than
its hash.

Why is the file not mapped into memory? SHA-1 over bytes that no cache holds waits for memory, line after
line. The system's copy into a buffer that fits a cache is fast, and SHA-1 of the buffer then runs at full
rate: both together take less time. Also, reading a mapped file that became shorter ends the process.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import takewhile
from typing import TypeAlias

from common.errors import FileFault
from common.geometry import Geometry
from common.metainfo import HASH_LENGTH

ReadInto: TypeAlias = Callable[[int, memoryview], object]  # fills the buffer from an offset, or SwarmError
Digest: TypeAlias = tuple[int, bytes]  # index of a piece and its SHA-1

# Each read and each hash ends with a wait for the interpreter lock, up to 5 ms while another thread computes.
# A smaller buffer means more such waits. A larger one does not fit into a processor's cache.
READ_LENGTH = 1 << 19  # bytes of one read
JOB_LENGTH = 4 << 20  # bytes of consecutive pieces that a thread hashes without asking for more
PROGRESS_STEP = 1 << 20  # bytes between two reports of progress
JOBS_PER_THREAD = 2  # that wait or run, so that no thread waits for this one


def hash_range(read_into: ReadInto, start: int, end: int, buffer: memoryview) -> bytes:
    """SHA-1 of ``[start, end)``, read through ``buffer``."""
    digest = hashlib.sha1(usedforsecurity=False)
    while start < end:
        part = buffer[: min(len(buffer), end - start)]
        read_into(start, part)
        digest.update(part)
        start += len(part)
    return digest.digest()


def piece_hashes(
    read_into: ReadInto,
    geometry: Geometry,
    threads: int,
    indexes: Sequence[int] | None = None,
    cancelled: threading.Event | None = None,
) -> Iterator[Digest]:
    """``(index, SHA-1)`` of pieces ``indexes`` (default: all), in order; fewer once ``cancelled`` is set.

    An error of ``read_into`` is raised here. The threads end with the iterator: exhaust or close it.
    """
    wanted = range(geometry.piece_count) if indexes is None else indexes
    stopped = threading.Event()
    per_job = max(1, JOB_LENGTH // geometry.piece_length)
    jobs = takewhile(lambda job: not (cancelled and cancelled.is_set()), _jobs(wanted, per_job))
    work = _Hashing(read_into, geometry, stopped)
    threads = min(threads, -(-len(wanted) // per_job))
    try:
        if threads < 2:  # for a small file, threads cost more than they gain
            for job in jobs:
                yield from work.hash(job)
        else:
            yield from _on_threads(work.hash, jobs, threads)
    finally:
        stopped.set()


def hash_pieces(
    read_into: ReadInto,
    geometry: Geometry,
    threads: int,
    on_progress: Callable[[int, int], None] | None = None,
    cancelled: threading.Event | None = None,
) -> bytes:
    """The SHA-1 of all pieces, one after the other. ``on_progress(bytes done, size)``, on this thread.

    FileFault once ``cancelled`` is set; an error of ``read_into`` is raised here.
    """
    pieces = bytearray(geometry.piece_count * HASH_LENGTH)
    done = reported = 0
    for index, digest in piece_hashes(read_into, geometry, threads, None, cancelled):
        pieces[index * HASH_LENGTH : (index + 1) * HASH_LENGTH] = digest
        done += geometry.piece_length_of(index)
        if on_progress is not None and (done - reported >= PROGRESS_STEP or done == geometry.size):
            on_progress(done, geometry.size)
            reported = done
    if done < geometry.size:
        raise FileFault("interrupted while hashing")
    return bytes(pieces)


def _on_threads(
    hash_job: Callable[[Sequence[int]], list[Digest]], jobs: Iterator[Sequence[int]], threads: int
) -> Iterator[Digest]:
    pending: deque[Future[list[Digest]]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="hash-file")
    try:
        for job in jobs:
            pending.append(pool.submit(hash_job, job))
            if len(pending) > JOBS_PER_THREAD * threads:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


class _Hashing:
    """The task of the threads. Every thread has a buffer of its own."""

    def __init__(self, read_into: ReadInto, geometry: Geometry, stopped: threading.Event) -> None:
        self._read_into = read_into
        self._geometry = geometry
        self._stopped = stopped
        self._local = threading.local()

    def hash(self, indexes: Sequence[int]) -> list[Digest]:
        """The pieces ``indexes``, consecutive ones; any hashes once the iteration has stopped."""
        buffer = self._buffer()
        length = self._geometry.piece_length
        if length > len(buffer):
            return [
                (index, hash_range(self._read_unless_stopped, *self._geometry.piece_range(index), buffer))
                for index in indexes
            ]
        digests: list[Digest] = []
        at_once = len(buffer) // length
        for first in range(0, len(indexes), at_once):
            digests += self._hash_at_once(indexes[first : first + at_once], buffer)
        return digests

    def _hash_at_once(self, indexes: Sequence[int], buffer: memoryview) -> Iterator[Digest]:
        """Pieces that one read brings."""
        start = self._geometry.piece_range(indexes[0])[0]
        end = self._geometry.piece_range(indexes[-1])[1]
        self._read_unless_stopped(start, buffer[: end - start])
        for index in indexes:
            first, last = self._geometry.piece_range(index)
            digest = hashlib.sha1(buffer[first - start : last - start], usedforsecurity=False)
            yield index, digest.digest()

    def _read_unless_stopped(self, offset: int, part: memoryview) -> None:
        if not self._stopped.is_set():
            self._read_into(offset, part)

    def _buffer(self) -> memoryview:
        try:
            buffer: memoryview = self._local.buffer
        except AttributeError:
            buffer = memoryview(bytearray(max(1, min(READ_LENGTH, self._geometry.size))))
            self._local.buffer = buffer
        return buffer


def _jobs(wanted: Sequence[int], longest: int) -> Iterator[Sequence[int]]:
    """``wanted`` in runs of at most ``longest`` consecutive pieces."""
    if isinstance(wanted, range) and wanted.step == 1:
        yield from (wanted[first : first + longest] for first in range(0, len(wanted), longest))
        return
    job: list[int] = []
    for index in wanted:
        if job and (index != job[-1] + 1 or len(job) == longest):
            yield job
            job = []
        job.append(index)
    if job:
        yield job
