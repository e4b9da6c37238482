"""Packets of the UDP tracker protocol (BEP 15), both directions, as frozen structs. Pure.

A client first gets a connection id, which proves that it receives at its address. Then it announces or
scrapes with that id. All numbers are big-endian; ``Q`` has 8 bytes, ``I`` 4, ``H`` 2.

    connect     Q protocol id, I action 0, I transaction id
      answer    I action 0, I transaction id, Q connection id
    announce    Q connection id, I action 1, I transaction id, 20 info hash, 20 peer id, Q downloaded, Q left,
                Q uploaded, I event, 4 ip, I key, I number wanted (signed), H port; then options (BEP 41)
      answer    I action 1, I transaction id, I interval, I leechers, I seeders, compact peers
    scrape      Q connection id, I action 2, I transaction id, 20 info hash, 20 info hash ...
      answer    I action 2, I transaction id, for each info hash: I seeders, I completed, I leechers
    error       I action 3, I transaction id, a message in words

The packets are the same over IPv4 and IPv6. Only the compact peers differ: 6 or 18 bytes each, by the
address family of the socket (see common.compact_peers).

Bytes after a packet's fields are ignored: a later version may add fields.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from msgspec import Struct

from common.errors import TrackerPacketError

PROTOCOL_ID = 0x41727101980  # the first 8 bytes of a connect request
MAX_SCRAPE = 74  # info hashes in one scrape request
DEFAULT_NUM_WANT = -1  # the tracker decides how many peers it names

MAX_URL_DATA = 1024  # bytes of a request's path that are read
MAX_MESSAGE = 512  # bytes of an error's message that are read

_END, _NOP, _URL_DATA = 0, 1, 2  # kinds of option (BEP 41)


class Action(enum.IntEnum):
    """The kind of a packet; requests and their answers have the same one."""

    CONNECT = 0
    ANNOUNCE = 1
    SCRAPE = 2
    ERROR = 3


class AnnounceEvent(enum.IntEnum):
    """Why a client announces. Over HTTP the event's name is sent in lower case, and NONE is left out."""

    NONE = 0
    COMPLETED = 1
    STARTED = 2
    STOPPED = 3


_CONNECT = struct.Struct("!QII")
_ANNOUNCE = struct.Struct("!QII20s20sQQQI4sIiH")
_REQUEST_HEAD = struct.Struct("!QII")
_ANSWER_HEAD = struct.Struct("!II")
_CONNECTED = struct.Struct("!IIQ")
_ANNOUNCED = struct.Struct("!IIIII")
_SCRAPED = struct.Struct("!III")
_EVENTS = tuple(AnnounceEvent)
_HASH_SIZE = 20


class ConnectRequest(Struct, frozen=True):
    """Asks for a connection id. 16 bytes."""

    transaction_id: int

    def encode(self) -> bytes:
        return _CONNECT.pack(PROTOCOL_ID, Action.CONNECT, self.transaction_id)


class AnnounceRequest(Struct, frozen=True):
    """Announces a peer of a torrent, and asks for more peers. 98 bytes and the options."""

    connection_id: int
    transaction_id: int
    info_hash: bytes  # 20 bytes
    peer_id: bytes  # 20 bytes
    downloaded: int  # bytes since "started"
    left: int  # bytes that are missing here; 0: a seed
    uploaded: int  # bytes since "started"
    event: AnnounceEvent
    ip: bytes  # 4 bytes; zeros: the sender's address
    key: int  # tells the tracker that two addresses are one client
    num_want: int  # peers wanted; DEFAULT_NUM_WANT: as the tracker likes
    port: int  # where this peer listens on TCP
    url_data: bytes = b""  # path and query of the tracker's URL (BEP 41)

    def encode(self) -> bytes:
        """The bytes of the packet. ``struct.error`` if a number does not fit."""
        fixed = _ANNOUNCE.pack(
            self.connection_id,
            Action.ANNOUNCE,
            self.transaction_id,
            self.info_hash,
            self.peer_id,
            self.downloaded,
            self.left,
            self.uploaded,
            self.event,
            self.ip,
            self.key,
            self.num_want,
            self.port,
        )
        return fixed + _encode_options(self.url_data) if self.url_data else fixed


class ScrapeRequest(Struct, frozen=True):
    """Asks for the counts of torrents, at most MAX_SCRAPE."""

    connection_id: int
    transaction_id: int
    info_hashes: tuple[bytes, ...]  # 20 bytes each

    def encode(self) -> bytes:
        head = _REQUEST_HEAD.pack(self.connection_id, Action.SCRAPE, self.transaction_id)
        return head + b"".join(self.info_hashes)


class ConnectAnswer(Struct, frozen=True):
    """A connection id: a client may use it for a minute, a tracker accepts it for two."""

    transaction_id: int
    connection_id: int

    def encode(self) -> bytes:
        return _CONNECTED.pack(Action.CONNECT, self.transaction_id, self.connection_id)


class AnnounceAnswer(Struct, frozen=True):
    """Peers of the torrent, compact, in the address family of the socket."""

    transaction_id: int
    interval: int  # seconds until the next announce
    leechers: int
    seeders: int
    peers: bytes

    def encode(self) -> bytes:
        head = _ANNOUNCED.pack(
            Action.ANNOUNCE, self.transaction_id, self.interval, self.leechers, self.seeders
        )
        return head + self.peers


