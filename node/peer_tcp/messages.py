"""The messages of the peer wire (BEP 3), the fast extension (BEP 6) and the extension protocol (BEP 10).

    length (4 bytes, big-endian) | id (1 byte) | payload (length - 1 bytes)

A keep-alive is a length of 0 and nothing more. ``encode`` writes a message, ``decoder.MessageDecoder`` reads
them. Names are those of the BEPs, except where another class of this project has the name: ``PieceSet`` is
the message ``bitfield``, ``BlockRequest`` is ``request``, and ``Block`` is ``piece``, which carries a block.

``piece`` is a piece's index, ``begin`` an offset inside it in bytes, ``length`` a number of bytes. The
frequent messages are named tuples, because these are made faster.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias


class MessageId(enum.IntEnum):
    """The byte after the length. Its name in small letters is the name in the BEP."""

    CHOKE = 0
    UNCHOKE = 1
    INTERESTED = 2
    NOT_INTERESTED = 3
    HAVE = 4
    BITFIELD = 5
    REQUEST = 6
    PIECE = 7
    CANCEL = 8
    PORT = 9
    SUGGEST_PIECE = 13  # BEP 6, to 17
    HAVE_ALL = 14
    HAVE_NONE = 15
    REJECT_REQUEST = 16
    ALLOWED_FAST = 17
    EXTENDED = 20  # BEP 10

    def __str__(self) -> str:
        return self.name.lower().replace("_", " ")


PIECE_HEADER = struct.Struct(">IBII")  # length, id 7, piece, begin; the block follows
REQUEST_MESSAGE = struct.Struct(">IBIII")  # length 13, id, piece, begin, length of the block
_EMPTY = struct.Struct(">IB")
_ONE_NUMBER = struct.Struct(">IBI")
_PORT = struct.Struct(">IBH")


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Nothing, said in time: a connection without a message for two minutes may be closed."""


@dataclass(frozen=True, slots=True)
class Choke:
    """The sender answers no requests until Unchoke. Without the fast extension it forgets those it has."""


@dataclass(frozen=True, slots=True)
class Unchoke:
    """The sender answers requests."""


@dataclass(frozen=True, slots=True)
class Interested:
    """The receiver holds a piece that the sender wants."""


@dataclass(frozen=True, slots=True)
class NotInterested:
    """The receiver holds nothing that the sender wants."""


@dataclass(frozen=True, slots=True)
class Have:
    """The sender holds one piece more."""

    piece: int


@dataclass(frozen=True, slots=True)
class PieceSet:
    """The pieces that the sender holds, as in common.bitfield. Only as the first message."""

    bits: bytes


class BlockRequest(NamedTuple):
    """Send these bytes."""

    piece: int
    begin: int
    length: int


class RequestRun(NamedTuple):
    """Several request messages that came one after the other, each as (piece, begin, length).

    A peer asks for all blocks of a piece at once. One message for them costs a fraction of one for each.
    """

    requests: list[tuple[int, int, int]]


class Block(NamedTuple):
    """Requested bytes, or a part of them.

    A block that arrives in several reads is passed on in parts, so that nothing is copied. ``data`` is valid
    until the decoder is fed again. It starts ``at`` bytes after the start of the block.
    """

    piece: int
    begin: int
    length: int  # of the whole block
    at: int
    data: memoryview | bytes


@lru_cache(maxsize=16)
def _places(length: int) -> struct.Struct:
    """Piece and begin of a block of ``length`` bytes; the rest is skipped."""
    return struct.Struct(f">5xII{length}x")


