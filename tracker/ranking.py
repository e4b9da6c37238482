"""Which owners are best: named strategies, pure, chosen by a name in STRATEGIES.

A strategy takes owners in any order and returns the best ``limit`` of them, best first. It looks at each
owner once and keeps ``limit`` of them, so ten thousand owners of one file are not sorted for fifty places.
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
    return heapq.nlargest(limit, owners, key=lambda owner: (owner.uploads, *_tie(owner)))


def by_rate(owners: Sequence[Candidate], limit: int, at: Circumstances) -> list[Candidate]:
    """Most uploads lately first: who was generous last week stands behind who is generous now."""

    def key(owner: Candidate) -> tuple[float, ...]:
        return (decayed(owner.score, at.now - owner.scored_at, at.half_life), *_tie(owner))

    return heapq.nlargest(limit, owners, key=key)


def at_random(owners: Sequence[Candidate], limit: int, at: Circumstances) -> list[Candidate]:
    """Any, each as likely as the others: the baseline that a ranking must beat."""
    return at.rng.sample(owners, min(limit, len(owners)))


def _tie(owner: Candidate) -> tuple[float, ...]:
    """Among equals: who has the whole file, then who was heard from last, then the lowest node_id."""
    return (owner.file.complete, owner.heard, -owner.node_id)


STRATEGIES: dict[str, Strategy] = {"uploads": by_uploads, "rate": by_rate, "random": at_random}
