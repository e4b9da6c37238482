"""The log of a simulated swarm, as its nodes and their tracker would report it (``--record FILE``).

The same parts as in a real node turn its state into events: the differences between two looks at it, the
results of pieces, and the notes of connections. Nothing is dropped and no report is late. So the same seed
gives the same file, and its events are in order of time.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from common.bitfield import Bitfield
from common.events import SwarmEvent, check_event
from common.log_file import LogWriter, make_header
from common.metainfo import Metainfo
from node.download.known_peers import KnownPeers
from node.download.reasons import Situation
from node.download.reporting import source_rows
from node.download.source_pool import SourceLimits
from node.download.state import DownloadState
from node.notes import ConnectionNote, ConnectionSample
from node.peer import FoundPeer, Peer
from node.report.changes import TorrentChanges
from node.report.look import peer_uses, ranges_of
from node.report.names import PeerName, peer_name, torrent_name
from node.report.notes import NoteEvents, SampleEvents
from node.report.snapshot import SlotsView, TorrentSnapshot
from simulator.clock import Clock

LOOK_SECONDS = 0.5  # virtual seconds between two looks at a node
SOFTWARE = "classroom swarm 0.1.0"
CLOCK_RULE = "ms of virtual time"
LONE_NODE = 0  # the node_id in the log of a fetcher that has none


@dataclass(frozen=True)
class Uplink:
    """The bytes that a node sent, and the peers that it serves now."""

    slots: SlotsView = field(default_factory=SlotsView)
    sent: Mapping[PeerName, int] = field(default_factory=dict)  # bytes to each peer
    up: int = 0  # bytes, counted apart from ``sent``
    is_alive: bool = True


class FetchingNode(Protocol):
    """The parts of a simulated node that the log needs."""

    known: KnownPeers
    limits: SourceLimits

    @property
    def state(self) -> DownloadState:
        """Of the download."""

    def samples(self) -> Iterable[tuple[Peer, ConnectionSample]]:
        """What limits the requests to each source at present."""


class SwarmRecorder:
    """Writes the events of all nodes of one torrent into one file."""

    def __init__(self, path: Path, source: str, seed: int, clock: Clock, metainfo: Metainfo) -> None:
        self.metainfo, self.clock = metainfo, clock
        self.torrent = torrent_name(metainfo.info_hash.hex())
        self._begins_at = clock.now
        self._seq: Counter[int | None] = Counter()
        self._nodes: list[NodeRecorder] = []
        run = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()[:16]
        fields = {"run": run, "clock": CLOCK_RULE, "seeds": [seed]}
        self._log = LogWriter(path, make_header(source, SOFTWARE, begun=0.0, **fields))
        self.write(None, "tracker:started", {"epoch": run, "addr": None})
        clock.at(clock.now + LOOK_SECONDS, self._look)

    def write(self, node: int | None, name: str, data: Mapping[str, Any]) -> None:
        """An event happens now."""
        self._seq[node] += 1
        time = (self.clock.now - self._begins_at) * 1000
        self._log.write(check_event(SwarmEvent(time, node, self._seq[node], name, data)))

    def add(
        self,
        own: Peer,
        uplink: Callable[[], Uplink],
        have: Callable[[], Bitfield],
        fetching: FetchingNode | None,
        limits: Mapping[str, int | None],
    ) -> NodeRecorder:
        """A node enters. ``limits``: ``up_limit``, ``down_limit`` and ``slots`` of node:started."""
        node = NodeRecorder(self, own, uplink, have, fetching, limits)
        self._nodes.append(node)
        node.look()
        return node

    def _look(self) -> None:
        for node in self._nodes:
            node.look()
        self.clock.at(self.clock.now + LOOK_SECONDS, self._look)

    def close(self) -> None:
        """Look a last time, and close the file."""
        for node in self._nodes:
            node.look()
        self._log.close()


class NodeRecorder:
    """The events of one node. ``fetching`` is None if it does not fetch."""

    def __init__(
        self,
        swarm: SwarmRecorder,
        own: Peer,
        uplink: Callable[[], Uplink],
        have: Callable[[], Bitfield],
        fetching: FetchingNode | None,
        limits: Mapping[str, int | None],
    ) -> None:
        self.node_id = LONE_NODE if own.node_id is None else own.node_id
        self._swarm, self._own, self._uplink, self._limits = swarm, own, uplink, limits
        self._have, self._fetching = have, fetching
        self._held = have().copy()  # as the log has it
        self._changes = TorrentChanges(swarm.clock.now)
        self._samples, self._note_events = SampleEvents(), NoteEvents()
        self._owned: bool | None = None  # as announced: complete or not; None: nothing
        self._is_alive = True
        self._start()

    def _start(self) -> None:
        own = self._own
        addr = f"{own.host}:{own.port}"
        started = {"addr": addr, "tcp_addr": None, "transports": [own.transport], "program": SOFTWARE}
        nothing = {"up_limit": None, "down_limit": None, "slots": None}
        self._swarm.write(self.node_id, "node:started", {**nothing, **started, **self._limits})
        self._swarm.write(None, "tracker:register", {"node": self.node_id, "addr": addr})

    def on_piece(self, index: int, right: bool, sources: Iterable[Peer]) -> None:
        """A piece was hashed."""
        self._changes.on_piece(index)
        if right:
            self._held.set(index)
        data = {"piece": index, "peers": sorted(map(peer_name, sources), key=str)}
        self._write("piece:verified" if right else "piece:failed", data)
        self._own_again()

    def on_note(self, note: ConnectionNote) -> None:
        """A connection lost bytes, has them after all, or slowed down."""
        for _, (name, data) in self._note_events.events([note], peer_name):
            self._swarm.write(self.node_id, name, data)

    def on_answer(self, found: Sequence[FoundPeer]) -> None:
        """The tracker answered NEED."""
        answer = [
            {
                "peer": peer_name(each.peer),
                "uploads": each.uploads,
                "reason": "it has all pieces" if each.complete else "it has a part",
            }
            for each in found
        ]
        self._tracker("tracker:need", {"answer": answer})

    def look(self) -> None:
        """Write what changed since the last look."""
        now, uplink = self._swarm.clock.now, self._uplink()
        if uplink.is_alive is not self._is_alive:
            self._on_life(uplink.is_alive)
        if not uplink.is_alive:
            return
        for name, data in self._changes.changes(self._snapshot(uplink), lambda _: ranges_of(self._held), now):
            self._swarm.write(self.node_id, name, data)
        self._changes.begin()
        if self._fetching is None:  # an owner that has more pieces, from elsewhere
            for piece in [piece for piece in self._have() if piece not in self._held]:
                self.on_piece(piece, True, ())
        self._own_again()
        if self._fetching is not None:
            rows = [(self._swarm.torrent, peer_name(peer), row) for peer, row in self._fetching.samples()]
            for name, data in self._samples.events(rows, now):
                self._swarm.write(self.node_id, name, data)

    def _on_life(self, is_alive: bool) -> None:
        """The owner crashed, or is back as a new process."""
        self._is_alive = is_alive
        if is_alive:
            self._changes.forget()
            self._start()
        else:
            silence = {"node": self.node_id, "silent_ms": 0, "removed": False}
            self._swarm.write(None, "node:silent", silence)

    def _own_again(self) -> None:
        """OWN, once it has a piece, and once it has all."""
        owned = self._held.all() if self._held.count else None
        if owned is not self._owned:
            self._owned = owned
            self._tracker("tracker:own", {"complete": bool(owned)})

    def _write(self, name: str, data: Mapping[str, Any]) -> None:
        self._swarm.write(self.node_id, name, {"torrent": self._swarm.torrent, **data})

    def _tracker(self, name: str, data: Mapping[str, Any]) -> None:
        self._swarm.write(None, name, {"node": self.node_id, "torrent": self._swarm.torrent, **data})

    def _snapshot(self, uplink: Uplink) -> TorrentSnapshot:
        info = self._swarm.metainfo
        known = {
            "info_hash": info.info_hash.hex(),
            "name": info.name,
            "size": info.size,
            "piece_length": info.piece_length,
            "pieces": info.geometry.piece_count,
        }
        sent: dict[str, Any] = {"slots": uplink.slots, "bytes_out": uplink.sent, "up": uplink.up}
        if self._fetching is None:
            return TorrentSnapshot(self._swarm.torrent, known, "seeding", **sent)
        state, node = self._fetching.state, self._fetching
        progress = state.in_progress()
        assert progress is not None, "no other thread holds the lock"
        situation = Situation(self._own, node.limits.complete, node.limits.partial, state.useless(self._held))
        rows = source_rows(list(node.known), state, situation, state.complete)
        is_active = any(row.state == "active" for row in rows)
        return TorrentSnapshot(
            self._swarm.torrent,
            known,
            "seeding" if state.complete else "downloading" if is_active else "searching",
            asked={piece: tuple(map(peer_name, peers)) for piece, peers in progress.asked.items()},
            received=progress.received,
            peers=peer_uses(rows),
            bytes_in={peer_name(peer): amount for peer, amount in state.totals().items()},
            down=state.arrived_bytes,
            **sent,
        )


class RecordedRun(Protocol):
    """A simulation that can be recorded."""

    clock: Clock
    metainfo: Metainfo

    def record(self, recorder: SwarmRecorder) -> None:
        """Have the run recorded."""


@contextmanager
def recording(path: Path | None, run: RecordedRun, source: str, seed: int) -> Iterator[None]:
    """Record ``run`` while the block runs it; None: do not. FileFault if the file cannot be written."""
    if path is None:
        yield
        return
    recorder = SwarmRecorder(path, source, seed, run.clock, run.metainfo)
    try:
        run.record(recorder)
        yield
    finally:
        recorder.close()
