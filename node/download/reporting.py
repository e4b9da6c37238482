"""The events of a download, and its rows for -status and -peers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from common.metainfo import Metainfo
from node import events
from node.download.known_peers import Candidate, PeerKind
from node.download.reasons import Situation, foreign_reason, is_tried_again, is_useless, unused_reason
from node.download.state import DownloadState
from node.peer import Peer


class DownloadReporter:
    """Emits the events of one torrent, on the thread that calls. The same news is emitted once."""

    def __init__(self, metainfo: Metainfo, emit: events.EventSink, interval: float) -> None:
        self._metainfo = metainfo
        self._name, self._info_hash = metainfo.name, metainfo.info_hash_hex
        self._emit = emit
        self._interval = interval  # seconds between two events of hashing
        self._hashed_at = 0.0
        self._received = 0
        self._found: events.OwnersFound | None = None  # the last one
        self._lost: dict[Peer, str] = {}  # reasons why peers were lost, as reported
        self._waiting_for = ""  # the reported reason, until data comes
        self._peers: dict[tuple[str, tuple[str, int]], tuple[str, str]] = {}  # state and reason, as reported

    def hashed(self, done: int, size: int) -> None:
        """``done`` of ``size`` bytes that were here are checked; reported a few times a second."""
        now = time.monotonic()
        if done == size or now - self._hashed_at >= self._interval:
            self._hashed_at = now
            self._emit(events.Hashing(self._name, done, size))

    def started(self, size: int, verified: int) -> None:
        """The download of ``size`` selected bytes begins, or goes on with ``verified`` bytes of them."""
        metainfo = self._metainfo
        self._emit(events.DownloadStarted(self._name, self._info_hash, size, verified, metainfo.piece_length))

    def owners_found(self, known: Iterable[Candidate], chosen: Iterable[Candidate]) -> None:
        """Owners are known, and some of them are connected to. A retry of the same ones is no news."""
        owners, sources = ([candidate.peer for candidate in some] for some in (known, chosen))
        found = events.OwnersFound(
            *(self._name, self._info_hash),
            owners=tuple(peer.node_id for peer in owners),
            chosen=tuple(peer.node_id for peer in sources),
            peers=tuple(map(_short, owners)),
            asked=tuple(map(_short, sources)),
        )
        if found != self._found:
            self._found = found
            self._emit(found)

    def waiting(self, seconds: float, reason: str) -> None:
        """Nothing moves because of ``reason``; the next try is in ``seconds``.

        Reported again only for another reason, or if data came meanwhile.
        """
        if reason != self._waiting_for:
            self._waiting_for = reason
            self._emit(events.Waiting(self._name, self._info_hash, seconds, reason))

    def lost(self, owner: Candidate) -> None:
        """``owner`` is not asked any more. Its retries fail without an event, unless the reason changes."""
        if owner.failures > 1 and self._lost.get(owner.peer) == owner.reason:
            return
        self._lost[owner.peer] = owner.reason
        self._emit(
            events.OwnerLost(
                self._name,
                self._info_hash,
                owner.peer.node_id,
                owner.peer.addr,
                owner.reason,
                owner.banned,
            )
        )

    def piece(self, index: int, right: bool, sources: Iterable[Peer]) -> None:
        """A piece was hashed."""
        kind = events.Piece if right else events.PieceFailed
        peers = list(sources)
        ids = tuple(peer.node_id for peer in peers)
        self._emit(kind(self._name, self._info_hash, index, ids, tuple(map(_short, peers))))

    def progress(self, row: events.DownloadStatus) -> None:
        """How far the download is."""
        if row.received > self._received:
            self._waiting_for = ""
        self._received = row.received
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
        self.peers(row.sources)

    def peers(self, sources: Sequence[events.SourceProgress]) -> None:
        """The known peers: those that are news, or that are used in another way, are reported."""
        for source in sources:
            peer, use = (source.transport, source.addr), (source.state, source.reason)
            if self._peers.get(peer) == use:
                continue
            self._peers[peer] = use
            self._emit(
                events.PeerChanged(
                    *(self._name, self._info_hash, source.node_id, source.addr, source.transport),
                    *(source.state, source.reason, source.received),
                )
            )

    def completed(
        self,
        path: Path,
        size: int,
        seconds: float,
        transfer_seconds: float,
        sources: tuple[events.SourceProgress, ...],
    ) -> None:
        """The ``size`` selected bytes are in place. Fetching took ``transfer_seconds`` of ``seconds``."""
        fetched = sum(source.received for source in sources)
        rate = fetched / transfer_seconds if transfer_seconds > 0 else 0.0
        self._emit(
            events.Completed(
                self._name,
                self._info_hash,
                str(path),
                size,
                seconds,
                transfer_seconds,
                rate,
                sources,
                is_selection=size < self._metainfo.size,
            )
        )

    def sharing(self, torrent: Path, size: int) -> None:
        """The ``size`` selected bytes are complete, and peers may fetch them with ``torrent``."""
        is_selection = size < self._metainfo.size
        self._emit(events.Sharing(self._name, self._info_hash, size, str(torrent), is_selection=is_selection))

    def not_offered(self, reason: str) -> None:
        """The file is complete, and is not served."""
        self._emit(events.SharingStopped(self._name, self._info_hash, reason))

    def failed(self, reason: str) -> None:
        """The download ended without its file."""
        self._emit(events.Failed(self._name, self._info_hash, reason))

    def cancelled(self, reason: str) -> None:
        """The user ended the download."""
        self._emit(events.Cancelled(self._name, self._info_hash, reason))


def _short(peer: Peer) -> str:
    """The node_id of a node of the classroom; the address of another peer."""
    return str(peer) if peer.node_id is None else str(peer.node_id)


def source_rows(
    candidates: Sequence[Candidate], state: DownloadState, situation: Situation, completed: bool
) -> tuple[events.SourceProgress, ...]:
    """One row for each known peer: the bytes that came from it, and why it is not used.

    A node with an address of each transport is one peer: its second address has a row once it was tried.
    """
    shown = (candidate for candidate in candidates if candidate.was_tried or not candidate.is_spare)
    return tuple(_source_row(candidate, state, situation, completed) for candidate in shown)


def foreign_rows(
    peers: Iterable[Peer], own: str, transports: Sequence[str]
) -> tuple[events.SourceProgress, ...]:
    """One row for each peer whose transport this node does not speak."""
    return tuple(
        events.SourceProgress(
            *(peer.node_id, peer.addr, 0, 0.0, "idle", foreign_reason(peer, own, transports)),
            transport=peer.transport,
        )
        for peer in peers
    )


def paused_rows(rows: Sequence[events.SourceProgress]) -> tuple[events.SourceProgress, ...]:
    """The rows of a download that the user paused: no peer is used, and only a banned one is to blame."""
    return tuple(
        row if row.state == "banned" else replace(row, state="idle", reason="you paused it", rate=0.0)
        for row in rows
    )


def _source_row(
    candidate: Candidate, state: DownloadState, situation: Situation, completed: bool
) -> events.SourceProgress:
    meter = state.meter(candidate.peer)
    shown = _shown_state(candidate, situation)
    return events.SourceProgress(
        candidate.peer.node_id,
        candidate.peer.addr,
        meter.total,
        meter.rate if candidate.active else 0.0,
        shown,
        "" if completed and shown == "idle" else unused_reason(candidate, situation),
        not candidate.partial and candidate.pieces_held is None,
        candidate.pieces_held,
        candidate.peer.transport,
        candidate.queue_position if candidate.active and candidate.kind is not PeerKind.STANDARD else 0,
    )


def _shown_state(candidate: Candidate, situation: Situation) -> str:
    if is_tried_again(candidate):
        return "lost"
    if candidate.active and candidate.queue_position:
        return "queued"
    if candidate.active:
        return "idle" if is_useless(candidate, situation) else "active"
    if candidate.banned:
        return "banned"
    if candidate.failures:
        return "lost"
    return "suspect" if candidate.suspect else "idle"
