"""A downloader that is killed again and again: what it had verified is never fetched again, byte for byte."""

from __future__ import annotations

import threading
import time
from typing import Any

MIB = 1 << 20
FINE = {"PROGRESS_INTERVAL": "0.02", "SOCKET_BUFFER_SIZE": "262144"}  # little under way when it is killed


class Recorder:
    """What owners put on the wire, for whom: each address that fetches has one byte for each of the file's.

    Together they send ``rate`` bytes a second, so that a download has a middle.
    """

    def __init__(self, size: int, rate: float) -> None:
        self.sent: dict[Any, bytearray] = {}  # how often each byte went out, at most 255 times
        self._size, self._rate = size, rate
        self._free_at = 0.0
        self._lock = threading.Lock()
        self._asking = threading.local()

    def watch(self, owner: Any) -> Any:
        """Know who asks ``owner``."""
        send_chunk = owner._send_chunk

        def asked(request: Any, addr: Any) -> None:
            self._asking.addr = addr
            send_chunk(request, addr)

        owner._send_chunk = asked
        return owner

    def bend(self, at: int, payload: bytes) -> bytes:
        """Send what was asked for, in time; write it down."""
        with self._lock:
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + len(payload) / self._rate
            sent = self.sent.setdefault(self._asking.addr, bytearray(self._size))
        time.sleep(self._free_at - now)
        sent[at : at + len(payload)] = bytes(min(255, n + 1) for n in sent[at : at + len(payload)])
        return payload

    def fetchers(self) -> set[Any]:
        """The addresses so far."""
        with self._lock:
            return set(self.sent)


def test_killed_again_and_again_nothing_verified_is_fetched_twice(
    start_tracker: Any, make_swarm: Any, scale: Any, note: Any
) -> None:
    swarm = make_swarm(start_tracker(TRACKER_TIME_INTERVAL="600"))  # it takes nobody's silence for an end
    path = swarm.file("x.bin", scale.size)
    maker, torrent = swarm.share(path)
    assert maker.stop() == 0
    recorder = Recorder(scale.size, 2 * scale.rate)
    owners = [recorder.watch(swarm.play_owner(path, torrent, recorder.bend)) for _ in range(2)]
    number = swarm.number()
    runs: list[tuple[Any, set[Any]]] = []
    for kill in range(1, scale.kills + 2):
        before = recorder.fetchers()
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
        runs.append((fetcher, recorder.fetchers() - before))
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()

    piece = runs[0][0].seen("download_started")[0]["piece_length"]
    verified: set[int] = set()
    again: list[int] = []
    for node, addresses in runs:
        fetched = [recorder.sent[addr] for addr in addresses]
        these = [n for n in verified if any(any(sent[n * piece : (n + 1) * piece]) for sent in fetched)]
        assert len(these) <= len(owners), f"verified pieces {these} were fetched again"
        assert node.seen("download_started")[0]["verified"] >= (len(verified) - 1) * piece
        again += these
        verified |= {event["index"] for event in node.seen("piece")}
    received = sum(latest(node, "received") - began(node) for node, _ in runs)
    wire = sum(sum(sent) for sent in recorder.sent.values())
    note(
        f"downloader killed {scale.kills} times",
        verified_pieces_fetched_again=len(again),
        received_again=f"{max(0.0, received / scale.size - 1):.1%}",
        sent_beyond_the_file=f"{wire / scale.size - 1:.1%}",
    )
    # Not yet verified when it was killed: what each owner's run in memory holds, and unfinished pieces.
    assert received - scale.size < scale.kills * len(owners) * 2 * MIB


def latest(node: Any, what: str) -> int:
    """What the latest progress says of a field."""
    progress = node.seen("progress")
    return int(progress[-1][what]) if progress else 0


def began(node: Any) -> int:
    """With how many bytes a run began."""
    return int(node.seen("download_started")[0]["verified"])
