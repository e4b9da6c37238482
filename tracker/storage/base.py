"""What a storage owes the tracker. One contract suite runs over every kind.

A ``Storage`` is where the state lives, and where the rules are carried out: in this process
(``memory.InProcess``, which a ``Keeper`` makes lasting), or on a server that many trackers share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from common.messages import OwnedFile
from tracker.model import (
    Announced,
    Caller,
    Change,
    Counts,
    Credited,
    Found,
    NodeRecord,
    NodeView,
    Owners,
    Receipt,
    Registered,
    SwarmView,
    Swept,
)


class Storage(Protocol):
    """All the tracker knows, and the rules by which it changes.

    Obligations:

    - ``open`` is called once, first, and ``close`` last; closing twice is harmless. In between every method
      may be called from any thread.
    - Each method is one transaction: it sees the state before or after any other, never in between, and
      none sees a node whose deadline has come. One that raises has changed nothing.
    - A method returns once what it decided survives a crash; a new storage on the same place knows it, and
      gives every node a whole deadline to be heard from. What was only heard (a heartbeat) may be
      forgotten, and what fell silent may be there again.
    - MessageError: about a field. NodeConflict: the node_id is live elsewhere. Forbidden: it belongs to
      a secret that was not shown. TrackerFull: at a limit. StorageFull, StorageReadOnly: it cannot be
      kept; what needs nothing kept goes on.
    - Nothing takes time that grows with all nodes or with all owners of a file.
    """

    silence: float
    """Seconds until an unheard node is gone. May be set at any time, and counts for what is heard from then
    on; nobody's deadline comes earlier by it.
    """

    def open(self) -> Sequence[str]:
        """Take over what is there; what people should know of it, a line each. StorageFault if it cannot."""

    def register(self, caller: Caller, claim: str | None = None) -> Registered:
        """REGISTER, ``caller.addr`` given. ``claim``: hex SHA-256 of the secret that shall own the node_id.

        A node_id that is not in, or unclaimed at the same address, is given to ``claim``. One that is claimed
        needs the proof, and may move to another address with it. Without: NodeConflict from another
        address, Forbidden from its own.
        """

    def own(self, caller: Caller, files: Sequence[OwnedFile]) -> Announced:
        """OWN, ``caller.addr`` given: all the files or none. It brings the node in, claimed with any proof.

        Otherwise as for ``register``: what is known of a file by its key is replaced.
        """

    def need(self, caller: Caller, filename: str | None, info_hash: str | None, limit: int) -> Found:
        """NEED: the best ``limit`` owners, by info hash alone if given, else by name.

        It is a sign of life of the caller if it comes from its address and, where its number is claimed, with
        the proof; it is answered in any case.
        """

    def update(self, caller: Caller, receipt: Receipt) -> Credited:
        """UPDATE. Who is claimed needs the proof (Forbidden), and an owner that it is not itself
        (MessageError, owner), that is in (owner) and has the file (info_hash), and ``bytes`` from 1 to the
        file's size (bytes).

        From an unclaimed caller it counts in the plain column, for unclaimed nodes only: the owner's, or its
        own. A ``number`` not above the caller's last is a repetition: nothing changes.
        """

    def exit(self, caller: Caller) -> bool:
        """EXIT: whether the node was in. With an addr, only from there (NodeConflict); if claimed, only with
        proof (Forbidden).
        """

    def sweep(self) -> Swept:
        """Remove the nodes whose deadline has come, without keeping others waiting for long."""

    def counts(self) -> Counts:
        """How much there is."""

    def nodes(self, limit: int) -> Sequence[NodeView]:
        """Up to ``limit`` nodes, in no stated order."""

    def swarms(self, limit: int) -> Sequence[SwarmView]:
        """Up to ``limit`` files that somebody has, in no stated order."""

    def health(self) -> str:
        """Why nothing can be recorded just now; "" if it can."""

    def close(self) -> None:
        """Finish what has begun, keep what is not yet kept, let go of everything."""


class Records(Protocol):
    """All that was kept; every owner is among the nodes."""

    @property
    def nodes(self) -> Sequence[NodeRecord]:
        """Each once."""

    @property
    def owned(self) -> Sequence[Owners]:
        """Each (node, file) once."""

    @property
    def remarks(self) -> Sequence[str]:
        """What people should know of the reading, a line each."""


class SnapshotSource(Protocol):
    """What a keeper may ask of the storage whose changes it keeps. Each call holds the lock for a moment,
    and tells how things are then; what changes between two calls has been noted.
    """

    def node_ids(self) -> list[int]:
        """All nodes."""

    def node_records(self, node_ids: Sequence[int]) -> list[NodeRecord]:
        """Those of the nodes that are still there."""

    def file_names(self) -> list[str]:
        """All names that a file is owned under."""

    def owners_of(self, names: Sequence[str]) -> list[tuple[str, list[Owners]]]:
        """Who owns files of these names, as far as somebody still does."""


class Keeper(Protocol):
    """Keeps what an in-process storage decides over restarts.

    Obligations:

    - ``load`` is called once, first, then ``start``. It returns all changes whose ``wait`` returned, and
      any number of later ones, in order and without a gap. What cannot be understood is kept aside,
      never overwritten, and named in ``remarks``. StorageFault if it cannot read, or could never write.
    - ``note`` takes what was decided at once, in the order of the decisions, under the lock of whoever
      decides: no I/O, nothing raised. After a crash all of it is there, or nothing.
    - ``wait`` may be called from any thread.
    - ``close`` keeps what is not yet kept; calling it twice is harmless.
    """

    def load(self) -> Records:
        """What an earlier run kept."""

    def start(self, source: SnapshotSource) -> None:
        """From now on, ``source`` may be asked for all there is."""

    def check_writable(self) -> None:
        """StorageFull or StorageReadOnly if what would be decided now could not be kept. Takes no time."""

    def note(self, changes: Sequence[Change]) -> int:
        """Take note of changes; the ticket is for ``wait``."""

    def wait(self, ticket: int) -> None:
        """Return once the ticket's changes survive a crash; StorageFull or StorageReadOnly if they do not."""

    def health(self) -> str:
        """Why nothing can be kept just now; "" if it can."""

    def close(self) -> None:
        """Keep everything, and let go."""
