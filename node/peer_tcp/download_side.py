"""The fetching half of a connection: the peer's pieces, whether it chokes us, and our requests.

    on_bitfield, on_have   the pieces that the peer holds
    request, cancel        from the download
    on_block, on_reject    the peer's answers
    on_choke, on_unchoke   may we ask?

With the fast extension (BEP 6) a choke leaves our requests standing: the peer rejects each that it will not
answer. Without it a choke drops them all. Blocks that were on their way then arrive after the choke; they are
dropped, because the download may have asked another peer for them.
"""

from __future__ import annotations

from collections.abc import Sequence

from common.errors import PeerFault
from common.geometry import Geometry
from node.peer_tcp import events as ev
from node.peer_tcp import messages as m
from node.peer_tcp.context import WireContext
from node.peer_tcp.held_pieces import HeldPieces
from node.peer_tcp.limits import MAX_ALLOWED_FAST, MAX_SUGGESTED, REQUEST_TIMEOUT, UNREQUESTED_BLOCKS
from node.peer_tcp.outgoing_requests import BlockClaim, OutgoingRequests
from node.transport import Range


class DownloadSide:
    """Not usable for requests before ``geometry`` is known."""

    def __init__(self, context: WireContext, geometry: Geometry | None, now: float) -> None:
        self.peer_choking = True
        self.interested = False  # we told the peer that we want its pieces
        self.snubbed = False  # the peer let requests time out, and has sent no block since
        self.held = HeldPieces(geometry.piece_count if geometry else None)
        self.requests = OutgoingRequests(geometry or Geometry(0, 1), now)
        self.allowed_fast: set[int] = set()  # pieces that we may request while choked
        self.payload_received = 0  # bytes that were asked for
        self.payload_dropped = 0  # bytes that were not, or came too late
        self._context = context
        self.piece_length = geometry.piece_length if geometry else 0
        self._is_known = False  # PiecesKnown was reported
        self._suggested: set[int] = set()
        self._unrequested = 0  # blocks
        self._wanted = False  # the block that is being received goes to the download

    # ---- from the download

    def set_interested(self, interested: bool) -> None:
        """Send the peer our interest in its pieces; it unchokes only peers that do."""
        if interested is not self.interested:
            self.interested = interested
            self._context.send(m.encode(m.Interested() if interested else m.NotInterested()))

    def room(self) -> int:
        """Bytes that may be requested now; 0 while the peer chokes us."""
        return 0 if self.peer_choking else self.requests.room()

    def request(self, start: int, end: int, now: float) -> None:
        """Ask for the bytes ``[start, end)``: all requests leave as one send."""
        messages = self.requests.request(start, end, now)
        if messages:
            self._context.send(messages)

    def cancel(self, start: int, end: int) -> list[Range]:
        """Withdraw the requests inside ``[start, end)``; returns those that were pending."""
        ranges, messages = self.requests.cancel(start, end)
        if messages:
            self._context.send(messages)
        return ranges

    def withdraw(self) -> list[Range]:
        """The download wants nothing more: withdraw all requests; returns what has not arrived.

        The rest of a block that is being received is dropped, too: it belongs to no later download.
        """
        cancelled = self.cancel(0, self.requests.content_size)
        self._wanted = False
        return [*cancelled, *self.requests.close()]

    def set_reqq(self, reqq: int) -> None:
        """The peer accepts ``reqq`` requests at a time; it drops the rest silently."""
        self.requests.window.on_limit(reqq)

    def learn_geometry(self, geometry: Geometry, now: float) -> None:
        """The metadata of a magnet link is known. PeerWireError if the peer named pieces that cannot be."""
        self.held.learn_count(geometry.piece_count)
        before = self.requests
        self.requests = OutgoingRequests(geometry, now)
        self.requests.window.on_limit(before.window.limit)
        self.requests.set_max_request(before.max_request)
        self.piece_length = geometry.piece_length
        if self._is_known:
            self._context.events.append(ev.PiecesKnown(self.held.snapshot()))

    # ---- the pieces of the peer

    def on_pieces(self, message: m.PieceSet | m.HaveAll | m.HaveNone | None) -> None:
        """The first message: the pieces that the peer holds. None: another message, so it holds none."""
        self._is_known = True
        if isinstance(message, m.PieceSet):
            self.held.set_bits(message.bits)
        elif isinstance(message, m.HaveAll):
            self.held.set_all()
        if self.piece_length:
            self._context.events.append(ev.PiecesKnown(self.held.snapshot()))

    def on_late_pieces(self, message: m.PieceSet | m.HaveAll, now: float) -> None:
        """A bitfield after other messages: the peer holds these pieces, too. All: it is complete now."""
        new = self.held.add_bits(message.bits) if isinstance(message, m.PieceSet) else self.held.add_all()
        if not new:
            self._context.count_idle(now)
        if self.piece_length:
            self._context.events += [ev.PieceGained(piece) for piece in new]

    def on_have(self, message: m.Have, now: float) -> None:
        """The peer holds one piece more."""
        if not self.held.add(message.piece):
            self._context.count_idle(now)
        elif self.piece_length:
            self._context.events.append(ev.PieceGained(message.piece))

    # ---- may we ask?

    def on_choke(self, message: m.Choke, now: float) -> None:
        """The peer stops. Doubled chokes are normal."""
        self._context.count_idle(now)
        self.peer_choking = True
        ranges = [] if self._context.fast else self.requests.take_back()
        self._context.events.append(ev.PeerChoked(ranges))

    def on_unchoke(self, message: m.Unchoke, now: float) -> None:
        """The peer goes on. Doubled unchokes are normal."""
        self._context.count_idle(now)
        if self.peer_choking:
            self.peer_choking = False
            self._context.events.append(ev.PeerUnchoked())

    def on_allowed_fast(self, message: m.AllowedFast, now: float) -> None:
        """This piece may be requested even while choked. More than MAX_ALLOWED_FAST are ignored."""
        self._context.count_idle(now)
        if len(self.allowed_fast) < MAX_ALLOWED_FAST and message.piece not in self.allowed_fast:
            self.allowed_fast.add(message.piece)
            self._context.events.append(ev.FastAllowed(message.piece))

    def on_suggest(self, message: m.SuggestPiece, now: float) -> None:
        """Advice, passed on once for each piece."""
        self._context.count_idle(now)
        if len(self._suggested) < MAX_SUGGESTED and message.piece not in self._suggested:
            self._suggested.add(message.piece)
            self._context.events.append(ev.PieceSuggested(message.piece))

    # ---- the answers

    def on_block(self, block: m.Block, now: float) -> None:
        """A block, or a part of one."""
        piece, begin, length, at, data = block
        offset = piece * self.piece_length + begin
        size = len(data)
        if at == 0:
            claim = self.requests.on_block(offset, length, now)
            self._wanted = claim is BlockClaim.PENDING
            if claim is BlockClaim.UNREQUESTED:
                self._on_unrequested()
        if not self._wanted:
            self.payload_dropped += size
            return
        if size < length:
            self.requests.on_part(offset + at + size, offset + length, now)
        self.snubbed = False
        self.payload_received += size
        self._context.events.append(ev.BlockData(offset + at, data))

    def on_block_run(self, run: m.BlockRun, now: float) -> None:
        """Whole blocks. The hot path of a download: one turn of the loop for each 16 KiB."""
        pending, piece_length, view, length = self.requests.pending, self.piece_length, run.view, run.length
        blocks: list[tuple[int, memoryview | bytes]] = []
        end = 0
        for piece, begin in run.places():
            at, end = end + m.PIECE_HEADER.size, end + m.PIECE_HEADER.size + length
            offset = piece * piece_length + begin
            if pending.get(offset) == length:
                del pending[offset]
                blocks.append((offset, view[at:end]))
            else:
                self._on_blocks(blocks, length, now)
                blocks = []
                self.on_block(m.Block(piece, begin, length, 0, view[at:end]), now)
        self._on_blocks(blocks, length, now)

    def _on_blocks(self, blocks: Sequence[tuple[int, memoryview | bytes]], length: int, now: float) -> None:
        """Pending blocks of ``length`` bytes each arrived."""
        if blocks:
            size = len(blocks) * length
            self.requests.on_blocks(len(blocks), size, now)
            self.snubbed = False
            self.payload_received += size
            self._context.events.append(ev.BlocksData(blocks))

    def _on_unrequested(self) -> None:
        self._unrequested += 1
        if self._unrequested > UNREQUESTED_BLOCKS:
            raise PeerFault("sends blocks that were not asked for")

    def on_reject(self, message: m.RejectRequest, now: float) -> None:
        """The peer will not answer a request."""
        offset = message.piece * self.piece_length + message.begin
        if self.requests.on_reject(offset, message.length) is BlockClaim.PENDING:
            self._context.events.append(ev.RequestsRejected([(offset, offset + message.length)]))
        else:
            self._context.count_idle(now)

    # ---- timers

    def next_timer(self) -> float | None:
        """When the pending requests time out."""
        return self.requests.progress_at + REQUEST_TIMEOUT if len(self.requests) else None

    def on_timer(self, now: float) -> None:
        """Give the requests back if nothing has come for REQUEST_TIMEOUT."""
        due = self.next_timer()
        if due is not None and due <= now:
            self.snubbed = True
            self.requests.window.on_timeout()
            self._context.events.append(ev.RequestsReturned(self.requests.take_back()))
