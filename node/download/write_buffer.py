"""Where one source's bytes go: gathered in memory into a run, then written and hashed in one go.

A datagram is small. To write each one by itself, and to read a piece again to hash it, would cost more than
everything else. So the bytes of a part of the content are gathered in a buffer of bounded size, in any order.
Then a hashing thread, or the source's own thread, writes the run, has it counted, and hashes the pieces that
it completes, from memory if the whole piece is in the run.

A run ends when it is full or ``MAX_RUN_AGE`` old, when a third one would be open, and when its source pauses.
Bytes are counted only once they are in the file.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from common.errors import SwarmError
from common.metainfo import Metainfo
from common.ranges import RangeSet
from node.content.hashing import Job, Verdict
from node.content.piece_hashing import hash_range
from node.content.positional_file import Buffer
from node.download.buffer_pool import BufferPool
from node.download.state import DownloadState
from node.download.unexpected import unexpected_fault
from node.peer import Peer
from node.scheduling.base import Span

MAX_RUN_AGE = 0.2  # seconds that a byte may wait to be written and counted; in the endgame none waits

KEEPING_SOURCES = 2  # busy sources whose threads do their own jobs; more keep the hashing threads busy


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


class _Run:
    """A buffer for the bytes ``[base, limit)`` of the content, and which of them are in it."""

    __slots__ = ("buffer", "base", "limit", "first", "spans", "received", "since")

    def __init__(self, buffer: memoryview, base: int, limit: int, since: float) -> None:
        self.buffer = buffer
        self.base, self.limit = base, limit
        self.first = limit  # the lowest offset that came
        self.spans: list[Span] = []  # in the order in which they came; the present one is not among them
        self.received = 0  # bytes of ``spans``
        self.since = since


class WriteBuffer:
    """The bytes of ``source``. For its thread only, except for the jobs that hashing threads run.

    Two runs are open at a time: a peer that reads its disk in parallel mixes the end of one piece with the
    beginning of the next. Bytes of the present run that come in order take the short way through ``add``.
    """

    def __init__(
        self, source: Peer, destination: Destination, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._to = destination
        self._state = destination.state
        self._clock = clock
        self.used = False  # True once anything came
        self.checked = True  # True while checksums protect the bytes that come
        self._run: _Run | None = None  # the present one
        self._older: _Run | None = None
        self._kept: memoryview | None = None  # for the next run
        self._base = self._limit = 0  # of the present run
        self._start = self._end = 0  # the bytes in order that came last: ``[start, end)`` of the content
        self._since = 0.0  # when the oldest run began
        self._keeps_jobs = False  # ``take_jobs`` hands them out
        self._jobs: list[tuple[Job, memoryview]] = []  # kept ones, and the buffers that they free

    def add(self, offset: int, payload: bytes | memoryview) -> None:
        """Take bytes of the content. The view is not used any more when this returns."""
        end = offset + len(payload)
        run = self._run
        if offset == self._end and end < self._limit and run is not None:  # nearly always
            run.buffer[offset - self._base : end - self._base] = payload
            self._end = end
            if self._state.is_endgame or self._clock() - self._since > MAX_RUN_AGE:
                self._flush_runs()
        else:
            self._add_across_runs(offset, payload)

    def add_all(self, blocks: Sequence[tuple[int, bytes | memoryview]]) -> None:
        """``add`` for each (offset, payload); looks at the clock once."""
        for offset, payload in blocks:
            end, run = offset + len(payload), self._run
            if offset == self._end and end < self._limit and run is not None:
                run.buffer[offset - self._base : end - self._base] = payload
                self._end = end
            else:
                self._add_across_runs(offset, payload)
        if self._state.is_endgame or self._clock() - self._since > MAX_RUN_AGE:
            self._flush_runs()

    def _add_across_runs(self, offset: int, payload: bytes | memoryview) -> None:
        while payload:
            if offset != self._end or self._run is None or offset == self._limit:
                self._end_span()
                if not self._choose_run(offset):  # the source must end: other sources fetch these bytes
                    self._to.state.give_back(self._source, [(offset, offset + len(payload))])
                    return
                self._start = self._end = offset
            run = self._run
            assert run is not None
            part = payload[: run.limit - offset]
            run.buffer[offset - run.base : offset - run.base + len(part)] = part
            offset = self._end = offset + len(part)
            payload = payload[len(part) :]
            self._flush_if_full()
        if self._state.is_endgame or self._clock() - self._since > MAX_RUN_AGE:
            self._flush_runs()

    def _end_span(self) -> None:
        """The next bytes do not follow the last ones."""
        run = self._run
        if run is not None and self._start < self._end:
            run.spans.append((self._start, self._end))
            run.received += self._end - self._start
            run.first = min(run.first, self._start)
            self._start = self._end

    def _flush_if_full(self) -> None:
        """Flush the present run once it has all bytes from its first one to its limit."""
        run = self._run
        assert run is not None
        first = min(run.first, self._start)
        if run.received + self._end - self._start >= run.limit - first:
            self._end_span()
            self._run, self._older = self._older, None
            self._enter(self._run)
            self._flush_run(run)

    def _choose_run(self, offset: int) -> bool:
        """Make the run of ``offset`` the present one. False if there is no buffer for it."""
        for run in (self._run, self._older):
            if run is not None and run.base <= offset < run.limit:
                if run is self._older:
                    self._older = self._run
                self._enter(run)
                return True
        if self._older is not None:
            run, self._older = self._older, None
            self._flush_run(run)
        return self._begin_run(offset)

    def _begin_run(self, offset: int) -> bool:
        self.used = True
        state, source, buffers = self._to.state, self._source, self._to.buffers
        buffer, self._kept = self._kept or buffers.take_free(), None
        if buffer is None:  # not while this thread keeps a buffer from other threads
            self._flush_runs()
            self._do(self._take_kept())
            buffer, self._kept = self._kept or buffers.take(lambda: state.is_closed(source)), None
        if buffer is None:
            return False
        length = len(buffer)
        if state.picks_by_piece:  # other nodes wait for each piece, so it does not wait for the next one
            length = min(length, self._to.metainfo.piece_length)
        base = offset // length * length
        self._older = self._run
        self._enter(_Run(buffer, base, base + length, self._clock()))
        return True

    def _enter(self, run: _Run | None) -> None:
        """``run`` is the present one."""
        self._run = run
        self._base, self._limit = (0, 0) if run is None else (run.base, run.limit)
        self._start = self._end = self._base
        runs = (each.since for each in (run, self._older) if each is not None)
        self._since = min(runs, default=0.0)

    def cancel(self, requests: Sequence[tuple[Peer, Span]]) -> None:
        """These requests to other sources are superfluous."""
        self._to.cancel(requests)

    def flush(self) -> None:
        """Have the runs written, counted and hashed; keep no buffer."""
        self._flush_runs()
        if self._kept is not None:
            self._to.buffers.put(self._kept)
            self._kept = None

    def _flush_runs(self) -> None:
        self._end_span()
        runs, self._older = (self._older, self._run), None
        self._enter(None)
        for run in runs:
            if run is not None:
                self._flush_run(run)

    def _flush_run(self, run: _Run) -> None:
        """Have a run written that is not open any more. If this thread writes it, its buffer is kept."""
        buffer, checked = run.buffer, self.checked
        spans = list(RangeSet(run.spans))
        size = max(run.received, self._to.metainfo.piece_length)  # a whole piece may have to be hashed
        inline = self._to.jobs.runs_inline(size, self._to.state.busy_sources)
        if not inline:
            self._to.buffers.mark_full(buffer)

        def job(scratch: memoryview) -> None:
            try:
                for start, end in spans:
                    part = buffer[start - run.base : end - run.base]
                    self._write_run(start, end, checked, part, scratch)
            except SwarmError as fault:
                self._to.state.stop(fault)
            except Exception as error:  # a fault of this program must not leave threads waiting
                self._to.state.stop(unexpected_fault(self._to.metainfo.name, error))
            finally:
                if not inline:
                    self._to.buffers.put(buffer)

        if self._keeps_jobs and not inline and self._to.state.busy_sources() <= KEEPING_SOURCES:
            self._jobs.append((job, buffer))
            return
        done = self._to.jobs.run(job, inline)
        if inline and self._kept is None:
            self._kept = buffer
        elif inline or not done:
            self._to.buffers.put(buffer)

    # ---- jobs that the source's threads do

    def keep_jobs(self, kept: bool) -> None:
        """Keep the jobs for ``take_jobs``, or leave them to hashing threads, as at first."""
        self._keeps_jobs = kept
        for job, buffer in [] if kept else self._take_kept():
            if not self._to.jobs.run(job):
                self._to.buffers.put(buffer)

    def take_jobs(self) -> Callable[[], None] | None:
        """The kept jobs as one function; None without any."""
        return partial(self._do, self._take_kept()) if self._jobs else None

    def _take_kept(self) -> list[tuple[Job, memoryview]]:
        jobs, self._jobs = self._jobs, []
        return jobs

    def _do(self, jobs: Sequence[tuple[Job, memoryview]]) -> None:
        for job, buffer in jobs:
            if not self._to.jobs.run(job, inline=True):
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
