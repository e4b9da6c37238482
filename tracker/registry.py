"""The tracker's rules: who is in, who owns what, who has fallen silent. Pure: time is an argument.

Theory of operation. Every node has one deadline, ``silence`` seconds after it was last heard from. As the
limit is the same for all, keeping the nodes in the order in which they were heard keeps them in the order of
their deadlines too: a heartbeat moves a node to the end, and the expired ones are at the front. So
a heartbeat costs O(1) and a sweep O(expired), however many nodes there are.

A file is known by its info hash, or by its name where its owner gave no hash; each owner is indexed under
both, and each node lists what it owns, so that a node leaves in O(its files).

``now`` is monotonic seconds and must not decrease from call to call. Nothing is recorded by a call that
raises.
"""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from common.errors import MessageError, NodeConflict, TrackerFull
from common.fields import Addr
from common.messages import OwnedFile
from tracker.ranking import Candidate, decayed
from tracker.records import FileKey as FileKey
from tracker.records import file_key as file_key

Entry = TypeVar("Entry")

MAX_NODES = 100_000
MAX_OWNERSHIPS = 1_000_000  # (node, file) pairs


@dataclass
class Node:
    """A node as the tracker knows it."""

    node_id: int
    addr: Addr
    heard: float  # monotonic seconds
    uploads: int = 0
    score: float = 0.0  # decayed uploads, as of ``scored_at``
    scored_at: float = 0.0  # monotonic seconds
    files: dict[FileKey, OwnedFile] = field(default_factory=dict)


