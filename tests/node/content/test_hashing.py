"""Pieces are hashed once each, whatever the number of threads, and no error is lost."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from random import Random

import pytest

from common.errors import FileFault
from common.geometry import Geometry
from common.metainfo import Metainfo, decode_metainfo, encode_metainfo
from node.content import hashing, piece_hashing
from node.content.hashing import BUFFER_LENGTH, SMALL, HashPool, verify_content
from node.content.part_file import PartFile
from node.content.piece_hashing import piece_hashes

PIECE = 32 << 10
WAIT = 30  # seconds; a test that needs them has failed


class Memory:
    """Content that counts what is read of it."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.read = 0
        self.lock = threading.Lock()

    def read_into(self, offset: int, buffer: memoryview) -> None:
        assert offset >= 0 and offset + len(buffer) <= len(self.content)
        with self.lock:
            self.read += len(buffer)
        buffer[:] = self.content[offset : offset + len(buffer)]


def metainfo_of(content: bytes, piece_length: int = PIECE) -> Metainfo:
    hashes = [
        hashlib.sha1(content[at : at + piece_length]).digest() for at in range(0, len(content), piece_length)
    ]
    return decode_metainfo(encode_metainfo("x.bin", len(content), piece_length, b"".join(hashes), ""))


@pytest.fixture(autouse=True)
def small_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several jobs for each thread, of two pieces."""
    monkeypatch.setattr(piece_hashing, "JOB_LENGTH", 2 * PIECE)


@pytest.fixture(params=[1, 2, 5])
def threads(request: pytest.FixtureRequest) -> int:
    count: int = request.param
    return count


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 7 * PIECE, 7 * PIECE + 5])
def test_right_content_has_every_piece(size: int, threads: int) -> None:
    memory = Memory(Random(size).randbytes(size))
    metainfo = metainfo_of(memory.content)
    seen: list[tuple[int, int]] = []
    held = verify_content(memory.read_into, metainfo, threads, lambda done, of: seen.append((done, of)))
    assert held.all() and held.size == metainfo.geometry.piece_count
    assert memory.read == size
    assert len(seen) == held.size and seen == sorted(seen)
    assert not seen or seen[-1] == (size, size)


def test_pieces_larger_than_the_buffer(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.setattr(piece_hashing, "READ_LENGTH", 1_000)
    memory = Memory(Random(1).randbytes(3 * PIECE + 1))
    assert verify_content(memory.read_into, metainfo_of(memory.content), threads).all()


def test_one_wrong_bit_costs_its_piece_only(threads: int) -> None:
    content = bytearray(Random(2).randbytes(9 * PIECE + 9))
    metainfo = metainfo_of(bytes(content))
    for offset in (0, 3 * PIECE - 1, 5 * PIECE, len(content) - 1):
        content[offset] ^= 1
    held = verify_content(Memory(bytes(content)).read_into, metainfo, threads)
    assert list(held.missing()) == [0, 2, 5, 9]


def test_cancelling_counts_the_rest_as_missing(threads: int) -> None:
    memory = Memory(Random(3).randbytes(500 * PIECE))
    cancelled = threading.Event()

    def on_progress(done: int, size: int) -> None:
        if done >= 10 * PIECE:
            cancelled.set()

    held = verify_content(memory.read_into, metainfo_of(memory.content), threads, on_progress, cancelled)
    assert 10 <= held.count < 500


def test_leaving_the_hashes_early_ends_the_threads() -> None:
    memory = Memory(bytes(500 * PIECE))
    hashes = piece_hashes(memory.read_into, Geometry(500 * PIECE, PIECE), 3)
    next(hashes)
    hashes.close()  # type: ignore[attr-defined]  # it is a generator
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("hash-file")]
    assert memory.read < 500 * PIECE


def test_hashes_of_some_pieces_only(threads: int) -> None:
    memory = Memory(Random(4).randbytes(6 * PIECE + 1))
    metainfo = metainfo_of(memory.content)
    found = dict(piece_hashes(memory.read_into, metainfo.geometry, threads, [1, 4, 6]))
    assert found == {index: metainfo.piece_hash(index) for index in (1, 4, 6)}


def test_holes_are_not_read_but_judged(threads: int) -> None:
    content = bytes(2 * PIECE) + Random(5).randbytes(2 * PIECE) + bytes(PIECE + 7)
    memory = Memory(content)
    metainfo = metainfo_of(content)
    held = verify_content(
        memory.read_into,
        metainfo,
        threads,
        is_hole=lambda start, end: content[start:end] == bytes(end - start),
    )
    assert held.all(), "zeros are right where the content is zeros"
    assert memory.read == 2 * PIECE
    other = metainfo_of(Random(6).randbytes(len(content)))
    assert verify_content(memory.read_into, other, threads, is_hole=lambda start, end: True).count == 0


def test_a_part_file_is_gone_on_with(tmp_path: Path, threads: int) -> None:
    content = Random(7).randbytes(200 * PIECE + 3)
    metainfo = metainfo_of(content)
    part = PartFile.open(tmp_path, metainfo)
    try:
        for index in (0, 77, 200):
            start, end = metainfo.geometry.piece_range(index)
            part.write(start, [content[start:end]])
        part.write(100 * PIECE, [content[100 * PIECE : 101 * PIECE - 1]])  # all but its last byte
        for is_hole in (part.is_hole, None):
            held = verify_content(part.read_into, metainfo, threads, is_hole=is_hole)
            assert list(held) == [0, 77, 200]
    finally:
        part.close()


def test_run_waits_while_the_queue_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "MAX_WAITING", 2)
    go_on, begun, fourth_is_in = threading.Event(), threading.Event(), threading.Event()
    ended = threading.Semaphore(0)

    def job(buffer: memoryview) -> None:
        begun.set()
        go_on.wait(WAIT)
        ended.release()

    pool = HashPool(1)
    pool.run(job)
    assert begun.wait(WAIT)
    pool.run(job)
    pool.run(job)

    def one_more() -> None:
        pool.run(job)
        fourth_is_in.set()

    thread = threading.Thread(target=one_more)
    thread.start()
    assert not fourth_is_in.wait(0.05)
    go_on.set()
    assert fourth_is_in.wait(WAIT)
    assert all(ended.acquire(timeout=WAIT) for _ in range(4))
    thread.join()
    pool.close()


def test_closing_drops_the_queue_and_wakes_waiting_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "MAX_WAITING", 1)
    begun, go_on = threading.Event(), threading.Event()
    ended: list[int] = []
    answers: list[bool] = []
    pool = HashPool(1)

    def run(number: int) -> None:
        def job(buffer: memoryview) -> None:
            begun.set()
            go_on.wait(WAIT)
            ended.append(number)

        answers.append(pool.run(job))

    run(0)
    assert begun.wait(WAIT)
    run(1)
    waiting = threading.Thread(target=run, args=(2,))
    waiting.start()
    closing = threading.Thread(target=pool.close)
    closing.start()
    waiting.join(WAIT)
    go_on.set()
    closing.join(WAIT)
    run(3)
    assert ended == [0]
    assert answers == [True, True, False, False]


def test_a_job_may_run_another_job() -> None:
    finished, pool = threading.Event(), HashPool(1)
    pool.run(lambda buffer: pool.run(lambda buffer: finished.set()) and None)
    assert finished.wait(WAIT)
    pool.close()


def test_a_job_that_raises_does_not_end_the_thread() -> None:
    finished, pool = threading.Event(), HashPool(1)

    def broken(buffer: memoryview) -> None:
        raise ZeroDivisionError

    pool.run(broken)
    pool.run(lambda buffer: finished.set())
    assert finished.wait(WAIT)
    pool.close()


@pytest.mark.parametrize("error", [FileFault("gone"), ZeroDivisionError(), MemoryError()])
def test_an_error_while_reading_is_raised_whatever_it_is(threads: int, error: Exception) -> None:
    memory = Memory(Random(8).randbytes(20 * PIECE))

    def read_into(offset: int, buffer: memoryview) -> None:
        if offset <= 9 * PIECE < offset + len(buffer):
            raise error
        memory.read_into(offset, buffer)

    with pytest.raises(type(error)):
        verify_content(read_into, metainfo_of(memory.content), threads)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("hash-file")]


def test_with_enough_sources_each_hashes_its_own_except_very_large_pieces() -> None:
    pool = HashPool(1, inline_from=3)
    try:
        for sources in range(5):
            assert pool.runs_inline(BUFFER_LENGTH, lambda: sources) is (sources >= 3)  # noqa: B023
        assert not pool.runs_inline(BUFFER_LENGTH + 1, lambda: 3)
        assert pool.runs_inline(SMALL, lambda: 0) and not pool.runs_inline(SMALL + 1, lambda: 0)
    finally:
        pool.close()


def test_a_closed_pool_runs_no_inline_job() -> None:
    pool, ran_on = HashPool(1), list[tuple[str, int]]()
    here = threading.current_thread().name
    try:
        assert pool.run(
            lambda buffer: ran_on.append((threading.current_thread().name, len(buffer))), inline=True
        )
        assert ran_on == [(here, SMALL)]
    finally:
        pool.close()
    assert not pool.run(lambda buffer: ran_on.append(("late", 0)), inline=True)
    assert len(ran_on) == 1
