"""Describes messages of the peer wire from the recorded parts. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import fields as dataclass_fields
from typing import Any

from node.peer_tcp import messages as m
from node.peer_tcp.handshake import HANDSHAKE_SIZE, PROTOCOL, Handshake
from node.peer_tcp.messages import MessageId
from node.recorder.datagram_rows import TORRENT_DIGITS, Described

_NAMES = {  # where a message is not called as its class
    m.PieceSet: "bitfield",
    m.BlockRequest: "request",
    m.RequestRun: "request",
    m.Block: "piece",
    m.BlockRun: "piece",
}
_RANGE = ("piece", "begin", "length")
_PIECE_HEADER = m.PIECE_HEADER.size


def without_payload(message: object) -> object:
    """``message`` with a number of bytes in place of its payload."""
    if isinstance(message, m.PieceSet):
        return ("bitfield", {"bytes": len(message.bits)})
    if isinstance(message, m.Extended):
        return _extended(message.number, len(message.payload))
    return message


def taken(kind: type, kept: Any, count: int) -> Iterator[Described]:
    """The messages that one call of ``StreamTap.took`` brought, ``count`` in all."""
    if isinstance(kept, array):
        name, size = _NAMES[kind], len(_RANGE)
        for at in range(0, len(kept), size):
            yield name, dict(zip(_RANGE, kept[at : at + size], strict=True))
        if count > len(kept) // size:
            yield name, {"more": count - len(kept) // size}
    elif isinstance(kept, tuple) and not isinstance(kept, Handshake):
        yield kept
    elif isinstance(kept, Handshake):
        yield "handshake", _handshake_fields(kept.info_hash, kept.peer_id)
    else:
        fields = {field.name: getattr(kept, field.name) for field in dataclass_fields(kept)}
        yield _NAMES.get(kind) or _words(kind.__name__), fields


def written(data: bytes, size: int) -> Iterator[Described]:
    """The messages that left together: ``size`` bytes, of which ``data`` are kept.

    A piece stands for its header alone: the content of blocks is not in ``data``.
    """
    at = 0
    if data.startswith(PROTOCOL):
        yield "handshake", _handshake_fields(data[28:48], data[48:HANDSHAKE_SIZE])
        at = HANDSHAKE_SIZE
    while at + 4 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        number = data[at + 4] if length and at + 4 < len(data) else -1
        step = _PIECE_HEADER if number == MessageId.PIECE else 4 + length
        body = data[at + 5 : at + step]
        if length and at + step > len(data) and number not in (MessageId.BITFIELD, MessageId.EXTENDED):
            break
        yield _written_message(number, body, length)
        at += step
    if at < size:
        yield "messages", {"more_bytes": size - at}


def _written_message(number: int, body: bytes, length: int) -> Described:
    if number < 0:
        return "keep alive", {}
    if number not in MessageId._value2member_map_:
        return "unknown", {"number": number}
    kind = MessageId(number)
    name = str(kind)
    numbers = [int.from_bytes(body[at : at + 4], "big") for at in range(0, len(body) - 3, 4)]
    if kind is MessageId.PIECE:
        return name, dict(zip(_RANGE, (*numbers, length - 9), strict=True))
    if kind in m.RANGE_IDS.values():
        return name, dict(zip(_RANGE, numbers, strict=True))
    if kind in m.INDEX_IDS.values():
        return name, {"piece": numbers[0]}
    if kind is MessageId.BITFIELD:
        return name, {"bytes": length - 1}
    if kind is MessageId.EXTENDED:
        return _extended(body[0], length - 2)
    if kind is MessageId.PORT:
        return name, {"port": int.from_bytes(body, "big")}
    return name, {}


def _extended(number: int, size: int) -> Described:
    return (
        ("extended handshake", {"bytes": size})
        if number == 0
        else ("extended", {"id": number, "bytes": size})
    )


def _handshake_fields(info_hash: bytes, peer_id: bytes) -> dict[str, Any]:
    return {"torrent": info_hash.hex()[:TORRENT_DIGITS], "peer_id": peer_id.hex()}


def _words(name: str) -> str:
    """``not interested`` for ``NotInterested``."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()
