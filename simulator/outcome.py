"""One run from its seed: carried out, and looked at for what must be so whatever happened."""

from __future__ import annotations

from dataclasses import dataclass

from node.scheduling.probation import LONGEST_TRIAL
from simulator.scenario import Behaviour, OwnerPlan, Scenario
from simulator.simulated_node import number_of
from simulator.swarm import SimulatedDownload

MOST_FAILURES = 60  # of connections (silence under heavy loss) before a run counts as hanging


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    seed: int
    trace: str  # the same for the same seed
    virtual: float  # seconds
    events: int
    failures: int  # connections that an owner's silence or refusal ended
    wrong: int  # pieces that were wrong
    mixed: int  # those of them that several owners had delivered
    banned: int  # owners
    doubted: int


class InvariantViolated(AssertionError):
    """What must be so is not; says the scenario, and with it the seed."""


def run(scenario: Scenario, lines: list[str] | None = None) -> Outcome:
    """Carry ``scenario`` out; InvariantViolated if anything is not as it must be."""
    try:
        download = SimulatedDownload(scenario, lines)
        download.run()
        _check(download)
    except AssertionError as error:
        raise InvariantViolated(f"seed {scenario.seed}: {error}: {scenario}") from error
    candidates = list(download.candidates)
    return Outcome(
        scenario.seed,
        download.trace,
        download.clock.now - scenario.begins_at,
        download.happened["events"],
        download.happened["failures"],
        len(download.wrong),
        sum(len(deliverers) > 1 for _, deliverers in download.wrong),
        sum(candidate.blamed for candidate in candidates),
        sum(bool(candidate.doubt) for candidate in candidates),
    )


def _check(download: SimulatedDownload) -> None:
    scenario = download.scenario
    assert download.board.fault is None, f"failed: {download.board.fault}"
    assert bytes(download.got) == download.content, "corrupt"
    assert download.happened["failures"] <= MOST_FAILURES * len(scenario.owners), "fails over and over"
    for candidate in download.candidates:
        plan = scenario.owners[number_of(candidate.peer) - 1]
        judged = f"{candidate.peer} ({plan.nature.value})"
        assert plan.nature.lies or not candidate.blamed, f"{judged} is banned: {candidate.reason}"
        assert plan.nature.lies or not candidate.doubt or _spoils(scenario, plan), f"{judged} is doubted"
    _check_who_was_found_out(download)


def _check_who_was_found_out(download: SimulatedDownload) -> None:
    """Whoever delivered a wrong piece alone is charged; who lies from the start costs few pieces."""
    for piece, deliverers in download.wrong:
        for node_id in deliverers if len(deliverers) == 1 else ():
            candidate = next(c for c in download.candidates if c.peer.node_id == node_id)
            assert candidate.blamed or candidate.doubt, f"node {node_id} spoilt piece {piece} unpunished"
    scenario, seconds = download.scenario, download.clock.now - download.scenario.begins_at
    for number, plan in enumerate(scenario.owners, 1):
        if plan.nature is Behaviour.POLLUTER:
            cost = sum(number in deliverers for _, deliverers in download.wrong)
            most = _most_pieces(scenario) + seconds / LONGEST_TRIAL
            assert cost <= most, f"node {number} cost {cost} pieces in {seconds:.1f} s"


def _most_pieces(scenario: Scenario) -> int:
    """One for each polluter; more only where nobody else can be a witness, or not for a while."""
    steady = all(
        owner.dies_at is None
        and owner.slots is None
        and owner.nature in (Behaviour.HONEST, Behaviour.POLLUTER)
        for owner in scenario.owners
    )
    honest = sum(owner.nature is Behaviour.HONEST for owner in scenario.owners)
    return 1 if steady and scenario.checked and honest > 2 else 2 if steady and scenario.checked else 3


def _spoils(scenario: Scenario, plan: OwnerPlan) -> bool:
    """Whether the path changes payloads unnoticed."""
    return plan.back.corrupt > 0 and not scenario.checked
