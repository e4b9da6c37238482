"""Reads the state of a node's torrents, without holding anything up.

Every value is one that ``-status``, ``-peers`` and ``-pieces`` could show, too. The locks that are taken are
theirs, and each is held for a copy only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from common.bitfield import Bitfield
from node.download import Download
from node.download.reasons import USELESS
from node.download.state import DownloadState
from node.notes import ConnectionSample
from node.peer import Peer
from node.report.changes import Ranges
from node.report.names import PeerName, peer_name, torrent_name
from node.report.snapshot import PeerUse, SlotsView, TorrentSnapshot
from node.rows import DownloadStatus, SourceProgress
from node.torrent import Torrent, TorrentState
from node.torrent_table import TorrentTable
from node.transport import Transport

MAX_TORRENTS = 100  # of a node that are reported: the latest
MAX_REASON = 200  # characters of a reason that are reported


class NodeLook:
    """Reads ``torrents`` as they are fetched and served over ``transports``. For one thread."""

    def __init__(self, torrents: TorrentTable, transports: Mapping[str, Transport]) -> None:
        self._torrents = torrents
        self._transports = list(transports.values())
        self._received: dict[bytes, ReceivedBytes] = {}
        self._sent: dict[bytes, BytesByName] = {}
        self._in_progress: dict[bytes, tuple[dict[int, tuple[PeerName, ...]], frozenset[int]]] = {}
        self._nodes: dict[tuple[str, tuple[str, int]], int] = {}  # node_ids by transport and address

    def snapshots(self) -> list[TorrentSnapshot]:
        """Every torrent of the node."""
        uploads = [row for transport in self._transports for row in transport.uploads()]
        found = []
        for torrent in self._reported():
            info_hash = torrent.info.info_hash
            sent = self._sent.setdefault(info_hash, BytesByName(self.name))
            sent.look((row.peer, row.uploaded) for row in uploads if row.info_hash == info_hash)
            found.append(self._snapshot(torrent, sent.by_name))
        return found

    def _reported(self) -> list[Torrent]:
        return self._torrents.all()[-MAX_TORRENTS:]

    def samples(self) -> Iterator[tuple[str, PeerName, ConnectionSample]]:
        """Torrent, peer, and the limit of the requests to it: of each source of each download."""
        for torrent in self._reported():
            if torrent.download is not None and not torrent.download.over:
                for peer, sample in torrent.download.samples():
                    yield torrent_name(torrent.info.info_hash_hex), self.name(peer), sample

    def held(self, torrent: str) -> Ranges:
        """The verified pieces of the torrent of this name, now."""
        for each in self._reported():
            if torrent_name(each.info.info_hash_hex) == torrent:
                return ranges_of(each.have)
        return ()

    # ---- one torrent

    def _snapshot(self, torrent: Torrent, sent: Counter[PeerName]) -> TorrentSnapshot:
        info, download = torrent.info, torrent.download
        row = torrent.status()
        sources = row.sources if row is not None else ()
        self._nodes.update(
            ((source.transport, source.addr), source.node_id)
            for source in sources
            if source.node_id is not None
        )
        asked, received = self._pieces(download, info.info_hash)
        counted = self._received.setdefault(info.info_hash, ReceivedBytes(self.name))
        counted.look(download.state if download is not None else None)
        state, reason = torrent_state(torrent, row)
        return TorrentSnapshot(
            torrent_name(info.info_hash_hex),
            {
                "info_hash": info.info_hash_hex,
                "name": info.name,
                "size": info.size,
                "piece_length": info.piece_length,
                "pieces": info.geometry.piece_count,
            },
            state,
            reason[:MAX_REASON],
            asked,
            received,
            peer_uses(sources),
            self._slots(info.info_hash) if torrent.has_pieces and torrent.is_served else None,
            counted.by_peer,
            sent,
            counted.down,
            sum(transport.uploaded(info.info_hash) for transport in self._transports),
        )

    def _pieces(
        self, download: Download | None, info_hash: bytes
    ) -> tuple[dict[int, tuple[PeerName, ...]], frozenset[int]]:
        """The peers asked for each piece, and the pieces whose hash is not known yet."""
        state = download.state if download is not None and not download.over else None
        if state is None:
            self._in_progress.pop(info_hash, None)
            return {}, frozenset()
        progress = state.in_progress()
        if progress is None:  # the lock is held for long: nothing is known to have changed
            return self._in_progress.get(info_hash, ({}, frozenset()))
        asked = {
            piece: tuple(dict.fromkeys(map(self.name, peers))) for piece, peers in progress.asked.items()
        }
        self._in_progress[info_hash] = asked, progress.received
        return asked, progress.received

    def _slots(self, info_hash: bytes) -> SlotsView:
        """Of all transports: those of the first come first."""
        rows = [transport.slots_of(info_hash) for transport in self._transports]
        served = dict.fromkeys(self.name(peer) for row in rows for peer in row.served)
        queue = dict.fromkeys(self.name(peer) for row in rows for peer in row.queue)
        used = [row.slots for row in rows if row.served or row.queue] or [row.slots for row in rows]
        return SlotsView(
            next((slots for slots in used if slots is not None), None),
            tuple(served),
            tuple(peer for peer in queue if peer not in served),
        )

    def name(self, peer: Peer) -> PeerName:
        """The peer's name in the log."""
        if peer.node_id is not None:
            return peer.node_id
        return self._nodes.get((peer.transport, peer.addr), peer_name(peer))


