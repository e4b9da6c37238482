"""A node as the tracker has it in memory, and what it says of each of its files. There may be a hundred
thousand of one and a million of the other, so each is as small as Python lets it be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.addresses import Addr
from common.messages import OwnedFile, OwnerEntry
from tracker.model import NodeRecord, NodeView, Pair
from tracker.ranking import Rank, decayed

if TYPE_CHECKING:
    from tracker.owners import FileOwners

Pairs = dict[int, tuple[int, int]]
"""Reporter -> how many of its receipts have counted, and for how many bytes."""


class Node:
    """A node that is in; ``gone`` once it is not."""

    __slots__ = (
        "node_id", "addr", "secret", "deadline", "gone", "rank", "uploads", "receipts", "credit",
        "score", "scored_at", "last_receipt", "pairs", "files",
    )  # fmt: skip

    def __init__(self, node_id: int, addr: Addr, deadline: float) -> None:
        self.node_id = node_id
        self.addr = addr
        self.secret: str | None = None  # hex SHA-256; None: unclaimed
        self.deadline = deadline  # monotonic seconds
        self.gone = False
        self.rank: Rank = ()
        self.uploads = self.receipts = self.credit = self.last_receipt = 0
        self.score = self.scored_at = 0.0
        self.pairs: Pairs | None = None
        self.files: dict[FileOwners, Owned] = {}

    @property
    def shown(self) -> int:
        """Uploads as others are told: those in the plain column end with a claim."""
        return self.receipts + self.uploads

    def add_to_score(self, now: float, half_life: float) -> None:
        """One more upload."""
        self.score = decayed(self.score, now - self.scored_at, half_life) + 1
        self.scored_at = now

    def record(self, now: float, half_life: float) -> NodeRecord:
        """What is kept of it, but for its pairs."""
        return NodeRecord(
            self.node_id,
            self.addr,
            self.uploads,
            decayed(self.score, now - self.scored_at, half_life) if self.score else 0.0,
            self.secret,
            self.receipts,
            self.credit,
            self.last_receipt,
        )

    def whole_record(self, now: float, half_life: float) -> NodeRecord:
        """All that is kept of it."""
        record = self.record(now, half_life)
        if self.pairs:
            pairs = tuple(Pair(reporter, *amounts) for reporter, amounts in self.pairs.items())
            return record._replace(pairs=pairs)
        return record

    def view(self) -> NodeView:
        """For people."""
        return NodeView(self.node_id, self.addr, self.shown, len(self.files), self.secret is not None)


class Owned:
    """One node has one file, and describes it so. Never changed: a node that says otherwise gets another."""

    __slots__ = ("node", "file")

    def __init__(self, node: Node, file: OwnedFile) -> None:
        self.node = node
        self.file = file  # shared by all who describe it alike

    def entry(self) -> OwnerEntry:
        """For the answer to NEED."""
        node, file = self.node, self.file
        return OwnerEntry(node.node_id, node.addr, node.shown, file.info_hash, file.complete, file.size)


def node_from(record: NodeRecord, now: float, deadline: float) -> Node:
    """A node as it was recorded."""
    node = Node(record.node_id, record.addr, deadline)
    node.secret, node.uploads, node.receipts = record.secret, record.uploads, record.receipts
    node.credit, node.last_receipt = record.credit, record.last_receipt
    node.score, node.scored_at = record.score, now
    if record.pairs:
        node.pairs = {pair.reporter: (pair.receipts, pair.credit) for pair in record.pairs}
    return node
