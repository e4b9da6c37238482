"""The tracker's values: requests to the rules, their results, and the records that outlive a restart.

All are frozen. Those of which a tracker holds hundreds of thousands are named tuples, which are made faster
and need less memory than dataclasses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from common.addresses import Addr
from common.messages import OwnedFile, OwnerEntry
from common.udp_tracker import AnnounceEvent

MAX_NODES = 100_000  # nodes that are in
MAX_UNCLAIMED = 75_000  # nodes without a claim: forged ids leave room for nodes that claim theirs
MAX_PEERS = 100_000  # standard peers; one in several swarms counts several times
MAX_OWNERSHIPS = 1_000_000  # (node, file) pairs
MAX_FILES_PER_NODE = 10_000  # ownerships of one node
MAX_RECEIPTS_PER_PAIR = 16  # receipts of one reporter that count for one owner
MAX_CREDIT_PER_PAIR = 1 << 30  # bytes of one reporter that count for one owner
MAX_REPORTERS = 1024  # reporters of one owner that are counted apart; all later ones share one total
ANNOUNCE_GRACE = 30.0  # seconds; clients announce late, and try more than once
OTHER_REPORTERS = -1  # the node id under which that shared total is kept

Result = TypeVar("Result", covariant=True)


# ---- requests


@dataclass(frozen=True)
class Rules:
    """The settings of the rules."""

    silence: float = 22.0  # seconds without a heartbeat until a node is removed; load may stretch it
    interval: float = 11.0  # seconds between heartbeats, at most half of ``silence``; load may stretch it
    ranking: str = "uploads"  # a name in ``tracker.ranking.STRATEGIES``
    half_life: float = 600.0  # seconds until an upload counts half (ranking "rate")
    require_claim: bool = False  # only nodes with a secret may REGISTER, OWN, UPDATE and EXIT
    nodes_per_address: int = 5000  # max nodes and standard peers from one client address
    announce_interval: float = 300.0  # seconds between announces of a standard peer

    @property
    def announce_silence(self) -> float:
        """Seconds without an announce until a standard peer is removed: one may be lost."""
        return 2 * self.announce_interval + ANNOUNCE_GRACE


@dataclass(frozen=True)
class Caller:
    """The node that makes a request, with its proof."""

    node_id: int
    addr: Addr | None = None  # that it serves at; optional in NEED, UPDATE and EXIT
    proof: str | None = None  # hex SHA-256 of the secret that came with the request
    home: str | None = None  # the client address that the request came from, see ``client_prefix``
    tcp_port: int | None = None  # where it listens for the peer wire; REGISTER and OWN


@dataclass(frozen=True)
class Receipt:
    """The content of an UPDATE: ``owner`` delivered ``bytes``. Without owner: the caller uploaded once."""

    filename: str
    owner: int | None = None
    info_hash: str | None = None
    bytes: int | None = None  # verified bytes
    number: int | None = None  # must grow with each receipt of a reporter; else it is a repetition


class Announcement(NamedTuple):
    """An announce of a standard peer (BEP 3, BEP 15)."""

    key: bytes  # see ``PeerRecord``
    endpoint: bytes  # where it listens, as in a compact list: 6 or 18 bytes
    complete: bool  # it has the whole torrent
    event: AnnounceEvent = AnnounceEvent.NONE
    wanted: int = 50  # peers in the answer
    home: str | None = None  # the client address, as in ``Caller``
    with_ids: bool = False  # the answer needs ``names``

    @property
    def leechers_only(self) -> bool:
        """A seed needs no seeds. But a client with a magnet link starts by saying that nothing is left."""
        return self.complete and self.event is not AnnounceEvent.STARTED


# ---- results


@dataclass(frozen=True)
class Registered:
    """After REGISTER."""

    known: bool  # the tracker had a record of the node
    files: int  # that the node is known to serve
    claimed: bool  # the node_id belongs to a secret now
    granted: bool = False  # it belongs to it since this request


@dataclass(frozen=True)
class Announced:
    """After OWN."""

    known: bool  # the tracker had a record of the node
    files: int  # that the node is known to serve now
    news: tuple[OwnedFile, ...] = ()  # files that are new or described differently than before
    claimed: bool = False  # the node_id belongs to a secret now


@dataclass(frozen=True)
class Found:
    """After NEED."""

    owners: tuple[OwnerEntry, ...] = ()  # best first
    total: int = 0  # owners there are
    filename: str | None = None  # as the best owner calls the file


@dataclass(frozen=True)
class Credited:
    """After UPDATE."""

    node_id: int  # the credited node
    uploads: int  # that NEED shows of it now
    counted: bool  # False: a repetition, or more than a reporter can give


class ExpiredNode(NamedTuple):
    """A node that was removed because it was silent."""

    node_id: int
    addr: Addr


@dataclass(frozen=True)
class ExpiryResult:
    """After a look at the deadlines."""

    wait: float  # seconds until the next deadline
    gone: tuple[ExpiredNode, ...] = ()
    suspended_for: float = 0.0  # seconds for which the tracker itself was stopped; then no node is removed


class SwarmCounts(NamedTuple):
    """How many peers of a torrent can be reached over TCP (BEP 48)."""

    complete: int = 0
    downloaded: int = 0  # downloads that ended with "completed"
    incomplete: int = 0
    standard_seeds: int = 0  # of ``complete``: those that are standard peers
    standard_leechers: int = 0  # of ``incomplete``


class PeerAnswer(NamedTuple):
    """After an announce."""

    complete: int = 0  # seeds there are
    incomplete: int = 0  # leechers there are
    ipv4: bytes = b""  # some of them, as a compact list
    ipv6: bytes = b""
    names: Sequence[bytes | int] = ()  # the same peers, those of ``ipv4`` first: keys, or ids of nodes


CompactAnswer = tuple[int, int, bytearray]
"""A short form of ``PeerAnswer`` for one address family: seeds, leechers, and the compact list."""


@dataclass(frozen=True)
class Counts:
    """How much the tracker knows."""

    nodes: int = 0
    claimed: int = 0  # nodes with a secret
    files: int = 0  # file names with an owner
    owned: int = 0  # (node, file) pairs
    peers: int = 0  # standard peers


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
    """A file and its numbers of owners, for people and for metrics."""

    filename: str  # as one of its owners calls it
    info_hash: str | None
    size: int | None  # bytes
    whole: int  # owners of all of it
    partial: int  # owners of a part


# ---- records


def file_key(filename: str | None, info_hash: str | None) -> str:
    """The identity of a file: its info hash, or ":" and its name if the hash is unknown."""
    return info_hash or f":{filename}"


class NodeRecord(NamedTuple):
    """The record of a node that outlives a restart. The time of its last heartbeat does not."""

    node_id: int
    addr: Addr
    secret: str | None = None  # hex SHA-256 of the secret that owns the node_id; None: unclaimed
    home: str | None = None  # the client address that brought the node in
    uploads: int = 0  # unverified: the report's plain UPDATEs
    receipts: int = 0  # verified uploads that counted
    credit: int = 0  # bytes that the receipts were for
    score: float = 0.0  # decayed uploads, as of ``scored_at``
    scored_at: float = 0.0  # seconds since 1970
    last_receipt: int = 0  # number of the last receipt that this node gave
    reporters: int = 0  # that gave this node receipts; each has a ``ReporterTotal``
    tcp_port: int | None = None  # where it listens for the peer wire; None: nowhere

    @property
    def shown(self) -> int:
        """Uploads as NEED shows them."""
        return self.receipts + self.uploads


class ReporterTotal(NamedTuple):
    """The sum of one reporter's receipts for one owner."""

    owner: int  # node id
    reporter: int  # node id, or OTHER_REPORTERS
    receipts: int
    credit: int  # bytes


