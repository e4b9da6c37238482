"""The coordinator of one download, from the check of existing bytes to the file in place.

    WAITING ─▶ CHECKING ─▶ SEARCHING ⇄ FETCHING ─▶ FINISHING ─▶ COMPLETED
       │           │            │          │           │
       └───────────┴────────────┴──────────┴───────────┴──────▶ FAILED, CANCELLED,
                                                                PAUSED   (NAME.part is kept)

One thread goes through these phases. ``LiveDownload`` exists from SEARCHING on. If the user selects more
files at the last moment, FINISHING is followed by SEARCHING. No transport is named here.
"""

from __future__ import annotations

import enum
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.bitfield import Bitfield
from common.errors import DownloadFailed, FileFault, SwarmError
from common.filenames import PART_SUFFIX
from node import events
from node.content.atomic_rename import finish_rename
from node.content.store import ContentStore
from node.content.torrent_file import TorrentFile
from node.download.checking import check_existing, check_part, check_room
from node.download.live import LiveDownload, stopped
from node.download.piece_copies import piece_states
from node.download.reporting import DownloadReporter, paused_rows
from node.download.state import DownloadState
from node.download.swarm import NodeParts, SwarmTrackers, owned_file
from node.download.unexpected import unexpected_fault
from node.notes import ConnectionSample
from node.peer import FoundPeer, Peer

ANNOUNCE_LIMIT = 5.0  # max seconds that a finished download waits until its trackers know it
SLOT_CHECK = 0.1  # seconds between two looks whether a download that waits for its slot is cancelled


class DownloadPhase(enum.Enum):
    """Where a download is. The values are shown by -status."""

    WAITING = "waiting"
    CHECKING = "checking"
    SEARCHING = "searching"
    FETCHING = "fetching"
    FINISHING = "finishing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PAUSED = "paused"


