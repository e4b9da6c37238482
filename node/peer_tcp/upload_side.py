"""The serving half of a connection: whether the peer is interested, whether we choke it, and its requests.

The choker decides who is unchoked. A peer that has not said that it is interested is never unchoked: some
clients ignore an unchoke that comes before.

Requests wait here until the upload limit lets the transport take them with ``next_block``. With the fast
extension (BEP 6) each request that will not be answered is rejected; without it, it is dropped silently, as
BEP 3 has no message for it.
"""

from __future__ import annotations

from common.bitfield import Bitfield
from common.errors import PeerFault
from node.peer_tcp import events as ev
from node.peer_tcp import messages as m
from node.peer_tcp.allowed_fast import ALLOWED_FAST_PIECES, allowed_fast_set
from node.peer_tcp.config import WireTorrent
from node.peer_tcp.context import WireContext
from node.peer_tcp.held_pieces import HeldPieces
from node.peer_tcp.incoming_requests import IncomingRequests, Requested
from node.peer_tcp.limits import BAD_REQUESTS, MAX_REQUEST


class UploadSide:
    """``torrent`` without a geometry serves nothing."""

    def __init__(self, context: WireContext, torrent: WireTorrent) -> None:
        self.choking = True
        self.peer_interested = False
        self.requests = IncomingRequests()
        self.allowed_fast: frozenset[int] = frozenset()  # pieces that the peer may request while choked
        self._torrent = torrent
        self._context = context
        self._bad_requests = 0
        self._fast_bytes = 0  # that the peer may still request while choked

    # ---- from the transport

    def choke(self) -> None:
        """Send nothing more to the peer, except for allowed fast pieces."""
        if self.choking:
            return
        self.choking = True
        self._context.send(m.encode(m.Choke()))
        dropped = self.requests.drop(self.allowed_fast if self._context.fast else frozenset())
        if self._context.fast and dropped:
            self._context.send(b"".join(m.encode(m.RejectRequest(*request)) for request in dropped))

    def unchoke(self) -> bool:
        """Answer the peer's requests from now on. False if it is not interested: nothing is sent."""
        if self.choking and self.peer_interested:
            self.choking = False
            self._context.send(m.encode(m.Unchoke()))
        return not self.choking

    def announce(self, piece: int) -> None:
        """We hold one piece more."""
        self._context.send(m.encode(m.Have(piece)))

    def offer_fast(self, host: str, held: HeldPieces) -> None:
        """Let a peer that holds almost nothing request a few pieces even while we choke it (BEP 6).

        Each block of them is sent once while choked: the offer is a start, not a way around the choker.
        """
        torrent = self._torrent
        if not self._context.fast or not host or torrent.geometry is None or held.complete:
            return
        if held.count >= ALLOWED_FAST_PIECES:
            return
        count = torrent.geometry.piece_count
        have = torrent.have()
        chosen = allowed_fast_set(host, torrent.info_hash, count, ALLOWED_FAST_PIECES)
        self.allowed_fast = frozenset(piece for piece in chosen if piece in have and piece not in held)
        self._fast_bytes = len(self.allowed_fast) * torrent.geometry.piece_length
        self._context.send(b"".join(m.encode(m.AllowedFast(piece)) for piece in sorted(self.allowed_fast)))

    def learn_torrent(self, torrent: WireTorrent) -> None:
        """The metadata of a magnet link is known."""
        self._torrent = torrent

    # ---- from the peer

    def on_interested(self, message: m.Interested, now: float) -> None:
        """The peer wants pieces of ours."""
        self._context.count_idle(now)
        if not self.peer_interested:
            self.peer_interested = True
            self._context.events.append(ev.PeerInterested())

    def on_not_interested(self, message: m.NotInterested, now: float) -> None:
        """The peer wants nothing of ours."""
        self._context.count_idle(now)
        if self.peer_interested:
            self.peer_interested = False
            self._context.events.append(ev.PeerNotInterested())

    def on_requests(self, run: m.RequestRun, now: float) -> None:
        """The peer asks for blocks. PeerFault if no client would ask for one of them.

        The hot path of an upload: most requests pass the three tests of the loop.
        """
        geometry = self._torrent.geometry
        if geometry is None:
            raise PeerFault("requests a piece while we have none")
        if self._torrent.is_silent:
            return
        last, whole = geometry.piece_count - 1, geometry.piece_length
        end_of_last = geometry.size - last * whole
        have, queue = self._torrent.have(), self.requests
        is_open, was_empty = have.all() and not self.choking, not queue
        add = queue.add
        for request in run.requests:
            piece, begin, length = request
            if not 0 < length <= MAX_REQUEST or piece > last:
                raise _fault_of(piece, begin, length)
            if begin + length > (whole if piece < last else end_of_last):
                raise _fault_of(piece, begin, length)
            if not (is_open and add(request)):
                self._on_rarer_request(request, have, now)
        if was_empty and queue:
            self._context.events.append(ev.BlocksRequested())

    def _on_rarer_request(self, request: Requested, have: Bitfield, now: float) -> None:
        """We hold only some pieces, or choke the peer, or its queue is full: answer, or refuse."""
        piece = request[0]
        if self.choking and not self._may_be_fast(request):
            self._refuse(request, now)  # normal: it was on its way when we choked
        elif piece not in have:
            self._on_bad_request()
            self._refuse(request, now)
        elif not self.requests.add(request):
            self._refuse(request, now)

    def on_cancel(self, message: m.Cancel, now: float) -> None:
        """The peer has the block from elsewhere. With BEP 6 a cancelled request is answered by a reject."""
        self._context.count_idle(now)
        request = (message.piece, message.begin, message.length)
        if self.requests.cancel(request) and self._context.fast:
            self._context.send(m.encode(m.RejectRequest(*request)))

    def _may_be_fast(self, request: Requested) -> bool:
        piece, _, length = request
        if piece not in self.allowed_fast or self._fast_bytes < length:
            return False
        self._fast_bytes -= length
        return True

    def _refuse(self, request: Requested, now: float) -> None:
        self._context.count_idle(now)
        if self._context.fast:
            self._context.send(m.encode(m.RejectRequest(*request)))

    def _on_bad_request(self) -> None:
        self._bad_requests += 1
        if self._bad_requests > BAD_REQUESTS:
            raise PeerFault("requests pieces that we do not hold")


def _fault_of(piece: int, begin: int, length: int) -> PeerFault:
    """What is wrong with a request."""
    if not 0 < length <= MAX_REQUEST:
        return PeerFault(f"requests {length} bytes at a time, where 1 to {MAX_REQUEST} are allowed")
    return PeerFault(f"requests bytes {begin} to {begin + length} of piece {piece}, which has fewer")
