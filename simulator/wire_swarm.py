"""A swarm of the peer wire in virtual time: seeds, leechers, and members that cheat.

The choker, the scheduler, the state machine of each connection and the upload limits are the node's own.
Clock, network, disk and hashing are simulated.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Iterable
from dataclasses import dataclass, replace

from common.bitfield import Bitfield
from node.download.known_peers import Candidate
from node.download.source import Source
from node.download.write_buffer import WriteBuffer
from node.peer import FoundPeer, Peer
from node.peer_tcp import events as ev
from node.peer_tcp.choking import Choker, PeerTraffic
from node.peer_tcp.config import WireConfig, WireTorrent
from node.peer_tcp.connection import OutgoingBlock
from node.rate_limit import RateLimit
from node.report.names import peer_name
from node.report.snapshot import SlotsView
from node.tap import StreamTap
from simulator.clock import Clock
from simulator.recorder import SwarmRecorder, Uplink
from simulator.scenario import Scenario
from simulator.simulated_node import SimulatedNode, content_of, make_faults
from simulator.wire_end import WireEnd, WireSource, spoiled

MAX_PEERS = 50  # as in the settings
HAVE_DELAY = 0.05  # seconds until a verified piece is announced, as the transport looks for it
MAX_EVENTS = 20_000_000
LIE_PROBABILITY = 0.05  # that a block of Conduct.SOMETIMES_LIES is wrong


class Conduct(enum.Enum):
    """How a member of a swarm behaves."""

    SEEDS = "has everything, and is honest"
    SHARES = "fetches, and is honest"
    FREE_RIDES = "fetches, and unchokes no peer"
    LIES = "claims to have everything, and sends wrong bytes"
    SOMETIMES_LIES = "claims to have everything, and sends wrong bytes now and then"
    STALLS = "claims to have everything, and stops sending after a while"

    @property
    def fetches(self) -> bool:
        return self in (Conduct.SHARES, Conduct.FREE_RIDES)

    @property
    def lies(self) -> bool:
        return self in (Conduct.LIES, Conduct.SOMETIMES_LIES)


@dataclass(frozen=True)
class MemberPlan:
    """One member. ``stalls_after``: bytes that Conduct.STALLS sends."""

    conduct: Conduct
    upload: int  # bytes a second
    joins_at: float = 0.0  # seconds after the start
    stalls_after: int = 0
    have: float = 0.0  # fraction of the pieces that it has at first
    faults: str = ""  # of its messages, as after -faults


@dataclass(frozen=True)
class WireSwarmPlan:
    """Everything that decides a run."""

    seed: int
    size: int  # bytes
    piece_length: int
    members: tuple[MemberPlan, ...]
    hashing: float = 0.0  # max seconds until a run of bytes is written and hashed

    def scenario(self) -> Scenario:
        """The part of it that any simulated node needs."""
        return Scenario(
            self.seed,
            self.size,
            self.piece_length,
            segment_size=1200,
            checked=True,
            controller="reno",
            most_owners=0,
            download_limit=None,
            begins_at=0.0,
            hashing=self.hashing,
            owners=(),
        )


def flash_swarm(
    leechers: int, size: int, piece_length: int, upload: int, seed: int, faults: str = ""
) -> WireSwarmPlan:
    """One seed, and leechers that start together, each with ``upload`` bytes a second.

    ``faults``: of the first leecher's messages.
    """
    sharers = [MemberPlan(Conduct.SHARES, upload, 0.01 * number) for number in range(leechers)]
    sharers[0] = replace(sharers[0], faults=faults)
    return WireSwarmPlan(seed, size, piece_length, (MemberPlan(Conduct.SEEDS, upload), *sharers))


class WireSwarm:
    """One run of ``plan``."""

    def __init__(self, plan: WireSwarmPlan) -> None:
        self.plan = plan
        self.scenario = plan.scenario()
        self.clock = Clock()
        self.content, self.metainfo = content_of(self.scenario)
        self.ended: dict[int, float] = {}  # seconds at which each fetching member was complete
        self.members = [WireMember(self, number, member) for number, member in enumerate(plan.members)]
        for member in self.members:
            self.clock.at(member.plan.joins_at, member.enter)
        self.present: list[WireMember] = []

    def run(self, limit: float) -> None:
        """Run until all members that fetch are complete; Deadlock at ``limit`` seconds."""
        wanted = {member.number for member in self.members if member.plan.conduct.fetches}
        self.clock.run_until(lambda: len(self.ended) == len(wanted), limit, MAX_EVENTS)

    def record(self, recorder: SwarmRecorder) -> None:
        """Have the run recorded. To be called before ``run``."""
        for member in self.members:
            member.records = recorder

    def connect(self, member: WireMember, other: WireMember) -> None:
        """``member`` dials ``other``."""
        info_hash = self.metainfo.info_hash
        ends = member.make_end(other, info_hash), other.make_end(member, None)
        ends[0].other, ends[1].other = ends[1], ends[0]
        for end in ends:
            end.settle()

    @property
    def wasted(self) -> int:
        """Bytes that arrived from two sources, at all members."""
        return sum(member.state.wasted for member in self.members)

    @property
    def dropped(self) -> int:
        """Payload bytes that connections dropped as late, at all members."""
        ends = (end for member in self.members for end in member.ends.values() if end.wire.peer is not None)
        return sum(end.wire.download.payload_dropped for end in ends)


class WireMember(SimulatedNode):
    """A member: it may fetch, and it serves in its own manner. A ``WireHost`` for its connections."""

    def __init__(self, swarm: WireSwarm, number: int, plan: MemberPlan) -> None:
        self.swarm, self.number, self.plan = swarm, number, plan
        self.name = Peer(f"192.0.2.{number + 1}", 6881, "tcp", number + 1)
        geometry, dice = swarm.metainfo.geometry, random.Random(swarm.plan.seed * 1000 + number)
        have = Bitfield(geometry.piece_count)
        for piece in range(geometry.piece_count):
            if not plan.conduct.fetches or dice.random() < plan.have:
                have.set(piece)
        super().__init__(
            swarm.scenario,
            swarm.clock,
            swarm.metainfo,
            self.name,
            0,
            standard=MAX_PEERS,
            have=Bitfield.from_bytes(have.to_bytes(), have.size) if plan.conduct.fetches else None,
        )
        self._have = have
        for piece in range(geometry.piece_count) if plan.have else ():
            start, end = geometry.piece_range(piece)
            if piece in have:
                self.content.data[start:end] = swarm.content[start:end]
        self._torrent = WireTorrent(swarm.metainfo.info_hash, geometry, lambda: self._have)
        seed = swarm.plan.seed * 1000 + number
        self._dice = dice
        self._limit = RateLimit(plan.upload)
        self._choker: Choker[Peer] = Choker(random.Random(seed + 500), plan.upload)
        self.faults = make_faults(plan.faults, self.name, swarm.metainfo, self._on_hit)
        self.ends: dict[Peer, WireEnd] = {}
        self._poked = self._announcing = False
        self._new: list[int] = []  # pieces to announce
        self._sent = 0  # payload bytes
        self.arrivals: list[tuple[float, int]] = []  # when payload bytes arrived, and how many
        self.records: SwarmRecorder | None = None  # the log of the swarm

    # ---- taking part

    def enter(self) -> None:
        """Connect to all members that are present, and begin."""
        if self.records is not None:
            fetching = self if self.plan.conduct.fetches else None
            limits = {"up_limit": self.plan.upload}
            self.recorder = self.records.add(self.name, self._uplink, lambda: self._have, fetching, limits)
        for other in self.swarm.present:
            self.swarm.connect(self, other)
        self.swarm.present.append(self)
        self._choke_again()
        if self.plan.conduct.fetches:
            self._fill_again()
        for member in self.swarm.present:
            member.meet()

    def meet(self) -> None:
        """Another member entered."""
        others = [other for other in self.swarm.present if other is not self]
        self.known.update(FoundPeer(other.name, other._have.all()) for other in others)
        self.state.set_partial_peers(self.known.partial_peers())
        if self.plan.conduct.fetches:
            self._on_wake()

    def make_end(self, other: WireMember, dials: bytes | None) -> WireEnd:
        """This member's end of a connection to ``other``."""
        tap = StreamTap()
        if self.faults is not None:
            self.faults.names[other.name.addr] = other.number + 1
            tap.faults = self.faults.connection(other.name.addr)
        peer_id = b"-CS0100-%012d" % self.number
        config = WireConfig(peer_id, self, listen_port=6881, peer_host=other.name.host, tap=tap)
        end = WireEnd(self.clock, config, dials, self._limit, self._payload, self._on_event)
        self.ends[other.name] = end
        return end

    def _uplink(self) -> Uplink:
        """What it sent, for the log."""
        sent = {peer_name(peer): end.uploaded for peer, end in self.ends.items() if end.uploaded}
        served = tuple(
            peer_name(peer) for peer, end in self.ends.items() if end.is_unchoked and not end.closed
        )
        return Uplink(SlotsView(None, served), sent, self._sent)

    # ---- WireHost

    def info_hashes(self) -> Iterable[bytes]:
        """The one torrent."""
        return [self.metainfo.info_hash]

    def find(self, info_hash: bytes) -> WireTorrent | None:
        """The one torrent."""
        return self._torrent

    def refusal(self, info_hash: bytes, peer_id: bytes) -> str:
        """Every peer is welcome."""
        return ""

    # ---- fetching

    def _make_source(self, candidate: Candidate) -> Source:
        buffer = WriteBuffer(candidate.peer, self._destination, self.clock.read)
        end = self.ends[candidate.peer]
        return self._add(WireSource(candidate, self.state, buffer, self.clock, end, self._ended))

    def on_piece(self, index: int, right: bool, sources: Iterable[Peer]) -> None:
        """A piece was hashed. A right one is announced soon."""
        super().on_piece(index, right, sources)
        if not right:
            return
        have = Bitfield.from_bytes(self._have.to_bytes(), self._have.size)
        have.set(index)
        self._have = have
        self._new.append(index)
        if not self._announcing:
            self._announcing = True
            self.clock.at(self.clock.now + HAVE_DELAY, self._announce)
        if self.state.complete and self.number not in self.swarm.ended:
            assert bytes(self.content.data) == self.swarm.content, "corrupt"
            self.swarm.ended[self.number] = self.clock.now

    def _announce(self) -> None:
        self._announcing = False
        new, self._new = self._new, []
        for end in self.ends.values():
            if not end.closed and end.wire.peer is not None:
                for piece in new:
                    end.wire.upload.announce(piece)
                end.fetching.update_interest()
                end.settle()

    # ---- serving

    def _on_event(self, end: WireEnd, event: ev.WireEvent) -> None:
        if isinstance(event, ev.BlockData):
            self.arrivals.append((self.clock.now, len(event.data)))
        elif isinstance(event, (ev.PiecesKnown, ev.PieceGained)):
            end.fetching.update_interest()
        elif isinstance(event, (ev.PeerInterested, ev.PeerNotInterested, ev.WireFailed)) and not self._poked:
            self._poked = True
            self.clock.at(self.clock.now, self._choke)

    def _choke_again(self) -> None:
        self._choke()
        self.clock.at(max(self._choker.next_round, self.clock.now + 0.1), self._choke_again)

    def _choke(self) -> None:
        self._poked = False
        if self.plan.conduct is Conduct.FREE_RIDES:
            return
        ends = {key: end for key, end in self.ends.items() if not end.closed and end.wire.peer is not None}
        peers = {
            key: PeerTraffic(
                end.wire.download.payload_received,
                end.uploaded,
                end.wire.upload.peer_interested,
                end.wire.download.snubbed,
            )
            for key, end in ends.items()
        }
        unchoked = self._choker.round(self.clock.now, peers, self._have.all())
        for key, end in ends.items():
            if (key in unchoked) is not end.is_unchoked:
                end.is_unchoked = key in unchoked
                if end.is_unchoked:
                    end.wire.upload.unchoke()
                else:
                    end.wire.upload.choke()
                end.settle()

    def _payload(self, block: OutgoingBlock) -> bytes | None:
        conduct = self.plan.conduct
        if conduct is Conduct.STALLS and self._sent >= self.plan.stalls_after:
            return None
        self._sent += block.length
        data = self.swarm.content[block.offset : block.offset + block.length]
        if conduct is Conduct.LIES or (
            conduct is Conduct.SOMETIMES_LIES and self._dice.random() < LIE_PROBABILITY
        ):
            return spoiled(data, self._dice)
        return data