class FilesOwned(NamedTuple):
    """Files that a node owns, or describes differently than before. Its other files stay."""

    node_id: int
    files: tuple[OwnedFile, ...]


class FilesDropped(NamedTuple):
    """Files, by their keys, that a node owns no longer. Its other files stay."""

    node_id: int
    keys: tuple[str, ...]


class NodeLeft(NamedTuple):
    """A node is gone, with its files and totals."""

    node_id: int


class PeerRecord(NamedTuple):
    """A standard peer in one swarm. The time of its last announce does not outlive a restart.

    Its key is the info hash, the peer id and 4 bytes of the client's own ``key``: 44 bytes. So one client
    with an IPv4 and an IPv6 address is one record, and another client cannot take it over.
    """

    key: bytes
    ipv4: bytes  # its endpoint as in a compact list; b"" for none
    ipv6: bytes
    complete: bool
    home: str | None = None  # the client address that brought it in

    @property
    def info_hash(self) -> bytes:
        """20 bytes."""
        return self.key[:20]

    @property
    def peer_id(self) -> bytes:
        """20 bytes."""
        return self.key[20:40]


class PeerLeft(NamedTuple):
    """A standard peer is gone."""

    key: bytes


NodeWrite = NodeRecord | FilesOwned | FilesDropped | ReporterTotal | NodeLeft
Write = NodeWrite | PeerRecord | PeerLeft
"""A change to the records. It is absolute (the new state, not a difference), so applying it twice does no
harm."""

Owners = tuple[OwnedFile, list[int]]
"""A file, and the node ids that own it in just this description."""


# ---- transactions


@dataclass(frozen=True)
class Keys:
    """The records that a request names: a storage loads these before the rules decide."""

    caller: Caller
    owner: int | None = None  # UPDATE: the credited node, if it is another; ``files`` are this node's
    files: Sequence[str] = ()  # file keys of the owner, or of the caller if there is no owner
    heartbeat: bool = False  # most requests of this kind change nothing but the deadline


@dataclass(frozen=True)
class Decision(Generic[Result]):
    """The outcome of a request by the rules."""

    result: Result
    writes: Sequence[Write] = ()
    heard: bool = False  # the request is a sign of life of the caller
