"""A thread that looks at all connections: whom to unchoke, who must learn of new pieces, and upload rates.

``Choker`` decides. It is asked at its own times, and at once when a peer comes, goes, or changes its interest
(``poke``). Verified pieces are noticed here, too, a few times a second, so that a download need not know the
connections that announce them.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from common.bitfield import Bitfield
from node.peer_tcp.choking import Choker, PeerTraffic
from node.peer_tcp.peer_loop import PeerLoop
from node.peer_tcp.peer_table import PeerTable
from node.peer_tcp.peer_thread import PeerThread
from node.transport import ServedTorrent

HAVE_LOOK = 0.1  # seconds between two looks at the pieces of an unfinished torrent
RATE_LOOK = 1.0  # seconds between two measurements of upload rates
RATE_WEIGHT = 0.5  # of the last measurement
# Makes a Choker of (rng, upload limit, a function that names a peer); it is a user's own.
MakeChoker: TypeAlias = Callable[[random.Random, "int | None", Callable[[Any], str]], Any]
LEAST_RATE = 100.0  # bytes a second; a smaller upload rate is the rest of an old one, and becomes 0


class ChokeRounds:
    """``run`` is the body of the thread. ``upload_limit``: bytes a second; None: no limit."""

    def __init__(
        self,
        table: PeerTable,
        torrents: Mapping[bytes, ServedTorrent],
        upload_limit: int | None,
        make_choker: MakeChoker | None = None,
    ) -> None:
        self._table = table
        self._torrents = torrents
        self._upload_limit = upload_limit
        self._make_choker = make_choker
        self._chokers: dict[bytes, Choker[PeerThread]] = {}
        self._seen: dict[bytes, Bitfield] = {}  # the pieces at the last look
        self._sent: dict[PeerThread, int] = {}  # bytes at the last measurement
        self._measured_at = 0.0
        self._poked = threading.Event()
        self._stopped = False

    def poke(self) -> None:
        """A peer came, went, or changed its interest."""
        self._poked.set()

    def stop(self) -> None:
        """Make ``run`` return soon."""
        self._stopped = True
        self._poked.set()

    def slots(self, info_hash: bytes) -> int | None:
        """Slots of a torrent, the optimistic one among them; None: no peer of it has come yet."""
        choker = self._chokers.get(info_hash)
        return None if choker is None else choker.slots + 1

    def run(self) -> None:
        """Look at the connections until ``stop``."""
        while not self._stopped:
            was_poked = self._poked.wait(self._pause())
            self._poked.clear()
            self.look(time.monotonic(), was_poked)

    def _pause(self) -> float | None:
        """Seconds until the next look; None: until the next poke."""
        if not self._table.info_hashes():
            return None
        unfinished = any(not have.all() for have in self._seen.values())
        return HAVE_LOOK if unfinished else RATE_LOOK

    def look(self, now: float, was_poked: bool) -> None:
        """Do what is due."""
        present = self._table.info_hashes()
        for gone in self._chokers.keys() - present:
            del self._chokers[gone]
            self._seen.pop(gone, None)
        for info_hash in present:
            torrent = self._torrents.get(info_hash)
            threads = self._table.of(info_hash)
            for thread in threads:
                served = None if thread.loop is None else thread.loop.sender.torrent
                if served is not None and served is not torrent:  # stopped, or fetched again
                    thread.close("closed: the torrent is not shared here any more")
            if torrent is None or not torrent.is_served:
                continue
            self._choke(info_hash, torrent, threads, now, was_poked)
            if torrent.have is not self._seen.get(info_hash):
                self._seen[info_hash] = torrent.have
                for thread in threads:
                    if torrent.have.all() and thread.is_seed:
                        thread.close("closed: it has everything, as we do")
                    thread.wake()
        if now - self._measured_at >= RATE_LOOK:
            self._measure(now)

    def _choke(
        self, info_hash: bytes, torrent: ServedTorrent, threads: list[PeerThread], now: float, was_poked: bool
    ) -> None:
        choker = self._chokers.get(info_hash)
        if choker is None:
            choker = self._chokers[info_hash] = self._new_choker()
        if not was_poked and now < choker.next_round:
            return
        peers = {thread: traffic for thread in threads if (traffic := _traffic(thread)) is not None}
        unchoked = choker.round(now, peers, torrent.have.all())
        for thread in peers:
            wanted = thread in unchoked
            if wanted is not thread.is_unchoked:
                thread.is_unchoked = wanted
                thread.post(_unchoke if wanted else _choke)

    def _new_choker(self) -> Choker[PeerThread]:
        rng = random.Random()
        if self._make_choker is None:
            return Choker(rng, self._upload_limit)
        made: Choker[PeerThread] = self._make_choker(rng, self._upload_limit, lambda thread: str(thread.peer))
        return made

    def _measure(self, now: float) -> None:
        seconds, self._measured_at = now - self._measured_at, now
        sent: dict[PeerThread, int] = {}
        for thread in self._table.all():
            sent[thread] = thread.uploaded
            latest = (thread.uploaded - self._sent.get(thread, 0)) / seconds
            rate = thread.rate + RATE_WEIGHT * (latest - thread.rate)
            thread.rate = rate if rate >= LEAST_RATE else 0.0
        self._sent = sent


def _traffic(thread: PeerThread) -> PeerTraffic | None:
    loop = thread.loop
    if loop is None or loop.wire.peer is None:
        return None
    wire = loop.wire
    return PeerTraffic(
        wire.download.payload_received,
        loop.sender.uploaded,
        wire.upload.peer_interested,
        wire.download.snubbed,
    )


def _unchoke(loop: PeerLoop) -> None:
    loop.wire.upload.unchoke()


def _choke(loop: PeerLoop) -> None:
    loop.wire.upload.choke()
