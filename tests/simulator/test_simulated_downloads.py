"""Hundreds of downloads in virtual time: no deadlock, no byte twice, no honest owner banned.

All parts but the clock, the network, the disk and the owners are the node's own. ``make soak`` runs 10,000.
The seed decides everything:
``python -m simulator --seed N`` repeats a failure exactly.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.clock import Clock, Deadlock
from simulator.outcome import InvariantViolated, _check, run
from simulator.scenario import Behaviour, Scenario
from simulator.simulated_node import number_of
from simulator.soak import MIN_FACTOR, run_all
from simulator.swarm import SimulatedDownload

ROOT = Path(__file__).resolve().parents[2]
RUNS, BATCHES = 200, 4


@pytest.mark.parametrize("batch", range(BATCHES))
def test_every_download_keeps_all_invariants(batch: int) -> None:
    each = RUNS // BATCHES
    summary = run_all(range(batch * each, (batch + 1) * each))
    assert not summary.broken, "\n".join(summary.broken)
    assert summary.factor >= MIN_FACTOR, f"{summary.factor:.0f} times real time"


@pytest.mark.parametrize(
    ("seed", "banned"),
    [
        (1600, 2),  # a slow honest owner, and one that takes its piece over and has nothing, again and again
        (4095, 3),  # four liars, and the honest owner is away for a while: no liar may be helped by endgame
        (11634, 1),  # one honest owner and one liar, both far away: a slow delivery still makes progress
        (29, 2),  # a suspect at a busy owner begins again and again, since two that have nothing take over
        (11376, 0),  # the only honest owner is suspect, and the rest claim all pieces and send none
        (13255, 0),  # the same, and one owner at a time
    ],
)
def test_seeds_that_once_hung_or_cost_too_much(seed: int, banned: int) -> None:
    assert run(Scenario.of(seed)).banned == banned


def test_all_kinds_of_trouble_come_up() -> None:
    scenarios = [Scenario.of(seed) for seed in range(RUNS)]
    owners = [owner for scenario in scenarios for owner in scenario.owners]
    assert {owner.behaviour for owner in owners} == set(Behaviour)
    for trouble in ("loss", "duplicate", "reorder", "corrupt"):
        assert any(getattr(owner.back, trouble) > 0 for owner in owners)
    assert any(owner.part < 1 for owner in owners) and any(owner.dies_at is not None for owner in owners)
    assert any(owner.slots == 1 for owner in owners) and any(owner.upload_limit for owner in owners)
    assert {scenario.checked for scenario in scenarios} == {True, False}


def liars(first: int) -> int:
    """The first seed from ``first`` on with a polluter in its run."""
    natures = ((seed, [owner.behaviour for owner in Scenario.of(seed).owners]) for seed in range(first, RUNS))
    return next(seed for seed, found in natures if Behaviour.POLLUTER in found)


def test_the_same_seed_gives_the_same_trace_in_any_process() -> None:
    seed = liars(10)
    once = run(Scenario.of(seed))
    assert run(Scenario.of(seed)) == once
    assert run(Scenario.of(seed + 1)).trace != once.trace
    printed = subprocess.run(
        [sys.executable, "-m", "simulator", "--seed", str(seed)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"Trace {once.trace}:" in printed.stdout.splitlines()[-1]
    assert printed.stdout.startswith(f"Seed {seed}: one node fetches ")


def test_a_run_that_breaks_says_its_seed_and_the_soak_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def corrupt(download: SimulatedDownload) -> None:
        raise AssertionError("corrupt")

    monkeypatch.setattr("simulator.outcome._check", corrupt)
    with pytest.raises(InvariantViolated, match=r"^seed 3: corrupt: Scenario\(seed=3, "):
        run(Scenario.of(3))
    summary = run_all(range(3, 5))
    assert [reason.split(":")[0] for reason in summary.broken] == ["seed 3", "seed 4"]


def test_each_invariant_is_checked() -> None:
    """Each check fails when it should."""
    download = SimulatedDownload(Scenario.of(liars(0)))
    download.run()
    _check(download)
    honest = next(
        c for c in download.known if not download.scenario.owners[number_of(c.peer) - 1].behaviour.lies
    )
    honest.banned = True
    with pytest.raises(AssertionError, match="is banned"):
        _check(download)
    honest.banned = False
    download.happened["failures"] = 10_000
    with pytest.raises(AssertionError, match="over and over"):
        _check(download)
    download.content.data[0] ^= 1
    with pytest.raises(AssertionError, match="corrupt"):
        _check(download)


def test_the_clock_keeps_order_and_notices_a_deadlock() -> None:
    clock = Clock(5.0)
    seen: list[tuple[str, float]] = []
    for name, when in [("b", 7.0), ("a", 6.0), ("past", 1.0), ("c", 7.0)]:
        clock.at(when, lambda name=name: seen.append((name, clock.now)))
    assert clock.run_until(lambda: len(seen) == 4, 10.0, 10) == 4
    assert seen == [("past", 5.0), ("a", 6.0), ("b", 7.0), ("c", 7.0)]
    with pytest.raises(Deadlock, match="no event is left"):
        clock.run_until(lambda: False, 10.0, 10)

    def again() -> None:
        clock.at(clock.now, again)

    again()
    with pytest.raises(Deadlock, match="after 10 events"):
        clock.run_until(lambda: False, 10.0, 10)
    clock.at(11.0, again)
    late = Clock()
    late.at(11.0, again)
    with pytest.raises(Deadlock, match=r"11\.0 s"):
        late.run_until(lambda: False, 10.0, 10)
