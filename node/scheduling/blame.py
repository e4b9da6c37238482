"""Who sent the wrong bytes? Pure; whoever owns it locks.

Theory of operation. A wrong piece that came from one source convicts it, if checksums covered the path; if
they did not, the path may have spoilt the bytes, and the source is only doubted. A wrong piece from several
sources convicts nobody: it becomes a *case*. What each of them sent is read back and only its SHA-1 is kept;
then the piece is fetched again, whole, from a source that is no suspect, if there is one. Once it is right,
the same spans of the right bytes are hashed: those who sent something else sent wrong bytes, the others
never did.

So nobody is convicted for what he did not send: a share that equals the right bytes clears its source,
whatever the others sent with it. And every wrong piece ends with a charge, provided that its right bytes
come at all: at least one share of it must differ.

While a case is open its deliverers are suspects, who get no further work for a while (``probation``), so that
one who sends wrong bytes spoils no second piece meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from node.peer import Peer
from node.scheduling.piece_progress import Contribution

MAX_CASES = 1024  # open at a time; what comes beyond is fetched again, and nobody is asked why
MAX_ATTEMPTS = 8  # wrong ones remembered of a case; the oldest are forgotten first


@dataclass(frozen=True)
class Evidence:
    """A share of a wrong piece, and the SHA-1 of its bytes, all its spans one behind the other."""

    share: Contribution
    digest: bytes


@dataclass(frozen=True)
class Charge:
    """``source`` sent wrong bytes of ``piece``. Without ``proof`` its path may have spoilt them."""

    source: Peer
    piece: int
    proof: bool


@dataclass(frozen=True)
class Judgement:
    """What became of a piece: who delivered how much of it, and whom that convicts."""

    deliverers: Mapping[Peer, int]
    charges: Sequence[Charge] = ()


@dataclass
class Case:
    """A piece that several sources delivered, and that was wrong; perhaps more than once."""

    attempts: list[tuple[Evidence, ...]] = field(default_factory=list)

    @property
    def suspects(self) -> set[Peer]:
        """Whoever delivered some of it."""
        return {evidence.share.source for attempt in self.attempts for evidence in attempt}

    @property
    def shares(self) -> list[Contribution]:
        """What to hash once the right bytes are here, in the order in which ``Blame.right`` wants it."""
        return [evidence.share for attempt in self.attempts for evidence in attempt]


class Blame:
    """Turns wrong pieces into charges."""

    def __init__(self) -> None:
        self._cases: dict[int, Case] = {}
        self._suspects: set[Peer] = set()

    def suspected(self, source: Peer) -> bool:
        """Whether ``source`` delivered some of a piece that was wrong and has not come right yet."""
        return source in self._suspects

    def case(self, piece: int) -> Case | None:
        """The open case of ``piece``."""
        return self._cases.get(piece)

    def wrong(self, piece: int, evidence: Sequence[Evidence]) -> list[Charge]:
        """``piece`` is wrong, and this is what its deliverers sent: whom that convicts at once."""
        sources = {item.share.source for item in evidence}
        if len(sources) == 1:
            return [Charge(sources.pop(), piece, all(item.share.checked for item in evidence))]
        if sources and (piece in self._cases or len(self._cases) < MAX_CASES):
            case = self._cases.setdefault(piece, Case())
            case.attempts = [*case.attempts[-(MAX_ATTEMPTS - 1) :], tuple(evidence)]
            self._count_suspects()
        return []

    def right(self, piece: int, digests: Sequence[bytes]) -> list[Charge]:
        """``piece`` came right: its case is closed. ``digests`` are of its right bytes (``Case.shares``)."""
        case = self._cases.pop(piece, None)
        if case is None:
            return []
        self._count_suspects()
        every = (evidence for attempt in case.attempts for evidence in attempt)
        return _strongest(
            Charge(evidence.share.source, piece, evidence.share.checked)
            for evidence, digest in zip(every, digests, strict=True)
            if evidence.share.spans and evidence.digest != digest
        )

    def _count_suspects(self) -> None:
        self._suspects = {source for case in self._cases.values() for source in case.suspects}


def _strongest(charges: Iterable[Charge]) -> list[Charge]:
    """One charge for each source, a proof if there is one."""
    best: dict[Peer, Charge] = {}
    for charge in charges:
        if charge.source not in best or charge.proof:
            best[charge.source] = charge
    return list(best.values())