class Registry:
    """All the tracker knows."""

    def __init__(self, silence: float, half_life: float) -> None:
        """``silence``: seconds until an unheard node is gone; ``half_life``: seconds until a score halves."""
        self.silence = silence
        self.half_life = half_life
        self._nodes: OrderedDict[int, Node] = OrderedDict()  # in the order of their deadlines
        self._hashes: dict[str, dict[int, None]] = {}  # info hash -> node ids
        self._names: dict[str, dict[tuple[int, FileKey], None]] = {}  # file name -> (node id, key)
        self._ownerships = 0

    def register_node(self, node_id: int, addr: Addr, now: float) -> tuple[Node, bool]:
        """A node is in (REGISTER): the node, and whether it was known. NodeConflict if it lives elsewhere."""
        node = self._nodes.get(node_id)
        if node is not None:
            self.check_addr(node_id, addr)
            self.heard(node_id, addr, now)
            return node, True
        if len(self._nodes) >= MAX_NODES:
            raise TrackerFull(f"the tracker knows {MAX_NODES} nodes, its limit")
        node = self._nodes[node_id] = Node(node_id, addr, now, scored_at=now)
        return node, False

    def add_file_owner(
        self, node_id: int, addr: Addr, files: Iterable[OwnedFile], now: float
    ) -> tuple[Node, bool, list[OwnedFile]]:
        """A node owns files (OWN), and is in if it was not: the node, whether it was known, what is news."""
        wanted = {file_key(file.filename, file.info_hash): file for file in files}  # the last word counts
        known = self._nodes.get(node_id)
        owned = known.files if known is not None else {}
        news = [file for key, file in wanted.items() if owned.get(key) != file]
        if self._ownerships + len(news) > MAX_OWNERSHIPS:
            raise TrackerFull(f"the tracker knows {MAX_OWNERSHIPS} shared files, its limit")
        node, was_known = self.register_node(node_id, addr, now)
        for file in news:
            self._add(node, file)
        return node, was_known, news

    def search_file(self, filename: str | None, info_hash: str | None) -> list[Candidate]:
        """Everyone who owns a file (NEED), in no order: by info hash alone if given, else by name."""
        if info_hash:
            pairs: Iterable[tuple[int, FileKey]] = (
                (node_id, (info_hash, "")) for node_id in self._hashes.get(info_hash, ())
            )
        else:
            pairs = self._names.get(filename or "", ())
        return [self._candidate(self._nodes[node_id], key) for node_id, key in pairs]

    def update_db(self, node_id: int, now: float, field_name: str = "node_id") -> Node:
        """A node has uploaded once more (UPDATE); MessageError about ``field_name`` if it is not known."""
        node = self._nodes.get(node_id)
        if node is None:
            raise MessageError(f"{field_name}: the tracker does not know node {node_id}", field_name)
        node.uploads += 1
        node.score = decayed(node.score, now - node.scored_at, self.half_life) + 1
        node.scored_at = now
        return node

    def remove_node(self, node_id: int) -> Node | None:
        """A node is out (EXIT, or silent), with all it owned; None if it was not in."""
        node = self._nodes.pop(node_id, None)
        if node is not None:
            for key in list(node.files):
                self._drop(node, key)
        return node

    def heard(self, node_id: int, addr: Addr | None, now: float) -> None:
        """A sign of life, if it comes from where the node lives."""
        node = self._nodes.get(node_id)
        if node is not None and node.addr == addr:
            node.heard = now
            self._nodes.move_to_end(node_id)

    def check_addr(self, node_id: int, addr: Addr | None) -> None:
        """NodeConflict if ``addr`` is given and the node lives elsewhere."""
        node = self._nodes.get(node_id)
        if node is not None and addr is not None and node.addr != addr:
            where = (
                f"[{node.addr[0]}]:{node.addr[1]}"
                if ":" in node.addr[0]
                else f"{node.addr[0]}:{node.addr[1]}"
            )
            raise NodeConflict(
                f"node {node_id} is in use at {where} until it exits or is silent for {self.silence:g} s"
            )

    def expire(self, now: float) -> list[Node]:
        """Remove and return the nodes whose deadline has come."""
        gone = []
        while (due := self.next_deadline()) is not None and due <= now:
            node = self.remove_node(next(iter(self._nodes)))
            assert node is not None
            gone.append(node)
        return gone

    def next_deadline(self) -> float | None:
        """When (monotonic seconds) the next node falls due; None if there is no node."""
        for node in self._nodes.values():
            return node.heard + self.silence
        return None

    def grant_deadline(self, now: float) -> None:
        """Give every node one whole deadline from now: when nobody could have been heard for a while."""
        for node in self._nodes.values():
            node.heard = now

    def restore(self, nodes: Iterable[Node], owned: Iterable[tuple[int, OwnedFile]]) -> None:
        """Take over an earlier run's records: nodes heard at the same moment, and what they own."""
        for node in nodes:
            self._nodes[node.node_id] = node
        for node_id, file in owned:
            self._add(self._nodes[node_id], file)

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many nodes, file names and ownerships there are."""
        return len(self._nodes), len(self._names), self._ownerships

    def nodes(self, limit: int) -> list[Node]:
        """Up to ``limit`` nodes, those that fall due first at the front."""
        return list(itertools.islice(self._nodes.values(), limit))

    def swarms(self, limit: int) -> list[tuple[OwnedFile, int, int]]:
        """Up to ``limit`` files, those with the most owners first: how many have all of it, and a part."""
        names = heapq.nlargest(limit, self._names, key=lambda name: len(self._names[name]))
        return [self._swarm(name) for name in names]

    def _swarm(self, name: str) -> tuple[OwnedFile, int, int]:
        files = [self._nodes[node_id].files[key] for node_id, key in self._names[name]]
        whole = sum(file.complete for file in files)
        return files[0], whole, len(files) - whole

    def _add(self, node: Node, file: OwnedFile) -> None:
        key = file_key(file.filename, file.info_hash)
        self._drop(node, key)
        node.files[key] = file
        self._names.setdefault(file.filename, {})[node.node_id, key] = None
        if file.info_hash:
            self._hashes.setdefault(file.info_hash, {})[node.node_id] = None
        self._ownerships += 1

    def _drop(self, node: Node, key: FileKey) -> None:
        file = node.files.pop(key, None)
        if file is None:
            return
        self._ownerships -= 1
        _discard(self._names, file.filename, (node.node_id, key))
        if file.info_hash:
            _discard(self._hashes, file.info_hash, node.node_id)

    @staticmethod
    def _candidate(node: Node, key: FileKey) -> Candidate:
        return Candidate(
            node.node_id, node.addr, node.files[key], node.uploads, node.score, node.scored_at, node.heard
        )


def _discard(index: dict[str, dict[Entry, None]], name: str, entry: Entry) -> None:
    entries = index[name]
    del entries[entry]
    if not entries:
        del index[name]
