"""A connection whose messages pass through faults on their way. Pure, as ``PeerWire``.

    the state machine ─▶ whole messages ─▶ faults ─▶ encryption ─▶ the socket
    the socket ─▶ decryption ─▶ whole messages ─▶ faults ─▶ the state machine

Handshakes are not touched: without them there is no connection to watch. The order of messages is kept, as
TCP does. While many bytes are on their way, nothing more is read from the socket and no block is sent: so a
limited rate holds up the peer as a slow network does.

Taps see what is sent before the faults, and what arrived after them: as a sender and a receiver do.
"""

from __future__ import annotations

from node.peer_tcp import messages as m
from node.peer_tcp.config import WireConfig
from node.peer_tcp.connection import OutgoingBlock, PeerWire
from node.peer_tcp.decoder import MAX_LENGTH
from node.peer_tcp.events import WireEvent
from node.peer_tcp.limits import MAX_UNSENT
from node.peer_tcp.states import WireState
from node.tap import StreamFaults

LEAST_WAIT = 0.002  # seconds between two looks at messages on their way, while the socket takes none


def make_wire(
    config: WireConfig, now: float, info_hash: bytes | None = None, encrypted: bool = True
) -> PeerWire:
    """A connection with these arguments of ``PeerWire``, with the faults of its tap if it has some."""
    if config.tap.faults is None:
        return PeerWire(config, now, info_hash, encrypted)
    return FaultyWire(config.tap.faults, config, now, info_hash, encrypted)


class FaultyWire(PeerWire):
    """``PeerWire`` with ``faults`` between it and its socket."""

    def __init__(
        self,
        faults: StreamFaults,
        config: WireConfig,
        now: float,
        info_hash: bytes | None = None,
        encrypted: bool = True,
    ) -> None:
        super().__init__(config, now, info_hash, encrypted)
        self._faults = faults
        self._rest = bytearray()  # the beginning of a message that is not here as a whole
        self._block = bytearray()  # the beginning of a block that is being sent
        self._block_size = 0  # bytes of the whole message
        self._block_at = self._looked_at = now
        self._is_closed_by_peer = False

    # ---- from the socket

    @property
    def takes_more(self) -> bool:
        """See ``PeerWire``."""
        return self._faults.size(False) < MAX_UNSENT

    def on_closed(self) -> list[WireEvent]:
        """See ``PeerWire``. The messages on their way arrive before."""
        self._is_closed_by_peer = True
        events = [] if self.peer is None else self._arrive(self._received_at)
        return events + super().on_closed()

    def _take_messages(self, view: memoryview, now: float) -> None:
        """Messages that came from the socket set out, and others arrive."""
        self._rest += view
        rest, at = bytes(self._rest), 0
        while len(rest) - at >= 4:
            size = 4 + int.from_bytes(rest[at : at + 4], "big")
            if size > 4 + MAX_LENGTH:
                super()._take_messages(memoryview(rest)[at:], now)  # which refuses it
            if len(rest) - at < size:
                break
            self._faults.put(rest[at : at + size], False, now)
            at += size
        del self._rest[:at]
        if arrived := self._faults.take(False, float("inf") if self._is_closed_by_peer else now):
            super()._take_messages(memoryview(arrived), now)

    # ---- to the socket

    def data_to_send(self, now: float) -> bytes:
        """See ``PeerWire``. Blocks are among the messages."""
        parts = self._opening.take_unsent()
        if self.peer is not None:
            self.extension.prepare()
        for messages in self._context.unsent:
            self._tap.wrote(messages)
            for message in _whole(messages):
                self._faults.put(message, True, now)
        self._context.unsent.clear()
        if leaving := self._faults.take(True, now):
            parts.append(self._opening.encrypt(leaving))
        if parts:
            self._sent_at = now
        return b"".join(parts)

    @property
    def has_blocks(self) -> bool:
        """See ``PeerWire``."""
        return super().has_blocks and self._faults.size(True) < MAX_UNSENT

    def next_blocks(self, size: int, now: float) -> list[OutgoingBlock]:
        """See ``PeerWire``. One block, whose header and content ``data_to_send`` returns later."""
        if self.peer is None or self.torrent is None or self.torrent.geometry is None:
            return []
        blocks = []
        for piece, begin, length in self.upload.requests.take(1):
            self._block, self._block_at = bytearray(m.block_header(piece, begin, length)), now
            self._block_size = len(self._block) + length
            self._tap.wrote(bytes(self._block))
            offset = piece * self.torrent.geometry.piece_length + begin
            blocks.append(OutgoingBlock(b"", offset, length))
        return blocks

    @property
    def encrypts_payload(self) -> bool:
        """See ``PeerWire``."""
        return True

    def encrypt(self, payload: bytes | memoryview) -> bytes:
        """See ``PeerWire``. Nothing is to be sent now: the whole block sets out."""
        if self._tap.single:
            self._tap.payload_wrote(payload)
        self._block += payload
        if len(self._block) == self._block_size:
            self._faults.put(bytes(self._block), True, self._block_at)
        return b""

    # ---- time

    def next_timer(self) -> float | None:
        """See ``PeerWire``."""
        due = super().next_timer()
        if due is None or self.peer is None:
            return due
        arrives = min(self._faults.due(False), self._faults.due(True))
        return min(due, max(arrives, self._looked_at + LEAST_WAIT))

    def on_timer(self, now: float) -> list[WireEvent]:
        """See ``PeerWire``."""
        self._looked_at = now
        events = super().on_timer(now)
        if self.state is not WireState.CLOSED and self._faults.due(False) <= now:
            events += self._arrive(now)
        return events

    def _arrive(self, now: float) -> list[WireEvent]:
        """Take the messages that have arrived. No byte came from the peer."""
        received_at = self._received_at
        events = self.receive(b"", now)
        self._received_at = received_at
        return events


def _whole(messages: bytes) -> list[bytes]:
    """The single messages of several that were written one after the other."""
    found, at = [], 0
    while at < len(messages):
        size = 4 + int.from_bytes(messages[at : at + 4], "big")
        found.append(messages[at : at + size])
        at += size
    return found
