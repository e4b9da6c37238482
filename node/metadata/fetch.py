"""Fetching a torrent's metadata in the background, then its content.

One thread searches for peers and asks AT_A_TIME of them side by side, each for the whole metadata. The first
answer that matches the info hash counts: a peer that lies spoils its own copy only. From then on this object
follows the download that it started.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence

from common.errors import DownloadFailed, PeerFault, SwarmError
from common.magnet import Magnet
from node import events
from node.discovery.base import PeerSource
from node.download import Download, NodeParts
from node.download.peer_search import PeerSearch
from node.download.unexpected import unexpected_fault
from node.metadata.known import known_of, torrent_bytes
from node.metadata.peers import MetadataPeer, MetadataPeers
from node.peer import FoundPeer

SEARCH_SECONDS = 3.0  # seconds between two searches for peers
POLL = 0.25  # seconds between two looks
QUIET_SECONDS = 0.5  # seconds for the first answers; "no peers yet" is reported after them


class MagnetDownload:
    """The metadata of ``magnet``. ``start`` it once, then watch ``done`` and ``error``, as of a Download.

    ``sources`` find peers. ``begin`` starts the download of a torrent file's bytes.
    """

    def __init__(
        self,
        magnet: Magnet,
        sources: Sequence[PeerSource],
        parts: NodeParts,
        begin: Callable[[bytes], Download],
    ) -> None:
        self.known = known_of(magnet)
        self.done = threading.Event()
        self.error: SwarmError | None = None
        self.download: Download | None = None  # once the metadata is here
        self._magnet = magnet
        self._parts = parts
        self._begin = begin
        self._changed = threading.Condition()  # guards what follows
        self._peers = MetadataPeers()
        self._metadata: bytes | None = None
        self._no_peers = ""  # why no peer is known
        self._started_at = time.monotonic()
        self._cancelled = False
        self._shown = ""
        self._search = PeerSearch(sources, self.known, self._on_found)

    def start(self) -> None:
        """Begin, in the background."""
        name = f"metadata {self.known.info_hash_hex[:8]}"
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def cancel(self) -> None:
        """Stop. Returns at once: wait for ``done``."""
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()
        if self.download is not None:
            self.download.cancel()

    def status(self) -> events.DownloadStatus:
        """A row of -status, while there is no download yet."""
        state = "failed" if self.error else "metadata"
        with self._changed:
            reason = str(self.error) if self.error else self._peers.awaited(self._no_peers)
        name, info_hash = self.known.name, self.known.info_hash_hex
        return events.DownloadStatus(name, info_hash, state, 0, 0, 0, 0.0, None, reason, ())

    def peers(self) -> list[events.PeerStatus]:
        """Rows of -peers: the peers that were asked, and why they sent nothing."""
        with self._changed:
            return [self._peer_row(each) for each in self._peers]

    def _peer_row(self, each: MetadataPeer) -> events.PeerStatus:
        state = "active" if each.asked else "lost" if each.failures else "idle"
        reason = each.reason if not each.asked else "asked for the metadata"
        peer, name = each.peer, self.known.name
        return events.PeerStatus(
            peer.node_id, peer.addr, name, "from", each.received, 0.0, state, reason, transport=peer.transport
        )

    # ---- the thread

    def _run(self) -> None:
        try:
            raw = self._fetch()
            self.download = self._begin(torrent_bytes(raw, self._magnet.trackers))
            if self._cancelled:
                self.download.cancel()
        except SwarmError as error:
            self._fail(error)
            return
        except BaseException as error:  # any: the node waits for ``done``
            self._fail(unexpected_fault(self.known.name, error))
            return
        self.download.done.wait()
        self.error = self.download.error
        self.done.set()

    def _fail(self, error: SwarmError) -> None:
        self.error = error
        kind = events.Cancelled if self._cancelled else events.Failed
        self._parts.emit(kind(self.known.name, self.known.info_hash_hex, str(error)))
        self.done.set()

    def _fetch(self) -> bytes:
        """The metadata. DownloadFailed if it does not come, or after ``cancel``."""
        limit = self._parts.settings.search_limit
        progress_at = search_at = time.monotonic()
        received = 0
        while True:
            now = time.monotonic()
            if now >= search_at and not self._search.asking:
                search_at = now + SEARCH_SECONDS
                self._search.ask()
            with self._changed:
                if self._metadata is not None:
                    return self._metadata
                best = self._peers.best
                if best is not None and best.received > received:
                    received, progress_at = best.received, now
                awaited = self._peers.awaited(self._no_peers)
                is_too_early = self._is_too_early(now)
                if self._cancelled or now - progress_at > limit:
                    raise self._given_up(awaited, limit)
                chosen = self._peers.choose(now)
            if not is_too_early:
                self._report(awaited)
            for each in chosen:
                threading.Thread(
                    target=self._ask, args=(each,), name=f"metadata {each.peer}", daemon=True
                ).start()
            with self._changed:
                if self._metadata is None and not self._cancelled:
                    self._changed.wait(POLL)

    def _is_too_early(self, now: float) -> bool:
        """True while no peer is known because the first answers are not here."""
        return not self._peers.count and not self._no_peers and now < self._started_at + QUIET_SECONDS

    def _given_up(self, awaited: str, limit: float) -> DownloadFailed:
        if self._cancelled:
            return DownloadFailed(f"{self.known.name}: stopped before its metadata was here")
        return DownloadFailed(f"{self.known.name}: no metadata for {limit:g} s ({awaited})")

    def _report(self, awaited: str) -> None:
        """Emit what is awaited, if that is news."""
        if awaited != self._shown:
            self._shown = awaited
            with self._changed:
                best = self._peers.best
                count = self._peers.count
                received, size = (best.received, best.size) if best is not None else (0, 0)
            name, info_hash = self.known.name, self.known.info_hash_hex
            self._parts.emit(events.Metadata(name, info_hash, count, received, size, awaited))

    def _on_found(self, found: list[FoundPeer] | None, why: str) -> None:
        own = self._parts.own
        with self._changed:
            self._no_peers = why
            reachable = [each.peer for each in found or () if each.peer.transport in self._parts.transports]
            self._peers.add(
                peer
                for peer in reachable
                if peer != own and (peer.node_id is None or peer.node_id != own.node_id)
            )
            self._changed.notify_all()

    # ---- on a thread for each peer that is asked

    def _ask(self, each: MetadataPeer) -> None:
        def on_progress(received: int, size: int) -> None:
            with self._changed:
                each.received, each.size = received, size

        transport, info_hash = self._parts.transports[each.peer.transport], self._magnet.info_hash
        try:
            raw = transport.fetch_metadata(each.peer, info_hash, on_progress, self._is_over)
            if hashlib.sha1(raw, usedforsecurity=False).digest() != info_hash:
                raise PeerFault("sent metadata that does not match the info hash")
        except SwarmError as fault:
            reason = str(fault)
        except Exception as error:  # the search goes on without this peer
            reason = str(unexpected_fault(self.known.name, error))
        else:
            with self._changed:
                self._metadata = raw
                self._changed.notify_all()
            return
        with self._changed:
            MetadataPeers.failed(each, reason, time.monotonic())
            self._changed.notify_all()

    def _is_over(self) -> bool:
        return self._cancelled or self._metadata is not None
