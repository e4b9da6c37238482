"""The coordinator of one download, from the check of what is here to the file in place.

    CHECKING ─▶ SEARCHING ⇄ FETCHING ─▶ FINISHING ─▶ COMPLETED
        │            │          │           │
        └────────────┴──────────┴───────────┴──────▶ FAILED, CANCELLED   (NAME.part is kept)

It names no transport: owners' threads take spans from the board and report what arrived; hashing threads
report what was right. This thread finds owners, keeps as many busy as the settings say, replaces those that
fail, and tells what goes on.
"""

from __future__ import annotations

import enum
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.bitfield import Bitfield
from common.errors import DiskFull, DownloadFailed, FileFault, SwarmError
from common.logs import clean
from common.messages import OwnerEntry
from common.metainfo import Metainfo
from node import events
from node.content.storage import PartFile, SharedFile
from node.content.verify import PieceVerifier, Verdict, verify_content
from node.discovery.base import Discovery
from node.download.board import Board
from node.download.candidates import Candidate, Candidates
from node.download.search import OwnerSearch
from node.download.source import SourceThread
from node.settings import NodeSettings
from node.strategy import Source

REFRESH = 10.0  # seconds after which the tracker is asked for more owners while there are too few
JOIN_LIMIT = 5.0  # seconds to wait for an owner's thread to end


class State(enum.Enum):
    """Where a download is; the values are what -status shows."""

    CHECKING = "checking"
    SEARCHING = "searching"
    FETCHING = "fetching"
    FINISHING = "finishing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Surroundings:
    """What a download needs of its node."""

    settings: NodeSettings
    trackers: Sequence[Discovery]  # whom to ask for owners, in this order
    verifier: PieceVerifier
    emit: events.EventSink
    in_place: Callable[[Download, Path], None]  # the file is there: share it, tell the tracker


