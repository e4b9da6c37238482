"""From datagrams to verified pieces in the file: runs, their ends, and that no byte is lost on the way."""

from __future__ import annotations

import contextlib
import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.bitfield import Bitfield
from common.errors import DiskFull
from common.metainfo import Metainfo, decode_metainfo, encode_metainfo
from common.ranges import RangeSet
from node.content.hashing import HashPool, Verdict
from node.content.part_file import PartFile
from node.download.state import DownloadState
from node.download.write_buffer import BLOCK, BufferPool, WriteBuffer, pool_for
from node.peer import Peer

A = Peer("127.0.0.1", 1, node_id=1)
B = Peer("127.0.0.1", 2, node_id=2)
LIMIT = 10.0  # seconds until something that must happen has happened


def torrent(content: bytes, piece_length: int) -> Metainfo:
    pieces = b"".join(
        hashlib.sha1(content[at : at + piece_length]).digest() for at in range(0, len(content), piece_length)
    )
    return decode_metainfo(encode_metainfo("x.bin", len(content), piece_length, pieces, ""))


class Site:
    """A download as landing sees it: a board, and verdicts to wait for."""

    def __init__(self, content: bytes, piece_length: int, folder: Path, hands: int) -> None:
        self.metainfo = torrent(content, piece_length)
        geometry = self.metainfo.geometry
        self.board = DownloadState(geometry, Bitfield(geometry.piece_count))
        self.board.start([A, B])
        self.board._plan.probation.right(0, [A, B])  # both are known
        for source in (A, B):  # what was not asked for would not land
            self.board._plan.outstanding.asked(source, 0, len(content), time.monotonic())
        self.part = PartFile.open(folder, self.metainfo)
        self.verifier = HashPool(2, hands)
        self.verdicts: dict[int, Verdict] = {}
        self.heard = threading.Condition()

    def judged(self, piece: int, verdict: Verdict) -> None:
        with self.heard:
            self.verdicts[piece] = verdict
            self.heard.notify_all()

    def landing(self, source: Peer, pool: BufferPool | None = None) -> WriteBuffer:
        return WriteBuffer(source, self, self.part, self.verifier, pool or pool_for(self.metainfo, 2))

    def wait(self, condition: Callable[[], bool]) -> None:
        with self.heard:
            assert self.heard.wait_for(condition, LIMIT)

    def content(self) -> bytes:
        buffer = memoryview(bytearray(self.metainfo.size))
        self.part.read_into(0, buffer)
        return bytes(buffer)

    def close(self) -> None:
        self.verifier.close()
        self.part.close()


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[[bytes, int], Site]]:
    made: list[Site] = []

    def make(content: bytes, piece_length: int, hands: int = 8) -> Site:
        made.append(Site(content, piece_length, tmp_path, hands))
        return made[-1]

    yield make
    for site in made:
        site.close()


def take_everything(site: Site, source: Peer) -> None:
    """As a fetcher does before bytes come: have them handed out."""
    while site.board.take(source, 1 << 30):
        pass


CONTENT = random.Random(1).randbytes(3 * BLOCK + 12345)


@pytest.mark.parametrize("piece_length", [16 * 1024, 64 * 1024, BLOCK, 2 * BLOCK, 4 * BLOCK])
@pytest.mark.parametrize("segment", [1440, 65472])
@pytest.mark.parametrize("hands", [2, 8])  # with two sources each does its own, or hashing threads do it
def test_bytes_in_order_are_written_and_verified(
    make_site, piece_length: int, segment: int, hands: int
) -> None:
    site = make_site(CONTENT, piece_length, hands)
    take_everything(site, A)
    landing = site.landing(A)
    for at in range(0, len(CONTENT), segment):
        landing.deliver(at, CONTENT[at : at + segment])
    landing.flush()
    count = site.metainfo.geometry.piece_count
    site.wait(lambda: len(site.verdicts) == count)
    assert set(site.verdicts.values()) == {True}
    assert site.content() == CONTENT


@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_order_and_whoever_sends_it_all_lands(make_site, seed: int) -> None:
    rng = random.Random(seed)
    site = make_site(CONTENT, rng.choice([32 * 1024, BLOCK, 2 * BLOCK]), rng.choice([2, 8]))
    take_everything(site, A)
    pool = pool_for(site.metainfo, 2)
    landings = [site.landing(A, pool), site.landing(B, pool)]
    cuts = sorted({0, len(CONTENT), *(rng.randrange(len(CONTENT)) for _ in range(120))})
    spans = list(zip(cuts, cuts[1:], strict=False))
    for _ in range(30):  # some of it out of order
        i = rng.randrange(len(spans) - 1)
        spans[i], spans[i + 1] = spans[i + 1], spans[i]
    for start, end in spans:
        rng.choice(landings).deliver(start, CONTENT[start:end])
    for landing in landings:
        landing.flush()
    count = site.metainfo.geometry.piece_count
    site.wait(lambda: len(site.verdicts) == count)
    assert set(site.verdicts.values()) == {True}
    assert site.content() == CONTENT


def test_runs_that_are_done_at_once_share_one_buffer_and_a_pause_gives_it_back(make_site) -> None:
    site = make_site(CONTENT, 64 * 1024)
    site.board.told(A, Bitfield(site.metainfo.geometry.piece_count))  # from now on it is picked by piece
    pool = BufferPool(BLOCK, 1)
    landing, other = site.landing(A, pool), site.landing(B, pool)
    for at in range(0, 1 << 18, 1 << 16):
        landing.deliver(at, CONTENT[at : at + (1 << 16)])
        assert len(site.verdicts) == 1 + (at >> 16)
    assert not pool._free
    landing.flush()
    assert len(pool._free) == 1
    other.deliver(1 << 18, CONTENT[1 << 18 : 5 << 16])
    assert set(site.verdicts) == set(range(5)) and set(site.verdicts.values()) == {True}


