"""A whole download in virtual time from owners of all kinds."""

from __future__ import annotations

from functools import partial

from common.bitfield import Bitfield
from faults.link import Link
from node.peer import FoundPeer, Peer
from simulator.clock import Clock
from simulator.owner import SimulatedOwner
from simulator.recorder import SwarmRecorder, Uplink
from simulator.scenario import Scenario
from simulator.simulated_node import SimulatedNode, content_of

TRACKER_INTERVAL = 5.0  # seconds between two answers of the tracker
MAX_SECONDS = 180.0  # of virtual time for a run, plus the time that its content takes at
MIN_RATE = 100.0  # bytes a second: two small segments in a round trip of 2 s, most of which are lost
LIAR_FACTOR = 3  # more time: on the worst networks a piece takes minutes, and is fetched again
MAX_EVENTS = 400_000


class SimulatedDownload(SimulatedNode):
    """One run of ``scenario``. ``lines`` collects a description of all events if it is a list."""

    def __init__(self, scenario: Scenario, lines: list[str] | None = None) -> None:
        self.wanted, metainfo = content_of(scenario)
        self.own = Peer(f"198.51.100.{scenario.seed % 250 + 1}", 1024 + scenario.seed // 250 % 60_000)
        super().__init__(scenario, Clock(scenario.begins_at), metainfo, self.own, lines=lines)
        self.owners = self._make_owners()

    def _make_owners(self) -> dict[Peer, tuple[SimulatedOwner, tuple[Link, Link]]]:
        owners = {}
        for number, plan in enumerate(self.scenario.owners, 1):
            seed = self.scenario.seed * 100 + number
            owner = SimulatedOwner(
                plan, self.wanted, self.metainfo.geometry, self.metainfo.info_hash, self.clock, seed
            )
            links = (Link(plan.there, seed + 30), Link(plan.back, seed + 60))
            owners[Peer(f"192.0.2.{100 + number}", 9, node_id=number)] = (owner, links)
        return owners

    def record(self, recorder: SwarmRecorder) -> None:
        """Have the run recorded. To be called before ``run``."""
        for peer, (owner, _) in self.owners.items():
            limits = {"up_limit": owner.plan.upload_limit, "slots": owner.plan.slots}
            recorder.add(peer, owner.uplink, partial(_pieces_of, owner), None, limits)
        nothing = Bitfield(self.metainfo.geometry.piece_count)
        limits = {"down_limit": self.scenario.download_limit}
        self.recorder = recorder.add(self.own, Uplink, lambda: nothing, self, limits)

    def reach(self, source: Peer) -> tuple[SimulatedOwner, tuple[Link, Link]]:
        """See ``SimulatedNode``."""
        return self.owners[source]

    # ---- the coordinator

    def run(self) -> None:
        """Run the scenario to its end; Deadlock if it has none."""
        self._ask_tracker()
        self._fill_again()
        rounds = 1 + self.scenario.has_liar * LIAR_FACTOR
        limit = self.clock.now + rounds * (MAX_SECONDS + self.scenario.size / MIN_RATE)
        self.happened["events"] = self.clock.run_until(lambda: self.state.over, limit, MAX_EVENTS)

    def _ask_tracker(self) -> None:
        entries = [
            FoundPeer(source, complete=owner.held is None or owner.held.all())
            for source, (owner, _) in self.owners.items()
        ]
        self.known.update(entries)
        self.state.set_partial_peers(self.known.partial_peers())
        if self.recorder is not None:
            self.recorder.on_answer(entries)
        self.clock.at(self.clock.now + TRACKER_INTERVAL, self._ask_tracker)


def _pieces_of(owner: SimulatedOwner) -> Bitfield:
    return owner.have
