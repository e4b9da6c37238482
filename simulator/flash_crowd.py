"""A flash crowd in virtual time: one seed and many nodes that start together, each with an upload limit.

Processors cost nothing here, so the time shows the cost of the protocol: how soon each piece leaves the seed,
how fast news of it travels, and which uplinks idle. ``python -m simulator --crowd 30`` runs one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from common.bitfield import Bitfield
from faults.link import Link, LinkFaults
from node.chunk_udp.slots import Slots
from node.download.search_backoff import SearchBackoff
from node.peer import FoundPeer, Peer
from simulator.bounds import distribution_time
from simulator.clock import Clock
from simulator.owner import SimulatedOwner
from simulator.recorder import SwarmRecorder
from simulator.scenario import Behaviour, OwnerPlan, Scenario
from simulator.simulated_node import SimulatedNode, content_of, number_of

SEED = Peer("192.0.2.1", 9, node_id=1)
FIRST_ID = 100  # node id of the first node that is no seed
PARTIAL_SOURCES, SLOTS = 8, 16  # as MAX_PARTIAL_OWNERS and UPLOAD_SLOTS
MAX_NODES = 250  # each has an address of 192.0.2.0/24
ROUND_TRIP = 0.001  # seconds, as on a classroom's network
SEGMENT = 16_000  # bytes
MAX_FACTOR = 4.0  # times the bound, after which a run counts as hanging
PROGRESS_STEPS = 20  # lines of progress, about
MAX_EVENTS = 20_000_000


@dataclass(frozen=True)
class FlashCrowdPlan:
    """``nodes`` nodes and a seed share ``size`` bytes; each sends ``upload`` bytes a second at most."""

    nodes: int
    size: int
    upload: int
    piece_length: int = 1 << 16
    seed: int = 1  # of all random choices

    @property
    def bound(self) -> float:
        """Least seconds that it takes."""
        return distribution_time(self.size, self.nodes, self.upload)

    def scenario(self) -> Scenario:
        """The scenario of each node: a clean network, and no owners outside the crowd."""
        return Scenario(
            self.seed,
            self.size,
            self.piece_length,
            SEGMENT,
            checked=False,
            controller="bbr",
            most_owners=3,
            download_limit=None,
            begins_at=0.0,
            hashing=0.0,
            owners=(),
        )


class _Uplink(SimulatedOwner):
    """The uplink of a node. No fetcher outside the crowd wants its slots."""

    def _compete(self, slots: Slots) -> None:
        pass


class FlashCrowd:
    """One run of ``plan``."""

    def __init__(self, plan: FlashCrowdPlan) -> None:
        self.plan = plan
        self.scenario = plan.scenario()
        self.clock = Clock()
        self.content, self.metainfo = content_of(self.scenario)
        self.owners: dict[Peer, SimulatedOwner] = {SEED: self.uplink(SEED)}
        self.known: set[Peer] = {SEED}  # peers that the tracker knows
        self.seeded: Counter[int] = Counter()  # how often each piece came from the seed
        self.ended: list[float] = []  # seconds until each node was complete
        self.members = [_Member(self, FIRST_ID + number) for number in range(plan.nodes)]

    def record(self, recorder: SwarmRecorder) -> None:
        """Have the run recorded. To be called before ``run``."""
        limits = {"up_limit": self.plan.upload, "slots": SLOTS}
        seed = self.owners[SEED]
        recorder.add(SEED, seed.uplink, lambda: seed.have, None, limits)
        for member in self.members:
            member.record(recorder, limits)

    def uplink(self, source: Peer) -> SimulatedOwner:
        """A new uplink for ``source``."""
        clean = LinkFaults(delay=ROUND_TRIP / 2)
        plan = OwnerPlan(Behaviour.HONEST, clean, clean, SLOTS, self.plan.upload)
        geometry = self.metainfo.geometry
        seed = self.plan.seed * 1000 + number_of(source)
        return _Uplink(plan, self.content, geometry, self.metainfo.info_hash, self.clock, seed)

    def run(self, show: Callable[[str], None] | None = None) -> None:
        """Run until every node is complete; Deadlock if that does not happen. ``show`` takes progress."""
        for member in self.members:
            member.begin()
        if show is not None:
            self._show_progress(show)
        self.clock.run_until(
            lambda: len(self.ended) == len(self.members), MAX_FACTOR * self.plan.bound, MAX_EVENTS
        )

    def _show_progress(self, show: Callable[[str], None]) -> None:
        """One line now, and again each twentieth of the bound."""
        verified = sum(member.state.verified for member in self.members)
        part = verified / (self.plan.size * len(self.members))
        show(f"{self.clock.now:6.2f} s: {part:4.0%} of all bytes, {len(self.ended)} nodes complete")
        self.clock.at(self.clock.now + self.plan.bound / PROGRESS_STEPS, lambda: self._show_progress(show))

    @property
    def again(self) -> int:
        """How often the seed sent a piece that it had sent before."""
        return sum(times - 1 for times in self.seeded.values())


class _Member(SimulatedNode):
    """A node that fetches, and serves the pieces that it has."""

    def __init__(self, crowd: FlashCrowd, node_id: int) -> None:
        self.name = Peer(f"192.0.2.{node_id - FIRST_ID + 2}", 9, node_id=node_id)
        super().__init__(crowd.scenario, crowd.clock, crowd.metainfo, self.name, PARTIAL_SOURCES)
        self._crowd = crowd
        self._uplink = crowd.owners[self.name] = crowd.uplink(self.name)
        self._uplink.held = Bitfield(crowd.metainfo.geometry.piece_count)
        self._backoff = SearchBackoff(1e9, crowd.clock.now)

    def record(self, recorder: SwarmRecorder, limits: Mapping[str, int | None]) -> None:
        """Have its events recorded."""
        uplink = self._uplink
        self.recorder = recorder.add(self.name, uplink.uplink, lambda: uplink.have, self, limits)

    def begin(self) -> None:
        """Ask the tracker, and start."""
        self._ask_tracker()
        self._fill_again()

    def reach(self, source: Peer) -> tuple[SimulatedOwner, tuple[Link, Link]]:
        """See ``SimulatedNode``."""
        owner = self._crowd.owners[source]
        seed = number_of(self.name) * 1000 + number_of(source)
        return owner, (Link(owner.plan.there, seed), Link(owner.plan.back, seed + 500))

    def _ask_tracker(self) -> None:
        owners = self._crowd.owners
        entries = [
            FoundPeer(source, complete=(held := owners[source].held) is None or held.all())
            for source in sorted(self._crowd.known - {self.name})
        ]
        self.known.update(entries)
        self.state.set_partial_peers(self.known.partial_peers())
        if self.recorder is not None:
            self.recorder.on_answer(entries)

    def _fill(self) -> None:
        super()._fill()
        if not self.state.over and self._pool.has_room() and self._backoff.wants_refresh(self.clock.now):
            self._ask_tracker()

    def on_piece(self, index: int, right: bool, sources: Iterable[Peer]) -> None:
        """The piece is verified: other nodes may fetch it."""
        super().on_piece(index, right, sources)
        assert right, "no node sends wrong bytes"
        held = self._uplink.held or Bitfield(self.metainfo.geometry.piece_count)
        held.set(index)
        self._uplink.held = held
        self._crowd.known.add(self.name)
        if SEED in sources:
            self._crowd.seeded[index] += 1
        if self.state.complete:
            assert bytes(self.content.data) == self._crowd.content, "corrupt"
            self._crowd.ended.append(self.clock.now)
