"""The owner's side without a socket: a datagram in, what to answer out.

An address that has not shown a token gets a TOKEN (48 bytes for at least 72 received) and nothing else, and
of these only so many a second; what is malformed or out of bounds gets silence and a count. The cheapest
looks come first, because most of what a flood brings is found out by them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from common.errors import WireError
from node.chunk_udp import wire
from node.chunk_udp.address_validation import Address, AddressValidator
from node.chunk_udp.flood.token_tag import TAG_SIZE
from node.chunk_udp.flood.unvalidated import UnvalidatedLimiter
from node.chunk_udp.replay_window import ReplayWindow
from node.chunk_udp.slots import Slots
from node.chunk_udp.super_seeding import Piece, RecentPieces
from node.transport import ServedTorrent

_SIZES = {int(wire.Kind.ASK): wire.ASK_SIZE, int(wire.Kind.REQUEST): wire.REQUEST_SIZE}
_ANSWERS = frozenset({int(kind) for kind in wire.Kind} - _SIZES.keys())
_MARK_END = wire.TOKEN_AT + TAG_SIZE


@dataclass(frozen=True)
class SendChunk:
    """Answer ``request`` with its segments."""

    request: wire.Request


Answer = wire.Token | wire.Tell | wire.Refuse | SendChunk


class Responder:
    """Decides what each datagram gets. ``torrents``: by info hash, kept current by the caller.

    ``slots``: who is served; without, everybody is. ``displaced`` is called with whoever loses a slot.
    ``crowded(now)``: whether requests have to wait, so that whom they are for makes a difference.
    ``introduced`` is called with the address and node number of each fetcher that tells its number.
    """

    def __init__(
        self,
        mint: AddressValidator,
        torrents: Mapping[bytes, ServedTorrent],
        slots: Slots | None = None,
        displaced: Callable[[Address], None] = lambda addr: None,
        crowded: Callable[[float], bool] = lambda now: False,
        introduced: Callable[[Address, int], None] = lambda addr, node_id: None,
    ) -> None:
        self._mint = mint
        self._torrents = torrents
        self._slots = slots
        self._displaced = displaced
        self._crowded = crowded
        self._introduced = introduced
        self._copies = ReplayWindow()
        self._recipients = RecentPieces()
        self.strangers = UnvalidatedLimiter(0.0)
        self._expired = UnvalidatedLimiter(0.0)  # those whose token was good once
        self.counts: Counter[str] = Counter()  # datagrams by what became of them

    def handle_requests(self, datagram: bytes | memoryview, addr: Address, now: float) -> Answer | None:
        """The answer for ``addr``, or None: silence. Never raises, whatever the bytes."""
        if self._is_worthless(datagram, addr, now):
            return None
        try:
            message = wire.decode(datagram)
        except WireError:
            self._drop("malformed", now)
            return None
        assert isinstance(message, (wire.Ask, wire.Request))
        if not self._mint.accepts(message.token, addr, now):
            return self._give_token(message, addr, now)
        torrent = self._torrents.get(message.info_hash)
        if torrent is None or not torrent.is_served:
            gone = torrent is None
            return self._refuse(message, wire.Refusal.NOT_SHARED if gone else wire.Refusal.CHANGED)
        if isinstance(message, wire.Ask):
            if message.node_id is not None:
                self._introduced(addr, message.node_id)
            return self._admit(message, addr, now) or self._tell_file_size(message, torrent)
        return self._take_request(message, torrent, addr, now)

    def _take_request(
        self, request: wire.Request, torrent: ServedTorrent, addr: Address, now: float
    ) -> Answer | None:
        info, have = torrent.info, torrent.have
        if not _in_bounds(request, info.size):
            self.counts["out of bounds"] += 1
            return None
        seed = have.all()
        if not seed:
            touched = info.geometry.pieces_touched(request.offset, request.offset + request.length)
            if not all(piece in have for piece in touched):
                return self._refuse(request, wire.Refusal.NOT_HELD)
        if (refusal := self._admit(request, addr, now)) is not None:
            return refusal
        if self._copies.is_duplicate(request, addr):
            self.counts["copy"] += 1
            return None
        if seed:
            piece = self._recipients.piece(request, info.piece_length)
            if request.rare_only and self._others_have(piece, addr, now):
                return self._refuse(request, wire.Refusal.NOT_RARE)
            self._recipients.sent(request, info.piece_length, addr, now)
        self.counts["request"] += 1
        return SendChunk(request)

    def _others_have(self, piece: Piece, addr: Address, now: float) -> bool:
        """Whether somebody else was just sent ``piece``, and to send it again would keep others waiting."""
        return self._recipients.was_sent_to_other(piece, addr, now) and self._crowded(now)

    def not_sent(self, request: wire.Request, addr: Address) -> None:
        """``request`` of ``addr``, which was to be answered, is not."""
        torrent = self._torrents.get(request.info_hash)
        if torrent is not None:
            self._recipients.not_sent(request, torrent.info.piece_length, addr)

    def _is_worthless(self, datagram: bytes | memoryview, addr: Address, now: float) -> bool:
        """Whether ``datagram`` is not worth decoding; then it is counted. This is what a flood costs us."""
        size = len(datagram)
        if size < wire.HEADER_SIZE or datagram[0] != wire.MAGIC or datagram[1] != wire.VERSION:
            self._drop("malformed", now)
            return True
        kind = datagram[2]
        if _SIZES.get(kind) != size:
            self._drop("unexpected" if kind in _ANSWERS else "malformed", now)
            return True
        crowd = self._crowd(bytes(datagram[wire.TOKEN_AT : _MARK_END]), addr, now)
        if crowd is self.strangers and not crowd.may_be_answered(now):
            self._turn_away(crowd, now)
            return True
        return False

    def _crowd(self, mark: bytes, addr: Address, now: float) -> UnvalidatedLimiter:
        """Whom to count one with this mark among, should its token be no good."""
        return self._expired if self._mint.is_known(mark, addr, now) else self.strangers

    def _give_token(self, message: wire.Ask | wire.Request, addr: Address, now: float) -> wire.Token | None:
        crowd = self._crowd(message.token[:TAG_SIZE], addr, now)
        if not crowd.may_be_answered(now):
            self._turn_away(crowd, now)
            return None
        crowd.answered(now)
        self.counts["token"] += 1
        return wire.Token(message.transfer_id, message.sequence, self._mint.make(addr, now))

    def _drop(self, reason: str, now: float) -> None:
        self.counts[reason] += 1
        self.strangers.count_wasted(now)

    def _turn_away(self, crowd: UnvalidatedLimiter, now: float) -> None:
        self.counts["unanswered"] += 1
        crowd.turned_away(now)

    def _refuse(self, message: wire.Ask | wire.Request, reason: wire.Refusal, place: int = 0) -> wire.Refuse:
        self.counts["refused"] += 1
        return wire.Refuse(message.transfer_id, message.sequence, reason, place)

    def _admit(self, message: wire.Ask | wire.Request, addr: Address, now: float) -> wire.Refuse | None:
        """None if ``addr`` is served, else its place in the line."""
        if self._slots is None:
            return None
        admission = self._slots.admit(addr, message.info_hash, isinstance(message, wire.Request), now)
        if admission.displaced is not None:
            self._displaced(admission.displaced)
        if admission.place == 0:
            return None
        return self._refuse(message, wire.Refusal.BUSY, admission.place or 0)

    def _tell_file_size(self, ask: wire.Ask, torrent: ServedTorrent) -> wire.Tell:
        """The size, and of a partial copy one page of its bitfield: none where the page would be empty."""
        self.counts["ask"] += 1
        size, have = torrent.info.size, torrent.have
        if have.all():
            return wire.Tell(ask.transfer_id, ask.sequence, size, complete=True)
        first_piece = ask.first_piece // 8 * 8  # a page begins with a byte
        page = have.to_bytes()[first_piece // 8 :][: wire.MAX_BITFIELD]
        return wire.Tell(ask.transfer_id, ask.sequence, size, False, first_piece, page)


def _in_bounds(request: wire.Request, size: int) -> bool:
    """Whether it is for bytes that there are, and for no more of them and of datagrams than agreed."""
    in_bounds = 0 < request.length <= wire.MAX_REQUEST and request.offset + request.length <= size
    sound = wire.MIN_SEGMENT <= request.segment_size <= wire.MAX_SEGMENT
    return in_bounds and sound and request.length <= wire.MAX_SEGMENTS_PER_REQUEST * request.segment_size
