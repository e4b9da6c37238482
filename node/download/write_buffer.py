"""Where one source's bytes go: gathered in memory into a run, then written and hashed in one go.

A datagram is small. To write each one by itself, and to read a piece again to hash it, would cost more than
everything else. So bytes that arrive in order are gathered in a buffer of bounded size. Then a hashing
thread, or the source's own thread, writes the run, has it counted, and hashes the pieces that it completes,
from memory if the whole piece is in the run.

A run ends where its buffer ends, where bytes arrive out of order, when it is ``MAX_RUN_AGE`` old, and when
its source pauses. Bytes are counted only once they are in the file.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from common.errors import SwarmError
from common.metainfo import Metainfo
from node.content.hashing import Job, Verdict
from node.content.piece_hashing import hash_range
from node.content.positional_file import Buffer
from node.download.state import DownloadState
from node.download.unexpected import unexpected_fault
from node.peer import Peer
from node.scheduling.base import Span

MAX_RUN_BYTES = 1 << 20  # bytes of a run; larger pieces are hashed from the file
LARGE_BUFFERS = 24  # of a download; a source that finds none of them free gathers smaller runs
SMALL_RUN_BYTES = 1 << 17  # bytes of a smaller run
SPARE_BUFFERS = 4  # beyond one for each source: runs that are being written and hashed
MAX_RUN_AGE = 0.2  # seconds that a byte may wait to be written and counted; in the endgame none waits


class BufferPool:
    """A bounded number of buffers, made when first needed: ``count`` of ``length``, ``small`` shorter ones.

    Once ``most_full`` of them (None: any number) wait for a hashing thread, a thread that wants a buffer
    waits, too. More full buffers would make nothing faster, but push each other out of the processor's cache.
    """

    def __init__(self, length: int, count: int, most_full: int | None = None, small: int = 0) -> None:
        self._length = length
        self._free: list[memoryview] = []
        self._free_small: list[memoryview] = []
        self._unmade, self._unmade_small = count, small
        self._full: set[int] = set()  # ids of buffers
        self._most_full = count if most_full is None else most_full
        self._changed = threading.Condition()

    def take(self, stopping: Callable[[], bool]) -> memoryview | None:
        """A buffer, as soon as one is free; None if ``stopping()`` is true before."""
        with self._changed:
            while True:
                if len(self._full) < self._most_full and (buffer := self._take_free()) is not None:
                    return buffer
                if stopping():
                    return None
                self._changed.wait(MAX_RUN_AGE)

    def _take_free(self) -> memoryview | None:
        if self._free:
            return self._free.pop()
        if self._unmade:
            self._unmade -= 1
            return memoryview(bytearray(self._length))
        if self._free_small:
            return self._free_small.pop()
        if self._unmade_small:
            self._unmade_small -= 1
            return memoryview(bytearray(min(self._length, SMALL_RUN_BYTES)))
        return None

    def mark_full(self, buffer: memoryview) -> None:
        """``buffer`` waits for a hashing thread."""
        with self._changed:
            self._full.add(id(buffer))

    def put(self, buffer: memoryview) -> None:
        """``buffer`` is free again."""
        with self._changed:
            self._full.discard(id(buffer))
            (self._free if len(buffer) == self._length else self._free_small).append(buffer)
            self._changed.notify()


def pool_for(metainfo: Metainfo, sources: int) -> BufferPool:
    """Buffers for a download from ``sources`` peers at a time, of whole pieces unless these are longer.

    Beyond LARGE_BUFFERS they are small: with 50 peers large ones would make most of the process's memory.
    """
    count = sources + SPARE_BUFFERS
    large = min(count, LARGE_BUFFERS)
    return BufferPool(buffer_length(metainfo), large, SPARE_BUFFERS, count - large)


def buffer_length(metainfo: Metainfo) -> int:
    """Bytes of a buffer: whole pieces, unless these are longer."""
    length = MAX_RUN_BYTES // metainfo.piece_length * metainfo.piece_length or MAX_RUN_BYTES
    return min(length, metainfo.size)


class WritableContent(Protocol):
    """The bytes of an unfinished download: on disk, or in memory in the simulator."""

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write ``buffers`` in sequence from ``offset`` on. DiskFull, FileFault."""

    def read_into(self, offset: int, buffer: memoryview) -> object:
        """Fill ``buffer`` with the bytes from ``offset`` on. FileFault."""


class JobRunner(Protocol):
    """Runs jobs that write and hash: ``HashPool``, or virtual time in the simulator."""

    def runs_inline(self, size: int, active_sources: Callable[[], int]) -> bool:
        """True if the calling thread should hash ``size`` bytes itself."""

    def run(self, job: Job, inline: bool = False) -> bool:
        """Call ``job(buffer)`` on some thread; False if it will not be called."""


