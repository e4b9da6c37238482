"""Smart ban: finds the sources that sent the wrong bytes of a piece (libtorrent's plugin of that name).

A piece that fails its hash test accuses its source if there was only one. If there were several, the digest
of each contribution is kept. Once the piece is right, the same ranges are hashed again: a contribution that
differs was wrong, and the sources of equal contributions are cleared. So a source is never banned for the
bytes of another source.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from node.peer import Peer
from node.scheduling.piece_progress import Contribution

MAX_FAILED_PIECES = 1024  # failed pieces with kept digests
MAX_ATTEMPTS = 8  # latest failures of a piece with kept digests


@dataclass(frozen=True)
class Evidence:
    """A contribution to a piece that failed, and the SHA-1 of its bytes in ascending order."""

    contribution: Contribution
    digest: bytes


@dataclass(frozen=True)
class WrongBytes:
    """``source`` delivered wrong bytes of ``piece``.

    ``proven``: checksums protected them, so that the path cannot have changed them. Then the source is
    banned; without proof it becomes a suspect.
    """

    source: Peer
    piece: int
    proven: bool


class SmartBan:
    """The pieces that several sources delivered, that failed, and that have not come right yet."""

    def __init__(self) -> None:
        self._failed: dict[int, list[Sequence[Evidence]]] = {}  # the attempts at each piece

    def __contains__(self, piece: int) -> bool:
        return piece in self._failed

    def failed(self, piece: int, evidence: Sequence[Evidence]) -> list[WrongBytes]:
        """``piece`` failed its hash test: its source, if there was only one."""
        sources = {item.contribution.source for item in evidence}
        if len(sources) == 1:
            return [WrongBytes(sources.pop(), piece, all(item.contribution.checked for item in evidence))]
        if sources and (piece in self._failed or len(self._failed) < MAX_FAILED_PIECES):
            self._failed[piece] = [*self._failed.get(piece, [])[-(MAX_ATTEMPTS - 1) :], evidence]
        return []

    def contributions(self, piece: int) -> list[Contribution]:
        """The contributions whose ranges must be hashed again for ``passed``, in its order."""
        return [item.contribution for item in self._evidence(piece)]

    def passed(self, piece: int, digests: Sequence[bytes]) -> tuple[list[WrongBytes], set[Peer]]:
        """``piece`` is right, and these are the digests of its right bytes.

        Returns the sources that had sent other bytes, and the sources that are cleared.
        """
        compared = list(zip(self._evidence(piece), digests, strict=True))
        self._failed.pop(piece, None)
        wrong: dict[Peer, WrongBytes] = {}
        for item, digest in compared:
            source, checked = item.contribution.source, item.contribution.checked
            differs = bool(item.contribution.spans) and item.digest != digest
            if differs and (source not in wrong or checked):
                wrong[source] = WrongBytes(source, piece, checked)
        sources = {item.contribution.source for item, _ in compared}
        return list(wrong.values()), sources - wrong.keys() - self._suspects()

    def _evidence(self, piece: int) -> Iterable[Evidence]:
        return [item for attempt in self._failed.get(piece, ()) for item in attempt]

    def _suspects(self) -> set[Peer]:
        """The sources that contributed to a failed piece."""
        return {item.contribution.source for piece in self._failed for item in self._evidence(piece)}
