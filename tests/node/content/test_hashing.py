"""Pieces are judged right, wrong or unreadable, once each, whatever the number of threads."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from random import Random

import pytest

from common.errors import FileFault, SwarmError
from common.geometry import Geometry
from common.metainfo import Metainfo, decode_metainfo, encode_metainfo
from node.content import hashing
from node.content.hashing import BUFFER_LENGTH, SMALL, HashPool, piece_hashes, verify_content
from node.content.part_file import PartFile

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
    monkeypatch.setattr(hashing, "BUFFER_LENGTH", 1_000)
    memory = Memory(Random(1).randbytes(3 * PIECE + 1))
    assert verify_content(memory.read_into, metainfo_of(memory.content), threads).all()


def test_one_wrong_bit_costs_its_piece_only(threads: int) -> None:
    content = bytearray(Random(2).randbytes(9 * PIECE + 9))
    metainfo = metainfo_of(bytes(content))
    for offset in (0, 3 * PIECE - 1, 5 * PIECE, len(content) - 1):
        content[offset] ^= 1
    held = verify_content(Memory(bytes(content)).read_into, metainfo, threads)
    assert list(held.missing()) == [0, 2, 5, 9]


def test_a_fault_while_reading_is_raised(threads: int) -> None:
    memory = Memory(bytes(20 * PIECE))

    def read_into(offset: int, buffer: memoryview) -> None:
        if offset == 3 * PIECE:
            raise FileFault("x.bin changed")
        memory.read_into(offset, buffer)

    with pytest.raises(FileFault, match=r"x\.bin changed"):
        verify_content(read_into, metainfo_of(memory.content), threads)
    assert not [thread for thread in threading.enumerate() if thread.name == "hash-file"]


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
    assert not [thread for thread in threading.enumerate() if thread.name == "hash-file"]
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


def test_the_verifier_gives_one_verdict_for_each_piece(threads: int) -> None:
    memory = Memory(Random(8).randbytes(60 * PIECE + 1))
    metainfo = metainfo_of(memory.content)
    verdicts: list[tuple[int, bool | SwarmError]] = []
    finished = threading.Semaphore(0)

    def done(index: int, verdict: bool | SwarmError) -> None:
        verdicts.append((index, verdict))
        finished.release()

    def unreadable(offset: int, buffer: memoryview) -> None:
        raise FileFault("gone")

    verifier = HashPool(threads)
    try:
        for index in range(61):
            expected = metainfo.piece_hash(index if index % 2 else 0)
            read_into = unreadable if index == 9 else memory.read_into
            assert verifier.submit(read_into, metainfo.geometry, index, expected, done)
        assert all(finished.acquire(timeout=WAIT) for _ in range(61))
    finally:
        verifier.close()
    found = dict(verdicts)
    assert len(verdicts) == len(found) == 61
    assert isinstance(found.pop(9), FileFault)
    assert found == {index: bool(index % 2) or index == 0 for index in found}


def test_submitting_waits_when_too_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "MAX_WAITING", 2)
    go_on, third_is_in = threading.Event(), threading.Event()

    def slow(offset: int, buffer: memoryview) -> None:
        go_on.wait(WAIT)

    verifier = HashPool(1)
    begun = threading.Event()
    geometry = Geometry(10, 1)
    ended = threading.Semaphore(0)

    def slow_and_tell(offset: int, buffer: memoryview) -> None:
        begun.set()
        slow(offset, buffer)

    def submit(index: int) -> None:
        verifier.submit(slow_and_tell, geometry, index, b"", lambda index, verdict: ended.release())

    submit(0)
    assert begun.wait(WAIT)
    submit(1)
    submit(2)

    def one_more() -> None:
        submit(3)
        third_is_in.set()

    thread = threading.Thread(target=one_more)
    thread.start()
    assert not third_is_in.wait(0.05)
    go_on.set()
    assert third_is_in.wait(WAIT)
    assert all(ended.acquire(timeout=WAIT) for _ in range(4))
    thread.join()
    verifier.close()


def test_closing_forgets_what_waits_and_wakes_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "MAX_WAITING", 1)
    begun, go_on = threading.Event(), threading.Event()
    ended: list[int] = []
    answers: list[bool] = []

    def slow(offset: int, buffer: memoryview) -> None:
        begun.set()
        go_on.wait(WAIT)

    verifier = HashPool(1)
    geometry = Geometry(10, 1)

    def submit(index: int) -> None:
        answers.append(
            verifier.submit(slow, geometry, index, b"", lambda index, verdict: ended.append(index))
        )

    submit(0)
    assert begun.wait(WAIT)
    submit(1)
    waiting = threading.Thread(target=submit, args=(2,))
    waiting.start()
    closing = threading.Thread(target=verifier.close)
    closing.start()
    waiting.join(WAIT)
    go_on.set()
    closing.join(WAIT)
    submit(3)
    assert ended == [0]
    assert answers == [True, True, False, False]


def test_callbacks_may_submit() -> None:
    """They are called with no lock held."""
    memory = Memory(bytes(PIECE))
    geometry = Geometry(PIECE, PIECE)
    turns = 5
    finished = threading.Event()
    verifier = HashPool(1)

    def done(index: int, verdict: bool | SwarmError) -> None:
        nonlocal turns
        turns -= 1
        if turns:
            verifier.submit(memory.read_into, geometry, 0, b"", done)
        else:
            finished.set()

    verifier.submit(memory.read_into, geometry, 0, b"", done)
    assert finished.wait(WAIT)
    verifier.close()


def test_a_piece_that_is_not_there_is_the_callers_mistake() -> None:
    verifier = HashPool(1)
    with pytest.raises(IndexError):
        verifier.submit(Memory(b"").read_into, Geometry(0, 1), 0, b"", lambda index, verdict: None)
    verifier.close()


def test_with_enough_hands_each_does_its_own_but_for_very_large_pieces() -> None:
    verifier = HashPool(1, inline_from=3)
    try:
        for hands in range(5):
            assert verifier.runs_inline(BUFFER_LENGTH, lambda: hands) is (hands >= 3)  # noqa: B023
        assert not verifier.runs_inline(BUFFER_LENGTH + 1, lambda: 3)
        assert verifier.runs_inline(SMALL, lambda: 0) and not verifier.runs_inline(SMALL + 1, lambda: 0)
    finally:
        verifier.close()


def test_what_is_done_at_once_is_until_the_verifier_is_closed() -> None:
    verifier, ran_on = HashPool(1), list[tuple[str, int]]()
    here = threading.current_thread().name
    try:
        assert verifier.run(
            lambda buffer: ran_on.append((threading.current_thread().name, len(buffer))), inline=True
        )
        assert ran_on == [(here, SMALL)]
    finally:
        verifier.close()
    assert not verifier.run(lambda buffer: ran_on.append(("late", 0)), inline=True)
    assert len(ran_on) == 1
