"""Between a connection and its download session: ranges in, events out. Pure: no socket, no clock.

``FetchConnection`` knows datagrams and time, ``DownloadSession`` knows the ranges that the download wants.
The driver asks the session for ranges while the connection has room, and translates the peer's answers:

    OwnerStatus       size checked against the torrent, bitfield pages put together: on_bitfield
    DataReceived           on_data
    NotHeld, NotRare  on_rejected
    QueuedByOwner            on_blocked; on_unblocked before the next on_bitfield

It also decides about payload checksums. Over loopback they only cost time, but a wrong piece with checksums
proves that the peer sent it. So they are omitted over loopback, and only while the session trusts the peer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from common.bitfield import Bitfield
from common.errors import PeerFault
from common.metainfo import Metainfo
from node.chunk_udp.connection import FetchConnection
from node.chunk_udp.events import DataReceived, Event, NotHeld, NotRare, OwnerStatus, QueuedByOwner
from node.transport import DownloadSession, Range, Reject


class PeerPieces:
    """The pieces that a peer states to hold, from the pages of its bitfield that have arrived."""

    def __init__(self, piece_count: int) -> None:
        self.complete = False
        self._count = piece_count
        self._bits = bytearray(-(-piece_count // 8))
        self._known = False  # a page has come

    def on_page(self, first_piece: int, page: bytes) -> bool:
        """Take one page. True if it changes anything."""
        start = first_piece // 8
        page = page[: max(0, len(self._bits) - start)]
        unchanged = self._known and not self.complete and self._bits[start : start + len(page)] == page
        if first_piece % 8 or unchanged:
            return False
        self.complete, self._known = False, True
        self._bits[start : start + len(page)] = page
        spare = -self._count % 8
        if spare and self._bits:
            self._bits[-1] &= 0xFF << spare & 0xFF
        return True

    def remove(self, pieces: Sequence[int]) -> None:
        """The peer does not hold ``pieces``."""
        for piece in pieces:
            self._bits[piece // 8] &= ~(0x80 >> piece % 8)

    def snapshot(self) -> Bitfield | None:
        """As ``on_bitfield`` takes it; None: all."""
        return None if self.complete else Bitfield.from_bytes(bytes(self._bits), self._count)


class SessionDriver:
    """Runs ``connection`` for ``session``. All but ``cancel`` is for the connection's thread only."""

    def __init__(self, connection: FetchConnection, info: Metainfo, session: DownloadSession) -> None:
        self.connection = connection
        self._info = info
        self._session = session
        self._pieces = PeerPieces(info.geometry.piece_count)
        self._blocked = False
        self._cancelled: deque[Range] = deque()  # filled by other threads
        self._may_omit_checksums = not connection.checksums
        connection.checksums = True

    def datagrams_to_send(self, now: float) -> list[bytes]:
        """Turn room in the window into requests, lost ranges first. Returns all datagrams to send now."""
        connection, session = self.connection, self._session
        if self._cancelled:
            self._drop_cancelled()
        while size := connection.may_request(now):
            if self._may_omit_checksums and session.trusted == connection.checksums:
                connection.checksums = not connection.checksums
                session.on_checksums(connection.checksums)
            lost = connection.tracker.take_lost(size)
            if lost is not None:
                connection.request(*lost, now)
                continue
            wanted = session.next_range(size)
            if wanted is None:
                connection.tracker.mark_app_limited(now)
                break
            connection.request(wanted.start, wanted.end, now, wanted.rare_only)
        return connection.datagrams_to_send()

    def datagram_received(self, datagram: bytes | memoryview, now: float) -> None:
        """Take one datagram from the peer's address; PeerFault if the peer refuses or contradicts itself."""
        for event in self.connection.datagram_received(datagram, now):
            if type(event) is DataReceived:  # nearly always
                self._session.on_data(event.offset, event.payload)
            else:
                self._on_event(event)

    def cancel(self, ranges: Sequence[Range]) -> None:
        """Stop asking for ``ranges``. May be called from any thread.

        Requests on their way are answered all the same: the protocol has no message to take them back. Lost
        ranges are not requested again.
        """
        self._cancelled.extend(ranges)

    def end(self) -> None:
        """Close the connection. The session gets back every range that never arrived."""
        self.connection.flow.leave()
        self._session.on_returned(self.connection.unreceived())

    def _drop_cancelled(self) -> None:
        dropped: list[Range] = []
        while self._cancelled:
            dropped += self.connection.tracker.cancel_lost(*self._cancelled.popleft())
        self._session.on_returned(dropped)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, OwnerStatus):
            self._on_status(event)
        elif isinstance(event, NotHeld):
            self._on_not_held(event.ranges)
        elif isinstance(event, NotRare):
            self._session.on_rejected(event.ranges, Reject.NOT_RARE)
        elif isinstance(event, QueuedByOwner):
            self._blocked = True
            self._session.on_returned(event.ranges)
            self._session.on_blocked(event.queue_position or None)

    def _on_status(self, status: OwnerStatus) -> None:
        if status.size != self._info.size:
            raise PeerFault(f"its file has {status.size} bytes, the torrent says {self._info.size}")
        pieces, was_blocked = self._pieces, self._blocked
        if was_blocked:
            self._blocked = False
            self._session.on_unblocked()
        if status.complete:
            pieces.complete = True
            self._session.on_bitfield(None)
        elif pieces.on_page(status.first_piece, status.bitfield) or was_blocked:
            self._session.on_bitfield(pieces.snapshot())

    def _on_not_held(self, ranges: Sequence[Range]) -> None:
        """A partial owner is not asked for these pieces until its next bitfield names them."""
        if self._pieces.complete:
            self._session.on_rejected(ranges, Reject.NOT_HELD)
            raise PeerFault("does not hold a piece that it announced")
        for start, end in ranges:
            self._pieces.remove(self._info.geometry.pieces_touched(start, end))
        self._session.on_bitfield(self._pieces.snapshot())
        self._session.on_rejected(ranges, Reject.NOT_HELD)
