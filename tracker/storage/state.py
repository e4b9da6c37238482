"""The tracker's records in this process's memory. Not thread-safe; time is an argument.

Each node has a deadline, ``silence`` seconds after its last sign of life. No deadline is earlier than one
that was given before it. So the order of the last heartbeats is the order of the deadlines: a heartbeat moves
a node to the end, and expired nodes are at the front. A heartbeat costs O(1) and removing the expired nodes
O(expired), however many nodes there are.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence

from common.messages import OwnedFile
from tracker import rules as the_rules
from tracker.heartbeat import interval_factor
from tracker.model import (
    Caller,
    Counts,
    FilesDropped,
    FilesOwned,
    Found,
    NodeLeft,
    NodeRecord,
    NodeView,
    Owners,
    PeerRecord,
    ReporterTotal,
    Rules,
    SwarmView,
    Write,
)
from tracker.owners import Ownership, RegisteredNode
from tracker.peer_swarms import PeerSwarms
from tracker.ranking import STRATEGIES, TIES, order_number, tie_break
from tracker.storage.peer_state import PeerState
from tracker.swarms import Swarms


class State:
    """Implements ``tracker.view.View``, for a transaction that has set ``now``."""

    def __init__(self, rules: Rules, rng: random.Random | None = None) -> None:
        rng = rng or random.Random()
        self.rules = rules
        self.silence = rules.silence
        self.now = 0.0
        self._strategy = STRATEGIES[rules.ranking]
        self._salt = rng.randrange(TIES)
        self._nodes: OrderedDict[int, RegisteredNode] = OrderedDict()  # in the order of their deadlines
        self._totals: dict[int, dict[int, ReporterTotal]] = {}  # owner -> reporter -> total
        self._homes: Counter[str] = Counter()  # client address -> nodes and peers that it brought in
        on_tcp = PeerSwarms()
        self._swarms = Swarms(self._strategy.drawn, rng, on_tcp)
        self.peers = PeerState(rules, on_tcp, self._homes, rng)
        self._claimed = 0
        self._last_deadline = 0.0
        self._grace_until = 0.0  # all deadlines are at least this

    # ---- View

    def node(self, node_id: int) -> NodeRecord | None:
        """The node, if it is in."""
        node = self._nodes.get(node_id)
        return None if node is None else node.record

    def file(self, node_id: int, key: str) -> OwnedFile | None:
        """How the node describes the file; None if it does not own it."""
        node = self._nodes.get(node_id)
        owned = None if node is None else node.files.get(key)
        return None if owned is None else owned.file

    def file_count(self, node_id: int) -> int:
        """How many files the node owns."""
        node = self._nodes.get(node_id)
        return 0 if node is None else len(node.files)

    def total(self, owner: int, reporter: int) -> ReporterTotal | None:
        """The sum of the reporter's receipts for the owner."""
        return self._totals.get(owner, {}).get(reporter)

    def counts(self) -> Counts:
        """How much there is."""
        return Counts(
            len(self._nodes), self._claimed, len(self._swarms.by_name), self._swarms.owned, len(self.peers)
        )

    def nodes_from(self, home: str) -> int:
        """How many nodes and standard peers this client address brought in."""
        return self._homes[home]

    # ---- peer_rules.PeerView

    def peer(self, key: bytes) -> PeerRecord | None:
        """The standard peer, if it is in."""
        return self.peers.get(key)

    def peer_at(self, info_hash: bytes, endpoint: bytes) -> PeerRecord | None:
        """The standard peer of this torrent that listens there."""
        return self.peers.at(info_hash, endpoint)

    def peer_count(self) -> int:
        """How many standard peers are in."""
        return len(self.peers)

    # ---- changes

    def apply(self, writes: Iterable[Write]) -> None:
        """Carry out the writes of a decision."""
        for write in writes:
            if isinstance(write, NodeRecord):
                self._put(write)
            elif isinstance(write, FilesOwned):
                self._swarms.add(self._nodes[write.node_id], write)
            elif isinstance(write, ReporterTotal):
                self._totals.setdefault(write.owner, {})[write.reporter] = write
            elif isinstance(write, FilesDropped):
                self._swarms.drop(self._nodes[write.node_id], write.keys)
            elif isinstance(write, NodeLeft):
                self._remove(write.node_id)
            else:
                self.peers.apply(write, self.now)

    def touch(self, node_id: int) -> None:
        """A sign of life: the node has one deadline from now."""
        node = self._nodes[node_id]
        node.deadline = self._deadline()
        self._nodes.move_to_end(node_id)

    def search(self, caller: Caller, filename: str | None, info_hash: str | None, limit: int) -> Found:
        """The best owners of a file; also a sign of life of the caller."""
        node = self._nodes.get(caller.node_id)
        if node is not None and the_rules.speaks_for(node.record, caller):
            self.touch(caller.node_id)
        return self._swarms.search(filename, info_hash, limit)

    def restore(
        self, nodes: Sequence[NodeRecord], owned: Iterable[Owners], totals: Iterable[ReporterTotal]
    ) -> None:
        """Take over an earlier run's records. Each node gets one whole deadline.

        A large tracker stretches the heartbeat interval. So the deadline is stretched for as many nodes.
        """
        self.silence = self.rules.silence * interval_factor(self.rules.interval, len(nodes))
        for record in nodes:
            self._put(record)
        nodes_of = self._nodes.__getitem__
        self._swarms.restore((file, list(map(nodes_of, dict.fromkeys(node_ids)))) for file, node_ids in owned)
        self.apply(totals)

    # ---- deadlines

    def next_deadline(self) -> float | None:
        """The earliest deadline; None if there is no node and no peer."""
        of_peer = self.peers.next_deadline()
        for node in self._nodes.values():
            deadline = max(node.deadline, self._grace_until)
            return deadline if of_peer is None else min(deadline, of_peer)
        return of_peer

    def expire(self, nodes: int, files: int) -> list[NodeRecord]:
        """Remove and return expired nodes: at most ``nodes``, and no more once ``files`` were theirs."""
        gone: list[NodeRecord] = []
        for node in list(itertools.islice(self._nodes.values(), nodes)):
            deadline = max(node.deadline, self._grace_until)
            if files <= 0 or not the_rules.is_expired(deadline, self.now):
                break
            files -= len(node.files)
            gone.append(node.record)
            self._remove(node.record.node_id)
        return gone

    def grant_deadline(self) -> None:
        """Give every node and every peer one whole deadline from now."""
        self._grace_until = self.now + self.silence
        self.peers.grant_deadline(self.now)

    # ---- looking

    def nodes(self, limit: int) -> list[NodeView]:
        """Up to ``limit`` nodes, those with the earliest deadlines."""
        return [
            NodeView(record.node_id, record.addr, record.shown, len(node.files), record.secret is not None)
            for node in itertools.islice(self._nodes.values(), limit)
            for record in [node.record]
        ]

    def swarms(self, limit: int) -> list[SwarmView]:
        """Up to ``limit`` files, about those with the most owners."""
        return self._swarms.largest(limit)

    def node_ids(self) -> list[int]:
        """All nodes."""
        return list(self._nodes)

    def totals(self, owner: int) -> list[ReporterTotal]:
        """The totals of an owner."""
        return list(self._totals.get(owner, {}).values())

    def file_names(self) -> list[str]:
        """All names that files are owned under."""
        return list(self._swarms.by_name)

    def ownerships(self, name: str) -> list[Ownership]:
        """The ownerships of the files of this name."""
        swarm = self._swarms.by_name.get(name)
        return [*(swarm.whole or ()), *(swarm.partial or ())] if swarm else []

    # ---- the steps

    def _put(self, record: NodeRecord) -> None:
        node = self._nodes.get(record.node_id)
        rank = self._strategy.rank(record, self.rules.half_life)
        order = order_number(rank, tie_break(record.node_id, self._salt))
        if node is None:
            self._nodes[record.node_id] = RegisteredNode(record, self._deadline(), order)
            self._claimed += record.secret is not None
            if record.home is not None:
                self._homes[record.home] += 1
            return
        before = node.record
        self._swarms.move(node, record)
        self._claimed += (record.secret is not None) - (before.secret is not None)
        if _in_answers(record) != _in_answers(before) or order != node.order:
            self._swarms.drop_answers(node)
        self._swarms.rank(node, order)

    def _remove(self, node_id: int) -> None:
        node = self._nodes.pop(node_id)
        self._swarms.forget(node)
        self._totals.pop(node_id, None)
        self._claimed -= node.record.secret is not None
        home = node.record.home
        if home is not None:
            self._homes[home] -= 1
            if not self._homes[home]:
                del self._homes[home]

    def _deadline(self) -> float:
        self._last_deadline = max(self._last_deadline, self.now + self.silence)
        return self._last_deadline


def _in_answers(record: NodeRecord) -> tuple[object, ...]:
    """The part of a record that NEED shows."""
    return record.addr, record.shown, record.tcp_port