def test_who_are_as_many_as_the_processors_hash_themselves_what_they_bring(make_site) -> None:
    site = make_site(CONTENT, BLOCK, hands=2)
    take_everything(site, A)
    landing, run, ways = site.landing(A), site.verifier.run, list[bool]()
    site.verifier.run = lambda job, at_once: ways.append(at_once) or run(job, at_once)
    landing.deliver(0, CONTENT[:BLOCK])
    assert ways == [True] and site.verdicts == {0: True}
    site.board._plan.outstanding.give_back(B, [(0, len(CONTENT))])  # it owes nothing any more
    landing.deliver(BLOCK, CONTENT[BLOCK : 2 * BLOCK])
    assert ways == [True, False]
    site.wait(lambda: site.verdicts == {0: True, 1: True})


@pytest.mark.parametrize("hands", [2, 8])
def test_one_wrong_byte_is_one_wrong_piece(make_site, hands: int) -> None:
    site = make_site(CONTENT, 64 * 1024, hands)
    take_everything(site, A)
    wrong = bytearray(CONTENT)
    wrong[70_000] ^= 1
    landing = site.landing(A)
    landing.deliver(0, bytes(wrong))
    landing.flush()
    count = site.metainfo.geometry.piece_count
    site.wait(lambda: len(site.verdicts) == count)
    assert [index for index, verdict in site.verdicts.items() if verdict is not True] == [1]


def test_a_pause_lands_what_is_there(make_site) -> None:
    site = make_site(CONTENT, 16 * 1024)
    take_everything(site, A)
    landing = site.landing(A)
    landing.deliver(0, CONTENT[: 16 * 1024 + 5])
    assert not site.verdicts  # gathered, not yet written
    landing.flush()
    site.wait(lambda: site.verdicts == {0: True})
    assert site.board.received == 16 * 1024 + 5


def test_bytes_that_came_without_checksums_stay_so_whatever_comes_with_them_later(make_site) -> None:
    """Written later, by another thread: else an honest owner would be convicted for its path."""
    site = make_site(CONTENT, 1 << 18)  # too long to be hashed at once
    take_everything(site, A)
    jobs: list[Callable[[memoryview], None]] = []
    landing = site.landing(A)
    landing._verifier.run = lambda job, at_once: jobs.append(job) or True
    landing.checked = False
    landing.deliver(0, CONTENT[:100])
    landing.flush()
    landing.checked = True
    landing.deliver(100, CONTENT[100:300])
    landing.flush()
    for job in jobs:
        job(memoryview(bytearray(1 << 20)))
    assert [(share.checked, share.amount) for share in site.board.shares(0)] == [(False, 100), (True, 200)]
    assert site.content()[:300] == CONTENT[:300]


def test_bytes_of_a_dismissed_source_that_find_no_buffer_are_fetched_again(make_site) -> None:
    site = make_site(CONTENT, 64 * 1024)
    take_everything(site, A)
    empty = BufferPool(BLOCK, 0)
    landing = site.landing(A, empty)
    site.board.dismiss(A)
    landing.deliver(100, CONTENT[100:300])
    again = RangeSet()
    while (span := site.board.take(B, 1 << 30)) is not None:
        again.add(*span)
    assert again == RangeSet([(100, 300)])


def test_a_disk_that_is_full_ends_the_download(make_site, monkeypatch: pytest.MonkeyPatch) -> None:
    site = make_site(CONTENT, 64 * 1024)
    take_everything(site, A)
    full = DiskFull("no room")

    def fail(offset: int, buffers: object) -> None:
        raise full

    monkeypatch.setattr(site.part, "write", fail)
    landing = site.landing(A)
    landing.deliver(0, CONTENT[:BLOCK])
    landing.flush()
    with site.board.changed:
        assert site.board.changed.wait_for(lambda: site.board.over, LIMIT)
    assert site.board.fault is full
    assert site.board.received == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("piece_length", [64 * 1024, 256 * 1024], ids=["at once", "on a hashing thread"])
def test_a_fault_of_ours_in_landing_ends_the_download(make_site, monkeypatch, piece_length: int) -> None:
    site = make_site(CONTENT, piece_length)
    take_everything(site, A)

    def fault(offset: int, buffers: object) -> None:
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(site.part, "write", fault)
    landing = site.landing(A)
    landing.deliver(0, CONTENT[:1000])
    with contextlib.suppress(RuntimeError):
        landing.flush()
    with site.board.changed:
        assert site.board.changed.wait_for(lambda: site.board.over, LIMIT)
    assert site.board.fault is not None


def test_buffers_are_few_and_go_round() -> None:
    pool = BufferPool(10, 2)
    first = pool.take(lambda: False)
    second = pool.take(lambda: False)
    assert first is not None and second is not None
    assert pool.take(lambda: True) is None  # all are out, and nobody waits for ever
    waiting: list[memoryview | None] = []
    thread = threading.Thread(target=lambda: waiting.append(pool.take(lambda: False)))
    thread.start()
    pool.give(first)
    thread.join(LIMIT)
    assert waiting == [first]


def test_while_enough_buffers_are_full_no_other_one_is_begun() -> None:
    pool = BufferPool(10, 5, most_full=1)
    first = pool.take(lambda: False)
    second = pool.take(lambda: False)
    assert first is not None and second is not None
    pool.full(first)
    assert pool.take(lambda: True) is None
    pool.give(first)
    assert pool.take(lambda: True) is first
