"""One owner that a download fetches from: a thread that runs the transport's fetcher."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from common.bitfield import Bitfield
from common.errors import LocalFault, PeerFault, SwarmError
from common.metainfo import Metainfo
from node.chunk_udp.access import AccessLink
from node.chunk_udp.connection import FetchConnection
from node.chunk_udp.fetcher import Fetcher
from node.download.known_peers import Candidate
from node.download.state import DownloadState
from node.download.write_buffer import WriteBuffer
from node.settings import TransferSettings

LARGE_REQUEST = 1 << 17  # bytes; who asks for as much at a time comes again within 4 ms
PORTION = 2  # such requests are taken from the board at a time: it is locked half as often


class SourceThread:
    """Fetches from ``candidate`` into ``landing`` what ``board`` wants, until there is nothing, or it fails.

    ``ended(source, why)`` is called on this thread at the end; ``why`` is None when all went well. It
    implements the fetcher's Supply.
    """

    def __init__(
        self,
        candidate: Candidate,
        metainfo: Metainfo,
        board: DownloadState,
        landing: WriteBuffer,
        settings: TransferSettings,
        ended: Callable[[SourceThread, SwarmError | None], None],
        clock: Callable[[], float] = time.monotonic,
        access: AccessLink | None = None,
    ) -> None:
        self._access = access
        self.candidate = candidate
        self.key = candidate.peer
        self._metainfo = metainfo
        self._board = board
        self._landing = landing
        self._settings = settings
        self._ended = ended
        self._clock = clock
        self._connection: FetchConnection | None = None
        self._pages = bytearray(-(-metainfo.geometry.piece_count // 8))  # its bitfield, as far as it told
        self._complete = False
        self._told_part = False
        self.serves_since = float("inf")  # monotonic seconds; since it told what it has
        self.idle_since = float("inf")  # since it has had nothing useful for us
        self._in_hand = 0, 0  # taken from the board and not asked for yet
        self._unchecked_if_trusted = False
        self._thread = threading.Thread(target=self._run, name=f"owner-{candidate.peer}", daemon=True)

    @property
    def delivered(self) -> bool:
        """Whether anything came from it."""
        return self._landing.began

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait for the thread's end."""
        self._thread.join(timeout)

    def _run(self) -> None:
        why: SwarmError | None = PeerFault("stopped by a fault of this program")  # then a trace tells more
        try:
            fetcher = Fetcher(self.key.addr, self._metainfo.info_hash, self._settings, self, self._access)
            self._begin(fetcher.connection)
            fetcher.receive_chunk()
            why = None
        except (PeerFault, LocalFault) as error:
            why = error
        finally:  # whatever happened: nobody may wait for this thread
            self._end(why)

    def _begin(self, connection: FetchConnection) -> None:
        """``connection`` is there. Until its owner is trusted payloads carry checksums in any case."""
        self._connection = connection
        self._unchecked_if_trusted = not connection.terms.checked
        self._check_payloads(True)

    def _end(self, why: SwarmError | None) -> None:
        """Nothing more will come; ``why`` is None if nothing more is wanted."""
        self._board.leave(self.key)
        self._ended(self, why)

    # ---- the fetcher's Supply

    def told(self, size: int, complete: bool, first_piece: int, bitfield: bytes) -> None:
        """The owner's file must be as large as the torrent says; of that it has all, or these pieces."""
        if size != self._metainfo.size:
            raise PeerFault(f"its file has {size} bytes, the torrent says {self._metainfo.size}")
        back = self.candidate.place > 0
        if back:
            self.candidate.place = 0
            self._board.join(self.key)
        if self.serves_since == float("inf"):
            self.serves_since = self._clock()
        if complete:
            self._complete = True
            self.candidate.held = None
            self._board.told(self.key, None)
        elif self._take_page(first_piece, bitfield) or back:
            self._tell_board()

    def _take_page(self, first_piece: int, bitfield: bytes) -> bool:
        """Whether it is news."""
        start = first_piece // 8
        page = bitfield[: max(0, len(self._pages) - start)]
        if first_piece % 8 or self._pages[start : start + len(page)] == page and self._told_part:
            return False
        self._complete, self._told_part = False, True
        self._pages[start : start + len(page)] = page
        spare = -self._metainfo.geometry.piece_count % 8
        if spare and self._pages:
            self._pages[-1] &= 0xFF << spare & 0xFF
        return True

    def _tell_board(self) -> None:
        held = Bitfield.from_bytes(bytes(self._pages), self._metainfo.geometry.piece_count)
        self.candidate.held = held.count
        self._board.told(self.key, held)

    def next_span(self, limit: int) -> tuple[int, int] | None:
        """Work for this owner, from the board; where requests are large, several of them at a time."""
        start, end = self._in_hand
        if start == end:
            if limit < LARGE_REQUEST:
                return self._take_work(limit)
            taken = self._take_work(PORTION * limit)
            if taken is None:
                return None
            start, end = taken
        until = min(end, start + limit)
        self._in_hand = until, end
        return start, until

    def wants_rare(self, start: int) -> bool:
        """Whether this owner, who has all, shall give the piece around ``start`` only if it is rare."""
        return self._complete and self._board.wants_rare(self.key, start)

    def _take_work(self, limit: int) -> tuple[int, int] | None:
        if self._unchecked_if_trusted and self._board.trusts(self.key) == self._landing.checked:
            self._check_payloads(not self._landing.checked)
        span = self._board.take(self.key, limit)
        if span is not None:
            self.idle_since = float("inf")
        return span

    def _check_payloads(self, checked: bool) -> None:
        """From now on. Bytes without checksums prove nothing against their owner."""
        self._landing.flush()
        self._landing.checked = checked
        if self._connection is not None:
            self._connection.terms = replace(self._connection.terms, checked=checked)

    def deliver(self, offset: int, payload: bytes | memoryview) -> None:
        """Bytes that this owner was asked for."""
        self._landing.deliver(offset, payload)

    def give_back(self, spans: Sequence[tuple[int, int]]) -> None:
        """What will not come goes back to the board; what has come is written."""
        self._landing.flush()
        self._board.give_back([*spans, self._in_hand], self.key)
        self._in_hand = 0, 0

    def not_held(self, spans: Sequence[tuple[int, int]]) -> None:
        """The owner said that it holds these, and does not: it is not asked for them until it tells anew."""
        if self._complete:
            self.give_back(spans)  # nobody else will: for the connection they are done with
            raise PeerFault("does not hold what it said it holds")
        for start, end in spans:
            for piece in self._metainfo.geometry.pieces_touched(start, end):
                self._pages[piece // 8] &= ~(0x80 >> piece % 8)
        self._tell_board()
        self.give_back(spans)

    def not_rare(self, spans: Sequence[tuple[int, int]]) -> None:
        """Somebody else has that piece and will pass it on: another one from this owner for a while."""
        self._board.passed_on(self.key, spans)
        self.give_back(())

    def queued(self, place: int) -> None:
        """The owner serves others first: what was meant for it is for others meanwhile."""
        if not self.candidate.place:
            self._board.leave(self.key)
        self.candidate.place = max(1, place)
        self.serves_since = float("inf")

    def wait_for_work(self, timeout: float | None) -> bool:
        """Until the board has something for us, or time is up; False once it will have nothing any more."""
        self._landing.flush()
        self.idle_since = min(self.idle_since, self._clock())
        return self._board.wait_for_work(self.key, timeout)

    def stopping(self) -> bool:
        """Whether to stop in mid-transfer."""
        return self._board.over_for(self.key)
