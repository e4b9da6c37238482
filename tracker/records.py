"""What outlives a restart, and the changes that bring it about. Every change says how things are from now on,
not by how much they differ: so changes may be carried out again, from any earlier point on, and end the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from common.fields import Addr
from common.messages import OwnedFile

FileKey = tuple[str, str]
"""(info hash, "") where the hash is known, else ("", file name)."""

Owners = tuple[OwnedFile, list[int]]
"""A file, and the node ids of those who own just this (its name, hash and size; whole or in part)."""


def file_key(filename: str | None, info_hash: str | None) -> FileKey:
    """What tells a file from others: two of one name and different content have different info hashes."""
    return (info_hash, "") if info_hash else ("", filename or "")


@dataclass(frozen=True)
class Pair:
    """What one reporter's receipts have brought an owner so far."""

    reporter: int  # node id
    receipts: int
    credit: int  # bytes


class NodeRecord(NamedTuple):
    """What outlives a restart of a node's entry: its place, identity and merits, not when it was heard.

    A named tuple, because a tracker that starts makes a hundred thousand of them.
    """

    node_id: int
    addr: Addr
    uploads: int = 0  # the report's plain UPDATEs
    score: float = 0.0  # decayed uploads, as of the moment of recording
    secret: str | None = None  # hex SHA-256 of the secret that owns the node_id; None: unclaimed
    receipts: int = 0  # that counted
    credit: int = 0  # bytes that they were for
    last_receipt: int = 0  # the number of the last one that this node gave
    pairs: tuple[Pair, ...] = ()


@dataclass(frozen=True)
class NodeJoined:
    """A node is in, and owns nothing: whatever was known of the node_id before is over."""

    node: NodeRecord


@dataclass(frozen=True)
class NodeChanged:
    """All that is recorded of a node but its ``pairs``, which stay, with ``pair`` added or replaced."""

    node: NodeRecord  # its ``pairs`` are empty and mean nothing
    pair: Pair | None = None


@dataclass(frozen=True)
class FilesOwned:
    """A node owns these files, or owns them differently than before (the whole file now, another name)."""

    node_id: int
    files: tuple[OwnedFile, ...]


@dataclass(frozen=True)
class NodeLeft:
    """A node is gone, with all it owned."""

    node_id: int


Change = NodeJoined | NodeChanged | FilesOwned | NodeLeft
