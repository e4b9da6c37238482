"""What a download tells: its events, and its rows for -status and -peers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from common.metainfo import Metainfo
from node import events
from node.download.known_peers import Candidate, KnownPeers
from node.download.state import DownloadState
from node.peer import Peer


class DownloadReporter:
    """Says what happens to one torrent, with its name on it. Events go out on the thread that tells."""

    def __init__(self, metainfo: Metainfo, emit: events.EventSink, interval: float) -> None:
        self._metainfo = metainfo
        self._name, self._info_hash = metainfo.name, metainfo.info_hash_hex
        self._emit = emit
        self._interval = interval  # seconds between two events of hashing
        self._hashing_told = 0.0

    def hashed(self, done: int, size: int) -> None:
        """``done`` of ``size`` bytes that were here are checked; told a few times a second."""
        now = time.monotonic()
        if done == size or now - self._hashing_told >= self._interval:
            self._hashing_told = now
            self._emit(events.Hashing(self._name, done, size))

    def started(self, verified: int) -> None:
        """The download begins, or goes on with ``verified`` bytes."""
        metainfo = self._metainfo
        self._emit(
            events.DownloadStarted(
                self._name, self._info_hash, metainfo.size, verified, metainfo.piece_length
            )
        )

    def owners_found(self, known: Iterable[Candidate], chosen: Iterable[Candidate]) -> None:
        """Owners are known, and some of them are asked from now on."""
        known_ids = tuple(candidate.peer.node_id for candidate in known)
        chosen_ids = tuple(candidate.peer.node_id for candidate in chosen)
        self._emit(events.OwnersFound(self._name, self._info_hash, known_ids, chosen_ids))

    def waiting(self, seconds: float, reason: str) -> None:
        """There is no owner; the next search is in ``seconds``."""
        self._emit(events.Waiting(self._name, self._info_hash, seconds, reason))

    def lost(self, owner: Candidate) -> None:
        """``owner`` is not asked any more."""
        self._emit(
            events.OwnerLost(
                self._name, self._info_hash, owner.peer.node_id, owner.peer.addr, owner.reason, owner.banned
            )
        )

    def piece(self, index: int, right: bool, deliverers: Iterable[Peer]) -> None:
        """A piece was hashed."""
        kind = events.Piece if right else events.PieceFailed
        self._emit(kind(self._name, self._info_hash, index, tuple(peer.node_id for peer in deliverers)))

    def progress(self, row: events.DownloadStatus) -> None:
        """How far it is."""
        self._emit(
            events.Progress(
                self._name,
                self._info_hash,
                row.size,
                row.received,
                row.verified,
                row.rate,
                row.eta,
                row.sources,
            )
        )

    def completed(
        self, path: Path, seconds: float, transfer_seconds: float, sources: tuple[events.SourceProgress, ...]
    ) -> None:
        """The file is in place; ``transfer_seconds`` of the ``seconds`` it took were spent fetching."""
        fetched = sum(source.received for source in sources)
        rate = fetched / transfer_seconds if transfer_seconds > 0 else 0.0
        self._emit(
            events.Completed(
                self._name,
                self._info_hash,
                str(path),
                self._metainfo.size,
                seconds,
                transfer_seconds,
                rate,
                sources,
            )
        )

    def not_offered(self, reason: str) -> None:
        """It is complete, and others do not get it from here."""
        self._emit(events.SharingStopped(self._name, self._info_hash, reason))

    def failed(self, reason: str) -> None:
        """It ended without its file."""
        self._emit(events.Failed(self._name, self._info_hash, reason))


def source_rows(
    candidates: Sequence[Candidate], board: DownloadState, limit: int, completed: bool
) -> tuple[events.SourceProgress, ...]:
    """One row for each owner known: what came from it, and why it is not used."""
    rows = []
    for candidate in candidates:
        meter = board.meter(candidate.peer)
        state = "active" if candidate.active else "banned" if candidate.banned else "idle"
        if candidate.active and candidate.queue_position:
            state = "queued"
        if state == "idle" and candidate.suspect:
            state = "suspect"
        if state == "idle" and candidate.failures:
            state = "lost"
        reason = "" if completed and state == "idle" else KnownPeers.unused_reason(candidate, limit)
        rate = meter.rate if candidate.active else 0.0
        rows.append(
            events.SourceProgress(
                candidate.peer.node_id,
                candidate.peer.addr,
                meter.total,
                rate,
                state,
                reason,
                not candidate.partial and candidate.pieces_held is None,
                candidate.pieces_held,
            )
        )
    return tuple(rows)
