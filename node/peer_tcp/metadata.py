"""The metadata exchange (BEP 9): the info dictionary of a torrent, fetched from a peer in pieces of 16 KiB.

Each message is a bencoded dictionary in an Extended message; the bytes of a piece follow the dictionary:

    request   d8:msg_typei0e5:piecei0ee
    data      d8:msg_typei1e5:piecei0e10:total_sizei34256ee, then up to 16 KiB
    reject    d8:msg_typei2e5:piecei0ee

``MetadataFetch`` assembles the metadata of one peer. It comes whole from one peer, and its SHA-1 is the info
hash, or it is thrown away: so a peer that lies spoils only its own copy. Nothing of it is parsed before.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass

from common import bencode
from common.errors import BencodeError, PeerFault, PeerWireError
from node.transport import MAX_METADATA_BYTES

METADATA_PIECE = 16 << 10  # bytes
METADATA_REQUESTS = 8  # pieces requested at a time
METADATA_TIMEOUT = 20.0  # seconds without a piece


class MetadataKind(enum.IntEnum):
    """``msg_type``."""

    REQUEST = 0
    DATA = 1
    REJECT = 2


@dataclass(frozen=True, slots=True)
class MetadataMessage:
    """``data`` is empty unless it is DATA."""

    kind: MetadataKind
    piece: int
    data: bytes = b""
    total_size: int = 0  # bytes of all pieces; only in DATA


def encode_metadata(message: MetadataMessage) -> bytes:
    """The payload of the Extended message."""
    fields: dict[bytes, bencode.Value] = {b"msg_type": int(message.kind), b"piece": message.piece}
    if message.kind is MetadataKind.DATA:
        fields[b"total_size"] = message.total_size
    return bencode.encode(fields) + message.data


def decode_metadata(payload: bytes) -> MetadataMessage | None:
    """The message that ``payload`` encodes; None if its ``msg_type`` is unknown (BEP 9: ignore it).

    PeerWireError if it is not bencoded, or a field is missing or out of range.
    """
    try:
        fields, _, _, end = bencode.decode_with_spans(payload)
    except BencodeError as error:
        raise PeerWireError(f"a metadata message that is not bencoded: {error}") from None
    kind, piece, total = fields.get(b"msg_type"), fields.get(b"piece"), fields.get(b"total_size", 0)
    if not isinstance(kind, int) or not isinstance(piece, int) or not isinstance(total, int):
        raise PeerWireError("a metadata message without its type or piece")
    if kind not in tuple(MetadataKind):
        return None
    if not 0 <= piece < MAX_METADATA_BYTES // METADATA_PIECE:
        raise PeerWireError(f"a metadata message about piece {piece}")
    if kind != MetadataKind.DATA:  # the rest would say nothing
        return MetadataMessage(MetadataKind(kind), piece)
    return MetadataMessage(MetadataKind.DATA, piece, payload[end:], total)


def metadata_piece(raw_info: bytes, piece: int) -> MetadataMessage:
    """The answer to a request for this piece; ``raw_info`` is empty if it is not given to peers."""
    data = raw_info[piece * METADATA_PIECE : (piece + 1) * METADATA_PIECE]
    if not data:
        return MetadataMessage(MetadataKind.REJECT, piece)
    return MetadataMessage(MetadataKind.DATA, piece, data, len(raw_info))


class MetadataFetch:
    """The metadata of one peer, of ``size`` bytes. PeerFault at the first thing that is wrong with it."""

    def __init__(self, info_hash: bytes, size: int, max_size: int = MAX_METADATA_BYTES) -> None:
        if not 0 < size <= max_size:
            raise PeerFault(f"has metadata of {size} bytes, where at most {max_size} are accepted")
        self.size = size
        self.received = 0  # bytes
        self._info_hash = info_hash
        self._parts: list[bytes] = [b""] * -(-size // METADATA_PIECE)
        self._next = 0  # the piece to request next
        self._asked: set[int] = set()

    def to_request(self) -> list[int]:
        """The pieces to request now, each once."""
        first = self._next
        self._next = min(len(self._parts), first + METADATA_REQUESTS - len(self._asked))
        pieces = list(range(first, self._next))
        self._asked.update(pieces)
        return pieces

    def on_data(self, message: MetadataMessage) -> bytes | None:
        """Take a piece. Returns the metadata once it is whole and its hash is right."""
        piece, data = message.piece, message.data
        if piece not in self._asked:
            raise PeerFault(f"sends piece {piece} of its metadata, which was not asked for")
        start = piece * METADATA_PIECE
        if len(data) != min(METADATA_PIECE, self.size - start):
            raise PeerFault(f"sends {len(data)} bytes as piece {piece} of its metadata of {self.size} bytes")
        self._asked.remove(piece)
        self._parts[piece] = data
        self.received += len(data)
        if self.received < self.size:
            return None
        raw_info = b"".join(self._parts)
        if hashlib.sha1(raw_info, usedforsecurity=False).digest() != self._info_hash:
            raise PeerFault("sends metadata that is not that of the torrent")
        return raw_info
