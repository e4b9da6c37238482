"""Fetching a torrent's metadata from one owner: ASKs that want it, METADATA pages in return. Pure.

The first answer states the size. Then WINDOW pages are asked for at a time, and each one again if its answer
is late. The bytes count only if their SHA-1 is the info hash. So an owner that lies spoils its own copy only.
"""

from __future__ import annotations

import hashlib

from common.errors import PeerFault, WireError
from node.chunk_udp import wire
from node.chunk_udp.asks import FIRST_ASK, MAX_TOKENS_IN_A_ROW
from node.transport import MAX_METADATA_BYTES

WINDOW = 16  # pages that are asked for at a time
ANSWER_LIMIT = 0.4  # seconds after which a page is asked for again
SILENCE_LIMIT = 4.0  # seconds without an answer after which the owner is given up


class MetadataExchange:
    """Datagrams and time in, datagrams out. ``metadata`` is set once all of it is here and right."""

    def __init__(self, info_hash: bytes, transfer_id: int, now: float) -> None:
        self.metadata: bytes | None = None
        self.size: int | None = None  # bytes of all of it; None: not known yet
        self._info_hash = info_hash
        self._transfer_id = transfer_id
        self._token = wire.NO_TOKEN
        self._tokens_in_a_row = 0
        self._next = FIRST_ASK
        self._sent: dict[int, tuple[int, float]] = {}  # sequence of each unanswered ASK -> offset, when
        self._to_ask = [0]  # offsets of pages, the next one last
        self._pages: dict[int, bytes] = {}  # by offset
        self._heard_at = now

    @property
    def received(self) -> int:
        """Bytes that are here."""
        return sum(map(len, self._pages.values()))

    def datagrams_to_send(self, now: float) -> list[bytes]:
        """The ASKs that are due. PeerFault once the owner is silent for SILENCE_LIMIT."""
        if now - self._heard_at >= SILENCE_LIMIT:
            raise PeerFault(f"silent for {SILENCE_LIMIT:.1f} s")
        for sequence in [key for key, (_, sent) in self._sent.items() if now - sent >= ANSWER_LIMIT]:
            self._to_ask.append(self._sent.pop(sequence)[0])
        datagrams = []
        while self._to_ask and len(self._sent) < WINDOW:
            offset, sequence = self._to_ask.pop(), self._next
            self._next += 1
            self._sent[sequence] = offset, now
            ask = wire.Ask(self._transfer_id, sequence, self._info_hash, self._token, offset, None, True)
            datagrams.append(wire.encode(ask))
        return datagrams

    def next_timer(self) -> float:
        """Monotonic seconds at which ``datagrams_to_send`` is due, if no datagram arrives before."""
        if self._to_ask and len(self._sent) < WINDOW:
            return self._heard_at
        late = (sent + ANSWER_LIMIT for _, sent in self._sent.values())
        return min(late, default=self._heard_at + SILENCE_LIMIT)

    def datagram_received(self, datagram: bytes | memoryview, now: float) -> None:
        """Take one datagram; those that answer no ASK are ignored. PeerFault ends the exchange."""
        try:
            answer = wire.decode(datagram)
        except WireError:
            return
        if answer.transfer_id != self._transfer_id or answer.sequence not in self._sent:
            return
        offset, _ = self._sent.pop(answer.sequence)
        self._heard_at = now
        match answer:
            case wire.Token():
                self._on_token(answer.token, offset)
            case wire.MetadataPage():
                self._on_page(answer, offset)
            case wire.Refuse():
                raise PeerFault(str(answer.reason))
            case _:
                raise PeerFault("sends no metadata: an earlier version of this program")

    def _on_token(self, token: bytes, offset: int) -> None:
        self._tokens_in_a_row += 1
        if self._tokens_in_a_row > MAX_TOKENS_IN_A_ROW + WINDOW:  # an expired token meets a whole window
            raise PeerFault("does not accept the tokens it gives")
        self._token = token
        self._to_ask.append(offset)

    def _on_page(self, answer: wire.MetadataPage, offset: int) -> None:
        self._tokens_in_a_row = 0
        if self.size is None:
            if not 0 < answer.size <= MAX_METADATA_BYTES:
                raise PeerFault(f"states metadata of {answer.size} bytes")
            self.size = answer.size
            self._to_ask += reversed(range(wire.METADATA_PAGE, self.size, wire.METADATA_PAGE))
        length = min(wire.METADATA_PAGE, self.size - offset)
        if answer.size != self.size or answer.offset != offset or len(answer.page) != length:
            raise PeerFault("sends pages of metadata that do not fit together")
        self._pages[offset] = answer.page
        if len(self._pages) * wire.METADATA_PAGE >= self.size:
            self._finish()

    def _finish(self) -> None:
        metadata = b"".join(page for _, page in sorted(self._pages.items()))
        if hashlib.sha1(metadata, usedforsecurity=False).digest() != self._info_hash:
            raise PeerFault("sent metadata that does not match the info hash")
        self.metadata = metadata
