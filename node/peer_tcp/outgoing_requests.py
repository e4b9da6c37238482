"""Our requests on one connection: the blocks that were asked for and have not come.

Each block is in one of these states:

    pending     asked for; the download counts on it
    late        asked for, but given back to the download: it may still come, and is then dropped
    receiving   the first part is here; the rest is on its way

The number of pending blocks is bounded by ``RequestWindow``, and by the peer's ``reqq``. A peer whose limit
is exceeded drops requests silently, and the download would wait for blocks that never come.

Blocks have 16 KiB, as all clients expect. A peer that announces more (``max_request``) is asked for blocks of
that size while its window is full, so while it is fast: each block costs both ends the same, however long.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence

from common.geometry import Geometry
from common.ranges import RangeSet
from node.peer_tcp.limits import (
    BLOCK,
    MAX_REQUEST,
    REQUEST_SECONDS,
    REQUESTS_ASSUMED,
    REQUESTS_AT_FIRST,
    REQUESTS_AT_LEAST,
    REQUESTS_AT_MOST,
)
from node.peer_tcp.messages import Cancel, encode, encode_requests
from node.transport import Range

LONGEST_ROUND_TRIP = 2.0  # seconds; a peer whose first block takes longer is slow, its path is not long
_RATE_SECONDS = 1.0  # seconds over which a rate is measured


class BlockClaim(enum.Enum):
    """What a block that begins to arrive is to us."""

    PENDING = "pending"  # the download waits for it
    LATE = "late"  # it was given back
    UNREQUESTED = "unrequested"


class RequestWindow:
    """How many blocks may be pending: REQUESTS_AT_FIRST, then one more for each block that comes.

    A peer that sends slowly gets at most REQUEST_SECONDS and two round trips of its own rate, so that it does
    not hold blocks that faster peers could send. If the path is long instead, the rate is a window a round
    trip; two round trips of it are twice the window, so it grows. After a timeout the peer gets
    REQUESTS_AT_LEAST, until a block comes.
    """

    def __init__(self, now: float) -> None:
        self.limit = min(REQUESTS_AT_MOST, REQUESTS_ASSUMED)  # the peer's ``reqq``
        self._blocks = REQUESTS_AT_FIRST
        self._since = now
        self._received = 0  # bytes since then
        self._by_rate = REQUESTS_AT_MOST  # blocks that its rate allows
        self._round_trip = 0.0  # seconds; the last one that no queue of ours made longer
        self._is_timed = False  # the next block was requested at ``_since``, with none before it

    @property
    def round_trip(self) -> float:
        """Seconds; the last one that no queue of ours made longer. 0: not measured yet."""
        return self._round_trip

    @property
    def blocks(self) -> int:
        return min(self._blocks, self.limit, self._by_rate)

    def on_limit(self, reqq: int) -> None:
        """The peer accepts ``reqq`` requests at a time."""
        self.limit = min(REQUESTS_AT_MOST, reqq)

    def on_idle(self, now: float) -> None:
        """Nothing is pending, and something is requested now."""
        self._since, self._received, self._is_timed = now, 0, True

    def on_blocks(self, count: int, size: int, now: float) -> None:
        """``count`` whole blocks arrived, ``size`` bytes together."""
        self._blocks = min(self._blocks + count, max(self._blocks, self.limit))
        if self._is_timed:  # the rate is measured from here on: the wait for this block was the path's
            self._round_trip, self._is_timed = min(now - self._since, LONGEST_ROUND_TRIP), False
            self._since = now
            return
        self._received += size
        elapsed = now - self._since
        if elapsed >= _RATE_SECONDS:
            seconds = REQUEST_SECONDS + 2 * self._round_trip
            blocks = int(self._received / elapsed * seconds / BLOCK)
            self._by_rate = max(REQUESTS_AT_LEAST, blocks)
            self._since, self._received = now, 0

    def on_timeout(self) -> None:
        """The peer did not answer in time."""
        self._blocks = REQUESTS_AT_LEAST


class OutgoingRequests:
    """The blocks that we asked one peer for."""

    def __init__(self, geometry: Geometry, now: float) -> None:
        self.window = RequestWindow(now)
        self.outstanding = 0  # bytes of the pending blocks
        self.max_request = BLOCK  # bytes; the longest block that the peer sends
        self.progress_at = now  # when requested bytes arrived last, or the first request was made
        self._geometry = geometry
        self._pending: dict[int, int] = {}  # offset: length, in the order of the requests
        self._late: dict[int, int] = {}  # the same; bounded
        self._receiving: tuple[int, int] | None = None  # the range of a pending block that is still to come

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def content_size(self) -> int:
        """Bytes of the torrent's content."""
        return self._geometry.size

    @property
    def awaited(self) -> bool:
        """True while requested bytes are on their way, or should be."""
        return bool(self._pending) or self._receiving is not None

    def room(self) -> int:
        """Bytes that may be requested now, in whole blocks."""
        blocks = self.window.blocks
        return max(0, min(blocks - len(self._pending), blocks - -(-self.outstanding // BLOCK))) * BLOCK

    def set_max_request(self, size: int) -> None:
        """The peer sends blocks of up to ``size`` bytes."""
        self.max_request = max(BLOCK, min(size, MAX_REQUEST) // BLOCK * BLOCK)

    # ---- asking

    def request(self, start: int, end: int, now: float) -> bytes:
        """Ask for ``[start, end)``; returns the messages. Blocks that are pending are not repeated."""
        if not self.awaited:
            self.progress_at = now
            self.window.on_idle(now)
        pending, new, piece_length, size = self._pending, [], self._geometry.piece_length, 0
        largest = self.max_request if self.window.blocks >= REQUESTS_AT_MOST else BLOCK
        for block in self.blocks_of(start, end, largest):
            piece, begin, length = block
            offset = piece * piece_length + begin
            if offset not in pending:
                pending[offset] = length
                size += length
                new.append(block)
        self.outstanding += size
        return encode_requests(new)

    def blocks_of(self, start: int, end: int, size: int = BLOCK) -> Iterator[tuple[int, int, int]]:
        """``[start, end)`` as (piece, begin, length), cut at pieces and at multiples of ``size`` in them."""
        piece_length = self._geometry.piece_length
        while start < end:
            piece, begin = divmod(start, piece_length)
            until = min(piece_length, begin + end - start)  # in this piece
            start += until - begin
            while begin < until:
                length = min(size - begin % size, until - begin)
                yield piece, begin, length
                begin += length

    def cancel(self, start: int, end: int) -> tuple[list[Range], bytes]:
        """Withdraw the pending blocks that lie in ``[start, end)``; returns them and the messages."""
        piece_length = self._geometry.piece_length
        spans = [
            (offset, offset + length)
            for offset, length in self._pending.items()
            if start <= offset and offset + length <= end
        ]
        self._give_back(spans)
        messages = [encode(Cancel(*divmod(at, piece_length), to - at)) for at, to in spans]
        return merged(spans), b"".join(messages)

    # ---- what arrives

    @property
    def pending(self) -> dict[int, int]:
        """The lengths of the pending blocks, by offset. Delete those that arrived, and call ``on_blocks``."""
        return self._pending

    def on_blocks(self, count: int, size: int, now: float) -> None:
        """``count`` pending blocks arrived, ``size`` bytes together."""
        self.progress_at = now
        self.outstanding -= size
        self.window.on_blocks(count, size, now)

    def on_block(self, offset: int, length: int, now: float) -> BlockClaim:
        """The block ``[offset, offset + length)`` begins to arrive."""
        self.progress_at = now
        if self._pending.get(offset) == length:
            del self._pending[offset]
            self.outstanding -= length
            self.window.on_blocks(1, length, now)
            return BlockClaim.PENDING
        if self._late.get(offset) == length:
            del self._late[offset]
            return BlockClaim.LATE
        return BlockClaim.UNREQUESTED

    def on_part(self, start: int, end: int, now: float) -> None:
        """Of the pending block that began to arrive, ``[start, end)`` is still to come."""
        self.progress_at = now
        self._receiving = (start, end) if start < end else None

    def on_reject(self, offset: int, length: int) -> BlockClaim:
        """The peer will not send this block."""
        if self._pending.get(offset) == length:
            del self._pending[offset]
            self.outstanding -= length
            return BlockClaim.PENDING
        if self._late.get(offset) == length:
            del self._late[offset]
            return BlockClaim.LATE
        return BlockClaim.UNREQUESTED

    # ---- giving back

    def take_back(self) -> list[Range]:
        """Give up all pending blocks, as ranges in ascending order. Their data may still come."""
        spans = [(offset, offset + length) for offset, length in self._pending.items()]
        self._give_back(spans)
        return merged(spans)

    def close(self) -> list[Range]:
        """All that was asked for and never arrived, the rest of a block in progress included."""
        rest = [self._receiving] if self._receiving is not None else []
        self._receiving = None
        return merged([*self.take_back(), *rest])

    def _give_back(self, spans: Sequence[Range]) -> None:
        for start, end in spans:
            del self._pending[start]
            self.outstanding -= end - start
            self._late[start] = end - start
        for offset in list(self._late)[: max(0, len(self._late) - 2 * self.window.limit)]:
            del self._late[offset]


def merged(spans: Iterable[Range]) -> list[Range]:
    """The ranges in ascending order, adjacent ones as one."""
    return list(RangeSet(spans))