class Download:
    """Fetches a torrent's ``content``. ``start`` it once, then watch ``done`` and ``error``.

    ``file``: the torrent; a copy is kept beside the content. ``swarm``: its trackers. ``parts``: of
    the node.
    """

    def __init__(
        self, content: ContentStore, file: TorrentFile, swarm: SwarmTrackers, parts: NodeParts
    ) -> None:
        self.metainfo = content.info
        self.content = content
        self.info_hash = content.info.info_hash
        self.size = content.info.size
        self.done = threading.Event()
        self.over = False  # True once the content is closed: another download of it may start
        self.error: SwarmError | None = None
        self._file = file
        self._swarm = swarm
        self._parts = parts
        self._settings = parts.settings
        self._report = DownloadReporter(content.info, parts.emit, parts.settings.progress_interval)
        self._phase = DownloadPhase.WAITING
        self._cancelled = threading.Event()
        self._cancelled_to = DownloadPhase.CANCELLED
        self._live: LiveDownload | None = None
        self._ended_with: tuple[int, int] | None = None  # bytes verified and received, after a fault
        self._thread = threading.Thread(target=self._run, name=f"download {content.info.name}", daemon=True)
        self._started_at = self._fetching_since = self._fetched_at = time.monotonic()

    # ---- for the node

    @property
    def is_checking(self) -> bool:
        """True while the bytes that are here already are hashed."""
        return self._phase in (DownloadPhase.WAITING, DownloadPhase.CHECKING)

    def start(self) -> None:
        """Begin, in the background."""
        self._thread.start()

    def cancel(self, to: DownloadPhase = DownloadPhase.CANCELLED) -> None:
        """Stop; NAME.part is kept. Returns at once: wait for ``done``. ``to``: CANCELLED or PAUSED."""
        self._cancelled_to = to
        self._cancelled.set()
        if self._live is not None:
            self._live.stop()

    def on_selection(self) -> None:
        """The user selected other files of the content."""
        if self._live is not None:
            self._live.state.set_wanted(self.content.wanted)

    def add_peer(self, found: FoundPeer) -> None:
        """A peer that no tracker named may be fetched from. Returns at once."""
        if self._live is not None:
            self._live.add_peer(found)

    def status(self) -> events.DownloadStatus:
        """A row of -status."""
        live = self._live
        sources = live.source_rows() if live is not None else ()
        if self._cancelled.is_set() and self._cancelled_to is DownloadPhase.PAUSED:
            sources = paused_rows(sources)
        verified, received = self._amounts()
        rate = sum(source.rate for source in sources)
        no_room = live.disk_full_reason if live is not None and not self.over else ""
        phase = self._phase
        if phase is DownloadPhase.SEARCHING and live is not None and live.is_fetching:
            phase = DownloadPhase.FETCHING
        return events.DownloadStatus(
            filename=self.metainfo.name,
            info_hash=self.metainfo.info_hash_hex,
            state=DownloadPhase.WAITING.value if no_room else phase.value,
            size=self.content.selected_size,
            verified=verified,
            received=received,
            rate=rate,
            eta=self._missing() / rate if rate > 0 else None,
            reason=str(self.error) if self.error else no_room,
            sources=sources,
            availability=live.copies().availability
            if live is not None and phase is DownloadPhase.FETCHING
            else None,
        )

    def _amounts(self) -> tuple[int, int]:
        """Bytes of the selected files: verified, and received, verified or not.

        Received bytes of a boundary piece count as those of a selected file until the piece is verified.
        """
        content, live = self.content, self._live
        size = content.selected_size
        if self._ended_with is not None:
            return min(size, self._ended_with[0]), min(size, self._ended_with[1])
        if live is None or content.is_satisfied:
            here = size if content.is_satisfied else 0
            return here, here
        if size == self.size:
            return live.state.verified, live.state.received
        verified = content.selected_verified
        return verified, min(size, verified + live.state.received - live.state.verified)

    def _missing(self) -> int:
        """Bytes that are still to come, with those of boundary pieces."""
        return self._live.state.wanted_size - self._live.state.received if self._live is not None else 0

    def pieces(self) -> events.PiecesStatus:
        """The answer to -pieces."""
        live = self._live
        copies = live.copies() if live is not None else None
        progress = live.state.in_progress() if live is not None else None
        return events.PiecesStatus(
            self.metainfo.name,
            self.metainfo.info_hash_hex,
            self.metainfo.piece_length,
            piece_states(
                self.content.have,
                progress.all if progress else (),
                copies.missing if copies else 0,
                self.content.wanted,
            ),
            copies.by_count if copies is not None else (),
            copies.availability if copies is not None else None,
        )

    @property
    def state(self) -> DownloadState | None:
        """The state of the pieces; None until it is known which are here. Another one after a selection."""
        return self._live.state if self._live is not None else None

    def samples(self) -> list[tuple[Peer, ConnectionSample]]:
        """The limits of the requests to each source at present."""
        return self._live.samples() if self._live is not None else []

    def peers(self) -> list[events.PeerStatus]:
        """Rows of -peers: every known peer, and why it is not used."""
        name = self.metainfo.name
        return [
            events.PeerStatus(
                *(s.node_id, s.addr, name, "from", s.received, s.rate, s.state, s.reason),
                complete=s.complete,
                held=s.held,
                transport=s.transport,
            )
            for s in self.status().sources
        ]

    # ---- the phases

    def _run(self) -> None:
        fault: SwarmError | None = None
        try:
            with self._slot():
                path = self._fetch_into_place()
            self._phase = DownloadPhase.COMPLETED
            seconds = time.monotonic() - self._started_at
            fetching = self._fetched_at - self._fetching_since
            size = self.content.selected_size
            self._report.completed(path, size, seconds, fetching, self.status().sources)
            self._announce_complete()
        except SwarmError as error:
            fault = error
        except OSError as error:
            fault = FileFault(f"{self.metainfo.name}: {error.strerror or error}")
        except BaseException as error:  # any: the node waits for ``done``
            fault = unexpected_fault(self.metainfo.name, error)
        try:
            self._end(fault)
        finally:
            self.done.set()

    def _end(self, fault: SwarmError | None) -> None:
        """Let go of the content, withdraw what failed, and report last: then the user may start again."""
        if fault is not None:
            self._ended_with = self._amounts()  # while the content is open
        if self._live is not None:
            self._live.close()
        if not self.content.is_satisfied:
            self.content.close()
        if fault is not None:
            self._swarm.withdraw(owned_file(self.metainfo, False))
        self.over = True
        if fault is None:
            return
        self._phase = DownloadPhase.FAILED
        report = self._report.failed
        if self._cancelled.is_set():
            self._phase, report = self._cancelled_to, self._report.cancelled
            if self._cancelled_to is DownloadPhase.PAUSED:
                fault = DownloadFailed(f"{self.metainfo.name}: paused; what is here of it is kept")
        self.error = fault
        report(str(fault))

    @contextmanager
    def _slot(self) -> Iterator[None]:
        """Wait for one of the node's download slots, and hold it."""
        while not self._parts.slots.acquire(timeout=SLOT_CHECK):
            self._check_cancelled()
        try:
            self._check_cancelled()
            self._phase, self._started_at = DownloadPhase.CHECKING, time.monotonic()
            yield
        finally:
            self._parts.slots.release()

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise stopped(self.metainfo.name)

    def _fetch_into_place(self) -> Path:
        if self.content.is_in_place:
            return self._adopt_existing()
        live = self._check_part()
        self._check_cancelled()  # after ``_live`` is set: from now on ``cancel`` stops it
        self._report.started(self.content.selected_size, self.content.selected_verified)
        self._phase = DownloadPhase.SEARCHING
        self._fetching_since = self._fetched_at = time.monotonic()
        while True:
            live.run(self._tick)
            self._fetched_at = time.monotonic()
            path = self.reassemble_file()
            if self.content.is_satisfied:
                return path
            live.close()
            self.content.keep_record()
            live = self._begin_live(self.content.have.copy())
            self._check_cancelled()
            self._phase = DownloadPhase.SEARCHING

    def _adopt_existing(self) -> Path:
        """The files are here already, and are this torrent's content; FileFault if they are others."""
        content, threads = self.content, self._settings.hash_threads
        files = content.find_finished()
        trusted = content.trusted_pieces(files.stored())
        check_existing(files, self.metainfo, threads, self._report.hashed, self._cancelled, trusted)
        self._check_cancelled()
        content.adopt_files(files, record=True)
        if self.metainfo.is_single_file:
            finish_rename(content.final_path.with_name(self.metainfo.name + PART_SUFFIX), content.final_path)
        self._file.keep_in(content.final_path.parent)
        return content.final_path

    def _check_part(self) -> LiveDownload:
        """Open NAME.part and find out which of its pieces are right."""
        content, folder = self.content, self.content.final_path.parent
        if not os.path.lexists(content.path):
            check_room(folder, self.metainfo.name, content.wanted_size)  # and leave no empty part file behind
        part = content.open_part()
        self._file.keep_in(folder)
        stored = part.stored()
        have = check_part(
            part,
            self.metainfo,
            self._settings.hash_threads,
            self._report.hashed,
            self._cancelled,
            content.trusted,
        )
        content.set_verified(have)
        content.keep_record(stored)
        live = self._begin_live(have)
        check_room(
            folder, self.metainfo.name, live.state.wanted_size - max(live.state.verified, part.allocated)
        )
        return live

    def _tick(self) -> None:
        """Called a few times a second while the download fetches."""
        self._report.progress(self.status())
        self.content.settle_record()

    def _begin_live(self, have: Bitfield) -> LiveDownload:
        live = LiveDownload(self.content, have, self._swarm, self._parts, self._report)
        self._live = live  # from now on ``on_selection`` knows it
        live.state.set_wanted(self.content.wanted)
        return live

    def reassemble_file(self) -> Path:
        """Every piece is verified and in its place: sync the file to disk and give it its name."""
        self._phase = DownloadPhase.FINISHING
        self._report.progress(self.status())
        return self.content.finish()

    def _announce_complete(self) -> None:
        """Announce the complete file, and credit the nodes that delivered it.

        If the file is gone again, the download is complete all the same.
        """
        try:
            self.content.check_unchanged()
        except FileFault as fault:
            self._report.not_offered(str(fault))
            return
        self._report.sharing(self._file.path, self.content.selected_size)
        self._swarm.announce(owned_file(self.metainfo, self.content.is_finished))
        if self._live is not None:
            self._swarm.credit(self.metainfo, self._live.credits())
        self._swarm.flush(ANNOUNCE_LIMIT)
