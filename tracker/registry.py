"""The tracker's rules: who is in, who owns what, who may say so, who has fallen silent. Pure: time is an
argument.

Theory of operation. Each node has a deadline, ``silence`` seconds after it was last heard from. Deadlines are
given in order, none before one that was given earlier, so nodes in the order in which they were heard are
in the order of their deadlines: a heartbeat moves a node to the end, and the expired ones are at the
front. A heartbeat costs O(1) and a sweep O(expired), however many nodes there are.

Who owns what is the ``catalogue``'s. Nothing takes time that grows with all nodes, or with all owners of a
file.

Each method returns what it decided and the changes that must outlive a restart. ``may_change`` is called
before anything of that kind is touched, and may raise; a method that raises has changed nothing. ``now`` is
monotonic seconds and must not decrease from call to call.
"""

from __future__ import annotations

import itertools
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from common.messages import OwnedFile
from tracker import crediting, errors
from tracker.auth import verify
from tracker.catalogue import Catalogue
from tracker.heartbeat import interval_factor
from tracker.model import (
    MAX_FILES_PER_NODE,
    MAX_NODES,
    MAX_OWNERSHIPS,
    MAX_UNCLAIMED,
    Announced,
    Caller,
    Change,
    Counts,
    Credited,
    FileKey,
    FilesOwned,
    Found,
    NodeChanged,
    NodeJoined,
    NodeLeft,
    NodeRecord,
    NodeView,
    Owners,
    Receipt,
    Registered,
    Rules,
    SwarmView,
    file_key,
)
from tracker.nodes import Node, Owned, node_from
from tracker.ranking import STRATEGIES

Changes = Sequence[Change]
NO_CHANGES: Changes = ()


