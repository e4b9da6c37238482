"""What a storage was before it carried out the rules; goes with json_files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from common.fields import Addr
from common.messages import OwnedFile


@dataclass(frozen=True)
class NodeRecord:
    """What outlives a restart of a node's entry: its place and its merits, not when it was heard."""

    node_id: int
    addr: Addr
    uploads: int
    score: float  # decayed uploads, as of the moment of recording


@dataclass(frozen=True)
class SaveNode:
    """A node is new, or its count has changed."""

    node: NodeRecord


@dataclass(frozen=True)
class SaveOwner:
    """A node owns these files, or owns them differently than before (the whole file now, another name)."""

    node_id: int
    files: tuple[OwnedFile, ...]


@dataclass(frozen=True)
class DropNode:
    """A node is gone, with all it owned."""

    node_id: int


Change = SaveNode | SaveOwner | DropNode


@dataclass(frozen=True)
class Records:
    """All that was kept; every ownership's node is among the nodes."""

    nodes: tuple[NodeRecord, ...] = ()
    owned: tuple[tuple[int, OwnedFile], ...] = ()  # (node id, file)
    remarks: tuple[str, ...] = ()  # what people should know of the reading, a line each


class RecordStorage(Protocol):
    """Keeps the tracker's records over restarts.

    Obligations:

    - ``load`` is called once, first. It returns every change whose ``wait`` returned True, and any
      number of later ones. Records that cannot be understood are kept aside, never overwritten, and
      named in ``remarks``. It raises StorageFault if it cannot read or could never write.
    - ``record`` takes changes in the order in which they happened; it returns at once, does no I/O,
      raises nothing and may be called from any thread. What is not ``urgent`` may be lost by a crash for
      a stated time.
    - ``wait`` returns True once the changes up to the ticket survive a crash of the machine, and False
      if they could not be kept, or not yet after ``timeout`` seconds; the storage then says so in the
      log, once, and tries again.
    - ``close`` keeps what is not yet kept and lets go of everything; calling it twice is harmless.
    """

    def load(self) -> Records:
        """What an earlier run recorded."""

    def record(self, changes: Sequence[Change], urgent: bool = True) -> int:
        """Take note of changes; the ticket is for ``wait``."""

    def wait(self, ticket: int, timeout: float) -> bool:
        """Whether the ticket's changes are kept, after at most ``timeout`` seconds."""

    def close(self) -> None:
        """Keep everything, and stop."""
