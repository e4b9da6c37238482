"""Two interfaces: PeerSource finds peers, Announcer announces this node to a tracker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from common.messages import OwnedFile
from common.metainfo import Metainfo
from node.peer import FoundPeer

OnFound = Callable[[bytes, Sequence[FoundPeer]], None]
"""Called with the info hash of a torrent that is served, and peers that may be leechers of it."""


class PeerSource(Protocol):
    """Finds peers of a torrent. May be used from several threads."""

    @property
    def name(self) -> str:
        """The source, as messages name it."""

    def find(self, info: Metainfo, found: Callable[[Sequence[FoundPeer]], None]) -> None:
        """Call ``found`` with peers, best first; this node may be among them.

        A tracker calls it once, before ``find`` returns, which it does within a stated time. A source that
        learns of peers later may call it again, from any thread. RemoteFault if the source does not answer.
        """


@dataclass(frozen=True)
class Credit:
    """``node_id`` delivered ``amount`` verified bytes of a torrent to this node."""

    filename: str
    info_hash: str
    node_id: int
    amount: int
    receipt: int | None = None  # its number: a credit that is sent twice counts once


@dataclass(frozen=True)
class TransferTotals:
    """The bytes that one torrent has moved in this run, as announces report it (BEP 3). All in bytes."""

    uploaded: int
    downloaded: int  # verified
    left: int  # of the content, missing here; 0: a seed


@dataclass(frozen=True)
class TcpListener:
    """How standard peers reach this node."""

    peer_id: bytes  # of its handshakes (BEP 20)
    host: str  # numeric address that it listens on
    port: int


class Announcer(Protocol):
    """Announces this node to a tracker. Returns at once: messages wait until the tracker takes them."""

    @property
    def answers(self) -> bool:
        """True if the tracker answered the last request."""

    @property
    def counts_credit(self) -> bool:
        """True if the tracker counts uploads of nodes; standard trackers do not."""

    def announce(self, file: OwnedFile) -> None:
        """This node serves the file, wholly or in part."""

    def withdraw(self, file: OwnedFile) -> None:
        """This node does not serve the file any more."""

    def credit(self, credit: Credit) -> None:
        """A node delivered verified bytes to this node."""

    def flush(self, timeout: float) -> bool:
        """Wait until every message was sent or cannot be sent now. False if messages are left.

        ``timeout``: max seconds to wait.
        """
