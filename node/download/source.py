"""One owner that a download fetches from: a thread that runs the transport's fetcher."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from common.errors import LocalFault, OwnerFault, SwarmError
from common.metainfo import Metainfo
from node.chunk_udp.fetcher import Fetcher
from node.download.board import Board
from node.download.candidates import Candidate
from node.download.landing import Landing
from node.settings import TransferSettings


class SourceThread:
    """Fetches from ``candidate`` into ``landing`` what ``board`` wants, until there is nothing, or it fails.

    ``ended(source, why)`` is called on this thread at the end; ``why`` is None when all went well. It
    implements the fetcher's Supply.
    """

    def __init__(
        self,
        candidate: Candidate,
        metainfo: Metainfo,
        board: Board,
        landing: Landing,
        settings: TransferSettings,
        ended: Callable[[SourceThread, SwarmError | None], None],
    ) -> None:
        self.candidate = candidate
        self._metainfo = metainfo
        self._board = board
        self._landing = landing
        self._settings = settings
        self._ended = ended
        self._thread = threading.Thread(target=self._run, name=f"owner-{candidate.node_id}", daemon=True)

    @property
    def key(self) -> tuple[int, tuple[str, int]]:
        """Its name on the board."""
        return self.candidate.node_id, self.candidate.addr

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait for the thread's end."""
        self._thread.join(timeout)

    def _run(self) -> None:
        why: SwarmError | None = OwnerFault("stopped by a fault of this program")  # then a trace tells more
        try:
            fetcher = Fetcher(self.candidate.addr, self._metainfo.info_hash, self._settings, self)
            self._landing.checked = fetcher.connection.terms.checked
            fetcher.receive_chunk()
            why = None
        except (OwnerFault, LocalFault) as error:
            why = error
        finally:  # whatever happened: nobody may wait for this thread
            self._board.leave(self.key)
            self._ended(self, why)

    # ---- the fetcher's Supply

    def told(self, size: int, complete: bool, first_piece: int, bitfield: bytes) -> None:
        """The owner's file must be as large as the torrent says, and all of it there."""
        if size != self._metainfo.size:
            raise OwnerFault(f"its file has {size} bytes, the torrent says {self._metainfo.size}")
        if not complete:
            raise OwnerFault("does not have the whole file")

    def next_span(self, limit: int) -> tuple[int, int] | None:
        """Work for this owner, from the board."""
        return self._board.take(self.key, limit)

    def deliver(self, offset: int, payload: bytes | memoryview) -> None:
        """Bytes that this owner was asked for."""
        self._landing.deliver(offset, payload)

    def give_back(self, spans: Sequence[tuple[int, int]]) -> None:
        """What will not come goes back to the board; what has come is written."""
        self._landing.flush()
        self._board.give_back(spans)

    def not_held(self, spans: Sequence[tuple[int, int]]) -> None:
        """The owner said that it holds these, and does not."""
        self._board.give_back(spans)

    def queued(self, place: int) -> None:
        """The owner serves others first."""

    def wait_for_work(self, timeout: float | None) -> bool:
        """Until the board has something for us, or time is up; False once it will have nothing any more."""
        self._landing.flush()
        return self._board.wait_for_work(self.key, timeout)

    def stopping(self) -> bool:
        """Whether to stop in mid-transfer."""
        return self._board.over_for(self.key)