@dataclass(frozen=True, slots=True)
class BlockRun:
    """Whole blocks of one length that came one directly after the other: nearly everything in a download.

    ``view`` has their messages, headers included. It is valid until the decoder is fed again.
    """

    view: memoryview
    length: int  # of each block

    def places(self) -> Iterator[tuple[int, int]]:
        """(piece, begin) of each block, in order."""
        return _places(self.length).iter_unpack(self.view)

    @property
    def blocks(self) -> list[Block]:
        """The same as single messages."""
        step, first = PIECE_HEADER.size + self.length, PIECE_HEADER.size
        return [
            Block(piece, begin, self.length, 0, self.view[at : at + self.length])
            for at, (piece, begin) in zip(range(first, len(self.view), step), self.places(), strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Withdraw a request. The block may arrive nevertheless."""

    piece: int
    begin: int
    length: int


@dataclass(frozen=True, slots=True)
class Port:
    """The UDP port of the sender's DHT node (BEP 5)."""

    port: int


@dataclass(frozen=True, slots=True)
class SuggestPiece:
    """The sender would like to send this piece (BEP 6). Advice only."""

    piece: int


@dataclass(frozen=True, slots=True)
class HaveAll:
    """The sender holds every piece (BEP 6)."""


@dataclass(frozen=True, slots=True)
class HaveNone:
    """The sender holds no piece (BEP 6)."""


@dataclass(frozen=True, slots=True)
class RejectRequest:
    """The sender will not answer this request (BEP 6)."""

    piece: int
    begin: int
    length: int


@dataclass(frozen=True, slots=True)
class AllowedFast:
    """The sender sends this piece even while it chokes the receiver (BEP 6)."""

    piece: int


@dataclass(frozen=True, slots=True)
class Extended:
    """A message of the extension protocol (BEP 10). Number 0 is its handshake; others are agreed there."""

    number: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message with an id that no BEP we implement defines. It is skipped."""

    number: int


WireMessage: TypeAlias = (
    KeepAlive
    | Choke
    | Unchoke
    | Interested
    | NotInterested
    | Have
    | PieceSet
    | BlockRequest
    | RequestRun
    | Block
    | BlockRun
    | Cancel
    | Port
    | SuggestPiece
    | HaveAll
    | HaveNone
    | RejectRequest
    | AllowedFast
    | Extended
    | Unknown
)

EMPTY_IDS: dict[type, int] = {
    Choke: MessageId.CHOKE,
    Unchoke: MessageId.UNCHOKE,
    Interested: MessageId.INTERESTED,
    NotInterested: MessageId.NOT_INTERESTED,
    HaveAll: MessageId.HAVE_ALL,
    HaveNone: MessageId.HAVE_NONE,
}
INDEX_IDS: dict[type, int] = {
    Have: MessageId.HAVE,
    SuggestPiece: MessageId.SUGGEST_PIECE,
    AllowedFast: MessageId.ALLOWED_FAST,
}
RANGE_IDS: dict[type, int] = {
    BlockRequest: MessageId.REQUEST,
    Cancel: MessageId.CANCEL,
    RejectRequest: MessageId.REJECT_REQUEST,
}


def one_by_one(messages: Iterable[WireMessage]) -> Iterator[WireMessage]:
    """``messages`` with each run as its single messages."""
    for message in messages:
        if isinstance(message, RequestRun):
            yield from (BlockRequest(*request) for request in message.requests)
        elif isinstance(message, BlockRun):
            yield from message.blocks
        else:
            yield message


def singly(messages: Iterable[WireMessage]) -> Iterator[WireMessage]:
    """``messages`` with each run as runs of one message."""
    for message in messages:
        if isinstance(message, RequestRun):
            yield from (RequestRun([request]) for request in message.requests)
        elif isinstance(message, BlockRun):
            step = PIECE_HEADER.size + message.length
            yield from (
                BlockRun(message.view[at : at + step], message.length)
                for at in range(0, len(message.view), step)
            )
        else:
            yield message


def encode(message: WireMessage) -> bytes:
    """The bytes of ``message``; of a Block the whole one, with ``at`` 0."""
    kind = type(message)
    if kind in EMPTY_IDS:
        return _EMPTY.pack(1, EMPTY_IDS[kind])
    if isinstance(message, (Have, SuggestPiece, AllowedFast)):
        return _ONE_NUMBER.pack(5, INDEX_IDS[kind], message.piece)
    if isinstance(message, (BlockRequest, Cancel, RejectRequest)):
        return REQUEST_MESSAGE.pack(13, RANGE_IDS[kind], message.piece, message.begin, message.length)
    if isinstance(message, RequestRun):
        return encode_requests(message.requests)
    if isinstance(message, KeepAlive):
        return b"\0\0\0\0"
    if isinstance(message, PieceSet):
        return _EMPTY.pack(1 + len(message.bits), MessageId.BITFIELD) + message.bits
    if isinstance(message, Block):
        return block_header(message.piece, message.begin, message.length) + bytes(message.data)
    if isinstance(message, Port):
        return _PORT.pack(3, MessageId.PORT, message.port)
    if isinstance(message, Extended):
        return (
            _EMPTY.pack(2 + len(message.payload), MessageId.EXTENDED)
            + bytes([message.number])
            + message.payload
        )
    raise TypeError(f"{kind.__name__} is never sent")


def block_header(piece: int, begin: int, length: int) -> bytes:
    """The 13 bytes before the ``length`` bytes of a block."""
    return block_headers([(piece, begin, length)])[0]


def encode_requests(blocks: Iterable[tuple[int, int, int]]) -> bytes:
    """The bytes of one BlockRequest for each (piece, begin, length)."""
    pack, number = REQUEST_MESSAGE.pack, int(MessageId.REQUEST)  # a plain int packs faster
    return b"".join([pack(13, number, piece, begin, length) for piece, begin, length in blocks])


def block_headers(blocks: Iterable[tuple[int, int, int]]) -> list[bytes]:
    """The 13 bytes before the content of each block (piece, begin, length)."""
    pack, number = PIECE_HEADER.pack, int(MessageId.PIECE)
    return [pack(9 + length, number, piece, begin) for piece, begin, length in blocks]
