"""The consequences of a piece's hash, for the download's state and for the peers that delivered it.

Runs on the threads that hash. If several sources delivered a piece that failed, their contributions are read
back from the file and hashed before any of them is overwritten (``node.scheduling.smart_ban``). That costs
nothing while all pieces are right.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable

from common.errors import SwarmError
from node.content.hashing import BUFFER_LENGTH, Verdict
from node.download.known_peers import Candidate, KnownPeers
from node.download.state import DownloadState
from node.download.write_buffer import WritableContent
from node.peer import Peer
from node.scheduling.piece_progress import Contribution
from node.scheduling.scheduler import PieceResult
from node.scheduling.smart_ban import Evidence, WrongBytes


class PieceResults:
    """Acts on the pieces of one download. ``lock`` guards ``known``.

    ``on_piece(index, right, sources)`` and ``on_lost(candidate)`` are called without a lock.
    """

    def __init__(
        self,
        state: DownloadState,
        content: WritableContent,
        known: KnownPeers,
        lock: threading.Lock,
        on_piece: Callable[[int, bool, Iterable[Peer]], None],
        on_lost: Callable[[Candidate], None],
    ) -> None:
        self._state = state
        self._content = content
        self._known = known
        self._lock = lock
        self._on_piece = on_piece
        self._on_lost = on_lost

    def on_piece_hashed(self, piece: int, verdict: Verdict) -> None:
        """The piece is right, wrong, or could not be read. FileFault if that is so."""
        if isinstance(verdict, SwarmError):
            raise verdict
        result = self._passed(piece) if verdict else self._failed(piece)
        self._on_piece(piece, verdict, result.amounts)
        for wrong in result.wrong:
            self._ban(wrong)

    def _passed(self, piece: int) -> PieceResult:
        contributions = self._state.failed_contributions(piece)
        return self._state.piece_passed(piece, [self._digest(item) for item in contributions])

    def _failed(self, piece: int) -> PieceResult:
        contributions = self._state.contributions(piece)
        several = len({item.source for item in contributions}) > 1
        evidence = [Evidence(item, self._digest(item) if several else b"") for item in contributions]
        return self._state.piece_failed(piece, evidence)

    def _digest(self, contribution: Contribution) -> bytes:
        """SHA-1 of the bytes that are in the file where ``contribution`` went."""
        digest = hashlib.sha1(usedforsecurity=False)
        buffer = memoryview(bytearray(min(BUFFER_LENGTH, contribution.amount)))
        for start, end in contribution.spans:
            for at in range(start, end, len(buffer)):
                part = buffer[: min(len(buffer), end - at)]
                self._content.read_into(at, part)
                digest.update(part)
        return digest.digest()

    def _ban(self, wrong: WrongBytes) -> None:
        """Go on without the source of wrong bytes."""
        with self._lock:
            candidate = self._known.ban(wrong)
        if candidate is not None:
            self._state.dismiss(wrong.source)
            self._on_lost(candidate)
