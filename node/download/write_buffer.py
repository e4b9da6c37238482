"""Where one source's bytes land: gathered in memory into a run, then written and hashed in one go.

A datagram is small; writing each one by itself, and reading a piece again to hash it, would cost more than
all the rest. So what arrives in order is gathered into a buffer of bounded size. Then a hashing thread, or
the owner's own, writes it, has it counted, and hashes what pieces it completes, straight from memory where
all of a piece is in it.

A run ends where its block does, where bytes arrive out of order, when it is ``MAX_AGE`` old, and when its
source pauses. What has landed is counted only once it is in the file.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from typing import Protocol

from common.errors import DownloadFailed, SwarmError
from common.metainfo import Metainfo
from node.content.hashing import HashPool, Verdict, hash_range
from node.download.disk_full import Part
from node.download.state import DownloadState
from node.peer import Peer

BLOCK = 1 << 20  # bytes of a run, at most; larger pieces are hashed from the file
SPARE_BUFFERS = 4  # beyond one for each source: runs being written and hashed meanwhile
MAX_AGE = 0.2  # seconds that a byte may wait to be written and counted


class BufferPool:
    """Buffers of one length, made when first needed, a bounded number of them.

    Once ``most_full`` (None: any number) wait to be written and hashed by other threads, whoever wants a
    buffer waits, too: more would make nothing faster, but push each other out of the processor's cache.
    """

    def __init__(self, length: int, count: int, most_full: int | None = None) -> None:
        self.length = length
        self._free: list[memoryview] = []
        self._unmade = count
        self._full: set[int] = set()  # ids of buffers
        self._most_full = count if most_full is None else most_full
        self._changed = threading.Condition()

    def take(self, stopping: Callable[[], bool]) -> memoryview | None:
        """A buffer, once one is free; None if ``stopping()`` says so before."""
        with self._changed:
            while not self._free or len(self._full) >= self._most_full:
                if self._unmade and len(self._full) < self._most_full:
                    self._unmade -= 1
                    return memoryview(bytearray(self.length))
                if stopping():
                    return None
                self._changed.wait(MAX_AGE)
            return self._free.pop()

    def full(self, buffer: memoryview) -> None:
        """It is full, and waits until it is written and hashed."""
        with self._changed:
            self._full.add(id(buffer))

    def give(self, buffer: memoryview) -> None:
        """Here it is again."""
        with self._changed:
            self._full.discard(id(buffer))
            self._free.append(buffer)
            self._changed.notify()


def pool_for(metainfo: Metainfo, sources: int) -> BufferPool:
    """Buffers for a download from ``sources`` owners at a time; of whole pieces, unless these are longer."""
    length = BLOCK // metainfo.piece_length * metainfo.piece_length or BLOCK
    return BufferPool(min(length, metainfo.size), sources + SPARE_BUFFERS, SPARE_BUFFERS)


class Site(Protocol):
    """What landing needs of its download."""

    metainfo: Metainfo
    board: DownloadState

    def judged(self, piece: int, verdict: Verdict) -> None:
        """A piece was hashed: right, wrong, or why it could not be."""
        ...


class WriteBuffer:
    """The bytes of ``source``; for its thread only, but for the jobs it hands to the hashing threads."""

    def __init__(
        self,
        source: Peer,
        site: Site,
        part: Part,
        verifier: HashPool,
        pool: BufferPool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._site = site
        self._part = part
        self._verifier = verifier
        self._pool = pool
        self._clock = clock
        self.began = False  # whether anything came
        self.checked = True  # whether checksums protect what is delivered
        self._buffer: memoryview | None = None  # that the run is gathered in
        self._kept: memoryview | None = None  # one for the next run
        self._start = self._end = 0  # the run gathered so far: bytes [start, end) of the content
        self._limit = 0  # where its block ends
        self._since = 0.0

    def deliver(self, offset: int, payload: bytes | memoryview) -> None:
        """Take bytes of the content; the view is not needed any more when this returns."""
        end = offset + len(payload)
        if offset == self._end and end < self._limit and self._buffer is not None:  # nearly always
            self._buffer[offset - self._start : end - self._start] = payload
            self._end = end
            if self._clock() - self._since > MAX_AGE:
                self._hand_over()
        else:
            self._deliver_across(offset, payload)

    def _deliver_across(self, offset: int, payload: bytes | memoryview) -> None:
        """Take bytes that begin a run, or end one."""
        while payload:
            if offset != self._end or self._buffer is None:
                self._hand_over()
                if not self._begin(offset):  # over, for this source at least: somebody else shall fetch them
                    self._site.board.give_back([(offset, offset + len(payload))], self._source)
                    return
            assert self._buffer is not None
            at, rest = offset - self._start, payload[self._limit - offset :]
            if rest:
                payload = payload[: self._limit - offset]
            self._buffer[at : at + len(payload)] = payload
            offset = self._end = offset + len(payload)
            payload = rest
            if offset == self._limit or self._clock() - self._since > MAX_AGE:
                self._hand_over()

    def _begin(self, offset: int) -> bool:
        self.began = True
        board, source = self._site.board, self._source
        self._buffer, self._kept = self._kept or self._pool.take(lambda: board.over_for(source)), None
        length = self._pool.length
        self._start = self._end = offset
        if board.picking:  # a piece is passed on as soon as it is verified: it does not wait for the next one
            length = min(length, self._site.metainfo.piece_length)
        self._limit = (offset // length + 1) * length
        self._since = self._clock()
        return self._buffer is not None

    def flush(self) -> None:
        """Have what was gathered written, counted and, where it completes pieces, hashed; keep no buffer."""
        self._hand_over()
        if self._kept is not None:
            self._pool.give(self._kept)
            self._kept = None

    def _hand_over(self) -> None:
        """The run ends here. What is done at once leaves its buffer to the next run."""
        buffer, self._buffer = self._buffer, None
        if buffer is None:
            return
        start, end, checked = self._start, self._end, self.checked  # now: later they are the next run's
        size = max(end - start, self._site.metainfo.piece_length)  # all of a piece may have to be hashed
        at_once = self._verifier.runs_inline(size, self._site.board.hands)
        if at_once:
            self._kept = buffer
        else:
            self._pool.full(buffer)

        def job(scratch: memoryview) -> None:
            fault: SwarmError | None = DownloadFailed("stopped by a fault of this program")
            try:
                self._land(start, end, checked, buffer[: end - start], scratch)
                fault = None
            finally:  # whatever happened: the buffer goes round, and nobody waits for bytes that never land
                if not at_once:
                    self._pool.give(buffer)
                if fault is not None:
                    self._site.board.stop(fault)

        if not self._verifier.run(job, at_once) and not at_once:
            self._pool.give(buffer)

    def _land(self, start: int, end: int, checked: bool, run: memoryview, scratch: memoryview) -> None:
        """On a hashing thread, or the owner's own: write, count, hash what of the run is still wanted."""
        board = self._site.board
        for first, last in board.accept(self._source, start, end):
            part = run[first - start : last - start]
            try:
                self._part.write(first, (part,))
            except SwarmError as error:
                board.stop(error)
                return
            for piece in board.arrived(self._source, first, last, checked):
                self._site.judged(piece, self._verdict(piece, first, last, part, scratch))

    def _verdict(self, piece: int, start: int, end: int, run: memoryview, scratch: memoryview) -> Verdict:
        metainfo = self._site.metainfo
        first, last = metainfo.geometry.piece_range(piece)
        if start <= first and last <= end:
            digest = hashlib.sha1(run[first - start : last - start], usedforsecurity=False).digest()
        else:  # parts of it came earlier, or from others: they are in the file by now
            try:
                digest = hash_range(self._part.read_into, first, last, scratch)
            except SwarmError as error:
                return error
        return digest == metainfo.piece_hash(piece)
