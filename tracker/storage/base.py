"""The obligations of a storage. One contract suite runs over every kind.

A ``Storage`` holds the records and carries out the decisions of ``tracker.rules`` on them. ``MemoryStorage``
holds them in this process, and a ``Durability`` makes them survive it. ``RedisStorage`` holds them on a
server that many trackers share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from common.messages import PeerEntry
from tracker.model import (
    Announcement,
    Caller,
    CompactAnswer,
    Counts,
    Decision,
    ExpiryResult,
    Found,
    Keys,
    NodeRecord,
    NodeView,
    Owners,
    PeerAnswer,
    PeerRecord,
    ReporterTotal,
    SwarmCounts,
    SwarmView,
    Write,
)
from tracker.view import View

T = TypeVar("T")


class Storage(Protocol):
    """The tracker's records, and the transactions that change them.

    Obligations:

    - ``open`` is called once, first, and ``close`` last; closing twice is harmless. In between every method
      may be called from any thread.
    - Each transaction sees the records before or after any other, never in between, and no node that is past
      its deadline. One that raises has changed nothing.
    - ``transact`` returns once its writes survive a crash; a new storage in the same place knows them, and
      gives every node a whole deadline. Heartbeats alone need not survive.
    - Errors of the storage: StorageFull, StorageReadOnly, StorageUnreachable. Transactions that write nothing
      go on where they can.
    - No call takes time that grows with all nodes, or with all owners of a file.
    """

    silence: float
    """Seconds without a sign of life until a node is removed. May be set at any time. It counts for later
    signs of life, and makes no deadline earlier.
    """

    def open(self) -> Sequence[str]:
        """Take over what is there; warnings for people, a line each. StorageFault if it cannot."""

    def transact(self, keys: Keys, decide: Callable[[View], Decision[T]]) -> T:
        """Load the records that ``keys`` name, decide, commit. ``decide`` is pure and may run again."""

    def search(self, caller: Caller, filename: str | None, info_hash: str | None, limit: int) -> Found:
        """NEED: the best ``limit`` owners, by info hash alone if given, else by name.

        It is answered in any case. It is a sign of life of the caller if ``rules.speaks_for`` is true.
        """

    def announce(self, call: Announcement) -> PeerAnswer:
        """Carry out ``peer_rules.announce``, and name peers of that swarm.

        Its writes may be lost in a crash, because the peer announces again. It fails for lack of room among
        the records, never for a full disk.
        """

    def announce_again(
        self, key: bytes, endpoint: bytes, complete: bool, wanted: int
    ) -> CompactAnswer | None:
        """``announce`` of a peer that is in and has not changed, as nearly all announces are.

        None if it is another announce, or if the storage has no shorter way.
        """

    def scrape(self, info_hashes: Sequence[bytes]) -> Sequence[SwarmCounts]:
        """How many peers of each torrent can be reached over TCP, classroom nodes included.

        The standard peers are also counted alone.
        """

    def standard_peers(self, info_hash: bytes, limit: int) -> Sequence[PeerEntry]:
        """Up to ``limit`` standard peers of a torrent, for NEED."""

    def expire(self) -> ExpiryResult:
        """Remove the nodes and standard peers past their deadline, a few at a time: no request waits long.

        The result also names the nodes that were removed before a request since the last call.
        """

    def counts(self) -> Counts:
        """How much there is."""

    def nodes(self, limit: int) -> Sequence[NodeView]:
        """Up to ``limit`` nodes, in no stated order."""

    def swarms(self, limit: int) -> Sequence[SwarmView]:
        """Up to ``limit`` files with an owner, in no stated order."""

    def health(self) -> str:
        """Why nothing can be written just now; "" if it can."""

    def close(self) -> None:
        """Finish what has begun, make durable what is not yet, release everything."""


@dataclass(frozen=True)
class Records:
    """All records. Every owner is among the nodes; each node, (node, file) and peer is there once."""

    nodes: Sequence[NodeRecord] = ()
    owned: Sequence[Owners] = ()
    totals: Sequence[ReporterTotal] = ()
    warnings: Sequence[str] = ()  # about reading them, a line each
    peers: Sequence[PeerRecord] = ()


class RecordSource(Protocol):
    """Where an export of all records comes from, a few at a time.

    Each call holds the storage's lock for a moment and shows the records as they are then.
    """

    def node_ids(self) -> list[int]:
        """All nodes."""

    def node_records(self, node_ids: Sequence[int]) -> list[tuple[NodeRecord, list[ReporterTotal]]]:
        """The nodes that are still in, with their totals and with their scores as of now."""

    def file_names(self) -> list[str]:
        """All names that a file is owned under."""

    def owners_of(self, names: Sequence[str]) -> list[tuple[str, list[Owners]]]:
        """The owners of the files of these names; names without an owner are left out."""


class Durability(Protocol):
    """Makes the writes of a ``MemoryStorage`` survive its process.

    Obligations:

    - ``load`` is called once, first, then ``start``. It returns all writes whose ``sync`` returned. Later
      writes may follow, in order and without a gap, each transaction whole or not at all. StorageFault if it
      cannot read, or could never write.
    - ``append`` is called under the lock of the storage, so in the order of the transactions. It does no I/O
      and raises nothing.
    - ``sync`` may be called from any thread.
    - ``close`` makes durable what is not yet; calling it twice is harmless.
    """

    def load(self) -> Records:
        """The durable records of an earlier run."""

    def start(self, source: RecordSource) -> None:
        """From now on, ``source`` may be asked for all records."""

    def check_writable(self) -> None:
        """StorageFull or StorageReadOnly if writes cannot be made durable now. Does no I/O."""

    def append(self, writes: Sequence[Write]) -> int:
        """Queue a transaction's writes; the sequence number is for ``sync``."""

    def sync(self, number: int) -> None:
        """Return once everything up to ``number`` is durable; StorageFull or StorageReadOnly if it is not."""

    def health(self) -> str:
        """Why nothing can be made durable just now; "" if it can."""

    def close(self) -> None:
        """Make everything durable, and release it."""