class BytesByName:
    """The bytes from or to each peer, by its name in the log.

    Bytes stay with the name that their peer had when they were counted: the number of the node at an address
    may become known later. Names without a peer at the last look are left out.
    """

    def __init__(self, name: Callable[[Peer], PeerName]) -> None:
        self._name = name
        self._before: dict[Peer | int, int] = {}  # by node_id where the row has one: its address may change
        self.by_name: Counter[PeerName] = Counter()

    def look(self, rows: Iterable[tuple[Peer, int]]) -> None:
        """``rows``: peers, each with its bytes in all. A total that shrank adds nothing."""
        peers: dict[Peer | int, Peer] = {}
        totals: Counter[Peer | int] = Counter()
        for peer, total in rows:
            key = peer if peer.node_id is None else peer.node_id
            peers[key] = peer
            totals[key] += total
        counted: Counter[PeerName] = Counter()
        for key, total in totals.items():
            peer = peers[key]
            name = self._name(peer)
            counted[name] = counted[name] or self.by_name[name]
            counted[name] += max(0, total - self._before.get(key, self._before.get(peer, 0)))
        self._before, self.by_name = totals, counted

    def restart(self) -> None:
        """The totals begin at 0 again."""
        self._before.clear()


class ReceivedBytes:
    """The bytes that came from each peer in a run, over all downloads of one torrent."""

    def __init__(self, name: Callable[[Peer], PeerName]) -> None:
        self._state: DownloadState | None = None
        self._from = BytesByName(name)
        self._earlier_down = 0  # of downloads that are over
        self.down = 0

    @property
    def by_peer(self) -> Counter[PeerName]:
        """Of the peers of the last look."""
        return self._from.by_name

    def look(self, state: DownloadState | None) -> None:
        """``state``: of the last download."""
        if state is not self._state:
            if self._state is not None:
                self._count(self._state)
            self._from.restart()
            self._earlier_down, self._state = self.down, state
        if state is not None:
            self._count(state)

    def _count(self, state: DownloadState) -> None:
        self._from.look(state.totals().items())
        self.down = self._earlier_down + state.arrived_bytes


def ranges_of(pieces: Bitfield) -> Ranges:
    """The pieces in the set, as half-open ranges."""
    ranges: list[tuple[int, int]] = []
    for piece in pieces:
        if ranges and ranges[-1][1] == piece:
            ranges[-1] = ranges[-1][0], piece + 1
        else:
            ranges.append((piece, piece + 1))
    return ranges


def torrent_state(torrent: Torrent, row: DownloadStatus | None) -> tuple[str, str]:
    """The state of a torrent as the log names it, and the reason."""
    state, reason = torrent.state, row.reason if row is not None else ""
    if torrent.is_stopped or (row is not None and row.state == "cancelled"):
        return "stopped", reason or "you stopped it"
    if state is TorrentState.DOWNLOADING and row is not None and row.state == "searching":
        return "searching", reason
    if state is TorrentState.FAILED:
        return "failed", reason or torrent.row(0).state.removeprefix("stopped: ")
    return state.value, reason


def peer_uses(sources: Sequence[SourceProgress]) -> dict[PeerName, PeerUse]:
    """The fetcher's view of each peer. A node with an address of each transport is one: the one in use."""
    uses: dict[PeerName, PeerUse] = {}
    for source in _in_use_last(sources):
        name = peer_name(Peer(*source.addr, source.transport, source.node_id))
        uses[name] = PeerUse(
            source.transport,
            _use(source),
            source.place,
            source.reason[:MAX_REASON],
            source.complete,
            source.held,
        )
    return uses


def _in_use_last(sources: Iterable[SourceProgress]) -> list[SourceProgress]:
    return sorted(sources, key=lambda source: source.state in ("active", "queued"))


def _use(source: SourceProgress) -> str:
    """The state as the log names it. ``-peers`` has fewer words, and puts the rest into the reason."""
    if source.state == "queued" and source.transport != "udp":
        return "choked" if "chok" in source.reason else "idle"
    if source.state == "idle" and source.reason:
        return "idle" if source.reason.startswith(USELESS) else "unused"
    return "idle" if source.state == "active" and source.reason else source.state
