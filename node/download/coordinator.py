"""The coordinator of one download, from the check of what is here to the file in place.

    WAITING ─▶ CHECKING ─▶ SEARCHING ⇄ FETCHING ─▶ FINISHING ─▶ COMPLETED
       │           │            │          │           │
       └───────────┴────────────┴──────────┴───────────┴──────▶ FAILED, CANCELLED   (NAME.part is kept)

It names no transport: owners' threads take spans from the board and report what arrived; hashing threads
report what was right. This thread finds owners, keeps as many busy as the settings say, replaces those that
fail, and tells what goes on.
"""

from __future__ import annotations

import enum
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from common.bitfield import Bitfield
from common.errors import DownloadFailed, FileFault, PluginError, SwarmError
from common.filenames import PART_SUFFIX
from node import events
from node.content.atomic_rename import finish_rename
from node.content.shared_file import SharedFile
from node.content.store import ContentStore
from node.content.torrent_file import TorrentFile
from node.download.checking import check_existing, check_part, check_room
from node.download.disk_full import RetryWhenFull
from node.download.known_peers import Candidate, KnownPeers
from node.download.peer_search import Next, PeerSearch, SearchBackoff
from node.download.piece_results import PieceResults
from node.download.reporting import DownloadReporter, source_rows
from node.download.source import Source, SourceThread
from node.download.source_pool import SourceLimits, SourcePool
from node.download.state import DownloadState
from node.download.swarm import NodeParts, Swarm, owned_file
from node.download.unexpected import unexpected_fault
from node.download.write_buffer import BufferPool, Destination, WriteBuffer, pool_for
from node.peer import FoundPeer, Peer

JOIN_LIMIT = 5.0  # seconds to wait for an owner's thread to end
SHORTEST_NAP = 0.01  # seconds
ANNOUNCE_LIMIT = 5.0  # max seconds that a finished download waits until its trackers know it
TURN_CHECK = 0.1  # seconds after which one that waits for its turn looks whether it is cancelled


