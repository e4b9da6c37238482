"""Runs a target: mutates inputs that had new outcomes, collects escapes, keeps inputs worth replaying."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fuzz.announces import TARGETS as ANNOUNCES
from fuzz.content import TARGETS as CONTENT
from fuzz.fetching import TARGET as FETCHING
from fuzz.machines import TARGETS as MACHINES
from fuzz.mutation import mutated
from fuzz.parsers import TARGETS as PARSERS
from fuzz.peer_wire import TARGETS as PEER_WIRE
from fuzz.records import TARGETS as RECORDS
from fuzz.target import Target
from fuzz.torrents import TARGETS as TORRENTS
from fuzz.tracker_clients import TARGETS as TRACKER_CLIENTS

_ALL = (
    *PARSERS,
    *TORRENTS,
    *TRACKER_CLIENTS,
    *RECORDS,
    FETCHING,
    *MACHINES,
    *CONTENT,
    *PEER_WIRE,
    *ANNOUNCES,
)
TARGETS: dict[str, Target] = {target.name: target for target in _ALL}
CORPUS = Path(__file__).resolve().parent / "corpus"
MAX_POOL = 2000  # inputs of a target that are mutated further
MAX_OUTCOMES = 10_000  # of a target
MAX_ESCAPES = 20  # of a target, after which it stops
MAX_KEPT = 60  # inputs of a target in the corpus
MAX_KEPT_BYTES = 24_000  # of these together
SLOW = 1.0  # seconds of processor time for one input, which count as a hang


@dataclass(frozen=True)
class Escape:
    """An input that raised an unnamed error, or took too long."""

    target: str
    data: bytes
    error: str


@dataclass
class FuzzRun:
    """One target, and its results so far."""

    target: Target
    seed: int
    inputs: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    outcomes: dict[str, bytes] = field(default_factory=dict)  # the shortest input of each
    escapes: list[Escape] = field(default_factory=list)

    def go(self, inputs: int) -> None:
        """Feed mutated inputs. The same seed and corpus give the same inputs."""
        rng = random.Random(f"{self.seed} {self.target.name}")
        pool = [*self.target.seeds, *kept(self.target.name)]
        for data in pool:
            self.feed(data)
        for _ in range(max(0, inputs - len(pool))):
            if len(self.escapes) >= MAX_ESCAPES:
                return
            data = mutated(rng, rng.choice(pool), pool, self.target.words, self.target.repair)
            if self.feed(data) and len(pool) < MAX_POOL:
                pool.append(data)

    def feed(self, data: bytes) -> bool:
        """Feed one input. True if its outcome is new."""
        begun, used = time.perf_counter(), time.process_time()
        try:
            outcome = self.target.run(data)
        except Exception as error:  # any exception: finding these is the purpose
            self.escapes.append(Escape(self.target.name, data, f"{type(error).__name__}: {error}"))
            outcome = "escape"
        used = time.process_time() - used  # processor time: a busy machine makes no input slow
        self.inputs += 1
        self.seconds += time.perf_counter() - begun
        self.slowest = max(self.slowest, used)
        if used > SLOW:
            self.escapes.append(Escape(self.target.name, data, f"took {used:.1f} s"))
        known = self.outcomes.get(outcome)
        if len(data) < len(known) if known is not None else len(self.outcomes) < MAX_OUTCOMES:
            self.outcomes[outcome] = data
        return known is None


def shares(names: list[str], inputs: int) -> Iterator[tuple[Target, int]]:
    """The number of ``inputs`` for each target, by weight."""
    whole = sum(TARGETS[name].share for name in names)
    for name in names:
        yield TARGETS[name], -(-inputs * TARGETS[name].share // whole)  # all together at least as many


def kept(name: str) -> list[bytes]:
    """The corpus of a target: one input a line, in hexadecimal digits."""
    path = CORPUS / f"{name}.txt"
    if not path.exists():
        return []
    return [bytes.fromhex(line) for line in path.read_text(encoding="ascii").splitlines()]


def keep(run: FuzzRun) -> int:
    """Write the shortest input of each outcome into the corpus, shortest first. Returns their number."""
    chosen: list[bytes] = []
    for data in sorted(run.outcomes.values(), key=lambda data: (len(data), data)):
        if len(chosen) < MAX_KEPT and 2 * sum(map(len, chosen)) + 2 * len(data) <= MAX_KEPT_BYTES:
            chosen.append(data)
    CORPUS.mkdir(exist_ok=True)
    text = "".join(f"{data.hex()}\n" for data in chosen)
    (CORPUS / f"{run.target.name}.txt").write_text(text, encoding="ascii")
    return len(chosen)
