"""The datagrams: a fixed 32-byte header, then a body. ``docs/protocol.md`` draws every field.

Two families keep the course report's names. *Node2Node* is about a torrent: ASK (do you share it, how large
is it, which pieces do you hold), TOKEN (first prove your address with this), TELL (the answer to ASK),
REFUSE (no, and why), METADATA (a page of the torrent itself, for an ASK that wants it). *ChunkSharing* moves
bytes: REQUEST (a range) and DATA (one segment of it).

All integers are big-endian and at fixed offsets. Nothing is unpickled or evaluated. ``decode`` returns a
message or raises WireError, whatever the bytes.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import NamedTuple
from zlib import crc32

from common.errors import WireError

MAGIC = 0xC5  # first byte of every datagram
VERSION = 1  # of the protocol
HEADER = struct.Struct("!BBBBIQQII")  # magic version kind flags length transfer offset sequence check
HEADER_SIZE = HEADER.size  # 32
_CHECKED_HEADER = struct.Struct("!BBBBIQQI")  # the 28 bytes before the check, which it covers
_CHECK_AT = _CHECKED_HEADER.size
_CHECK = struct.Struct("!I")

MAX_DATAGRAM = 65_507  # bytes of payload that IPv4 can carry in one datagram
MAX_SEGMENT = MAX_DATAGRAM - HEADER_SIZE  # bytes of file in one DATA
MIN_SEGMENT = 512  # bytes of file; an owner sends no smaller segments, except for the last of a range
SMALL_SEGMENT = 1200  # bytes of file in a segment that every path carries (RFC 9000, section 14)
MAX_REQUEST = 512 * 1024  # bytes that one REQUEST may ask for
MAX_SEGMENTS_PER_REQUEST = 64  # Linux sends at most this many with one call

TOKEN_SIZE = 16  # bytes
NO_TOKEN = bytes(TOKEN_SIZE)
INFO_HASH_SIZE = 20  # bytes of a SHA-1
ASK_SIZE = 128  # an ASK is padded to this: an unvalidated address gets less in return
REQUEST_SIZE = 72  # bytes of a REQUEST
TOKEN_AT = HEADER_SIZE + INFO_HASH_SIZE  # offset of the token in ASK and REQUEST
MAX_BITFIELD = 1024  # bytes of bitfield in one TELL
METADATA_PAGE = 1024  # bytes of the info dictionary in one METADATA; the last page may be shorter

CHECKED = 0x01  # flag of DATA: the check covers the payload; of REQUEST: send such DATA
COMPLETE = 0x02  # flag of TELL: the owner holds every piece, and no bitfield follows
RARE_ONLY = 0x04  # flag of REQUEST: refuse it if another fetcher was just sent this piece
WANTS_METADATA = 0x08  # flag of ASK: answer with METADATA, from byte ``offset`` of the info dictionary on


class Kind(enum.IntEnum):
    """The types of message. The upper four bits are the family."""

    ASK = 0x01
    TOKEN = 0x02
    TELL = 0x03
    REFUSE = 0x04
    METADATA = 0x05
    REQUEST = 0x11
    DATA = 0x12


DATA = int(Kind.DATA)  # compared for every segment, where an enum member would be slow


class Refusal(enum.IntEnum):
    """Why an owner refuses."""

    NOT_SHARED = 1
    CHANGED = 2
    NOT_HELD = 3
    BUSY = 4
    NOT_RARE = 5

    def __str__(self) -> str:
        return {
            1: "does not share this file",
            2: "its copy has changed",
            3: "does not hold this range",
            4: "busy",
            5: "has just sent this range to another node",
        }[self]


@dataclass(frozen=True)
class Ask:
    """Do you share this torrent? ``first_piece`` is the first of the bitfield in the answer.

    ``node_id`` is the number that the fetcher claims, for people to read. Nothing proves it. With
    ``wants_metadata`` the answer is METADATA, and ``first_piece`` is the first byte of its page.
    """

    transfer_id: int
    sequence: int
    info_hash: bytes
    token: bytes = NO_TOKEN
    first_piece: int = 0
    node_id: int | None = None
    wants_metadata: bool = False


@dataclass(frozen=True)
class Token:
    """Proof of an address: show it in every further question. Echoes the sequence of the question."""

    transfer_id: int
    sequence: int
    token: bytes


@dataclass(frozen=True)
class Tell:
    """The answer to ASK: size in bytes and pieces held (``bitfield`` from ``first_piece`` on)."""

    transfer_id: int
    sequence: int
    size: int
    complete: bool
    first_piece: int = 0
    bitfield: bytes = b""


@dataclass(frozen=True)
class Refuse:
    """No, and why. Sent to validated addresses only."""

    transfer_id: int
    sequence: int
    reason: Refusal
    queue_position: int = 0  # with BUSY: from 1; 0 if the queue is full


@dataclass(frozen=True)
class MetadataPage:
    """A page of the info dictionary (BEP 9): its bytes from ``offset`` on, of ``size`` bytes in all."""

    transfer_id: int
    sequence: int
    size: int
    offset: int
    page: bytes


class Request(NamedTuple):  # like Data a NamedTuple, which is made faster than a frozen dataclass
    """The bytes ``[offset, offset + length)`` of a torrent, in segments of ``segment_size``."""

    transfer_id: int
    sequence: int
    offset: int
    length: int
    info_hash: bytes
    token: bytes
    segment_size: int
    checked: bool = False
    rare_only: bool = False  # refuse it if another fetcher was just sent this piece


class Data(NamedTuple):
    """One segment: bytes of the content from ``offset`` on, in answer to request ``sequence``."""

    transfer_id: int
    sequence: int
    offset: int
    payload: bytes | memoryview
    checked: bool = False


_QUESTION_SIZES = {int(Kind.ASK): ASK_SIZE, int(Kind.REQUEST): REQUEST_SIZE}
_ANSWERS = frozenset({int(kind) for kind in Kind} - _QUESTION_SIZES.keys())
_TOKEN_END = TOKEN_AT + TOKEN_SIZE

Message = Ask | Token | Tell | Refuse | MetadataPage | Request | Data

_ASK = struct.Struct(f"!{INFO_HASH_SIZE}s{TOKEN_SIZE}sI")
_TELL = struct.Struct("!Q")
_REFUSE = struct.Struct("!BH")
_REQUEST = struct.Struct(f"!{INFO_HASH_SIZE}s{TOKEN_SIZE}sI")


def _seal(
    kind: Kind, flags: int, length: int, transfer: int, offset: int, sequence: int, body: bytes
) -> bytes:
    head = _CHECKED_HEADER.pack(MAGIC, VERSION, kind, flags, length, transfer, offset, sequence)
    return head + _CHECK.pack(crc32(body, crc32(head))) + body


def encode(message: Message) -> bytes:
    """The message as one datagram."""
    transfer, sequence = message.transfer_id, message.sequence
    if isinstance(message, Request):
        body = _REQUEST.pack(message.info_hash, message.token, message.segment_size)
        flags = (CHECKED if message.checked else 0) | (RARE_ONLY if message.rare_only else 0)
        return _seal(Kind.REQUEST, flags, message.length, transfer, message.offset, sequence, body)
    if isinstance(message, Data):
        header = bytearray(HEADER_SIZE)
        pack_data_header(header, 0, transfer, sequence, message.offset, message.payload, message.checked)
        return bytes(header) + bytes(message.payload)
    if isinstance(message, Ask):
        number = 0 if message.node_id is None else message.node_id + 1
        body = _ASK.pack(message.info_hash, message.token, number).ljust(ASK_SIZE - HEADER_SIZE, b"\0")
        flags = WANTS_METADATA if message.wants_metadata else 0
        return _seal(Kind.ASK, flags, len(body), transfer, message.first_piece, sequence, body)
    if isinstance(message, Token):
        return _seal(Kind.TOKEN, 0, TOKEN_SIZE, transfer, 0, sequence, message.token)
    if isinstance(message, Tell):
        body = _TELL.pack(message.size) + message.bitfield
        flags = COMPLETE if message.complete else 0
        return _seal(Kind.TELL, flags, len(body), transfer, message.first_piece, sequence, body)
    if isinstance(message, MetadataPage):
        body = _TELL.pack(message.size) + message.page
        return _seal(Kind.METADATA, 0, len(body), transfer, message.offset, sequence, body)
    body = _REFUSE.pack(message.reason, message.queue_position)
    return _seal(Kind.REFUSE, 0, len(body), transfer, 0, sequence, body)


def pack_data_header(
    buffer: bytearray | memoryview,
    at: int,
    transfer_id: int,
    sequence: int,
    offset: int,
    payload: bytes | memoryview,
    checked: bool,
) -> None:
    """Write the 32 header bytes of one DATA into ``buffer[at:]``. Called for every segment, so no copies.

    The check covers the header, and the payload where ``checked``. Over loopback no bit flips, and every
    piece is verified by its SHA-1 in any case.
    """
    flags = CHECKED if checked else 0
    fields = (MAGIC, VERSION, DATA, flags, len(payload), transfer_id, offset, sequence)
    check = crc32(_CHECKED_HEADER.pack(*fields))
    HEADER.pack_into(buffer, at, *fields, crc32(payload, check) if checked else check)


def peek_token(datagram: bytes | memoryview) -> bytes | None:
    """The token of an ASK or REQUEST; None if length, magic, version or type are different.

    Cheap, and without a promise: ``decode`` may still raise.
    """
    size = len(datagram)
    if size < HEADER_SIZE or datagram[0] != MAGIC or datagram[1] != VERSION:
        return None
    if _QUESTION_SIZES.get(datagram[2]) != size:
        return None
    return bytes(datagram[TOKEN_AT:_TOKEN_END])


def is_answer(datagram: bytes | memoryview) -> bool:
    """True if its header is that of a message that owners send."""
    begins = len(datagram) >= HEADER_SIZE and datagram[0] == MAGIC and datagram[1] == VERSION
    return begins and datagram[2] in _ANSWERS


def decode(datagram: bytes | memoryview) -> Message:
    """The message in one datagram; WireError unless it is exactly one of this protocol."""
    view = memoryview(datagram)
    try:
        magic, version, kind, flags, length, transfer, offset, sequence, check = HEADER.unpack_from(view)
    except struct.error:
        raise WireError(f"datagram of {len(datagram)} bytes is shorter than a header") from None
    if magic != MAGIC or version != VERSION:
        raise WireError("not a datagram of this protocol and version")
    body = view[HEADER_SIZE:]
    expected = crc32(view[:_CHECK_AT])
    if kind != DATA or flags & CHECKED:
        expected = crc32(body, expected)
    if check != expected:
        raise WireError("datagram damaged on its way")
    if kind == DATA:
        if length != len(body) or not length:
            raise WireError("segment whose length differs from its header")
        return Data(transfer, sequence, offset, body, flags & CHECKED == CHECKED)
    return _decode_body(kind, flags, length, transfer, offset, sequence, bytes(body))


def _decode_body(
    kind: int, flags: int, length: int, transfer: int, offset: int, sequence: int, body: bytes
) -> Message:
    if kind == Kind.REQUEST and len(body) == _REQUEST.size:
        info_hash, token, segment_size = _REQUEST.unpack(body)
        checked, rare_only = bool(flags & CHECKED), bool(flags & RARE_ONLY)
        return Request(transfer, sequence, offset, length, info_hash, token, segment_size, checked, rare_only)
    if length != len(body):
        raise WireError("body whose length differs from its header")
    if kind == Kind.ASK and len(body) == ASK_SIZE - HEADER_SIZE:
        info_hash, token, number = _ASK.unpack_from(body)
        node_id, wants_metadata = number - 1 if number else None, bool(flags & WANTS_METADATA)
        return Ask(transfer, sequence, info_hash, token, offset, node_id, wants_metadata)
    if kind == Kind.TOKEN and len(body) == TOKEN_SIZE:
        return Token(transfer, sequence, body)
    if kind == Kind.TELL and _TELL.size <= len(body) <= _TELL.size + MAX_BITFIELD:
        (size,) = _TELL.unpack_from(body)
        return Tell(transfer, sequence, size, bool(flags & COMPLETE), offset, body[_TELL.size :])
    if kind == Kind.METADATA and _TELL.size <= len(body) <= _TELL.size + METADATA_PAGE:
        (size,) = _TELL.unpack_from(body)
        return MetadataPage(transfer, sequence, size, offset, body[_TELL.size :])
    if kind == Kind.REFUSE and len(body) == _REFUSE.size and body[0] in Refusal._value2member_map_:
        reason, queue_position = _REFUSE.unpack(body)
        return Refuse(transfer, sequence, Refusal(reason), queue_position)
    raise WireError(f"unknown message type {kind:#04x}, or a body of the wrong size")