class Download:
    """Fetches ``metainfo``'s content; ``start`` it once, then watch ``done`` and ``error``."""

    def __init__(self, metainfo: Metainfo, surroundings: Surroundings) -> None:
        self.metainfo = metainfo
        self.info_hash = metainfo.info_hash
        self.size = metainfo.size
        self.done = threading.Event()
        self.error: SwarmError | None = None
        self.board = Board(metainfo.geometry, Bitfield(metainfo.geometry.piece_count))
        self._around = surroundings
        self._settings = surroundings.settings
        self._state = State.CHECKING
        self._cancelled = threading.Event()
        self._lock = threading.Lock()  # guards candidates and sources
        self._candidates = Candidates(surroundings.settings.node_id)
        self._sources: dict[Source, SourceThread] = {}
        self._search = OwnerSearch(
            surroundings.trackers, metainfo.name, metainfo.info_hash_hex, self._owners_found
        )
        self._hashing_told = 0.0
        self._divided = False  # the first owners have got their equal chunks
        self._no_owner_because = "the tracker knows no owner"
        self._part: PartFile | None = None
        self._thread = threading.Thread(target=self._run, name=f"download-{metainfo.name}", daemon=True)
        self._started_at = self._fetching_since = self._fetched_at = time.monotonic()

    # ---- for the node

    def start(self) -> None:
        """Begin, in the background."""
        self._thread.start()

    def cancel(self) -> None:
        """Stop; NAME.part is kept. Returns at once: wait for ``done``."""
        self._cancelled.set()
        self.board.stop()

    def credits(self) -> list[tuple[int, int]]:
        """``(node_id, bytes)``: who delivered how much of the verified pieces."""
        with self._lock:
            candidates = list(self._candidates)
        amounts = ((c.node_id, self.board.verified_from((c.node_id, c.addr))) for c in candidates)
        return [(node_id, amount) for node_id, amount in amounts if amount]

    def status(self) -> events.DownloadStatus:
        """A row of -status."""
        sources = self._source_rows()
        rate = sum(source.rate for source in sources if source.state == "active")
        received = self.board.received
        return events.DownloadStatus(
            filename=self.metainfo.name,
            info_hash=self.metainfo.info_hash_hex,
            state=self._state.value,
            size=self.size,
            verified=self.board.verified,
            received=received,
            rate=rate,
            eta=(self.size - received) / rate if rate > 0 else None,
            reason=str(self.error) if self.error else "",
            sources=sources,
        )

    def peers(self) -> list[events.PeerStatus]:
        """Rows of -peers: every owner known, and why it is not used."""
        return [
            events.PeerStatus(
                s.node_id, s.addr, self.metainfo.name, "from", s.received, s.rate, s.state, s.reason
            )
            for s in self._source_rows()
        ]

    def _source_rows(self) -> tuple[events.SourceProgress, ...]:
        with self._lock:
            candidates = list(self._candidates)
        rows = []
        for candidate in candidates:
            meter = self.board.meter((candidate.node_id, candidate.addr))
            state = "active" if candidate.active else "blamed" if candidate.blamed else "idle"
            if state == "idle" and candidate.failures:
                state = "lost"
            reason = (
                ""
                if self._state is State.COMPLETED
                else Candidates.why_not(candidate, self._settings.max_owners)
            )
            rate = meter.rate if candidate.active else 0.0
            rows.append(
                events.SourceProgress(candidate.node_id, candidate.addr, meter.total, rate, state, reason)
            )
        return tuple(rows)

    # ---- the story

    def _run(self) -> None:
        try:
            path = self._fetch_into_place()
            self._state = State.COMPLETED
            self._tell_completed(path)
            self._around.in_place(self, path)
        except SwarmError as error:
            self.error = error
            self._state = State.CANCELLED if self._cancelled.is_set() else State.FAILED
            self._around.emit(events.Failed(self.metainfo.name, self.metainfo.info_hash_hex, str(error)))
        finally:
            self.board.stop()
            if self._part is not None:
                self._part.close()
            self.done.set()

    def _fetch_into_place(self) -> Path:
        final_path = self._settings.folder / self.metainfo.name
        if os.path.lexists(final_path):
            self._check_existing(final_path)
            return final_path
        part = self._part = PartFile.open(self._settings.folder, self.metainfo)
        held = verify_content(
            part.read_into,
            self.metainfo,
            self._settings.hash_threads,
            self._hashed,
            self._cancelled,
            part.is_hole,
        )
        self.board = Board(self.metainfo.geometry, held)
        self._check_cancelled()  # after the board is there: whoever cancels now stops this one
        self._check_room()
        self._emit_started()
        self._fetching_since = self._fetched_at = time.monotonic()
        try:
            self._fetch()
        finally:
            self.board.stop()
            self._join_sources()
        self._fetched_at = time.monotonic()
        return self.reassemble_file(part)

    def reassemble_file(self, part: PartFile) -> Path:
        """All pieces are verified and each is in its place already: make them safe, give them their name."""
        self._state = State.FINISHING
        self._emit_progress()
        return part.finish()

    def _check_existing(self, path: Path) -> None:
        """A file of this name is here already: fine if it is the very one, else it is left alone."""
        wrong = FileFault(f"{clean(path)} exists and is another file; it is not overwritten: move it away")
        if path.stat().st_size != self.size:
            raise wrong
        shared = SharedFile.open(path, self.size)
        try:
            held = verify_content(
                shared.read_into, self.metainfo, self._settings.hash_threads, self._hashed, self._cancelled
            )
        finally:
            shared.close()
        self._check_cancelled()
        if not held.all():
            raise wrong
        self.board = Board(self.metainfo.geometry, held)

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise DownloadFailed(f"{self.metainfo.name}: stopped; what is here of it is kept")

    def _check_room(self) -> None:
        """Fail before the first byte rather than at the last."""
        needed = self.size - self.board.verified
        free = shutil.disk_usage(self._settings.folder).free
        if needed > free:
            raise DiskFull(
                f"no room left in {clean(self._settings.folder)} for {self.metainfo.name}: "
                f"{needed} bytes are wanted, {free} are free"
            )

    def _fetch(self) -> None:
        """Keep owners at work until every piece is verified."""
        self._state = State.SEARCHING
        self._search.ask()
        last_search = last_tick = last_progress = time.monotonic()
        next_search = float("inf")
        received = self.board.received
        while not self.board.over:
            now = time.monotonic()
            active = self._engage_owners(now)
            if self.board.received > received:
                received, last_progress = self.board.received, now
                self._search.encouraged()
            if active:
                self._state, next_search = State.FETCHING, float("inf")
                if active < self._settings.max_owners and now - last_search > REFRESH:
                    last_search = now
                    self._search.ask()
            elif not self._search.asking:
                self._state = State.SEARCHING
                if now - last_progress > self._settings.search_limit:
                    raise DownloadFailed(self._hopeless())
                if next_search == float("inf"):
                    wait = self._search.next_wait()
                    next_search = now + wait
                    self._emit_waiting(wait)
                elif now >= next_search:
                    next_search, last_search = float("inf"), now
                    self._search.ask()
            self.board.wait(min(self._settings.progress_interval, max(0.01, next_search - now)))
            if now - last_tick >= self._settings.progress_interval:
                last_tick = now
                self.board.tick()
                self._emit_progress()
        if self.board.fault is not None:
            raise self.board.fault
        if not self.board.complete:
            self._check_cancelled()

    def _hopeless(self) -> str:
        limit = self._settings.search_limit
        return (
            f"{self.metainfo.name}: no owner could be reached for {limit:.0f} s ({self._no_owner_because}); "
            f"{self.metainfo.name}.part is kept"
        )

    # ---- owners

    def _owners_found(self, owners: list[OwnerEntry] | None, why: str) -> None:
        if owners is None:
            self._no_owner_because = why
        else:
            with self._lock:
                self._candidates.named(owners)
            others = [owner for owner in owners if owner.node_id != self._settings.node_id]
            self._no_owner_because = (
                "none of its owners can be used" if others else "the tracker knows no owner"
            )
        with self.board.changed:
            self.board.changed.notify_all()

    def _engage_owners(self, now: float) -> int:
        """Start threads for owners up to the limit; how many work now."""
        with self._lock:
            wanted = self._settings.max_owners - len(self._sources)
            chosen = self._candidates.choose(wanted, now) if wanted > 0 else []
            known = tuple(candidate.node_id for candidate in self._candidates)
            threads = [self._source_thread(candidate) for candidate in chosen]
            self._sources.update((thread.key, thread) for thread in threads)
            active = len(self._sources)
        if not threads:
            return active
        if not self._divided:
            self._divided = True
            self.board.start([thread.key for thread in threads])
        else:
            for thread in threads:
                self.board.join(thread.key)
        ids = tuple(candidate.node_id for candidate in chosen)
        self._around.emit(events.OwnersFound(self.metainfo.name, self.metainfo.info_hash_hex, known, ids))
        for thread in threads:
            thread.start()
        return active

    def _source_thread(self, candidate: Candidate) -> SourceThread:
        assert self._part is not None
        return SourceThread(candidate, self, self._part, self._settings.transfer, self._source_ended)

    def _source_ended(self, source: SourceThread, why: SwarmError | None) -> None:
        """On the source's thread: it works no more."""
        candidate = source.candidate
        with self._lock:
            self._sources.pop(source.key, None)
            if candidate.blamed:
                candidate.active = False
            elif why is None:
                Candidates.released(candidate)
            else:
                Candidates.failed(candidate, str(why), time.monotonic())
        if isinstance(why, FileFault):
            self.board.stop(why)
        elif why is not None and not candidate.blamed:
            self._emit_lost(candidate)
            self._search.ask()
        with self.board.changed:
            self.board.changed.notify_all()

    def _join_sources(self) -> None:
        with self._lock:
            sources = list(self._sources.values())
        for source in sources:
            source.join(JOIN_LIMIT)

    # ---- pieces

    def verify(self, piece: int) -> None:
        """Have a complete piece hashed; ``_judged`` hears of it."""
        assert self._part is not None
        self._around.verifier.submit(
            self._part.read_into, self.metainfo.geometry, piece, self.metainfo.piece_hash(piece), self._judged
        )

    def _judged(self, piece: int, verdict: Verdict) -> None:
        """On a hashing thread: the piece is right, wrong, or could not be read."""
        name, info_hash = self.metainfo.name, self.metainfo.info_hash_hex
        if isinstance(verdict, SwarmError):
            self.board.stop(verdict)
            return
        deliverers = self.board.right(piece) if verdict else self.board.wrong(piece)
        ids = tuple(key[0] for key in deliverers)
        if verdict:
            self._around.emit(events.Piece(name, info_hash, piece, ids))
            return
        self._around.emit(events.PieceFailed(name, info_hash, piece, ids))
        if len(deliverers) == 1:
            self._blame(*next(iter(deliverers)), piece)

    def _blame(self, node_id: int, addr: tuple[str, int], piece: int) -> None:
        """Only this owner delivered the piece: it is not asked again."""
        with self._lock:
            candidate = self._candidates.find(node_id, addr)
            if candidate is None or candidate.blamed:
                return
            candidate.blamed = True
            candidate.reason = f"sent wrong bytes (piece {piece})"
        self.board.dismiss((node_id, addr))
        self._emit_lost(candidate)
        self._search.ask()

    # ---- telling

    def _hashed(self, done: int, size: int) -> None:
        now = time.monotonic()
        if done == size or now - self._hashing_told >= self._settings.progress_interval:
            self._hashing_told = now
            self._around.emit(events.Hashing(self.metainfo.name, done, size))

    def _emit_started(self) -> None:
        name, info_hash, length = self.metainfo.name, self.metainfo.info_hash_hex, self.metainfo.piece_length
        self._around.emit(events.DownloadStarted(name, info_hash, self.size, self.board.verified, length))

    def _emit_waiting(self, seconds: float) -> None:
        name, info_hash = self.metainfo.name, self.metainfo.info_hash_hex
        self._around.emit(events.Waiting(name, info_hash, seconds, self._no_owner_because))

    def _emit_lost(self, candidate: Candidate) -> None:
        name, info_hash = self.metainfo.name, self.metainfo.info_hash_hex
        self._around.emit(
            events.OwnerLost(
                name, info_hash, candidate.node_id, candidate.addr, candidate.reason, candidate.blamed
            )
        )

    def _emit_progress(self) -> None:
        row = self.status()
        self._around.emit(
            events.Progress(
                row.filename,
                row.info_hash,
                row.size,
                row.received,
                row.verified,
                row.rate,
                row.eta,
                row.sources,
            )
        )

    def _tell_completed(self, path: Path) -> None:
        seconds = self._fetched_at - self._fetching_since
        sources = self._source_rows()
        fetched = sum(source.received for source in sources)
        self._around.emit(
            events.Completed(
                filename=self.metainfo.name,
                info_hash=self.metainfo.info_hash_hex,
                path=str(path),
                size=self.size,
                seconds=time.monotonic() - self._started_at,
                transfer_seconds=seconds,
                rate=fetched / seconds if seconds > 0 else 0.0,
                sources=sources,
            )
        )