class Registry:
    """All the tracker knows."""

    def __init__(
        self, rules: Rules, may_change: Callable[[], None] = lambda: None, rng: random.Random | None = None
    ) -> None:
        self.rules = rules
        self.silence = rules.silence
        self._strategy = STRATEGIES[rules.ranking]
        self._may_change = may_change
        self._rng = rng or random.Random()
        self._salt = self._rng.getrandbits(32)
        self._nodes: OrderedDict[int, Node] = OrderedDict()  # in the order of their deadlines
        self._catalogue = Catalogue()
        self._claimed = 0
        self._latest = 0.0  # deadline that was given
        self._spared = 0.0  # nobody's deadline comes before this

    # ---- the five requests

    def register_node(self, caller: Caller, claim: str | None, now: float) -> tuple[Registered, Changes]:
        """REGISTER; see ``Storage.register``."""
        node = self._nodes.get(caller.node_id)
        if node is None:
            node = self._join(caller, claim, now)
            changes: Changes = [NodeJoined(self._record(node, now))]
            return Registered(False, 0, claim is not None, claim is not None), changes
        self._check_speaker(node, caller, claim)
        granted = claim is not None and node.secret is None
        changes = self._take_over(node, caller, claim if granted else None, now)
        self._hear(node, now)
        return Registered(True, len(node.files), node.secret is not None, granted), changes

    def add_file_owner(
        self, caller: Caller, files: Iterable[OwnedFile], now: float
    ) -> tuple[Announced, Changes]:
        """OWN; see ``Storage.own``."""
        wanted = {file_key(file.filename, file.info_hash): file for file in files}  # the last word counts
        node = self._nodes.get(caller.node_id)
        if node is not None:
            self._check_speaker(node, caller, None)
        news = self._news(node, wanted)
        changes: list[Change] = []
        if node is None:
            node, known = self._join(caller, caller.proof, now), False
            changes.append(NodeJoined(self._record(node, now)))
        else:
            known = True
            if news:
                self._may_change()
            changes += self._take_over(node, caller, None, now)
            self._hear(node, now)
        for file in news:
            self._catalogue.add(node, file)
        if news:
            changes.append(FilesOwned(node.node_id, tuple(news)))
        return Announced(known, len(node.files), tuple(news), node.secret is not None), changes

    def search_file(
        self, caller: Caller, filename: str | None, info_hash: str | None, limit: int, now: float
    ) -> Found:
        """NEED; see ``Storage.need``."""
        node = self._nodes.get(caller.node_id)
        if node is not None and self._is_speaker(node, caller):
            self._hear(node, now)
        catalogue = self._catalogue
        owners = catalogue.files.get((info_hash, "")) if info_hash else catalogue.names.get(filename or "")
        if owners is None:
            return Found()
        return catalogue.tell(owners, limit, self._strategy.drawn, self._rng)

    def update_db(self, caller: Caller, receipt: Receipt, now: float) -> tuple[Credited, Changes]:
        """UPDATE; see ``Storage.update``."""
        reporter = self._nodes.get(caller.node_id)
        if reporter is not None:
            self._check_speaker(reporter, caller, None)
        elif self.rules.require_claim:
            raise errors.unclaimed(caller.node_id)
        credited = caller.node_id if receipt.owner is None else receipt.owner
        if reporter is not None and crediting.is_repetition(reporter, receipt):
            if self._is_speaker(reporter, caller):
                self._hear(reporter, now)
            known = self._nodes.get(credited)
            return Credited(credited, known.shown if known else 0, False), NO_CHANGES
        owner = self._owner(reporter, credited, receipt)
        worth = crediting.worth(reporter, owner, receipt)
        changes = self._credit(reporter, owner, receipt, worth, now) if worth else NO_CHANGES
        if reporter is not None and self._is_speaker(reporter, caller):
            self._hear(reporter, now)
        return Credited(credited, owner.shown, worth is not None), changes

    def remove_node(self, caller: Caller) -> tuple[bool, Changes]:
        """EXIT; see ``Storage.exit``."""
        node = self._nodes.get(caller.node_id)
        if node is None:
            return False, NO_CHANGES
        self._check_speaker(node, caller, None)
        self._may_change()
        self._remove(node)
        return True, [NodeLeft(node.node_id)]

    # ---- time

    def expire(self, now: float, limit: int) -> list[Node]:
        """Remove and return up to ``limit`` of the nodes whose deadline has come."""
        gone: list[Node] = []
        while len(gone) < limit and (due := self.next_deadline()) is not None and due <= now:
            node = next(iter(self._nodes.values()))
            self._remove(node)
            gone.append(node)
        return gone

    def next_deadline(self) -> float | None:
        """When (monotonic seconds) the next node falls due; None if there is no node."""
        for node in self._nodes.values():
            return max(node.deadline, self._spared)
        return None

    def grant_deadline(self, now: float) -> None:
        """Give every node one whole deadline from now: when nobody could have been heard for a while."""
        self._spared = now + self.silence

    # ---- looking

    def counts(self) -> Counts:
        """How much there is."""
        return Counts(len(self._nodes), self._claimed, len(self._catalogue.names), self._catalogue.owned)

    def nodes(self, limit: int) -> list[NodeView]:
        """Up to ``limit`` nodes, those that fall due first at the front."""
        return [node.view() for node in itertools.islice(self._nodes.values(), limit)]

    def swarms(self, limit: int) -> list[SwarmView]:
        """Up to ``limit`` files, those with the most owners."""
        return self._catalogue.largest(limit)

    def node_ids(self) -> list[int]:
        """All nodes."""
        return list(self._nodes)

    def records(self, node_ids: Iterable[int], now: float) -> list[NodeRecord]:
        """Those of the nodes that are in."""
        nodes = (self._nodes.get(node_id) for node_id in node_ids)
        return [node.whole_record(now, self.rules.half_life) for node in nodes if node is not None]

    def file_names(self) -> list[str]:
        """All names that files are owned under."""
        return list(self._catalogue.names)

    def owners_of(self, name: str) -> list[Owned]:
        """Who owns files of this name, and some who did (``node.gone``)."""
        owners = self._catalogue.names.get(name)
        return owners.entries() if owners else []

    def restore(self, nodes: Iterable[NodeRecord], owned: Iterable[Owners], now: float) -> None:
        """Take over what was recorded earlier; everybody has one whole deadline to be heard from: as long as
        the interval that so many nodes were told to call at may be.
        """
        nodes = list(nodes)
        self.silence = self.rules.silence * interval_factor(self.rules.interval, len(nodes))
        for record in nodes:
            node = node_from(record, now, self._deadline(now))
            self._nodes[node.node_id] = node
            self._claimed += node.secret is not None
            self._rank(node)
        for file, node_ids in owned:
            self._catalogue.restore(file, [self._nodes[node_id] for node_id in dict.fromkeys(node_ids)])

    # ---- who may

    def _check_speaker(self, node: Node, caller: Caller, claim: str | None) -> None:
        """NodeConflict or Forbidden if the caller is not the node; ``claim``: what it asks for with this."""
        if self._is_speaker(node, caller, caller.addr is None):
            if node.secret is None and claim is None and self.rules.require_claim:
                raise errors.unclaimed(node.node_id)
            return
        if caller.addr is not None and caller.addr != node.addr:
            raise errors.in_use(node.node_id, node.addr, self.silence)
        raise errors.secret_wanted(node.node_id)

    @staticmethod
    def _is_speaker(node: Node, caller: Caller, anywhere: bool = False) -> bool:
        if node.secret is not None:
            return verify(caller.proof, node.secret)
        return anywhere or caller.addr == node.addr

    # ---- what changes

    def _join(self, caller: Caller, claim: str | None, now: float) -> Node:
        if claim is None and self.rules.require_claim:
            raise errors.unclaimed(caller.node_id)
        if len(self._nodes) >= MAX_NODES:
            raise errors.full_of_nodes(MAX_NODES)
        if claim is None and len(self._nodes) - self._claimed >= MAX_UNCLAIMED:
            raise errors.full_of_unclaimed(MAX_UNCLAIMED)
        assert caller.addr is not None
        self._may_change()
        node = self._nodes[caller.node_id] = Node(caller.node_id, caller.addr, self._deadline(now))
        node.secret = claim
        self._claimed += claim is not None
        self._rank(node)
        return node

    def _take_over(self, node: Node, caller: Caller, claim: str | None, now: float) -> Changes:
        """Note a new address, which proof came with, and a claim that is granted."""
        if claim is None and caller.addr == node.addr:
            return NO_CHANGES
        assert caller.addr is not None
        self._may_change()
        node.addr = caller.addr
        for owners, entry in node.files.items():
            owners.told = self._catalogue.names[entry.file.filename].told = None
        if claim is not None:
            node.secret = claim
            self._claimed += 1
            self._change_merits(node, lambda: crediting.begin_anew(node))
        return [NodeChanged(self._record(node, now))]

    def _news(self, node: Node | None, wanted: dict[FileKey, OwnedFile]) -> list[OwnedFile]:
        """What a node says that was not known yet; RateLimited or TrackerFull if that is too much."""
        news, more = [], 0
        for key, file in wanted.items():
            owners = self._catalogue.files.get(key)
            owned = node.files.get(owners) if node is not None and owners is not None else None
            if owned is None or owned.file != file:
                news.append(file)
                more += owned is None
        if self._catalogue.owned + more > MAX_OWNERSHIPS:
            raise errors.full_of_files(MAX_OWNERSHIPS)
        if (len(node.files) if node is not None else 0) + more > MAX_FILES_PER_NODE:
            raise errors.too_many_files(MAX_FILES_PER_NODE, self.silence)
        return news

    def _owner(self, reporter: Node | None, credited: int, receipt: Receipt) -> Node:
        """Whom an UPDATE is about; MessageError if there is nobody like that."""
        owner = self._nodes.get(credited)
        if reporter is not None and reporter.secret is not None and owner is reporter:
            raise errors.not_itself()
        if owner is None:
            raise errors.unknown(credited, "node_id" if receipt.owner is None else "owner")
        if reporter is not None and reporter.secret is not None:
            owners = self._catalogue.files.get(file_key(receipt.filename, receipt.info_hash))
            owned = owner.files.get(owners) if owners is not None else None
            crediting.check_amount(receipt, owned.file if owned else None)
        return owner

    def _credit(
        self, reporter: Node | None, owner: Node, receipt: Receipt, worth: crediting.Worth, now: float
    ) -> Changes:
        self._may_change()
        changes: list[Change] = []
        if reporter is not None and receipt.number is not None:
            reporter.last_receipt = receipt.number
            if reporter is not owner:
                changes.append(NodeChanged(self._record(reporter, now)))
        half_life = self.rules.half_life
        self._change_merits(owner, lambda: crediting.credit(owner, worth, now, half_life))
        return [*changes, NodeChanged(self._record(owner, now), worth.pair)]

    def _change_merits(self, node: Node, change: Callable[[], None]) -> None:
        """Carry out a change after which the node may rank differently."""
        lifted = []
        for owners, entry in node.files.items():
            for owner_list in (owners, self._catalogue.names[entry.file.filename]):
                owner_list.told = None
                side = owner_list.side(entry)
                if side is not None and side.lift(entry):
                    lifted.append((side, entry))
        change()
        self._rank(node)
        for side, entry in lifted:
            side.add(entry)

    def _rank(self, node: Node) -> None:
        """Its merits, and among equals a number that is another for each node_id."""
        tie = (node.node_id * 0x9E3779B1 + self._salt) & 0xFFFFFFFF
        node.rank = (*self._strategy.rank(node, self.rules.half_life), tie)

    def _remove(self, node: Node) -> None:
        del self._nodes[node.node_id]
        node.gone = True
        self._claimed -= node.secret is not None
        self._catalogue.forget(node)

    # ---- small

    def _hear(self, node: Node, now: float) -> None:
        node.deadline = self._deadline(now)
        self._nodes.move_to_end(node.node_id)

    def _deadline(self, now: float) -> float:
        self._latest = max(self._latest, now + self.silence)
        return self._latest

    def _record(self, node: Node, now: float) -> NodeRecord:
        return node.record(now, self.rules.half_life)
