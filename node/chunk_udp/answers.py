"""The owner's side without a socket: a datagram in, what to answer out.

Nothing is remembered between two datagrams, so neither a thousand fetchers nor a million strangers cost
memory. An address that has not shown a token gets a TOKEN (48 bytes for at least 72 received) and nothing
else; what is malformed or out of bounds gets silence and a count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from common.bitfield import Bitfield
from common.errors import WireError
from node.chunk_udp import wire
from node.chunk_udp.tokens import Address, TokenMint


class Shared(Protocol):
    """What the owner must know of a torrent that it serves."""

    @property
    def size(self) -> int:
        """Bytes of content."""
        ...

    @property
    def offered(self) -> bool:
        """False once the content has changed or gone: nothing of it is served any more."""
        ...

    @property
    def held(self) -> Bitfield | None:
        """The verified pieces, as they are now; None: all of them."""
        ...

    def holds(self, start: int, end: int) -> bool:
        """Whether every byte of ``[start, end)`` lies in a verified piece."""
        ...


@dataclass(frozen=True)
class SendChunk:
    """Answer ``request`` with its segments."""

    request: wire.Request


Answer = wire.Token | wire.Tell | wire.Refuse | SendChunk


class Answerer:
    """Decides what each datagram gets. ``shared``: info hash to torrent, kept current by the caller."""

    def __init__(self, mint: TokenMint, shared: Mapping[bytes, Shared]) -> None:
        self._mint = mint
        self._shared = shared
        self.counts: Counter[str] = Counter()  # datagrams by what became of them

    def handle_requests(self, datagram: bytes | memoryview, addr: Address, now: float) -> Answer | None:
        """The answer for ``addr``, or None: silence. Never raises, whatever the bytes."""
        try:
            message = wire.decode(datagram)
        except WireError:
            self.counts["malformed"] += 1
            return None
        if not isinstance(message, (wire.Ask, wire.Request)):
            self.counts["unexpected"] += 1
            return None
        if not self._mint.accepts(message.token, addr, now):
            self.counts["token"] += 1
            return wire.Token(message.transfer_id, message.sequence, self._mint.make(addr, now))
        shared = self._shared.get(message.info_hash)
        if shared is None or not shared.offered:
            reason = wire.Refusal.NOT_SHARED if shared is None else wire.Refusal.CHANGED
            self.counts["refused"] += 1
            return wire.Refuse(message.transfer_id, message.sequence, reason)
        if isinstance(message, wire.Ask):
            return self._tell_file_size(message, shared)
        return self._check_range(message, shared)

    def _tell_file_size(self, ask: wire.Ask, shared: Shared) -> wire.Tell:
        """The size, and of a partial copy one page of its bitfield: none where the page would be empty."""
        self.counts["ask"] += 1
        held = shared.held
        if held is None or held.all():
            return wire.Tell(ask.transfer_id, ask.sequence, shared.size, complete=True)
        first_piece = ask.first_piece // 8 * 8  # a page begins with a byte
        page = held.to_bytes()[first_piece // 8 :][: wire.MAX_BITFIELD]
        return wire.Tell(ask.transfer_id, ask.sequence, shared.size, False, first_piece, page)

    def _check_range(self, request: wire.Request, shared: Shared) -> SendChunk | wire.Refuse | None:
        in_bounds = 0 < request.length <= wire.MAX_REQUEST and request.offset + request.length <= shared.size
        sound = wire.MIN_SEGMENT <= request.segment_size <= wire.MAX_SEGMENT
        if not (in_bounds and sound) or request.length > wire.MAX_SEGMENTS_PER_REQUEST * request.segment_size:
            self.counts["out of bounds"] += 1
            return None
        if not shared.holds(request.offset, request.offset + request.length):
            self.counts["refused"] += 1
            return wire.Refuse(request.transfer_id, request.sequence, wire.Refusal.NOT_HELD)
        self.counts["request"] += 1
        return SendChunk(request)
