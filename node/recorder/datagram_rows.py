"""Describes datagrams of the classroom transport from the recorded bytes. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from common.errors import WireError
from node.chunk_udp import wire

TORRENT_DIGITS = 12  # hex digits of an info hash that name a torrent

Described = tuple[str, dict[str, Any]]
_FLAGS = {  # by kind: the flags that mean something in it, by the name of the field
    wire.Kind.ASK: {"wants_metadata": wire.WANTS_METADATA},
    wire.Kind.TELL: {"complete": wire.COMPLETE},
    wire.Kind.REQUEST: {"checked": wire.CHECKED, "rare_only": wire.RARE_ONLY},
    wire.Kind.DATA: {"checked": wire.CHECKED},
}


def described(heads: bytes, size: int, step: int) -> Iterator[Described]:
    """The datagrams of one call: ``size`` bytes in datagrams of ``step``.

    ``heads``: the first bytes of a single datagram, or the headers of several.
    """
    if size <= step:
        yield describe(heads, size)
        return
    kept = min(step, wire.HEADER_SIZE)
    for number, at in enumerate(range(0, size, step)):
        yield describe(heads[number * kept : (number + 1) * kept], min(step, size - at))


def describe(head: bytes, size: int) -> Described:
    """Name and fields of a datagram of ``size`` bytes that begins with ``head``."""
    if len(head) < wire.HEADER_SIZE or not _is_sound(head, size):
        return "malformed", {"bytes": size}
    _, _, number, flags, length, transfer, offset, sequence, _ = wire.HEADER.unpack_from(head)
    kind = wire.Kind(number)
    fields: dict[str, Any] = {"sequence": sequence, "transfer": f"{transfer:016x}"}
    if kind in (wire.Kind.DATA, wire.Kind.REQUEST):
        fields |= {"offset": offset, "length": length}
    elif kind is wire.Kind.METADATA or flags & wire.WANTS_METADATA:
        fields["offset"] = offset
    elif kind in (wire.Kind.ASK, wire.Kind.TELL):
        fields["first_piece"] = offset
    fields |= {name: True for name, flag in _FLAGS.get(kind, {}).items() if flags & flag}
    return kind.name, fields | _body_fields(kind, head[wire.HEADER_SIZE :], size)


def _is_sound(head: bytes, size: int) -> bool:
    """False if the datagram is surely not of this protocol. Only the recorded bytes can be checked."""
    if head[0] != wire.MAGIC or head[1] != wire.VERSION or head[2] not in wire.Kind._value2member_map_:
        return False
    if size == wire.ASK_SIZE and head[2] == wire.Kind.ASK and len(head) < size:
        head = head.ljust(size, b"\0")  # its padding is not kept
    try:
        if len(head) == size:
            wire.decode(head)
    except WireError:
        return False
    return True


def _body_fields(kind: wire.Kind, body: bytes, size: int) -> dict[str, Any]:
    """The fields behind the header; {} if the body is not kept."""
    if not body or kind is wire.Kind.DATA:
        return {}
    if kind is wire.Kind.REFUSE:
        name = wire.Refusal(body[0]).name
        place = int.from_bytes(body[1:3], "big")
        return {"reason": name, "queue_position": place} if place else {"reason": name}
    if kind in (wire.Kind.TELL, wire.Kind.METADATA):
        return {"size": int.from_bytes(body[:8], "big"), "bytes": size - wire.HEADER_SIZE - 8}
    if kind is wire.Kind.TOKEN:
        return {}
    token, last = body[20:36], int.from_bytes(body[36:40], "big")
    fields: dict[str, Any] = {"torrent": body[:20].hex()[:TORRENT_DIGITS]}
    if token == wire.NO_TOKEN:
        fields["no_token"] = True
    if kind is wire.Kind.REQUEST:
        return fields | {"segment_size": last}
    return fields | ({"node": last - 1} if last else {})