class State(enum.Enum):
    """Where a download is; the values are what -status shows."""

    WAITING = "waiting"
    CHECKING = "checking"
    SEARCHING = "searching"
    FETCHING = "fetching"
    FINISHING = "finishing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Download:
    """Fetches a torrent's ``content``; ``start`` it once, then watch ``done`` and ``error``.

    ``file``: the torrent, of which a copy is kept beside the content. ``swarm``: its trackers. ``parts``: of
    the node.
    """

    def __init__(self, content: ContentStore, file: TorrentFile, swarm: Swarm, parts: NodeParts) -> None:
        metainfo = content.info
        self.metainfo = metainfo
        self.content = content
        self._file = file
        self._swarm = swarm
        self._parts = parts
        self.info_hash = metainfo.info_hash
        self.size = metainfo.size
        self.done = threading.Event()
        self.over = False  # whether its part is closed; what is left to do is to tell
        self.error: SwarmError | None = None
        self.board = DownloadState(metainfo.geometry, Bitfield(metainfo.geometry.piece_count))
        self._settings = settings = parts.settings
        self._tell = DownloadReporter(metainfo, parts.emit, settings.progress_interval)
        self._state = State.WAITING
        self._cancelled = threading.Event()
        self._lock = threading.Lock()  # guards candidates and sources
        self._candidates = KnownPeers(
            parts.own, settings.owner_ranking() if settings.owner_ranking is not None else None
        )
        places = SourceLimits(settings.max_owners, settings.max_partial_owners)
        self._crew = SourcePool(self._candidates, self._lock, places, self._source_thread)
        self._search = PeerSearch(swarm.sources, metainfo, self._owners_found)
        self._no_owner_because = "the tracker knows no owner"
        self._place: RetryWhenFull | None = None  # the content, for those who write to it
        self._is_announced = False
        self._destination: Destination | None = None
        self._pool = pool_for(metainfo, places.threads)
        self._thread = threading.Thread(target=self._run, name=f"download-{metainfo.name}", daemon=True)
        self._started_at = self._fetching_since = self._fetched_at = time.monotonic()

    # ---- for the node

    @property
    def is_checking(self) -> bool:
        """True while the bytes that are here already are hashed."""
        return self._state in (State.WAITING, State.CHECKING)

    def start(self) -> None:
        """Begin, in the background."""
        self._thread.start()

    def cancel(self) -> None:
        """Stop; NAME.part is kept. Returns at once: wait for ``done``."""
        self._cancelled.set()
        self.board.stop()

    def credits(self) -> list[tuple[int, int]]:
        """``(node_id, bytes)``: who delivered how much of the verified pieces."""
        amounts = ((c.peer.node_id, self.board.verified_from(c.peer)) for c in self._known())
        return [(node_id, amount) for node_id, amount in amounts if amount and node_id is not None]

    def status(self) -> events.DownloadStatus:
        """A row of -status."""
        sources = source_rows(self._known(), self.board, self._settings.max_owners, self.board.complete)
        rate = sum(source.rate for source in sources)
        received = self.board.received
        no_room = self._place.reason if self._place is not None and not self.over else ""
        return events.DownloadStatus(
            filename=self.metainfo.name,
            info_hash=self.metainfo.info_hash_hex,
            state=State.WAITING.value if no_room else self._state.value,
            size=self.size,
            verified=self.board.verified,
            received=received,
            rate=rate,
            eta=(self.size - received) / rate if rate > 0 else None,
            reason=str(self.error) if self.error else no_room,
            sources=sources,
        )

    def peers(self) -> list[events.PeerStatus]:
        """Rows of -peers: every owner known, and why it is not used."""
        name = self.metainfo.name
        return [
            events.PeerStatus(
                s.node_id, s.addr, name, "from", s.received, s.rate, s.state, s.reason, s.complete, s.held
            )
            for s in self.status().sources
        ]

    def _known(self) -> list[Candidate]:
        with self._lock:
            return list(self._candidates)

    # ---- the story

    def _run(self) -> None:
        fault: SwarmError | None = None
        try:
            with self._turn():
                path = self._fetch_into_place()
            self._state = State.COMPLETED
            seconds = time.monotonic() - self._started_at
            fetching = self._fetched_at - self._fetching_since
            self._tell.completed(path, seconds, fetching, self.status().sources)
            self._announce_complete()
        except SwarmError as error:
            fault = error
        except OSError as error:
            fault = FileFault(f"{self.metainfo.name}: {error.strerror or error}")
        except Exception as error:
            fault = unexpected_fault(self.metainfo.name, error)
        try:
            if fault is not None:
                self._swarm.withdraw(owned_file(self.metainfo, False))
            self._let_go()
            if fault is not None:
                self._failed(fault)
        finally:
            self.done.set()

    def _let_go(self) -> None:
        """End the owners' threads and close the part: from now on another download may have it."""
        self.board.stop()
        self._crew.join(JOIN_LIMIT)  # after the file is in place: nothing is written once all is verified
        self.content.close()
        self._pool = BufferPool(0, 0)  # a node may keep hundreds of downloads to show; not their buffers
        self.over = True

    def _announce_complete(self) -> None:
        """Tell the trackers that this node has the file, and which nodes delivered it.

        If the file is gone again, the download is complete all the same.
        """
        try:
            self.content.check_unchanged()
        except FileFault as fault:
            self._tell.not_offered(str(fault))
            return
        self._tell.sharing(self._file.path)
        self._swarm.announce(owned_file(self.metainfo, True))
        self._swarm.credit(self.metainfo, self.credits())
        self._swarm.flush(ANNOUNCE_LIMIT)

    def _announce_part(self) -> None:
        """As soon as a piece is verified, peers may fetch it."""
        if not self._is_announced and self.board.verified:
            self._is_announced = True
            self._swarm.announce(owned_file(self.metainfo, False))

    def _failed(self, error: SwarmError) -> None:
        self.error = error
        self._state = State.CANCELLED if self._cancelled.is_set() else State.FAILED
        tell = self._tell.cancelled if self._cancelled.is_set() else self._tell.failed
        tell(str(error))  # last: a user who reads it may start the download again at once

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait until fewer than MAX_DOWNLOADS of this node go on, and be one of them."""
        while not self._parts.slots.acquire(timeout=TURN_CHECK):
            self._check_cancelled()
        try:
            self._check_cancelled()
            self._state, self._started_at = State.CHECKING, time.monotonic()
            yield
        finally:
            self._parts.slots.release()

    def _fetch_into_place(self) -> Path:
        content, name = self.content, self.metainfo.name
        folder = content.final_path.parent
        if os.path.lexists(content.final_path):
            return self._adopt_existing()
        if not os.path.lexists(content.path):
            check_room(folder, name, self.size)  # and leave no empty part behind
        part = content.open_part()
        self._file.keep_in(folder)
        self._place = RetryWhenFull(
            content, self._settings.room_limit, self._wait_for_room, self._tell.waiting
        )
        threads = self._settings.hash_threads
        held = check_part(part, self.metainfo, threads, self._tell.hashed, self._cancelled)
        content.set_verified(held)
        self.board = self._new_state(held)
        self._destination = self._new_destination(self._place)
        self._check_cancelled()  # after the board is there: whoever cancels now stops this one
        check_room(folder, name, self.size - max(self.board.verified, part.allocated))
        self._tell.started(self.board.verified)
        self._fetching_since = self._fetched_at = time.monotonic()
        self._fetch()
        self._fetched_at = time.monotonic()
        return self.reassemble_file()

    def _adopt_existing(self) -> Path:
        """The file is here already, and is this torrent's content; FileFault if it is another file."""
        content, metainfo = self.content, self.metainfo
        file = SharedFile.open(content.final_path)
        try:
            threads = self._settings.hash_threads
            held = check_existing(file, metainfo, threads, self._tell.hashed, self._cancelled)
            self._check_cancelled()
            content.adopt(file)
        finally:
            file.close()
        self.board = self._new_state(held)
        finish_rename(content.final_path.with_name(metainfo.name + PART_SUFFIX), content.final_path)
        self._file.keep_in(content.final_path.parent)
        return content.final_path

    def _new_state(self, held: Bitfield) -> DownloadState:
        order = self._settings.piece_order() if self._settings.piece_order is not None else None
        return DownloadState(self.metainfo.geometry, held, self._parts.own, order=order)

    def _new_destination(self, place: RetryWhenFull) -> Destination:
        results = PieceResults(
            self.board, place, self._candidates, self._lock, self._piece_hashed, self._banned
        )
        return Destination(
            self.metainfo,
            self.board,
            place,
            self._parts.hash_pool,
            self._pool,
            results.on_piece_hashed,
            self._crew.cancel,
        )

    def _piece_hashed(self, index: int, right: bool, sources: Iterable[Peer]) -> None:
        """On the thread that hashed it: from now on peers may fetch it."""
        if right:
            self.content.mark_verified(index)
        self._tell.piece(index, right, sources)

    def reassemble_file(self) -> Path:
        """Every piece is verified and in its place: sync the file to disk and give it its name."""
        self._state = State.FINISHING
        self._tell.progress(self.status())
        return self.content.finish()

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise DownloadFailed(f"{self.metainfo.name}: stopped; what is here of it is kept")

    def _fetch(self) -> None:
        """Keep owners at work until every piece is verified; raises why that cannot be."""
        self._state = State.SEARCHING
        self._search.ask()
        last_tick = time.monotonic()
        patience = SearchBackoff(self._settings.search_limit, last_tick)
        while not self.board.over:
            now = time.monotonic()
            chosen = self._crew.fill(self.board, now)
            if chosen:
                self._tell.owners_found(self._known(), chosen)
            self._announce_part()
            patience.saw(self.board.received, now)
            if self._crew.size:
                self._state = State.FETCHING
                if self._crew.has_room() and patience.wants_more(now):
                    self._search.ask()
            elif not self._search.asking and not (self._place and self._place.reason):
                self._look_for_owners(patience, now)
            nap = patience.seconds(now) or self._settings.progress_interval
            self.board.wait(max(SHORTEST_NAP, min(nap, self._settings.progress_interval)))
            if now - last_tick >= self._settings.progress_interval:
                last_tick = now
                self.board.tick()
                self._tell.progress(self.status())
        if self.board.fault is not None:
            raise self.board.fault
        if not self.board.complete:
            self._check_cancelled()
            raise DownloadFailed(f"{self.metainfo.name}: stopped")

    def _look_for_owners(self, patience: SearchBackoff, now: float) -> None:
        """Nobody delivers: wait, ask again, or give up."""
        self._state = State.SEARCHING
        what, new_wait = patience.nobody(now)
        if what is Next.GIVE_UP:
            name, limit = self.metainfo.name, self._settings.search_limit
            reason = self._no_owner_because
            raise DownloadFailed(f"{name}: no owner for {limit:g} s ({reason}); {name}.part is kept")
        if what is Next.ASK:
            self._search.ask()
        elif new_wait:
            with self._lock:
                retry = self._candidates.seconds_to_retry(now)
            self._tell.waiting(min(patience.seconds(now), retry), self._no_owner_because)

    def _wait_for_room(self, seconds: float) -> bool:
        return self.board.wait_until_over(seconds)

    # ---- owners

    def _owners_found(self, owners: list[FoundPeer] | None, why: str) -> None:
        """On the search's thread: the trackers have answered, or have not."""
        if owners is None:
            self._no_owner_because = why
        else:
            with self._lock:
                self._candidates.update(owners)
                partial = self._candidates.partial_peers()
            self.board.set_partial_peers(partial)
            others = any(owner.peer.node_id != self._settings.node_id for owner in owners)
            self._no_owner_because = self._last_failure() if others else "the tracker knows no owner"
        self.board.wake()

    def _last_failure(self) -> str:
        failed = [c for c in self._known() if c.reason]
        return "; ".join(f"{c.peer}: {c.reason}" for c in failed) or "none of its owners can be used"

    def _source_thread(self, candidate: Candidate) -> Source:
        assert self._destination is not None
        buffer = WriteBuffer(candidate.peer, self._destination)
        return SourceThread(
            candidate, self.metainfo, self.board, buffer, self._parts.transport, self._source_ended
        )

    def _source_ended(self, source: Source, why: SwarmError | None) -> None:
        """On the source's thread: it works no more."""
        self._crew.ended(source, why)
        if isinstance(why, (FileFault, PluginError, DownloadFailed)):
            self.board.stop(why)
        elif why is not None and not source.candidate.banned and not self.board.over:
            self._tell.lost(source.candidate)
            self._search.ask()
        self.board.wake()

    def _banned(self, candidate: Candidate) -> None:
        """On the thread that hashed its piece: it sent wrong bytes."""
        self._tell.lost(candidate)
        self._search.ask()
