"""The node's side of a download in virtual time: no thread, no socket, no disk.

The scheduler, the source pool, the known peers, the write buffers, the piece results and the connections are
the node's own. The clock, the network, the owners, the disk (a bytearray) and the hashing threads
(a delay) are simulated.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from common.bitfield import Bitfield
from common.errors import SwarmError
from common.metainfo import Metainfo, decode_metainfo, encode_metainfo
from faults.link import Link
from node.chunk_udp.congestion.manager import CongestionManager
from node.chunk_udp.loss_log import LossLog
from node.content.hashing import BUFFER_LENGTH
from node.content.positional_file import Buffer
from node.download.buffer_pool import BufferPool, buffer_length
from node.download.known_peers import Candidate, KnownPeers
from node.download.piece_results import PieceResults
from node.download.source import Source
from node.download.source_pool import SourceLimits, SourcePool
from node.download.state import DownloadState
from node.download.write_buffer import Destination, WriteBuffer
from node.message_faults import MessageFaults, OnHit, parse_node_faults
from node.notes import ConnectionSample
from node.peer import Peer
from node.rate_limit import limit_of
from simulator.clock import Clock
from simulator.owner import SimulatedOwner
from simulator.recorder import NodeRecorder
from simulator.scenario import Scenario
from simulator.source import SimulatedSource, Site, VirtualSource

FILL_INTERVAL = 0.25  # seconds between two looks of the coordinator, if nothing happens
PARTIAL_OWNERS = 4


def make_faults(text: str, own: Peer, metainfo: Metainfo, on_hit: OnHit) -> MessageFaults | None:
    """The faults of the node ``own``, written as after -faults; "": none."""
    if not text:
        return None
    return MessageFaults(parse_node_faults(text), own.node_id, lambda: metainfo.piece_length, on_hit)


class VirtualState(DownloadState):
    """The download's state where no thread waits: ``on_wake`` is called instead."""

    def __init__(
        self, info: Metainfo, have: Bitfield | None, own: Peer, clock: Clock, on_wake: Callable[[], None]
    ) -> None:
        super().__init__(info.geometry, have or Bitfield(info.geometry.piece_count), own, clock.read)
        self._on_wake = on_wake

    def wake(self) -> None:
        """There may be work for a source, or the download is over."""
        self._on_wake()


