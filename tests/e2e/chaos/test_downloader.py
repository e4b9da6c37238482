"""A downloader that is killed again and again: verified bytes are never fetched again."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common.metainfo import decode_metainfo
from node.chunk_udp import sockets
from node.chunk_udp.drr_queue import SendBatch
from node.chunk_udp.owner import Owner
from node.chunk_udp.upload_queue import BACKLOG_SECONDS
from node.download.write_buffer import MAX_RUN_AGE
from node.settings import TransferSettings
from simulator.served import MemoryTorrent

MIB = 1 << 20
FINE = {"PROGRESS_INTERVAL": "0.02", "SOCKET_BUFFER_SIZE": "262144"}  # little under way when it is killed


class WatchedOwner(Owner):
    """A node's own owner that records the bytes sent to each address."""

    sent_to: dict[Any, bytearray]  # how often each byte went to an address, at most 255 times
    size: int

    def send_chunk(self, portion: SendBatch) -> int:
        """Send it, write it down."""
        size, at = super().send_chunk(portion), portion.offset
        sent = self.sent_to.setdefault(portion.addr, bytearray(self.size))
        sent[at : at + size] = bytes(min(255, n + 1) for n in sent[at : at + size])
        return size


Watch = Callable[[Path, Path, int, dict[Any, bytearray]], Any]


@pytest.fixture
def watched() -> Iterator[Watch]:
    """``watched(path, torrent, rate, sent_to)``: an owner that sends ``rate`` bytes a second."""
    with contextlib.ExitStack() as stack:

        def start(path: Path, torrent: Path, rate: int, sent_to: dict[Any, bytearray]) -> Any:
            content = MemoryTorrent(path.read_bytes())
            shared = {decode_metainfo(torrent.read_bytes()).info_hash: content}
            sock = stack.enter_context(sockets.udp_socket("127.0.0.1", 0, 4 * MIB))
            settings = TransferSettings(upload_limit=rate)
            owner = WatchedOwner(sock, shared, b"secret", settings)
            owner.size, owner.sent_to = len(content.data), sent_to
            thread = threading.Thread(target=owner.listen, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(owner.stop)
            return sock.getsockname()[:2]

        yield start


def test_killed_again_and_again_nothing_verified_is_fetched_twice(
    start_tracker: Any, make_swarm: Any, scale: Any, note: Any, watched: Watch
) -> None:
    swarm = make_swarm(start_tracker(TRACKER_TIME_INTERVAL="600"))  # so that silence does not remove a node
    path = swarm.file("x.bin", scale.size)
    maker, torrent = swarm.share(path)
    assert maker.stop() == 0
    sent_to: dict[Any, bytearray] = {}
    owners = [swarm.play_owner(path, torrent) for _ in range(2)]
    for owner in owners:
        owner.move(watched(path, torrent, scale.rate, sent_to))
    number = swarm.number()
    runs: list[tuple[Any, set[Any]]] = []
    for kill in range(1, scale.kills + 2):
        before = set(sent_to)
        fetcher = swarm.fetch(torrent, number=number, **FINE)  # the tracker lets it in at once
        if kill <= scale.kills:
            share = kill / (scale.kills + 1)
            fetcher.wait_until(
                f"{share:.0%}", lambda f=fetcher, s=share: latest(f, "verified") >= s * scale.size
            )
            fetcher.kill()
        else:
            fetcher.wait_for("completed", limit=40)
            assert fetcher.end() == 0, fetcher.told()
        runs.append((fetcher, set(sent_to) - before))
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()

    again = fetched_again(runs, sent_to, len(owners))
    received = sum(latest(node, "received") - began(node) for node, _ in runs)
    wire = sum(sum(sent) for sent in sent_to.values())
    note(
        f"downloader killed {scale.kills} times",
        verified_pieces_fetched_again=again,
        received_again=f"{max(0.0, received / scale.size - 1):.1%}",
        sent_beyond_the_file=f"{wire / scale.size - 1:.1%}",
    )
    # Bytes in each owner's queue, bytes in the fetcher's socket, and bytes not yet written.
    unheard = (BACKLOG_SECONDS + MAX_RUN_AGE) * scale.rate + int(FINE["SOCKET_BUFFER_SIZE"])
    assert wire - received < scale.kills * len(owners) * unheard
    # Bytes not yet verified at the kill: each owner's run in memory, and unfinished pieces.
    assert received - scale.size < scale.kills * len(owners) * 2 * MIB


def fetched_again(runs: list[tuple[Any, set[Any]]], sent_to: dict[Any, bytearray], owners: int) -> int:
    """How many verified pieces later runs fetched once more: one an owner in each run, at most."""
    piece = runs[0][0].seen("download_started")[0]["piece_length"]
    verified: set[int] = set()
    again = 0
    for node, addresses in runs:
        fetched = [sent_to[addr] for addr in addresses]
        these = [n for n in verified if any(any(sent[n * piece : (n + 1) * piece]) for sent in fetched)]
        assert len(these) <= owners, f"verified pieces {these} were fetched again"
        assert node.seen("download_started")[0]["verified"] >= (len(verified) - 1) * piece
        again += len(these)
        verified |= {event["index"] for event in node.seen("piece")}
    return again


def latest(node: Any, what: str) -> int:
    """A field of the latest progress event."""
    progress = node.seen("progress")
    return int(progress[-1][what]) if progress else 0


def began(node: Any) -> int:
    """With how many bytes a run began."""
    return int(node.seen("download_started")[0]["verified"])
