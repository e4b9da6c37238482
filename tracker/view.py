"""``View``: the records that a request names, as the rules read them. Each storage implements it."""

from __future__ import annotations

from typing import Protocol

from common.messages import OwnedFile
from tracker.model import Counts, NodeRecord, ReporterTotal, Rules


class View(Protocol):
    """The records that a request names, as of ``now``. No node in it is past its deadline."""

    @property
    def now(self) -> float:
        """Seconds."""

    @property
    def silence(self) -> float:
        """Seconds without a heartbeat until a node is removed."""

    @property
    def rules(self) -> Rules:
        """The settings."""

    def node(self, node_id: int) -> NodeRecord | None:
        """The node, if it is in."""

    def file(self, node_id: int, key: str) -> OwnedFile | None:
        """How the node describes the file; None if it does not own it."""

    def file_count(self, node_id: int) -> int:
        """How many files the node owns."""

    def total(self, owner: int, reporter: int) -> ReporterTotal | None:
        """The sum of the reporter's receipts for the owner."""

    def counts(self) -> Counts:
        """How much the tracker knows."""

    def nodes_from(self, home: str) -> int:
        """How many nodes and standard peers this client address brought in."""
