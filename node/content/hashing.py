"""Hashing pieces on threads: hashlib lets go of the interpreter while it works, so they add up.

Every thread has one buffer and reads a piece through it, so memory does not grow with pieces or files.

    HashPool    pieces as they arrive, verdicts by callback: a download
    verify_content   all that is on disk, in order: going on after a restart
    piece_hashes     the same, without an opinion: making a torrent
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TypeAlias

from common.bitfield import Bitfield
from common.errors import SwarmError
from common.geometry import Geometry
from common.metainfo import Metainfo

ReadInto: TypeAlias = Callable[
    [int, memoryview], object
]  # fills the buffer from an offset, or raises SwarmError
Verdict: TypeAlias = bool | SwarmError  # right, wrong, or why it could not be read
Done: TypeAlias = Callable[[int, Verdict], None]  # piece index, verdict
Job: TypeAlias = Callable[[memoryview], None]  # work for a hashing thread

# Bytes. Each read and each hash ends with a wait for the interpreter, up to 5 ms when another thread is busy
# in it: a buffer of 256 KiB verified half as much beside such a thread, and no more without one.
BUFFER_LENGTH = 1 << 20
SMALL = 1 << 17  # bytes: to write and hash as many takes no longer than to wake another thread for it
MAX_WAITING = 1024  # pieces that wait for a hashing thread; then submit waits
_MAX_AHEAD = 64  # hashes that wait for whoever iterates


def processors() -> int:
    """How many this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def hash_range(read_into: ReadInto, start: int, end: int, buffer: memoryview) -> bytes:
    """SHA-1 of ``[start, end)``, read through ``buffer``."""
    digest = hashlib.sha1(usedforsecurity=False)
    while start < end:
        part = buffer[: min(len(buffer), end - start)]
        read_into(start, part)
        digest.update(part)
        start += len(part)
    return digest.digest()


class HashPool:
    """Hashing threads for any number of downloads, with one bounded queue before them.

    Where ``inline_from`` bring work, by default as many as there are processors, each does its own: no
    processor is without any, nobody has to be woken, and what has just come is still in the cache.
    """

    def __init__(self, threads: int, inline_from: int | None = None) -> None:
        self._enough_hands = inline_from or processors()
        self._jobs: deque[Job] = deque()
        lock = threading.Lock()
        self._work_there = threading.Condition(lock)  # two, so that one job wakes one thread
        self._room_there = threading.Condition(lock)
        self._here = threading.local()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"hash-{number}", daemon=True)
            for number in range(max(1, threads))
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self, read_into: ReadInto, geometry: Geometry, index: int, expected: bytes, done: Done
    ) -> bool:
        """Have piece ``index`` read and hashed; False: closed, no verdict comes. Waits like ``run``.

        ``done(index, verdict)`` is called once, on a hashing thread, with no lock held; it must be quick and
        must not raise.
        """
        start, end = geometry.piece_range(index)

        def job(buffer: memoryview) -> None:
            verdict: Verdict
            try:
                verdict = hash_range(read_into, start, end, buffer) == expected
            except SwarmError as error:
                verdict = error
            done(index, verdict)

        return self.run(job)

    def run(self, job: Job, inline: bool = False) -> bool:
        """Have ``job(buffer)`` called on a hashing thread; ``buffer`` is the thread's own, to read through.

        Waits while MAX_WAITING others wait. False: closed, it will not be called. It must not raise.
        ``inline``: on this thread instead, now.
        """
        if inline:
            if self._closed:
                return False
            job(self._small_buffer())
            return True
        with self._room_there:
            self._room_there.wait_for(lambda: self._closed or len(self._jobs) < MAX_WAITING)
            if self._closed:
                return False
            self._jobs.append(job)
            self._work_there.notify()
        return True

    def runs_inline(self, size: int, hands: Callable[[], int]) -> bool:
        """Whether who brings ``size`` bytes should do it ``inline``: to wake another thread takes longer for
        a few, and nobody need for others if ``hands()`` threads, this one included, bring some just now.
        """
        return size <= SMALL or (size <= BUFFER_LENGTH and hands() >= self._enough_hands)

    def _small_buffer(self) -> memoryview:
        """One for each thread that has work done at once."""
        try:
            buffer: memoryview = self._here.buffer
        except AttributeError:
            buffer = self._here.buffer = memoryview(bytearray(SMALL))
        return buffer

    def close(self) -> None:
        """Finish what is being hashed, forget what waits, end the threads. Not from within a job."""
        with self._work_there:
            self._closed = True
            self._jobs.clear()
            self._work_there.notify_all()
            self._room_there.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        buffer = memoryview(bytearray(BUFFER_LENGTH))
        while True:
            with self._work_there:
                self._work_there.wait_for(lambda: self._closed or self._jobs)
                if self._closed:
                    return
                job = self._jobs.popleft()
                self._room_there.notify()
            job(buffer)
            del job  # it may hold a download's buffers


