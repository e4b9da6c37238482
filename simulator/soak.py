"""Thousands of runs, on all processors but politely, with progress and a summary.

The real-time factor is virtual seconds by seconds of processor time, so it does not depend on other load.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field

from simulator.outcome import InvariantViolated, Outcome, run
from simulator.scenario import Scenario

BATCH = 50  # runs between two lines of progress
MIN_FACTOR = 50.0  # virtual seconds for each second of processor time


@dataclass
class Summary:
    """The figures of many runs."""

    runs: int = 0
    virtual: float = 0.0  # seconds
    processor: float = 0.0  # seconds
    events: int = 0
    failures: int = 0  # of connections
    wrong: int = 0  # pieces
    mixed: int = 0  # of those, delivered by several
    banned: int = 0  # owners
    suspects: int = 0
    broken: list[str] = field(default_factory=list)  # messages of broken invariants

    @property
    def factor(self) -> float:
        """Virtual seconds for each second of processor time."""
        return self.virtual / self.processor if self.processor else 0.0

    def count(self, outcome: Outcome) -> None:
        """Add a run that kept all invariants."""
        self.virtual += outcome.virtual
        for name in ("events", "failures", "wrong", "mixed", "banned", "suspects"):
            setattr(self, name, getattr(self, name) + getattr(outcome, name))

    def add(self, other: Summary) -> None:
        """Add the figures of a batch."""
        for name in (
            "runs",
            "virtual",
            "processor",
            "events",
            "failures",
            "wrong",
            "mixed",
            "banned",
            "suspects",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.broken += other.broken

    def __str__(self) -> str:
        return (
            f"{self.runs:,} transfers, {len(self.broken)} broken; {self.events:,} events in "
            f"{self.virtual:,.0f} virtual seconds, {self.factor:.0f} times real time; {self.failures:,} "
            f"connections lost, {self.wrong:,} wrong pieces ({self.mixed:,} of several owners), "
            f"{self.banned:,} polluters banned, {self.suspects:,} made suspects"
        )


def run_all(seeds: Iterable[int]) -> Summary:
    """Run all seeds. A broken invariant is noted, and the next seed follows."""
    summary = Summary()
    began = time.process_time()
    for seed in seeds:
        summary.runs += 1
        try:
            summary.count(run(Scenario.of(seed)))
        except InvariantViolated as error:
            summary.broken.append(str(error))
    summary.processor = time.process_time() - began
    return summary


def soak(first: int, runs: int, workers: int) -> Summary:
    """``runs`` runs from seed ``first`` on, in ``workers`` processes; prints as it goes."""
    total = Summary()
    batches = [range(at, min(at + BATCH, first + runs)) for at in range(first, first + runs, BATCH)]
    with ProcessPoolExecutor(workers) as pool:
        for done in as_completed([pool.submit(run_all, batch) for batch in batches]):
            batch = done.result()
            total.add(batch)
            for reason in batch.broken:
                print(
                    f"BROKEN {reason}\n  python -m simulator --seed {reason.split()[1].rstrip(':')}",
                    flush=True,
                )
            print(f"{total.runs:,} of {runs:,}: {len(total.broken)} broken, {total.factor:.0f}x", flush=True)
    print(total)
    return total
