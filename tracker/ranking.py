"""Which owners are best: named strategies, pure, chosen by a name in STRATEGIES.

A strategy takes owners in any order and returns the best ``limit`` of them, best first. It looks at each
owner once and keeps ``limit`` of them, so ten thousand owners of one file are not sorted for fifty places.

Whoever has the whole file comes before those who have a part of it. These follow in random order: their
uploads say little, as they have just begun, and if all nodes were told the same few, all would ask these.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from common.fields import Addr
from common.messages import OwnedFile


class Candidate(NamedTuple):
    """What a strategy knows of an owner of the file in question."""

    node_id: int
    addr: Addr
    file: OwnedFile
    uploads: int  # since the tracker first knew the node
    score: float  # uploads, each halved with every half-life that passed; as of ``scored_at``
    scored_at: float  # monotonic seconds
    heard: float  # monotonic seconds; when the node was last heard from


@dataclass(frozen=True)
class Circumstances:
    """What a strategy may depend on besides the owners."""

    now: float  # monotonic seconds
    half_life: float  # seconds
    rng: random.Random


Strategy = Callable[[Sequence[Candidate], int, Circumstances], list[Candidate]]


def decayed(score: float, seconds: float, half_life: float) -> float:
    """What is left of ``score`` after ``seconds``: half of it after each ``half_life`` (seconds)."""
    return float(score * 0.5 ** (max(seconds, 0.0) / half_life))


def by_uploads(owners: Sequence[Candidate], limit: int, at: Circumstances) -> list[Candidate]:
    """The course report's: most uploads first."""
    whole = [owner for owner in owners if owner.file.complete]
    best = heapq.nlargest(limit, whole, key=lambda owner: (owner.uploads, *_tie(owner)))
    return _with_partial(best, owners, limit, at)


def by_rate(owners: Sequence[Candidate], limit: int, at: Circumstances) -> list[Candidate]:
    """Most uploads lately first: who was generous last week stands behind who is generous now."""

    def key(owner: Candidate) -> tuple[float, ...]:
        return (decayed(owner.score, at.now - owner.scored_at, at.half_life), *_tie(owner))

    whole = [owner for owner in owners if owner.file.complete]
    return _with_partial(heapq.nlargest(limit, whole, key=key), owners, limit, at)


def at_random(owners: Sequence[Candidate], limit: int, at: Circumstances) -> list[Candidate]:
    """Any, each as likely as the others: the baseline that a ranking must beat."""
    whole = [owner for owner in owners if owner.file.complete]
    return _with_partial(at.rng.sample(whole, min(limit, len(whole))), owners, limit, at)


def _with_partial(
    best: list[Candidate], owners: Sequence[Candidate], limit: int, at: Circumstances
) -> list[Candidate]:
    """``best``, and behind them as many of those who have a part as there is room for."""
    partial = [owner for owner in owners if not owner.file.complete] if len(best) < limit else []
    return best + at.rng.sample(partial, min(limit - len(best), len(partial)))


def _tie(owner: Candidate) -> tuple[float, ...]:
    """Among equals: who was heard from last, then the lowest node_id."""
    return (owner.heard, -owner.node_id)


STRATEGIES: dict[str, Strategy] = {"uploads": by_uploads, "rate": by_rate, "random": at_random}