def piece_hashes(
    read_into: ReadInto,
    geometry: Geometry,
    threads: int,
    indexes: Sequence[int] | None = None,
    cancelled: threading.Event | None = None,
) -> Iterator[tuple[int, bytes]]:
    """``(index, SHA-1)`` of pieces ``indexes`` (or all), about in order; fewer once ``cancelled`` is set.

    What ``read_into`` raises is raised here. The threads end when the iterator does: exhaust or close it.
    """
    wanted = range(geometry.piece_count) if indexes is None else indexes
    threads = min(threads, len(wanted))
    cancelled = cancelled or threading.Event()
    if threads < 2:  # threads cost more than a small file does
        buffer = memoryview(bytearray(min(BUFFER_LENGTH, geometry.size)))
        for index in wanted:
            if cancelled.is_set():
                return
            yield index, hash_range(read_into, *geometry.piece_range(index), buffer)
        return
    crew = _Crew(read_into, geometry, iter(wanted), threads, cancelled)
    try:
        yield from crew.results()
    finally:
        crew.stop()


class _Crew:
    """Threads that share the pieces of one file out among themselves, always taking the next one."""

    def __init__(
        self,
        read_into: ReadInto,
        geometry: Geometry,
        indexes: Iterator[int],
        threads: int,
        cancelled: threading.Event,
    ) -> None:
        self._read_into = read_into
        self._geometry = geometry
        self._cancelled = cancelled
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._indexes = indexes
        self._results: queue.Queue[tuple[int, bytes] | SwarmError | None] = queue.Queue(_MAX_AHEAD)
        self._threads = [
            threading.Thread(target=self._work, name="hash-file", daemon=True) for _ in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def results(self) -> Iterator[tuple[int, bytes]]:
        working = len(self._threads)
        while working:
            result = self._results.get()
            if isinstance(result, SwarmError):
                raise result
            if result is None:
                working -= 1
            else:
                yield result

    def stop(self) -> None:
        self._stopping.set()
        while any(thread.is_alive() for thread in self._threads):
            try:  # a thread may be waiting for room
                self._results.get(timeout=0.01)
            except queue.Empty:
                continue
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        buffer = memoryview(bytearray(BUFFER_LENGTH))
        while not self._stopping.is_set() and not self._cancelled.is_set():
            with self._lock:
                index = next(self._indexes, None)
            if index is None:
                break
            try:
                digest = hash_range(self._read_into, *self._geometry.piece_range(index), buffer)
            except SwarmError as error:
                self._results.put(error)
                break
            self._results.put((index, digest))
        self._results.put(None)


def verify_content(
    read_into: ReadInto,
    metainfo: Metainfo,
    threads: int,
    on_progress: Callable[[int, int], None] | None = None,
    cancelled: threading.Event | None = None,
    is_hole: Callable[[int, int], bool] | None = None,
) -> Bitfield:
    """Which pieces are right. ``on_progress(bytes done, size)`` is called after each, on this thread.

    ``is_hole(start, end)`` (``PartFile.is_hole``) spares reading what was never written: such a piece is all
    zeros, whose hash is computed once. If ``cancelled`` is set meanwhile, the rest counts as missing. What
    ``read_into`` raises is raised here.
    """
    geometry = metainfo.geometry
    held = Bitfield(geometry.piece_count)
    holes, written = _sorted_by_hole(geometry, is_hole)
    done = 0
    zeros = {geometry.piece_length_of(index): b"" for index in holes[:1] + holes[-1:]}
    for length in zeros:  # a new buffer is zeros, and nothing is read into it
        zeros[length] = hash_range(lambda offset, part: None, 0, length, memoryview(bytearray(BUFFER_LENGTH)))
    results = chain(
        ((index, zeros[geometry.piece_length_of(index)]) for index in holes),
        piece_hashes(read_into, geometry, threads, written, cancelled),
    )
    for index, digest in results:
        if digest == metainfo.piece_hash(index):
            held.set(index)
        done += geometry.piece_length_of(index)
        if on_progress is not None:
            on_progress(done, geometry.size)
    return held


def _sorted_by_hole(
    geometry: Geometry, is_hole: Callable[[int, int], bool] | None
) -> tuple[list[int], list[int]]:
    """The pieces that are holes, and the others."""
    holes: list[int] = []
    written: list[int] = []
    for index in range(geometry.piece_count):
        hole = is_hole is not None and is_hole(*geometry.piece_range(index))
        (holes if hole else written).append(index)
    return holes, written
