"""From datagrams to verified pieces in the file: runs, their ends, and no byte lost."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from common.bitfield import Bitfield
from common.errors import DiskFull
from common.metainfo import Metainfo, decode_metainfo, encode_metainfo
from common.ranges import RangeSet
from node.content.hashing import HashPool, Verdict
from node.content.part_file import PartFile
from node.download.buffer_pool import MAX_RUN_BYTES, BufferPool, pool_for
from node.download.state import DownloadState
from node.download.write_buffer import Destination, WriteBuffer
from node.peer import Peer

A = Peer("127.0.0.1", 1, node_id=1)
B = Peer("127.0.0.1", 2, node_id=2)
LIMIT = 10.0  # seconds until something that must happen has happened


def torrent(content: bytes, piece_length: int) -> Metainfo:
    pieces = b"".join(
        hashlib.sha1(content[at : at + piece_length]).digest() for at in range(0, len(content), piece_length)
    )
    return decode_metainfo(encode_metainfo("x.bin", len(content), piece_length, pieces, ""))


class PlayedDownload:
    """A download as a write buffer sees it: its state, and verdicts to wait for."""

    def __init__(self, content: bytes, piece_length: int, folder: Path, inline_from: int) -> None:
        self.metainfo = torrent(content, piece_length)
        geometry = self.metainfo.geometry
        self.state = DownloadState(geometry, Bitfield(geometry.piece_count))
        self.state.start([A, B])
        scheduler = self.state._scheduler
        scheduler._parole._trusted |= {A, B}
        for source in (A, B):  # bytes that were not requested are not written
            scheduler._pending.request(source, 0, len(content), time.monotonic())
        self.part = PartFile.open(folder, self.metainfo)
        self.pool = HashPool(2, inline_from)
        self.cancelled: list[object] = []
        self.verdicts: dict[int, Verdict] = {}
        self.heard = threading.Condition()

    def on_piece_hashed(self, piece: int, verdict: Verdict) -> None:
        with self.heard:
            self.verdicts[piece] = verdict
            self.heard.notify_all()

    def buffer(self, source: Peer, buffers: BufferPool | None = None) -> WriteBuffer:
        buffers = buffers or pool_for(self.metainfo, 2)
        destination = Destination(
            self.metainfo,
            self.state,
            self.part,
            self.pool,
            buffers,
            self.on_piece_hashed,
            self.cancelled.extend,
        )
        return WriteBuffer(source, destination)

    def wait(self, condition: Callable[[], bool]) -> None:
        with self.heard:
            assert self.heard.wait_for(condition, LIMIT)

    def content(self) -> bytes:
        buffer = memoryview(bytearray(self.metainfo.size))
        self.part.read_into(0, buffer)
        return bytes(buffer)

    def close(self) -> None:
        self.pool.close()
        self.part.close()


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[[bytes, int], PlayedDownload]]:
    made: list[PlayedDownload] = []

    def make(content: bytes, piece_length: int, inline_from: int = 8) -> PlayedDownload:
        made.append(PlayedDownload(content, piece_length, tmp_path, inline_from))
        return made[-1]

    yield make
    for site in made:
        site.close()


def take_everything(site: PlayedDownload, source: Peer) -> None:
    """As a fetcher does before bytes come: have them handed out."""
    while site.state.take(source, 1 << 30):
        pass


CONTENT = random.Random(1).randbytes(3 * MAX_RUN_BYTES + 12345)


@pytest.mark.parametrize(
    "piece_length", [16 * 1024, 64 * 1024, MAX_RUN_BYTES, 2 * MAX_RUN_BYTES, 4 * MAX_RUN_BYTES]
)
@pytest.mark.parametrize("segment", [1440, 65472])
@pytest.mark.parametrize("inline_from", [2, 8])  # or on hashing threads
def test_bytes_in_order_are_written_and_verified(
    make_site, piece_length: int, segment: int, inline_from: int
) -> None:
    site = make_site(CONTENT, piece_length, inline_from)
    take_everything(site, A)
    buffer = site.buffer(A)
    for at in range(0, len(CONTENT), segment):
        buffer.add(at, CONTENT[at : at + segment])
    buffer.flush()
    count = site.metainfo.geometry.piece_count
    site.wait(lambda: len(site.verdicts) == count)
    assert set(site.verdicts.values()) == {True}
    assert site.content() == CONTENT


@pytest.mark.parametrize("seed", range(8))
def test_all_bytes_are_written_in_any_order_from_any_source(make_site, seed: int) -> None:
    rng = random.Random(seed)
    site = make_site(CONTENT, rng.choice([32 * 1024, MAX_RUN_BYTES, 2 * MAX_RUN_BYTES]), rng.choice([2, 8]))
    take_everything(site, A)
    pool = pool_for(site.metainfo, 2)
    buffers = [site.buffer(A, pool), site.buffer(B, pool)]
    cuts = sorted({0, len(CONTENT), *(rng.randrange(len(CONTENT)) for _ in range(120))})
    spans = list(zip(cuts, cuts[1:], strict=False))
    for _ in range(30):  # some of it out of order
        i = rng.randrange(len(spans) - 1)
        spans[i], spans[i + 1] = spans[i + 1], spans[i]
    for start, end in spans:
        rng.choice(buffers).add(start, CONTENT[start:end])
    for buffer in buffers:
        buffer.flush()
    count = site.metainfo.geometry.piece_count
    site.wait(lambda: len(site.verdicts) == count)
    assert set(site.verdicts.values()) == {True}
    assert site.content() == CONTENT


@pytest.mark.parametrize("at_once", [False, True])  # by add, or by add_all as the peer wire does
def test_mixed_blocks_of_two_pieces_are_written_and_hashed_once(
    make_site, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    """libtorrent reads its disk in parallel: its blocks come so."""
    site = make_site(CONTENT, MAX_RUN_BYTES)
    take_everything(site, A)
    written: list[tuple[int, int]] = []
    real_write = site.part.write

    def write(offset: int, buffers: Sequence[memoryview]) -> None:
        written.append((offset, sum(map(len, buffers))))
        real_write(offset, buffers)

    monkeypatch.setattr(site.part, "write", write)
    monkeypatch.setattr(site.part, "read_into", None)  # no piece is read again to be hashed
    blocks = list(range(0, 2 * MAX_RUN_BYTES, 16384))
    for first in range(len(blocks) - 8):  # each is up to eight places from its own
        other = first + random.Random(first).randrange(8)
        blocks[first], blocks[other] = blocks[other], blocks[first]
    buffer = site.buffer(A)
    monkeypatch.setattr(buffer, "_clock", lambda: 0.0)  # no run grows old
    if at_once:
        buffer.add_all([(at, CONTENT[at : at + 16384]) for at in blocks])
    else:
        for at in blocks:
            buffer.add(at, CONTENT[at : at + 16384])
    site.wait(lambda: len(site.verdicts) == 2)
    assert set(site.verdicts.values()) == {True}
    assert sorted(written) == [(0, MAX_RUN_BYTES), (MAX_RUN_BYTES, MAX_RUN_BYTES)]


def test_inline_runs_share_one_buffer_and_a_pause_returns_it(make_site) -> None:
    site = make_site(CONTENT, 64 * 1024)
    site.state.on_bitfield(A, Bitfield(site.metainfo.geometry.piece_count))  # rarest first
    pool = BufferPool(MAX_RUN_BYTES, 1)
    buffer, other = site.buffer(A, pool), site.buffer(B, pool)
    for at in range(0, 1 << 18, 1 << 16):
        buffer.add(at, CONTENT[at : at + (1 << 16)])
        assert len(site.verdicts) == 1 + (at >> 16)
    assert not pool._free
    buffer.flush()
    assert len(pool._free) == 1
    other.add(1 << 18, CONTENT[1 << 18 : 5 << 16])
    assert set(site.verdicts) == set(range(5)) and set(site.verdicts.values()) == {True}


def test_with_as_many_sources_as_processors_sources_hash_inline(make_site) -> None:
    site = make_site(CONTENT, MAX_RUN_BYTES, inline_from=2)
    take_everything(site, A)
    buffer, run, ways = site.buffer(A), site.pool.run, list[bool]()
    site.pool.run = lambda job, inline: ways.append(inline) or run(job, inline)
    buffer.add(0, CONTENT[:MAX_RUN_BYTES])
    assert ways == [True] and site.verdicts == {0: True}
    site.state._scheduler._pending.give_back(B, [(0, len(CONTENT))])  # it owes nothing any more
    buffer.add(MAX_RUN_BYTES, CONTENT[MAX_RUN_BYTES : 2 * MAX_RUN_BYTES])
    assert ways == [True, False]
    site.wait(lambda: site.verdicts == {0: True, 1: True})


def test_kept_jobs_are_done_by_the_caller(make_site) -> None:
    site = make_site(CONTENT, MAX_RUN_BYTES)
    take_everything(site, A)
    buffer = site.buffer(A)
    buffer.keep_jobs(True)
    buffer.add(0, CONTENT[: 2 * MAX_RUN_BYTES])
    assert not site.state.received
    work = buffer.take_jobs()
    assert work is not None and buffer.take_jobs() is None
    work()
    assert site.verdicts == {0: True, 1: True}
    buffer.add(2 * MAX_RUN_BYTES, CONTENT[2 * MAX_RUN_BYTES : 3 * MAX_RUN_BYTES])
    buffer.keep_jobs(False)  # a hashing thread does the last one
    site.wait(lambda: site.verdicts == {0: True, 1: True, 2: True})


def test_a_source_without_a_free_buffer_does_its_kept_jobs(make_site) -> None:
    site = make_site(CONTENT, MAX_RUN_BYTES)
    take_everything(site, A)
    buffer = site.buffer(A, BufferPool(MAX_RUN_BYTES, 2, most_full=1))
    buffer.keep_jobs(True)
    buffer.add(0, CONTENT[: 2 * MAX_RUN_BYTES])  # else it would wait for itself
    assert site.verdicts == {0: True}


@pytest.mark.parametrize("inline_from", [2, 8])
def test_one_wrong_byte_is_one_wrong_piece(make_site, inline_from: int) -> None:
    site = make_site(CONTENT, 64 * 1024, inline_from)
    take_everything(site, A)
    wrong = bytearray(CONTENT)
    wrong[70_000] ^= 1
    buffer = site.buffer(A)
    buffer.add(0, bytes(wrong))
    buffer.flush()
    count = site.metainfo.geometry.piece_count
    site.wait(lambda: len(site.verdicts) == count)
    assert [index for index, verdict in site.verdicts.items() if verdict is not True] == [1]


def test_a_pause_writes_the_present_run(make_site) -> None:
    site = make_site(CONTENT, 16 * 1024)
    take_everything(site, A)
    buffer = site.buffer(A)
    buffer.add(0, CONTENT[: 16 * 1024 + 5])
    assert not site.verdicts  # gathered, not yet written
    buffer.flush()
    site.wait(lambda: site.verdicts == {0: True})
    assert site.state.received == 16 * 1024 + 5


def test_bytes_that_came_without_checksums_stay_so_whatever_comes_with_them_later(make_site) -> None:
    """Written later, by another thread: else an honest owner would be convicted for its path."""
    site = make_site(CONTENT, 1 << 18)  # too long to be hashed at once
    take_everything(site, A)
    jobs: list[Callable[[memoryview], None]] = []
    buffer = site.buffer(A)
    site.pool.run = lambda job, inline: jobs.append(job) or True
    buffer.checked = False
    buffer.add(0, CONTENT[:100])
    buffer.flush()
    buffer.checked = True
    buffer.add(100, CONTENT[100:300])
    buffer.flush()
    for job in jobs:
        job(memoryview(bytearray(1 << 20)))
    assert [(share.checked, share.amount) for share in site.state.contributions(0)] == [
        (False, 100),
        (True, 200),
    ]
    assert site.content()[:300] == CONTENT[:300]


def test_requests_for_bytes_that_came_from_another_source_are_cancelled(make_site) -> None:
    site = make_site(CONTENT, 64 * 1024)
    site.state._scheduler._pending._twice.add(0, len(CONTENT))
    buffer = site.buffer(A)
    buffer.add(0, CONTENT[:1000])
    buffer.flush()
    assert site.cancelled == [(B, (0, 1000))]


def test_bytes_of_a_dismissed_source_that_find_no_buffer_are_fetched_again(make_site) -> None:
    site = make_site(CONTENT, 64 * 1024)
    take_everything(site, A)
    empty = BufferPool(MAX_RUN_BYTES, 0)
    buffer = site.buffer(A, empty)
    site.state.dismiss(A)
    buffer.add(100, CONTENT[100:300])
    again = RangeSet()
    while (span := site.state.take(B, 1 << 30)) is not None:
        again.add(span.start, span.end)
    assert again == RangeSet([(100, 300)])


def test_a_disk_that_is_full_ends_the_download(make_site, monkeypatch: pytest.MonkeyPatch) -> None:
    site = make_site(CONTENT, 64 * 1024)
    take_everything(site, A)
    full = DiskFull("no room")

    def fail(offset: int, buffers: object) -> None:
        raise full

    monkeypatch.setattr(site.part, "write", fail)
    buffer = site.buffer(A)
    buffer.add(0, CONTENT[:MAX_RUN_BYTES])
    buffer.flush()
    assert site.state.wait_until_over(LIMIT)
    assert site.state.fault is full
    assert site.state.received == 0


@pytest.mark.parametrize("piece_length", [64 * 1024, 256 * 1024], ids=["at once", "on a hashing thread"])
def test_a_fault_of_the_program_in_a_job_ends_the_download(make_site, monkeypatch, piece_length: int) -> None:
    site = make_site(CONTENT, piece_length)
    take_everything(site, A)

    def fault(offset: int, buffers: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(site.part, "write", fault)
    buffer = site.buffer(A)
    buffer.add(0, CONTENT[:1000])
    buffer.flush()
    assert site.state.wait_until_over(LIMIT)
    assert str(site.state.fault) == (
        "x.bin: stopped by a fault of this program (RuntimeError: a bug); the log has the details"
    )


def test_buffers_are_few_and_go_round() -> None:
    pool = BufferPool(10, 2)
    first = pool.take(lambda: False)
    second = pool.take(lambda: False)
    assert first is not None and second is not None
    assert pool.take(lambda: True) is None  # all are out, and the wait ends
    waiting: list[memoryview | None] = []
    thread = threading.Thread(target=lambda: waiting.append(pool.take(lambda: False)))
    thread.start()
    pool.put(first)
    thread.join(LIMIT)
    assert waiting == [first]


def test_while_enough_buffers_are_full_no_other_one_is_begun() -> None:
    pool = BufferPool(10, 5, most_full=1)
    first = pool.take(lambda: False)
    second = pool.take(lambda: False)
    assert first is not None and second is not None
    pool.mark_full(first)
    assert pool.take(lambda: True) is None
    pool.put(first)
    assert pool.take(lambda: True) is first
