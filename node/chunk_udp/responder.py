"""The owner's side of the protocol without a socket: a datagram in, a response out. Pure.

A fetcher without a valid token gets a TOKEN (48 bytes for a question of at least 72) and nothing else. A
datagram that is malformed or asks for bytes outside the content gets silence and is counted. The cheapest
checks come first, since most of a flood fails them.

Every response to a REQUEST, in the order of the checks:

    no valid token                                TOKEN
    torrent unknown, or its content changed       REFUSE (NOT_SHARED, CHANGED)
    range outside the content                     silence
    a piece that is not verified here             REFUSE (NOT_HELD)
    all slots taken                               REFUSE (BUSY, queue position)
    a duplicate that the network made             silence
    RARE_ONLY, and another fetcher just got it    REFUSE (NOT_RARE)
    else                                          SendChunk: the owner sends DATA

An ASK that wants the metadata needs no slot. A private torrent's metadata comes from its tracker only, so the
response is REFUSE (NOT_SHARED).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from common.errors import WireError
from node.chunk_udp import wire
from node.chunk_udp.address_validation import Address, AddressValidator
from node.chunk_udp.flood.filter import Filter, FloodFilter
from node.chunk_udp.replay_window import ReplayWindow
from node.chunk_udp.slots import Slots
from node.chunk_udp.super_seeding import RecentPieces
from node.chunk_udp.upload_queue import UploadQueue
from node.personas import is_silent
from node.transport import ServedTorrent


@dataclass(frozen=True)
class SendChunk:
    """Answer ``request`` with its segments."""

    request: wire.Request


Response = wire.Token | wire.Tell | wire.Refuse | wire.MetadataPage | SendChunk


class Responder:
    """Decides the response to each datagram. ``torrents`` by info hash, kept current by the caller.

    ``slots`` limit the fetchers that are served (None: no limit). ``uploads`` are the requests that were
    accepted earlier. ``introduced`` is called with the address and node number of each fetcher that states
    its number. Without ``flood_filter``, floods are limited, but not in the kernel.
    """

    def __init__(
        self,
        validator: AddressValidator,
        torrents: Mapping[bytes, ServedTorrent],
        slots: Slots | None = None,
        uploads: UploadQueue | None = None,
        introduced: Callable[[Address, int], None] = lambda addr, node_id: None,
        flood_filter: Filter | None = None,
    ) -> None:
        self._validator = validator
        self._torrents = torrents
        self._slots = slots
        self._uploads = uploads
        self._introduced = introduced
        self._filter = flood_filter or FloodFilter(validator)
        self._replays = ReplayWindow()
        self._recent = RecentPieces()
        self._notices: list[tuple[wire.Refuse, Address]] = []
        self.counts: Counter[str] = Counter()  # datagrams by what happened to them

    def handle_requests(self, datagram: bytes | memoryview, addr: Address, now: float) -> Response | None:
        """The response for ``addr``; None: silence. Never raises, whatever the bytes."""
        question = self._decode(datagram, addr, now)
        if question is None:
            return None
        if not self._validator.accepts(question.token, addr, now):
            return self._give_token(question, addr, now)
        torrent = self._torrents.get(question.info_hash)
        if torrent is None:
            return self._refuse(question, wire.Refusal.NOT_SHARED)
        if not torrent.is_served:
            return self._refuse(question, wire.Refusal.CHANGED)
        if isinstance(question, wire.Request):
            return self._take_request(question, torrent, addr, now)
        if question.wants_metadata:
            return self._give_metadata(question, torrent)
        if question.node_id is not None:
            self._introduced(addr, question.node_id)
        return self._admit(question, addr, now) or self._tell_file_size(question, torrent)

    def take_notices(self) -> Sequence[tuple[wire.Refuse, Address]]:
        """REFUSEs for fetchers that lost their slot since the last call: each by its address."""
        if not self._notices:
            return ()
        notices, self._notices = self._notices, []
        return notices

    def not_sent(self, request: wire.Request, addr: Address) -> None:
        """A SendChunk for ``request`` of ``addr`` is not carried out."""
        torrent = self._torrents.get(request.info_hash)
        if torrent is not None:
            self._recent.forget(request, torrent.info.piece_length, addr)

    # ---- questions and tokens

    def _decode(
        self, datagram: bytes | memoryview, addr: Address, now: float
    ) -> wire.Ask | wire.Request | None:
        """The question in ``datagram``; None, and counted, if it is worthless."""
        token = wire.peek_token(datagram)
        if token is None:
            self._count_wasted("unexpected" if wire.is_answer(datagram) else "malformed", now)
            return None
        if not self._filter.admit(token, addr, now):
            self.counts["unanswered"] += 1
            return None
        try:
            question = wire.decode(datagram)
        except WireError:
            self._count_wasted("malformed", now)
            return None
        assert isinstance(question, (wire.Ask, wire.Request))
        return question

    def _count_wasted(self, reason: str, now: float) -> None:
        self.counts[reason] += 1
        self._filter.count_wasted(now)

    def _give_token(self, question: wire.Ask | wire.Request, addr: Address, now: float) -> wire.Token | None:
        if not self._filter.may_send_token(question.token, addr, now):
            self.counts["unanswered"] += 1
            return None
        self.counts["token"] += 1
        return wire.Token(question.transfer_id, question.sequence, self._validator.make(addr, now))

    # ---- ASK

    def _tell_file_size(self, ask: wire.Ask, torrent: ServedTorrent) -> wire.Tell:
        """The size, and of a partial torrent one page of its bitfield (empty beyond the last page)."""
        self.counts["ask"] += 1
        size, have = torrent.info.size, torrent.have
        if have.all():
            return wire.Tell(ask.transfer_id, ask.sequence, size, complete=True)
        first_piece = ask.first_piece // 8 * 8  # a page begins with a whole byte
        page = have.to_bytes()[first_piece // 8 :][: wire.MAX_BITFIELD]
        return wire.Tell(ask.transfer_id, ask.sequence, size, False, first_piece, page)

    def _give_metadata(self, ask: wire.Ask, torrent: ServedTorrent) -> wire.MetadataPage | wire.Refuse:
        """One page of the info dictionary; empty beyond its end."""
        self.counts["metadata"] += 1
        if torrent.info.private:
            return self._refuse(ask, wire.Refusal.NOT_SHARED)
        raw, offset = torrent.info.raw_info, ask.first_piece
        return wire.MetadataPage(
            ask.transfer_id, ask.sequence, len(raw), offset, raw[offset : offset + wire.METADATA_PAGE]
        )

    # ---- REQUEST

    def _take_request(
        self, request: wire.Request, torrent: ServedTorrent, addr: Address, now: float
    ) -> Response | None:
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
        if self._replays.is_duplicate(request, addr):
            self.counts["copy"] += 1
            return None
        if seed:
            if request.rare_only and self._was_just_sent(request, info.piece_length, addr, now):
                return self._refuse(request, wire.Refusal.NOT_RARE)
            self._recent.record(request, info.piece_length, addr, now)
        self.counts["request"] += 1
        return None if is_silent(torrent) else SendChunk(request)

    def _was_just_sent(self, request: wire.Request, piece_length: int, addr: Address, now: float) -> bool:
        """True if another fetcher just got that piece, and sending it again would delay other requests."""
        piece = self._recent.piece(request, piece_length)
        if self._uploads is None or not self._recent.was_sent_to_other(piece, addr, now):
            return False
        return self._uploads.is_backlogged(now)

    def _admit(self, question: wire.Ask | wire.Request, addr: Address, now: float) -> wire.Refuse | None:
        """None if ``addr`` is served, else BUSY with its queue position."""
        if self._slots is None:
            return None
        decision = self._slots.admit(addr, question.info_hash, isinstance(question, wire.Request), now)
        if decision.displaced is not None:
            self._displace(decision.displaced, self._slots)
        if decision.queue_position == 0:
            return None
        return self._refuse(question, wire.Refusal.BUSY, decision.queue_position or 0)

    def _displace(self, addr: Address, slots: Slots) -> None:
        """Drop the queued requests of ``addr``, which has lost its slot, and prepare a notice for it."""
        forgotten = self._uploads.queue.forget(addr) if self._uploads is not None else []
        for request in forgotten:
            self.not_sent(request, addr)
        for request in forgotten[-1:]:
            busy, position = wire.Refusal.BUSY, slots.queue_position(addr)
            self._notices.append((wire.Refuse(request.transfer_id, request.sequence, busy, position), addr))

    def _refuse(
        self, question: wire.Ask | wire.Request, reason: wire.Refusal, queue_position: int = 0
    ) -> wire.Refuse:
        self.counts["refused"] += 1
        return wire.Refuse(question.transfer_id, question.sequence, reason, queue_position)


def _in_bounds(request: wire.Request, size: int) -> bool:
    """True if the range lies in the content and keeps the limits on length and number of segments."""
    in_bounds = 0 < request.length <= wire.MAX_REQUEST and request.offset + request.length <= size
    sound = wire.MIN_SEGMENT <= request.segment_size <= wire.MAX_SEGMENT
    return in_bounds and sound and request.length <= wire.MAX_SEGMENTS_PER_REQUEST * request.segment_size