class ScrapeCounts(NamedTuple):
    """A tracker's figures of one torrent."""

    seeders: int
    completed: int  # downloads that ended with "completed", ever
    leechers: int


class ScrapeAnswer(Struct, frozen=True):
    """The counts of the torrents that were asked for, in that order."""

    transaction_id: int
    counts: tuple[ScrapeCounts, ...]

    def encode(self) -> bytes:
        head = _ANSWER_HEAD.pack(Action.SCRAPE, self.transaction_id)
        return head + b"".join(_SCRAPED.pack(*counts) for counts in self.counts)


class ErrorAnswer(Struct, frozen=True):
    """The tracker refuses the request."""

    transaction_id: int
    message: str

    def encode(self) -> bytes:
        head = _ANSWER_HEAD.pack(Action.ERROR, self.transaction_id)
        return head + self.message.encode("utf-8", "replace")


TrackerRequest: TypeAlias = ConnectRequest | AnnounceRequest | ScrapeRequest
TrackerAnswer: TypeAlias = ConnectAnswer | AnnounceAnswer | ScrapeAnswer | ErrorAnswer


def decode_request(data: bytes) -> TrackerRequest:
    """The request in a datagram that a tracker received. TrackerPacketError if it is none.

    The connection id is read, and not checked.
    """
    if len(data) < _REQUEST_HEAD.size:
        raise TrackerPacketError(f"a request of {len(data)} bytes")
    connection_id, action, transaction_id = _REQUEST_HEAD.unpack_from(data)
    if action == Action.ANNOUNCE:
        return _decode_announce(data)
    if action == Action.CONNECT:
        if connection_id != PROTOCOL_ID:
            raise TrackerPacketError("a connect request without the protocol id")
        return ConnectRequest(transaction_id)
    if action == Action.SCRAPE:
        hashes = tuple(_whole_parts(data, _REQUEST_HEAD.size, _HASH_SIZE))
        if not 1 <= len(hashes) <= MAX_SCRAPE:
            raise TrackerPacketError(f"a scrape request of {len(hashes)} info hashes, not 1 to {MAX_SCRAPE}")
        return ScrapeRequest(connection_id, transaction_id, hashes)
    raise TrackerPacketError(f"a request of unknown action {action}")


def decode_answer(data: bytes) -> TrackerAnswer:
    """The answer in a datagram that a client received. TrackerPacketError if it is none."""
    if len(data) < _ANSWER_HEAD.size:
        raise TrackerPacketError(f"an answer of {len(data)} bytes")
    action, transaction_id = _ANSWER_HEAD.unpack_from(data)
    if action == Action.ANNOUNCE and len(data) >= _ANNOUNCED.size:
        _, _, interval, leechers, seeders = _ANNOUNCED.unpack_from(data)
        return AnnounceAnswer(transaction_id, interval, leechers, seeders, data[_ANNOUNCED.size :])
    if action == Action.CONNECT and len(data) >= _CONNECTED.size:
        return ConnectAnswer(transaction_id, _CONNECTED.unpack_from(data)[2])
    if action == Action.SCRAPE:
        parts = _whole_parts(data, _ANSWER_HEAD.size, _SCRAPED.size)
        return ScrapeAnswer(transaction_id, tuple(ScrapeCounts(*_SCRAPED.unpack(part)) for part in parts))
    if action == Action.ERROR:
        text = data[_ANSWER_HEAD.size :][:MAX_MESSAGE].rstrip(b"\0")
        return ErrorAnswer(transaction_id, text.decode("utf-8", "replace"))
    raise TrackerPacketError(f"an answer of action {action} and {len(data)} bytes")


def _decode_announce(data: bytes) -> AnnounceRequest:
    if len(data) < _ANNOUNCE.size:
        raise TrackerPacketError(f"an announce request of {len(data)} bytes, less than {_ANNOUNCE.size}")
    fields = _ANNOUNCE.unpack_from(data)
    connection_id, _, transaction_id, info_hash, peer_id, downloaded, left, uploaded, event = fields[:9]
    ip, key, num_want, port = fields[9:]
    if event >= len(_EVENTS):
        raise TrackerPacketError(f"an announce request of unknown event {event}")
    return AnnounceRequest(
        connection_id,
        transaction_id,
        info_hash,
        peer_id,
        downloaded,
        left,
        uploaded,
        _EVENTS[event],
        ip,
        key,
        num_want,
        port,
        _decode_options(data) if len(data) > _ANNOUNCE.size else b"",
    )


def _encode_options(url_data: bytes) -> bytes:
    parts = [url_data[start : start + 255] for start in range(0, len(url_data), 255)]
    return b"".join(bytes([_URL_DATA, len(part)]) + part for part in parts)


def _decode_options(data: bytes) -> bytes:
    """The URL data after an announce request. Options that are cut or unknown end it without an error."""
    found, at = b"", _ANNOUNCE.size
    while at < len(data) and len(found) < MAX_URL_DATA and data[at] != _END:
        if data[at] == _NOP:
            at += 1
            continue
        length = data[at + 1] if at + 1 < len(data) else 0
        part = data[at + 2 : at + 2 + length]
        if data[at] == _URL_DATA:
            found += part
        at += 2 + length
    return found[:MAX_URL_DATA]


def _whole_parts(data: bytes, start: int, size: int) -> Iterator[bytes]:
    for at in range(start, len(data) - size + 1, size):
        yield data[at : at + size]
