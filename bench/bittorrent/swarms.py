"""Downloads from many peers at once: a flash crowd, peers that stall at the end, memory with 50 peers."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.bittorrent.moves import OURS, start_leecher
from bench.content import BenchContent, make_content, same
from bench.ours import START_LIMIT, patience
from bench.processes import BenchError, Child, Children
from common.metainfo import encode_metainfo
from simulator.bounds import distribution_time

UPLOAD = 4_000_000  # bytes a second, of each peer of a crowd
CROWD_SIZE, CROWD_PIECE = 64 << 20, 256 << 10  # bytes
LEECHERS = 16
STALL_AT = 0.985  # of the content; progress comes four times a second, so most of the last 1% is left then
STALL_RATE = 256_000  # bytes a second, of each of the seeds
STALL_SIZE = 64 << 20  # bytes
SEEDS, STALLING = 8, 2
MANY = 50  # peers
CROWD_PATIENCE = 20.0  # times the bound; a longer download hangs


@dataclass(frozen=True)
class Crowd:
    """One seed and many leechers that started together."""

    seconds: tuple[float, ...]  # of each leecher, until its copy is in place
    bound: float  # seconds, which no protocol beats


@contextmanager
def children_below(folder: Path) -> Iterator[tuple[Path, Children]]:
    """A folder and its processes, which are gone afterwards."""
    below = Path(tempfile.mkdtemp(prefix="swarm-", dir=folder))
    environment = {"LOGS_DIR": str(below / "logs"), "TRACKER_DB_DIR": str(below / "db")}
    try:
        with Children(environment) as children:
            yield below, children
    finally:
        shutil.rmtree(below, ignore_errors=True)


def with_pieces(content: BenchContent, folder: Path, piece_length: int, announce: str = "") -> BenchContent:
    """The same content with a torrent of another piece length, or tracker."""
    torrent = folder / f"{content.path.name}-{piece_length}.torrent"
    with content.path.open("rb") as file:
        pieces = iter(lambda: file.read(piece_length), b"")
        hashes = b"".join(hashlib.sha1(piece, usedforsecurity=False).digest() for piece in pieces)
    torrent.write_bytes(encode_metainfo(content.path.name, content.size, piece_length, hashes, announce))
    return BenchContent(content.path, torrent, content.size)


def crowd(folder: Path) -> Crowd:
    """LEECHERS leechers and one seed, found by our tracker; each uploads UPLOAD."""
    bound = distribution_time(CROWD_SIZE, LEECHERS, UPLOAD)
    with children_below(folder) as (below, children):
        tracker = children.start(["tracker.py", "--port", "0"], 24 * 3600.0)
        url = tracker.line().rpartition(" ")[2]
        content = with_pieces(make_content(below, CROWD_SIZE), below, CROWD_PIECE, f"{url}/announce")
        common = [str(content.torrent), "-up", str(UPLOAD), "--json"]
        limit = START_LIMIT + CROWD_PATIENCE * bound
        words = ["TorrentClient.py", *common, "-s", str(content.path), "-host", "127.0.3.1"]
        children.start(words, limit).event("sharing")
        leechers = [
            children.start(
                ["TorrentClient.py", *common, "-d", str(below / f"{n}"), "-host", f"127.0.3.{n}", "--seed"],
                limit,
            )
            for n in range(2, LEECHERS + 2)
        ]
        seconds = _until_all_have_it(leechers)
        for number in range(2, LEECHERS + 2):
            if not same(content.path, below / f"{number}" / content.path.name):
                raise BenchError(f"the copy of leecher {number} differs")
    return Crowd(tuple(sorted(seconds)), bound)


def _until_all_have_it(leechers: list[Child]) -> list[float]:
    """Seconds from the first start of a download to the end of each."""
    starts: list[float] = []
    ends: list[float] = []
    failures: list[BenchError] = []

    def watch(child: Child) -> None:
        try:
            child.event("download_started")
            starts.append(time.monotonic())
            child.event("completed")
            ends.append(time.monotonic())
        except BenchError as error:
            failures.append(error)

    threads = [threading.Thread(target=watch, args=(child,), daemon=True) for child in leechers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return [at - min(starts) for at in ends]


def last_part(folder: Path, stalls: bool) -> float:
    """Seconds a byte in the last part of a download from SEEDS seeds, of which STALLING stall then.

    Without stalls: only the seeds that would not have stalled take part, from the start.
    """
    with children_below(folder) as (below, children):
        content = make_content(below, STALL_SIZE)
        limit = patience(content.size) + STALL_SIZE / STALL_RATE
        count = SEEDS if stalls else SEEDS - STALLING
        words = ["-m", "bench.bittorrent.peers", str(content.torrent), str(content.path), str(count)]
        seeds = children.start([*words, "--rate", str(STALL_RATE), "--stalling", str(STALLING)], limit)
        addresses = seeds.event("ready")["addresses"]
        leecher = start_leecher(children, OURS, content, below / "copy", addresses, limit)
        received = 0
        while received < STALL_AT * content.size:
            received = int(leecher.event("progress")["received"])
        at = time.monotonic()
        if stalls:
            seeds.say("stall")
        leecher.event("completed")
        return (time.monotonic() - at) / max(1, content.size - received)


def memory(folder: Path, content: BenchContent, piece_length: int) -> int:
    """The largest RSS in bytes of a leecher that fetches from MANY seeds."""
    with children_below(folder) as (below, children):
        content = with_pieces(content, below, piece_length)
        limit = patience(content.size)
        words = ["-m", "bench.bittorrent.peers", str(content.torrent), str(content.path), str(MANY)]
        addresses = children.start(words, limit).event("ready")["addresses"]
        leecher = start_leecher(children, OURS, content, below / "copy", addresses, limit)
        leecher.event("completed")
        used = leecher.finish()
        if used.peak_rss is None:
            raise BenchError("this system does not tell a process's memory")
        return used.peak_rss