@dataclass(frozen=True)
class Destination:
    """Where all sources of one download deliver."""

    metainfo: Metainfo
    state: DownloadState
    content: WritableContent
    jobs: JobRunner
    buffers: BufferPool
    on_piece_hashed: Callable[[int, Verdict], None]  # piece index; called on the thread that hashed
    cancel: Callable[[Sequence[tuple[Peer, Span]]], None]  # requests that another source made superfluous


class WriteBuffer:
    """The bytes of ``source``. For its thread only, except for the jobs that hashing threads run."""

    def __init__(
        self, source: Peer, destination: Destination, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._to = destination
        self._state = destination.state
        self._clock = clock
        self.used = False  # True once anything came
        self.checked = True  # True while checksums protect the bytes that come
        self._buffer: memoryview | None = None  # of the present run
        self._kept: memoryview | None = None  # for the next run
        self._start = self._end = 0  # the run so far: bytes [start, end) of the content
        self._limit = 0  # where its buffer ends
        self._since = 0.0

    def add(self, offset: int, payload: bytes | memoryview) -> None:
        """Take bytes of the content. The view is not used any more when this returns."""
        end = offset + len(payload)
        if offset == self._end and end < self._limit and self._buffer is not None:  # nearly always
            self._buffer[offset - self._start : end - self._start] = payload
            self._end = end
            if self._state.is_endgame or self._clock() - self._since > MAX_RUN_AGE:
                self._flush_run()
        else:
            self._add_across_runs(offset, payload)

    def _add_across_runs(self, offset: int, payload: bytes | memoryview) -> None:
        while payload:
            if offset != self._end or self._buffer is None:
                self._flush_run()
                if not self._begin_run(offset):  # the source must end: other sources fetch these bytes
                    self._to.state.give_back(self._source, [(offset, offset + len(payload))])
                    return
            assert self._buffer is not None
            at, rest = offset - self._start, payload[self._limit - offset :]
            if rest:
                payload = payload[: self._limit - offset]
            self._buffer[at : at + len(payload)] = payload
            offset = self._end = offset + len(payload)
            payload = rest
            if offset == self._limit or self._state.is_endgame or self._clock() - self._since > MAX_RUN_AGE:
                self._flush_run()

    def _begin_run(self, offset: int) -> bool:
        self.used = True
        state, source, buffers = self._to.state, self._source, self._to.buffers
        self._buffer, self._kept = self._kept or buffers.take(lambda: state.is_closed(source)), None
        length = 1 if self._buffer is None else len(self._buffer)
        self._start = self._end = offset
        if state.picks_by_piece:  # other nodes wait for each piece, so it does not wait for the next one
            length = min(length, self._to.metainfo.piece_length)
        self._limit = (offset // length + 1) * length
        self._since = self._clock()
        return self._buffer is not None

    def flush(self) -> None:
        """Have the run written, counted and hashed; keep no buffer."""
        self._flush_run()
        if self._kept is not None:
            self._to.buffers.put(self._kept)
            self._kept = None

    def _flush_run(self) -> None:
        """End the run. If this thread writes it, the next run uses the same buffer."""
        buffer, self._buffer = self._buffer, None
        if buffer is None:
            return
        start, end, checked = self._start, self._end, self.checked  # the job may run during the next run
        size = max(end - start, self._to.metainfo.piece_length)  # a whole piece may have to be hashed
        inline = self._to.jobs.runs_inline(size, self._to.state.busy_sources)
        if inline:
            self._kept = buffer
        else:
            self._to.buffers.mark_full(buffer)

        def job(scratch: memoryview) -> None:
            try:
                self._write_run(start, end, checked, buffer[: end - start], scratch)
            except SwarmError as fault:
                self._to.state.stop(fault)
            except Exception as error:  # a fault of this program must not leave threads waiting
                self._to.state.stop(unexpected_fault(self._to.metainfo.name, error))
            finally:
                if not inline:
                    self._to.buffers.put(buffer)

        if not self._to.jobs.run(job, inline) and not inline:
            self._to.buffers.put(buffer)

    def _write_run(self, start: int, end: int, checked: bool, run: memoryview, scratch: memoryview) -> None:
        """Write, count and hash the bytes of the run that are still wanted."""
        state = self._to.state
        accepted = state.accept(self._source, start, end)
        if accepted.cancels:
            self._to.cancel(accepted.cancels)
        for first, last in accepted.ranges:
            part = run[first - start : last - start]
            self._to.content.write(first, (part,))
            for piece in state.arrived(self._source, first, last, checked):
                self._to.on_piece_hashed(piece, self._check(piece, first, last, part, scratch))

    def _check(self, piece: int, start: int, end: int, run: memoryview, scratch: memoryview) -> Verdict:
        metainfo = self._to.metainfo
        first, last = metainfo.geometry.piece_range(piece)
        if start <= first and last <= end:
            digest = hashlib.sha1(run[first - start : last - start], usedforsecurity=False).digest()
        else:  # parts of it came earlier, or from other sources, and are in the file
            try:
                digest = hash_range(self._to.content.read_into, first, last, scratch)
            except SwarmError as error:
                return error
        return digest == metainfo.piece_hash(piece)
