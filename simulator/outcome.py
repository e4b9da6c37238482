"""One run from its seed, and the invariants that hold whatever happens in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from node.scheduling.parole import MAX_HOLD_TIME
from simulator.recorder import recording
from simulator.scenario import Behaviour, OwnerPlan, Scenario
from simulator.simulated_node import number_of
from simulator.swarm import SimulatedDownload

MAX_FAILURES = 60  # connections that an owner may lose (under heavy loss) before a run counts as hanging


@dataclass(frozen=True)
class Outcome:
    """The figures of one run."""

    seed: int
    trace: str  # the same for the same seed
    virtual: float  # seconds
    events: int
    failures: int  # connections that ended because the owner was silent or refused
    wrong: int  # pieces that failed their hash test
    mixed: int  # of those, pieces that several owners delivered
    banned: int  # owners
    suspects: int


class InvariantViolated(AssertionError):
    """An invariant is broken. The message has the seed and the scenario."""


def run(scenario: Scenario, lines: list[str] | None = None, record: Path | None = None) -> Outcome:
    """Run ``scenario``, and write its log to ``record``; InvariantViolated if an invariant is broken."""
    try:
        download = SimulatedDownload(scenario, lines)
        source = f"simulator --seed {scenario.seed}"
        with recording(record, download, source, scenario.seed):
            download.run()
        _check(download)
    except AssertionError as error:
        raise InvariantViolated(f"seed {scenario.seed}: {error}: {scenario}") from error
    candidates = list(download.known)
    return Outcome(
        scenario.seed,
        download.trace,
        download.clock.now - scenario.begins_at,
        download.happened["events"],
        download.happened["failures"],
        len(download.wrong),
        sum(len(sources) > 1 for _, sources in download.wrong),
        sum(candidate.banned for candidate in candidates),
        sum(bool(candidate.suspect) for candidate in candidates),
    )


def _check(download: SimulatedDownload) -> None:
    scenario = download.scenario
    assert download.state.fault is None, f"failed: {download.state.fault}"
    assert bytes(download.content.data) == download.wanted, "corrupt"
    assert download.happened["failures"] <= MAX_FAILURES * len(scenario.owners), "fails over and over"
    for candidate in download.known:
        plan = scenario.owners[number_of(candidate.peer) - 1]
        name = f"{candidate.peer} ({plan.behaviour.value})"
        assert plan.behaviour.lies or not candidate.banned, f"{name} is banned: {candidate.reason}"
        assert plan.behaviour.lies or not candidate.suspect or _spoils(scenario, plan), f"{name} is suspects"
    _check_polluters(download)


def _check_polluters(download: SimulatedDownload) -> None:
    """A source that delivered a wrong piece alone is named; one that always lies costs few pieces."""
    for piece, sources in download.wrong:
        for node_id in sources if len(sources) == 1 else ():
            candidate = next(c for c in download.known if c.peer.node_id == node_id)
            assert candidate.banned or candidate.suspect, f"node {node_id} is not named for piece {piece}"
    scenario, seconds = download.scenario, download.clock.now - download.scenario.begins_at
    for number, plan in enumerate(scenario.owners, 1):
        if plan.behaviour is Behaviour.POLLUTER:
            cost = sum(number in sources for _, sources in download.wrong)
            most = _most_pieces(scenario) + seconds / MAX_HOLD_TIME
            assert cost <= most, f"node {number} cost {cost} pieces in {seconds:.1f} s"


def _most_pieces(scenario: Scenario) -> int:
    """Pieces that one polluter may cost: a mixed one, and one that it delivers alone on parole.

    One more where sources die or wait in queues, or where the path may have changed the bytes.
    """
    steady = all(
        owner.dies_at is None
        and owner.slots is None
        and owner.behaviour in (Behaviour.HONEST, Behaviour.POLLUTER)
        for owner in scenario.owners
    )
    return 2 if steady and scenario.checked else 3


def _spoils(scenario: Scenario, plan: OwnerPlan) -> bool:
    """True if the path changes payloads unnoticed."""
    return plan.back.corrupt > 0 and not scenario.checked
