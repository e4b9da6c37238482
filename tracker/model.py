"""The tracker's values: requests to the rules, results, records that outlive a restart. All frozen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from common.addresses import Addr
from common.messages import OwnedFile, OwnerEntry

MAX_NODES = 100_000
MAX_UNCLAIMED = 75_000  # of these without a claim: forged ids cannot take the room of those who claim theirs
MAX_OWNERSHIPS = 1_000_000  # (node, file) pairs
MAX_FILES_PER_NODE = 10_000
MAX_RECEIPTS_PER_PAIR = 16  # receipts of one reporter that count for one owner
MAX_CREDIT_PER_PAIR = 1 << 30  # bytes of one reporter that count for one owner
MAX_PAIRS = 1024  # reporters that an owner's receipts are told apart by; all later ones count as one


@dataclass(frozen=True)
class Rules:
    """What one may set of the rules."""

    silence: float = 22.0  # seconds until an unheard node is gone, as long as nothing is stretched by load
    interval: float = 11.0  # seconds between heartbeats, as long; two at least fit into ``silence``
    ranking: str = "uploads"  # a name in ``tracker.ranking.STRATEGIES``
    half_life: float = 600.0  # seconds until an upload counts half; ranking "rate"
    require_claim: bool = False  # whether only who has a secret may REGISTER, OWN, UPDATE and EXIT


@dataclass(frozen=True)
class Caller:
    """In whose name a request is made."""

    node_id: int
    addr: Addr | None = None  # where it says it lives; NEED, UPDATE and EXIT need not say
    proof: str | None = None  # hex SHA-256 of the secret that was shown with the request; None: none was


@dataclass(frozen=True)
class Registered:
    """After REGISTER."""

    known: bool  # whether there was a record of the node
    files: int  # that it is known to serve
    claimed: bool  # whether the node_id belongs to a secret now
    granted: bool = False  # whether it does so since this request: to the secret that was to own it


@dataclass(frozen=True)
class Announced:
    """After OWN."""

    known: bool  # whether there was a record of the node
    files: int  # that it is known to serve now
    news: tuple[OwnedFile, ...] = ()  # those that were not known, or were known to be otherwise
    claimed: bool = False  # whether the node_id belongs to a secret now


@dataclass(frozen=True)
class Found:
    """After NEED."""

    owners: tuple[OwnerEntry, ...] = ()  # best first
    total: int = 0  # owners there are
    filename: str | None = None  # as the best calls it; None if there is none


@dataclass(frozen=True)
class Receipt:
    """What an UPDATE says: ``owner`` delivered ``bytes`` verified bytes; without owner: "I uploaded once"."""

    filename: str
    owner: int | None = None
    info_hash: str | None = None
    bytes: int | None = None
    number: int | None = None  # larger than the reporter's last one, or it is a repetition


@dataclass(frozen=True)
class Credited:
    """After UPDATE."""

    node_id: int  # whose uploads these are
    uploads: int  # that are shown of it now
    counted: bool  # False: a repetition, or beyond what one may bring another


@dataclass(frozen=True)
class Gone:
    """A node that fell silent."""

    node_id: int
    addr: Addr


@dataclass(frozen=True)
class Swept:
    """After a sweep."""

    wait: float  # seconds after which to sweep again, so as to miss no deadline
    gone: tuple[Gone, ...] = ()
    stood_still: float = 0.0  # seconds for which the tracker itself was stopped; then nobody is gone


@dataclass(frozen=True)
class Counts:
    """How much there is."""

    nodes: int = 0
    claimed: int = 0  # of the nodes: those whose number belongs to a secret
    files: int = 0  # file names that somebody owns
    owned: int = 0  # (node, file) pairs


@dataclass(frozen=True)
class NodeView:
    """A node, for people and for metrics."""

    node_id: int
    addr: Addr
    uploads: int  # as NEED shows it
    files: int
    claimed: bool


@dataclass(frozen=True)
class SwarmView:
    """A file that somebody has, for people and for metrics."""

    filename: str  # as one of its owners calls it
    info_hash: str | None
    size: int | None  # bytes
    whole: int  # owners of all of it
    partial: int  # owners of a part


# ---- what outlives a restart

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
