"""Reads the messages of the peer wire from a stream of bytes, however the network cut it.

``MessageDecoder.messages`` takes the bytes of one read and yields every message in them. The payload of a
block is never copied: it is yielded as views of the bytes that were read. All other messages are small; one
that is cut waits in a buffer for its rest.

Almost all bytes of a download are blocks, and almost all messages of an upload are requests. So runs of
these two are decoded in small loops of their own, ``_blocks_in`` and ``_requests_in``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterator

from common.errors import PeerWireError
from node.peer_tcp import messages as m
from node.peer_tcp.limits import MAX_BITFIELD, MAX_EXTENDED, MAX_REQUEST, MAX_UNKNOWN
from node.peer_tcp.messages import MessageId

MAX_RUN = 256  # blocks in one run: what one look at a run costs is bounded

_HEADER = struct.Struct(">IB")
_NUMBER = struct.Struct(">I")
_RANGE = struct.Struct(">III")
_PIECE_HEADER_SIZE = m.PIECE_HEADER.size
_REQUEST_SIZE = m.REQUEST_MESSAGE.size
_PIECE, _REQUEST = int(MessageId.PIECE), int(MessageId.REQUEST)  # a plain int compares faster
_MIN_PIECE, _MAX_PIECE = 10, 9 + MAX_REQUEST
_REQUEST_LENGTH = 13
_LENGTHS = {  # of the message after its length field: lowest, highest
    **{number: (1, 1) for number in m.EMPTY_IDS.values()},
    **{number: (5, 5) for number in m.INDEX_IDS.values()},
    **{number: (13, 13) for number in m.RANGE_IDS.values()},
    MessageId.BITFIELD: (1, 1 + MAX_BITFIELD),
    MessageId.PIECE: (_MIN_PIECE, _MAX_PIECE),
    MessageId.PORT: (3, 3),
    MessageId.EXTENDED: (2, 2 + MAX_EXTENDED),
}
_UNKNOWN_LENGTHS = (1, 1 + MAX_UNKNOWN)
MAX_LENGTH = max(high for _, high in _LENGTHS.values())  # bytes of a message after its length field

_KEEP_ALIVE, _NO_LENGTH = m.KeepAlive(), bytes(4)
_EMPTY: dict[int, m.WireMessage] = {number: kind() for kind, number in m.EMPTY_IDS.items()}
_INDEX: dict[int, Callable[[int], m.WireMessage]] = {number: kind for kind, number in m.INDEX_IDS.items()}
_RANGES: dict[int, Callable[[int, int, int], m.WireMessage]] = {
    number: kind for kind, number in m.RANGE_IDS.items()
}


class MessageDecoder:
    """The receiving half of a connection after the handshake."""

    def __init__(self) -> None:
        self._rest = (
            bytearray()
        )  # the beginning of a message that is not here as a whole; no payload of a block
        self._block = (0, 0, 0)  # piece, begin and length of the block that is being received
        self._at = 0  # bytes of it that have come
        self._left = 0  # bytes of it that are still to come
        self.carried = False  # the unfinished message began in an earlier read

    @property
    def in_message(self) -> bool:
        """True while the rest of a message is awaited."""
        return bool(self._rest or self._left)

    def messages(self, data: bytes | memoryview) -> Iterator[m.WireMessage]:
        """Yield the messages that ``data`` completes, and all parts of blocks in it.

        PeerWireError at the first wrong byte, after the messages before it. The decoder is of no use then.
        Consume all of it before the next call.
        """
        view = memoryview(data)
        size = len(view)
        at = 0
        self.carried = self.in_message
        while at < size:
            if self._left:
                part = view[at : at + self._left]
                at += len(part)
                yield self._next_part(part)
            elif self._rest:
                take = min(self._missing(), size - at)
                self._rest += view[at : at + take]
                at += take
                if not self._missing() and (message := self._finish_rest()) is not None:
                    yield message
            else:
                self.carried = False
                at = yield from self._whole_messages(view, at)
                self._rest += view[at:]
                at = size
                if self._rest:
                    self._missing()  # its length and id are checked at once

    def _whole_messages(self, view: memoryview, at: int) -> Generator[m.WireMessage, None, int]:
        """Yield what is whole, and the first part of a block that is not. Returns the offset after it."""
        size = len(view)
        while size - at >= 4:
            while (blocks := _blocks_in(view, at)) is not None:  # all but a few messages of a download
                yield blocks
                at += len(blocks.view)
            if size - at >= _REQUEST_SIZE and view[at + 4] == _REQUEST:
                run = _requests_in(view[at : size - (size - at) % _REQUEST_SIZE])
                if run:  # all but a few messages that a seed receives
                    at += len(run) * _REQUEST_SIZE
                    yield m.RequestRun(run)
            if view[at : at + 4] == _NO_LENGTH:
                at += 4
                yield _KEEP_ALIVE
                continue
            if size - at < 5:
                break
            length, number = _HEADER.unpack_from(view, at)
            _check_length(length, number)
            if at + 4 + length > size:
                if number == _PIECE and size - at >= _PIECE_HEADER_SIZE:
                    yield from self._begin_block(view[at:])
                    return size
                break
            if number != _PIECE:  # else a run of blocks begins
                yield _decode(number, bytes(view[at + 5 : at + 4 + length]))
                at += 4 + length
        return at

    def _begin_block(self, view: memoryview) -> Iterator[m.Block]:
        """A block that is not whole begins here. Yield what is here of it, if anything."""
        length, _, piece, begin = m.PIECE_HEADER.unpack_from(view)
        self._block, self._left = (piece, begin, length - 9), length - 9
        if len(view) > _PIECE_HEADER_SIZE:
            yield self._next_part(view[_PIECE_HEADER_SIZE:])

    def _next_part(self, part: memoryview) -> m.Block:
        piece, begin, length = self._block
        message = m.Block(piece, begin, length, self._at, part)
        self._left -= len(part)
        self._at = self._at + len(part) if self._left else 0
        return message

    def _missing(self) -> int:
        """Bytes that the message in ``_rest`` lacks, as far as is known. Of a block: its header."""
        have = len(self._rest)
        if have < 4:
            return 4 - have
        (length,) = _NUMBER.unpack_from(self._rest)
        if length == 0:
            return 0
        if length > MAX_LENGTH:
            raise PeerWireError(f"a message of {length} bytes, more than {MAX_LENGTH}")
        if have < 5:
            return 1
        number = self._rest[4]
        _check_length(length, number)
        return (_PIECE_HEADER_SIZE if number == MessageId.PIECE else 4 + length) - have

    def _finish_rest(self) -> m.WireMessage | None:
        """The message in ``_rest``, which is whole. None for the header of a block."""
        rest, self._rest = bytes(self._rest), bytearray()
        if len(rest) == 4:
            return _KEEP_ALIVE
        if rest[4] == MessageId.PIECE:
            length, _, piece, begin = m.PIECE_HEADER.unpack(rest)
            self._block, self._left = (piece, begin, length - 9), length - 9
            return None
        return _decode(rest[4], rest[5:])


def _check_length(length: int, number: int) -> None:
    if length > MAX_LENGTH:
        raise PeerWireError(f"a message of {length} bytes, more than {MAX_LENGTH}")
    low, high = _LENGTHS.get(number, _UNKNOWN_LENGTHS)
    if not low <= length <= high:
        name = f"message {MessageId(number)}" if number in _LENGTHS else f"message with id {number}"
        raise PeerWireError(f"a {name} of {length} bytes, where it has {low} to {high}")


def _blocks_in(view: memoryview, at: int) -> m.BlockRun | None:
    """The whole blocks of one length from offset ``at`` on; None: no such block begins there."""
    if len(view) - at < _PIECE_HEADER_SIZE:
        return None
    length, number = _HEADER.unpack_from(view, at)
    step = 4 + length
    if number != _PIECE or at + step > len(view) or not _MIN_PIECE <= length <= _MAX_PIECE:
        return None
    count = min(MAX_RUN, (len(view) - at) // step)
    end = at + count * step
    if not _are_alike(view[at:end], step):  # something else came between them
        head, count = view[at : at + _HEADER.size], 1
        while view[at + count * step : at + count * step + _HEADER.size] == head:
            count += 1
        end = at + count * step
    return m.BlockRun(view[at:end], length - 9)


def _requests_in(view: memoryview) -> list[tuple[int, int, int]]:
    """The requests at the start of ``view``, whose size is a multiple of theirs."""
    run = []
    for length, number, piece, begin, wanted in m.REQUEST_MESSAGE.iter_unpack(view):
        if number != _REQUEST or length != _REQUEST_LENGTH:
            break
        run.append((piece, begin, wanted))
    return run


def _are_alike(view: memoryview, step: int) -> bool:
    """True if all messages of ``step`` bytes in ``view`` have the same length and id.

    The loop over the messages is in C: the first bytes of all are compared at once, then the second ones, and
    so on.
    """
    count = len(view) // step
    for byte in range(_HEADER.size if count > 1 else 0):
        if view[byte::step] != bytes([view[byte]]) * count:
            return False
    return True


def _decode(number: int, payload: bytes) -> m.WireMessage:
    """The message with this id; its length has been checked."""
    if number in _EMPTY:
        return _EMPTY[number]
    if number in _INDEX:
        return _INDEX[number](*_NUMBER.unpack(payload))
    if number == _REQUEST:
        return m.RequestRun([_RANGE.unpack(payload)])
    if number in _RANGES:
        return _RANGES[number](*_RANGE.unpack(payload))
    if number == MessageId.BITFIELD:
        return m.PieceSet(payload)
    if number == MessageId.PORT:
        return m.Port(int.from_bytes(payload, "big"))
    if number == MessageId.EXTENDED:
        return m.Extended(payload[0], payload[1:])
    return m.Unknown(number)
