"""What follows from a piece being right or wrong: for the board, and for the owners that delivered it.

Runs on the threads that hash. A wrong piece is read back before anybody may write over it, so that it can be
told who sent what (``node.scheduling.blame``); that costs nothing while all is right.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from common.errors import SwarmError
from node.content.hashing import BUFFER_LENGTH, Verdict
from node.download.disk_full import Part
from node.download.known_peers import Candidate, KnownPeers
from node.download.state import DownloadState
from node.peer import Peer
from node.scheduling.blame import Charge, Evidence, Judgement
from node.scheduling.piece_progress import Contribution


class Tells(Protocol):
    """Whoever wants to know."""

    def piece(self, index: int, right: bool, deliverers: Mapping[Peer, int]) -> None:
        """A piece was hashed."""
        ...

    def lost(self, owner: Candidate) -> None:
        """``owner`` is not asked any more."""
        ...


class PieceResults:
    """Of one download. ``lock`` guards ``candidates``; ``look_for_more`` is called when an owner is lost."""

    def __init__(
        self,
        board: DownloadState,
        part: Part,
        candidates: KnownPeers,
        lock: threading.Lock,
        tell: Tells,
        look_for_more: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._board = board
        self._part = part
        self._candidates = candidates
        self._lock = lock
        self._tell = tell
        self._look_for_more = look_for_more
        self._clock = clock

    def judged(self, piece: int, verdict: Verdict) -> None:
        """The piece is right, wrong, or could not be read."""
        try:
            if isinstance(verdict, SwarmError):
                raise verdict
            judgement = self._right(piece) if verdict else self._wrong(piece)
        except SwarmError as error:
            self._board.stop(error)
            return
        self._tell.piece(piece, verdict, judgement.deliverers)
        for charge in judgement.charges:
            self._act_on(charge)

    def _right(self, piece: int) -> Judgement:
        digests = [self._digest(share) for share in self._board.case(piece)]
        return self._board.right(piece, digests)

    def _wrong(self, piece: int) -> Judgement:
        shares = self._board.shares(piece)
        several = len({share.source for share in shares}) > 1
        evidence = [Evidence(share, self._digest(share) if several else b"") for share in shares]
        with self._lock:
            suspects = {share.source for share in shares}
            witness = several and self._candidates.others(suspects, self._clock())
        return self._board.wrong(piece, evidence, witness)

    def _digest(self, share: Contribution) -> bytes:
        """SHA-1 of what is in the file where ``share`` was delivered."""
        digest = hashlib.sha1(usedforsecurity=False)
        buffer = memoryview(bytearray(min(BUFFER_LENGTH, share.amount)))
        for start, end in share.spans:
            for at in range(start, end, len(buffer)):
                part = buffer[: min(len(buffer), end - at)]
                self._part.read_into(at, part)
                digest.update(part)
        return digest.digest()

    def _act_on(self, charge: Charge) -> None:
        """Do without the owner that is charged; without proof it may come again when nobody else can help."""
        with self._lock:
            candidate = self._candidates.charged(charge)
        if candidate is not None:
            self._board.dismiss(charge.source)
            self._tell.lost(candidate)
            self._look_for_more()