class MemoryContent:
    """The disk."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write ``buffers`` in sequence from ``offset`` on."""
        for buffer in buffers:
            self.data[offset : offset + len(buffer)] = buffer
            offset += len(buffer)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` with the bytes from ``offset`` on."""
        buffer[:] = self.data[offset : offset + len(buffer)]


class DelayedJobs:
    """The hashing threads: a job runs up to ``longest`` seconds later, and not always in order."""

    def __init__(self, clock: Clock, longest: float, seed: int) -> None:
        self._clock, self._longest = clock, longest
        self._chance = random.Random(seed)
        self._scratch = memoryview(bytearray(BUFFER_LENGTH))  # one for all: jobs do not overlap

    def runs_inline(self, size: int, active_sources: Callable[[], int]) -> bool:
        """Never: a thread may be held up with the smallest job."""
        return False

    def run(self, job: Callable[[memoryview], None], inline: bool = False) -> bool:
        """Have ``job`` called later."""
        delay = self._chance.random() * self._longest
        self._clock.at(self._clock.now + delay, lambda: job(self._scratch))
        return True


def content_of(scenario: Scenario) -> tuple[bytes, Metainfo]:
    """The bytes that are fetched, and their torrent."""
    content, length = random.Random(scenario.seed).randbytes(scenario.size), scenario.piece_length
    pieces = [hashlib.sha1(content[at : at + length]).digest() for at in range(0, len(content), length)]
    return content, decode_metainfo(encode_metainfo("x.bin", len(content), length, b"".join(pieces), ""))


def number_of(peer: Peer) -> int:
    """The node id of a simulated peer: all have one."""
    assert peer.node_id is not None
    return peer.node_id


class SimulatedNode:
    """One node that fetches ``metainfo`` under ``scenario``. Subclasses define the peers that it can reach.

    ``partial``: the partial owners that it uses at a time; ``standard``: the standard peers. ``have``:
    the pieces that it has at first. ``lines`` collects a description of all events if it is a list.
    """

    def __init__(
        self,
        scenario: Scenario,
        clock: Clock,
        metainfo: Metainfo,
        own: Peer,
        partial: int = PARTIAL_OWNERS,
        lines: list[str] | None = None,
        standard: int = 0,
        have: Bitfield | None = None,
    ) -> None:
        self.scenario, self.clock, self.metainfo = scenario, clock, metainfo
        self._lines, self._trace = lines, hashlib.sha1(usedforsecurity=False)
        self.happened: Counter[str] = Counter()
        self.wrong: list[tuple[int, tuple[int, ...]]] = []  # failed pieces, and the node ids of their sources
        seed = scenario.seed + (own.node_id or 0)
        self._chance = random.Random(seed + 1)
        self.content = MemoryContent(metainfo.size)
        self.state = VirtualState(metainfo, have, own, clock, self._on_wake)
        self.known = KnownPeers(own, (own.transport,))
        lock = threading.Lock()
        self.limits = SourceLimits(scenario.most_owners, partial, standard)
        self._pool = SourcePool(self.known, lock, self.limits, self._make_source, clock.read)
        self.recorder: NodeRecorder | None = None  # writes this node's part of the log
        results = PieceResults(self.state, self.content, self.known, lock, self.on_piece, self._on_lost)
        self._destination = Destination(
            metainfo,
            self.state,
            self.content,
            DelayedJobs(clock, scenario.hashing, seed + 2),
            BufferPool(buffer_length(metainfo), 1 << 30),
            results.on_piece_hashed,
            self._pool.cancel,
        )
        limit = limit_of(scenario.download_limit)
        self.hits: list[str] = []  # what its exact faults hit, in order
        self.faults = make_faults(scenario.faults, own, metainfo, self._on_hit)
        self._site = Site(scenario, metainfo, clock, CongestionManager(), limit, self.note, self.faults)
        self._sources: dict[Peer, VirtualSource] = {}
        self._waking = False

    def reach(self, source: Peer) -> tuple[SimulatedOwner, tuple[Link, Link]]:
        """The owner at that address, and the links there and back."""
        raise NotImplementedError

    def note(self, what: str, *more: object) -> None:
        """``what`` happens now: it becomes part of the trace."""
        line = f"{self.clock.now:.6f} {what} {' '.join(map(str, more))}"
        self._trace.update(line.encode())
        if self._lines is not None:
            self._lines.append(line)

    def _on_hit(self, rule: str, message: str) -> None:
        self.hits.append(f"{rule} hits {message}")
        self.note("fault", self.hits[-1])

    @property
    def trace(self) -> str:
        """A hash of everything that happened."""
        return self._trace.hexdigest()

    # ---- the coordinator

    def _fill_again(self) -> None:
        self._fill()
        self.state.tick()
        self.clock.at(self.clock.now + FILL_INTERVAL, self._fill_again)

    def _fill(self) -> None:
        if self.state.over:
            return
        for candidate in self._pool.fill(self.state, self.clock.now):
            self.note("connects", candidate.peer)

    def _on_wake(self) -> None:
        """Every source looks for work now, once for all changes of this moment."""
        if not self._waking:
            self._waking = True
            self.clock.at(self.clock.now, self._settle_all)

    def _settle_all(self) -> None:
        self._waking = False
        self._fill()
        for source in list(self._sources.values()):
            source.settle()

    # ---- sources

    def _make_source(self, candidate: Candidate) -> Source:
        owner, links = self.reach(candidate.peer)
        if self.faults is not None and candidate.peer.node_id is not None:
            self.faults.names[candidate.peer.addr] = candidate.peer.node_id
        buffer = WriteBuffer(candidate.peer, self._destination, self.clock.read)
        seed = self._chance.getrandbits(32)
        source = SimulatedSource(candidate, self.state, buffer, self._site, owner, links, self._ended, seed)
        if self.recorder is not None:
            info_hash = self.metainfo.info_hash
            source.link.tracker.losses = LossLog(candidate.peer, info_hash, self.recorder.on_note)
            owner.fetchers[source.here] = self.recorder.node_id
        return self._add(source)

    def _add(self, source: VirtualSource) -> Source:
        self._sources[source.peer] = source
        return source

    def _ended(self, source: Source, why: SwarmError | None) -> None:
        self._sources.pop(source.peer, None)
        self._pool.ended(source, why)
        self.happened["failures"] += why is not None
        self._on_wake()

    # ---- results

    def on_piece(self, index: int, right: bool, sources: Iterable[Peer]) -> None:
        """A piece was hashed."""
        ids = tuple(sorted(map(number_of, sources)))
        self.note("right" if right else "wrong", index, ids)
        if not right:
            self.wrong.append((index, ids))
        if self.recorder is not None:
            self.recorder.on_piece(index, right, sources)

    def samples(self) -> Iterable[tuple[Peer, ConnectionSample]]:
        """What limits the requests to each source of the classroom transport."""
        for peer, source in self._sources.items():
            if isinstance(source, SimulatedSource):
                yield peer, source.sample()

    def _on_lost(self, candidate: Candidate) -> None:
        self.note("banned" if candidate.banned else "suspect", candidate.peer, candidate.reason)
