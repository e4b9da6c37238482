"""The node's side of a download in virtual time: no thread, no socket, no disk.

The board, the crew, the candidates, the judge, the landing and the connections are the node's own. What is
made up: the clock, the network, the owners, the disk (a bytearray) and the hashing threads (a delay).
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from common.bitfield import Bitfield
from common.errors import SwarmError
from common.metainfo import Metainfo, decode_metainfo, encode_metainfo
from faults.link import Link
from node.chunk_udp.congestion.manager import CongestionManager
from node.content.hashing import BUFFER_LENGTH, HashPool, Verdict
from node.download.known_peers import Candidate, KnownPeers
from node.download.piece_results import PieceResults
from node.download.source import SourceThread
from node.download.source_pool import SourceLimits, SourcePool
from node.download.state import DownloadState
from node.download.write_buffer import BLOCK, BufferPool, WriteBuffer
from node.peer import Peer
from simulator.clock import Clock
from simulator.owner import SimulatedOwner
from simulator.scenario import Scenario
from simulator.source import SimulatedSource

PROGRESS = 0.25  # seconds between two looks of the coordinator, if nothing happens
PARTIAL_OWNERS = 4


class _Changed(threading.Condition):
    """The board's condition: what others would wait for, here is told."""

    def __init__(self, told: Callable[[], None]) -> None:
        super().__init__()
        self._told = told

    def notify_all(self) -> None:
        self._told()


_SCRATCH = memoryview(bytearray(BUFFER_LENGTH))  # one for all: nothing happens at the same time


class _Hashing:
    """The hashing threads: jobs are done some time later, not always in order."""

    def __init__(self, clock: Clock, longest: float, seed: int) -> None:
        self._clock, self._longest = clock, longest
        self._chance = random.Random(seed)

    def runs_inline(self, size: int, hands: Callable[[], int]) -> bool:
        """However few bytes it is about, it is done later: a thread may be held up."""
        return False

    def run(self, job: Callable[[memoryview], None], at_once: bool = False) -> bool:
        """Have it done."""
        delay = self._chance.random() * self._longest
        self._clock.at(self._clock.now + delay, lambda: job(_SCRATCH))
        return True


def content_of(scenario: Scenario) -> tuple[bytes, Metainfo]:
    """What is fetched, and its torrent."""
    content, length = random.Random(scenario.seed).randbytes(scenario.size), scenario.piece_length
    pieces = [hashlib.sha1(content[at : at + length]).digest() for at in range(0, len(content), length)]
    return content, decode_metainfo(encode_metainfo("x.bin", len(content), length, b"".join(pieces), ""))


def number_of(peer: Peer) -> int:
    """The node id of a simulated peer: all have one."""
    assert peer.node_id is not None
    return peer.node_id


class SimulatedNode:
    """One node that fetches ``metainfo`` under ``scenario``; whoever makes it says whom it can ask.

    ``partial``: owners of a part that it uses at a time. ``lines`` collects what happened, for people, if it
    is a list.
    """

    def __init__(
        self,
        scenario: Scenario,
        clock: Clock,
        metainfo: Metainfo,
        own: Peer,
        partial: int = PARTIAL_OWNERS,
        lines: list[str] | None = None,
    ) -> None:
        self.scenario, self.clock, self.metainfo = scenario, clock, metainfo
        self.access = CongestionManager(scenario.download_limit)
        self._lines, self._trace = lines, hashlib.sha1(usedforsecurity=False)
        self.happened: Counter[str] = Counter()
        self.wrong: list[tuple[int, tuple[int, ...]]] = []  # pieces, and the node ids of their deliverers
        geometry, length = metainfo.geometry, metainfo.piece_length
        self.got = bytearray(metainfo.size)
        seed = scenario.seed + (own.node_id or 0)
        self._hashing = _Hashing(clock, scenario.hashing, seed + 2)
        self._pool = BufferPool(min(BLOCK // length * length or BLOCK, metainfo.size), 1 << 30)
        self._chance = random.Random(seed + 1)
        self.board = DownloadState(geometry, Bitfield(geometry.piece_count), own, clock.read)
        self.board.changed = _Changed(self._board_changed)
        self.candidates = KnownPeers(own)
        self._lock = threading.Lock()
        places = SourceLimits(scenario.most_owners, partial)
        self._crew = SourcePool(self.candidates, self._lock, places, self._source, clock.read)
        part: Any = self
        self._judge = PieceResults(
            self.board, part, self.candidates, self._lock, self, lambda: None, clock.read
        )
        self._sources: dict[Peer, SimulatedSource] = {}
        self._looking = False

    def reach(self, source: Peer) -> tuple[SimulatedOwner, tuple[Link, Link]]:
        """The owner of that name, and the links there and back."""
        raise NotImplementedError

    def note(self, what: str, *more: object) -> None:
        """``what`` happens now: it becomes part of the trace."""
        line = f"{self.clock.now:.6f} {what} {' '.join(map(str, more))}"
        self._trace.update(line.encode())
        if self._lines is not None:
            self._lines.append(line)

    @property
    def trace(self) -> str:
        """A hash of everything that happened."""
        return self._trace.hexdigest()

    # ---- the coordinator

    def _look_again(self) -> None:
        self._look()
        self.board.tick()
        self.clock.at(self.clock.now + PROGRESS, self._look_again)

    def _look(self) -> None:
        if self.board.over:
            return
        for candidate in self._crew.engage(self.board, self.clock.now):
            self.note("engaged", candidate.peer)

    def _board_changed(self) -> None:
        """Everybody who would wait looks now, once for all changes of this moment."""
        if not self._looking:
            self._looking = True
            self.clock.at(self.clock.now, self._wake)

    def _wake(self) -> None:
        self._looking = False
        self._look()
        for source in list(self._sources.values()):
            source.settle()

    # ---- owners

    def _source(self, candidate: Candidate) -> SourceThread:
        key = candidate.peer
        owner, links = self.reach(key)
        verifier = cast(HashPool, self._hashing)
        part: Any = self
        landing = WriteBuffer(key, self, part, verifier, self._pool, self.clock.read)
        seed = self._chance.getrandbits(32)
        source = SimulatedSource(candidate, self, landing, owner, links, self._ended, seed)
        self._sources[key] = source
        return source

    def _ended(self, source: SourceThread, why: SwarmError | None) -> None:
        self._sources.pop(source.key, None)
        self._crew.ended(source, why)
        self.happened["failures"] += why is not None
        self._board_changed()

    # ---- the disk and the hashing threads

    def write(self, offset: int, buffers: Sequence[memoryview]) -> None:
        """Onto the disk."""
        for buffer in buffers:
            self.got[offset : offset + len(buffer)] = buffer
            offset += len(buffer)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """From the disk."""
        buffer[:] = self.got[offset : offset + len(buffer)]
        return len(buffer)

    def judged(self, piece: int, verdict: Verdict) -> None:
        """A piece was hashed."""
        self._judge.judged(piece, verdict)

    # ---- whom the judge tells

    def piece(self, index: int, right: bool, deliverers: Mapping[Peer, int]) -> None:
        """A piece was right or wrong."""
        ids = tuple(sorted(map(number_of, deliverers)))
        self.note("right" if right else "wrong", index, ids)
        if not right:
            self.wrong.append((index, ids))

    def lost(self, owner: Candidate) -> None:
        """An owner is charged."""
        self.note("charged", owner.peer, owner.reason)
