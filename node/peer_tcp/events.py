"""The reports of a connection to its transport, in the order in which it happened.

Most events have a counterpart in ``node.transport.DownloadSession``; it stands in brackets. Ranges are
half-open bytes of the torrent's content.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from common.bitfield import Bitfield
from common.errors import PeerFault
from node.peer_tcp.extension import ExtendedHandshake
from node.transport import Range


@dataclass(frozen=True, slots=True)
class PeerIdentified:
    """The handshake is done: messages may be exchanged."""

    info_hash: bytes
    peer_id: bytes
    encrypted: bool  # the payload is encrypted, so ``sendfile`` cannot send it


@dataclass(frozen=True, slots=True)
class ClientIdentified:
    """The peer's extended handshake (BEP 10): its client, port, limits and metadata size."""

    handshake: ExtendedHandshake


@dataclass(frozen=True, slots=True)
class PiecesKnown:
    """The peer holds these pieces; None: all. Once at the beginning. [on_bitfield]"""

    pieces: Bitfield | None


@dataclass(frozen=True, slots=True)
class PieceGained:
    """The peer holds one piece more. [on_have]"""

    piece: int


@dataclass(frozen=True, slots=True)
class PeerChoked:
    """The peer sends nothing for now. ``ranges`` will not be answered. [on_returned, on_blocked]"""

    ranges: Sequence[Range]


@dataclass(frozen=True, slots=True)
class PeerUnchoked:
    """The peer sends again. [on_unblocked]"""


@dataclass(frozen=True, slots=True)
class PeerInterested:
    """The peer wants pieces that we hold: the choker may unchoke it."""


@dataclass(frozen=True, slots=True)
class PeerNotInterested:
    """The peer wants nothing from us: its slot is free for another peer."""


class BlockData(NamedTuple):
    """Requested bytes arrived. ``data`` is valid until the next call of ``receive``. [on_data]"""

    offset: int
    data: memoryview | bytes


class BlocksData(NamedTuple):
    """Several whole blocks arrived, each as (offset, data): one event for all of them. [on_blocks]"""

    blocks: Sequence[tuple[int, memoryview | bytes]]


@dataclass(frozen=True, slots=True)
class RequestsRejected:
    """The peer refused these requests (BEP 6). [on_rejected or, while it chokes us, on_returned]"""

    ranges: Sequence[Range]


@dataclass(frozen=True, slots=True)
class RequestsReturned:
    """These requests were not answered in time: the peer is snubbing us. [on_returned]"""

    ranges: Sequence[Range]


@dataclass(frozen=True, slots=True)
class PieceSuggested:
    """The peer would like to send this piece (BEP 6): it has it in its cache."""

    piece: int


@dataclass(frozen=True, slots=True)
class FastAllowed:
    """This piece may be requested even while the peer chokes us (BEP 6)."""

    piece: int


@dataclass(frozen=True, slots=True)
class BlocksRequested:
    """There are blocks to send now: call ``next_block``."""


@dataclass(frozen=True, slots=True)
class MetadataProgress:
    """A piece of the metadata came (BEP 9)."""

    received: int  # bytes
    size: int  # bytes of all of it


@dataclass(frozen=True, slots=True)
class MetadataComplete:
    """The metadata is here: its SHA-1 is the info hash."""

    raw_info: bytes


@dataclass(frozen=True, slots=True)
class MetadataFailed:
    """The peer gives no metadata. The connection stays open."""

    fault: PeerFault


@dataclass(frozen=True, slots=True)
class DhtPort:
    """The peer's DHT node listens on this UDP port (BEP 5)."""

    port: int


@dataclass(frozen=True, slots=True)
class WireFailed:
    """The connection is over. Always the last event; ``fault`` is the reason, in words for people."""

    fault: PeerFault


WireEvent: TypeAlias = (
    PeerIdentified
    | ClientIdentified
    | PiecesKnown
    | PieceGained
    | PeerChoked
    | PeerUnchoked
    | PeerInterested
    | PeerNotInterested
    | BlockData
    | BlocksData
    | RequestsRejected
    | RequestsReturned
    | PieceSuggested
    | FastAllowed
    | BlocksRequested
    | MetadataProgress
    | MetadataComplete
    | MetadataFailed
    | DhtPort
    | WireFailed
)


def one_by_one(events: Iterable[WireEvent]) -> Iterator[WireEvent]:
    """``events`` with a BlockData for each block of BlocksData."""
    for event in events:
        if isinstance(event, BlocksData):
            yield from (BlockData(offset, data) for offset, data in event.blocks)
        else:
            yield event
