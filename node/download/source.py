"""One owner that a download fetches from: a thread that runs the transport's fetcher."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from common.errors import LocalFault, OwnerFault, SwarmError
from node.chunk_udp.fetcher import Fetcher
from node.content.storage import PartFile
from node.download.board import Board
from node.download.candidates import Candidate
from node.settings import TransferSettings


class Target(Protocol):
    """What a source needs of its download."""

    info_hash: bytes
    size: int
    board: Board

    def verify(self, piece: int) -> None:
        """Have a complete piece hashed."""
        ...


class SourceThread:
    """Fetches from ``candidate`` for ``target`` into ``part`` until there is nothing left, or it fails.

    ``ended(source, why)`` is called on this thread at the end; ``why`` is None when all went well. It
    implements the fetcher's Supply.
    """

    def __init__(
        self,
        candidate: Candidate,
        target: Target,
        part: PartFile,
        settings: TransferSettings,
        ended: Callable[[SourceThread, SwarmError | None], None],
    ) -> None:
        self.candidate = candidate
        self._target = target
        self._board = target.board
        self._part = part
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
        why: SwarmError | None = None
        try:
            fetcher = Fetcher(self.candidate.addr, self._target.info_hash, self._settings, self)
            fetcher.receive_chunk()
        except (OwnerFault, LocalFault) as error:
            why = error
        self._board.leave(self.key)
        self._ended(self, why)

    # ---- the fetcher's Supply

    def told(self, size: int, complete: bool, first_piece: int, bitfield: bytes) -> None:
        """The owner's file must be as large as the torrent says, and all of it there."""
        if size != self._target.size:
            raise OwnerFault(f"its file has {size} bytes, the torrent says {self._target.size}")
        if not complete:
            raise OwnerFault("does not have the whole file")

    def next_span(self, limit: int) -> tuple[int, int] | None:
        """Work for this owner, from the board."""
        return self._board.take(self.key, limit)

    def deliver(self, offset: int, payload: bytes | memoryview) -> None:
        """Write in place, count, and have what is complete verified."""
        self._part.write(offset, (payload,))
        for piece in self._board.arrived(self.key, offset, offset + len(payload)):
            self._target.verify(piece)

    def give_back(self, spans: Sequence[tuple[int, int]]) -> None:
        """Back to the board."""
        self._board.give_back(spans)

    def wait_for_work(self) -> bool:
        """Until the board has something for us; False once it will have nothing any more."""
        return self._board.wait_for_work(self.key)

    def stopping(self) -> bool:
        """Whether to stop in mid-transfer."""
        return self._board.over_for(self.key)
