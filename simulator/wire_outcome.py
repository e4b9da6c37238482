"""Many swarms of the peer wire, each from its seed, and the invariants that hold whatever its members do."""

from __future__ import annotations

import random
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field

from node.scheduling.pending import ENDGAME_FRACTION, MIN_ENDGAME_BYTES
from simulator.outcome import InvariantViolated
from simulator.soak import BATCH
from simulator.wire_swarm import Conduct, MemberPlan, WireMember, WireSwarm, WireSwarmPlan

PATIENCE = 600.0  # virtual seconds for a run, plus
SLOWNESS = 12  # times the seconds that the honest uplinks need to send everything


def swarm_plan(seed: int) -> WireSwarmPlan:
    """One to two honest seeds, two to seven leechers, and up to two members of each kind that cheats."""
    chance = random.Random(seed)
    piece_length = 1 << chance.randint(14, 17)
    size = chance.randint(piece_length, 1 << 20)
    upload = int(10 ** chance.uniform(4.5, 6))

    def members(conduct: Conduct, low: int, high: int) -> list[MemberPlan]:
        return [
            MemberPlan(
                conduct,
                max(16_000, int(upload * chance.uniform(0.5, 1.5))),
                joins_at=chance.choice([0.0, chance.uniform(0, 20)]),
                stalls_after=chance.randint(0, size),
            )
            for _ in range(chance.randint(low, high))
        ]

    cheats = [
        member
        for conduct in (Conduct.FREE_RIDES, Conduct.LIES, Conduct.SOMETIMES_LIES, Conduct.STALLS)
        if chance.random() < 0.4
        for member in members(conduct, 1, 2)
    ]
    honest = members(Conduct.SEEDS, 1, 2) + members(Conduct.SHARES, 2, 7)
    everyone = [*honest, *cheats]
    chance.shuffle(everyone)
    return WireSwarmPlan(seed, size, piece_length, tuple(everyone), chance.choice([0.0, 0.05]))


@dataclass
class WireSummary:
    """The figures of one run, or of many."""

    runs: int = 0
    virtual: float = 0.0  # seconds
    fetched: int = 0  # bytes that members were to fetch
    wasted: int = 0  # bytes that came from two sources
    banned: int = 0  # times that a member banned a liar
    free_riders: list[float] = field(default_factory=list)  # their time by the mean time of honest leechers
    broken: list[str] = field(default_factory=list)  # messages of broken invariants

    def add(self, other: WireSummary) -> None:
        """Add the figures of other runs."""
        for name in ("runs", "virtual", "fetched", "wasted", "banned", "free_riders", "broken"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def __str__(self) -> str:
        riders = sum(self.free_riders) / len(self.free_riders) if self.free_riders else 0.0
        return (
            f"{self.runs:,} swarms, {len(self.broken)} broken; {self.virtual:,.0f} virtual seconds, "
            f"{self.wasted / max(1, self.fetched):.2%} of all bytes came twice, "
            f"{self.banned:,} bans of liars, free-riders need {riders:.2f} times the time of sharers"
        )


def run_swarm(seed: int) -> WireSummary:
    """Run the swarm of ``seed``; InvariantViolated if an invariant is broken."""
    plan = swarm_plan(seed)
    fetching = [member for member in plan.members if member.conduct.fetches]
    honest = [member for member in plan.members if member.conduct in (Conduct.SEEDS, Conduct.SHARES)]
    least = plan.size * len(fetching) / sum(member.upload for member in honest)
    swarm = WireSwarm(plan)
    try:
        swarm.run(PATIENCE + SLOWNESS * least)
        for member in swarm.members:
            if member.plan.conduct.fetches:
                _check(member)
    except AssertionError as error:
        raise InvariantViolated(f"seed {seed}: {error}: {plan}") from error
    taken = {number: at - plan.members[number].joins_at for number, at in swarm.ended.items()}
    sharers = [taken[n] for n, member in enumerate(plan.members) if member.conduct is Conduct.SHARES]
    riders = [taken[n] for n, member in enumerate(plan.members) if member.conduct is Conduct.FREE_RIDES]
    mean = sum(sharers) / len(sharers)
    return WireSummary(
        1,
        swarm.clock.now,
        plan.size * len(fetching),
        swarm.wasted,
        sum(candidate.banned for member in swarm.members for candidate in member.known),
        [time / mean for time in riders],
    )


def _check(member: WireMember) -> None:
    assert member.state.fault is None, f"{member.name} failed: {member.state.fault}"
    assert bytes(member.content.data) == member.swarm.content, f"{member.name}: corrupt"
    size, stalled = member.metainfo.size, _owed_by_stallers(member)
    budget = max(int(ENDGAME_FRACTION * size), MIN_ENDGAME_BYTES)
    assert member.state.wasted <= budget + stalled, f"{member.name} wasted {member.state.wasted} bytes"
    for candidate in member.known:
        other = next(m for m in member.swarm.members if m.name == candidate.peer)
        name = f"{candidate.peer} ({other.plan.conduct.value})"
        assert other.plan.conduct.lies or not candidate.banned, f"{name} is banned: {candidate.reason}"


def _owed_by_stallers(member: WireMember) -> int:
    """Bytes that stallers may still send after others did: they were silent, and then went on."""
    return sum(member.metainfo.size for other in member.swarm.members if other.plan.conduct is Conduct.STALLS)


def run_swarms(seeds: Iterable[int]) -> WireSummary:
    """Run all seeds. A broken invariant is noted, and the next seed follows."""
    summary = WireSummary()
    for seed in seeds:
        try:
            summary.add(run_swarm(seed))
        except InvariantViolated as error:
            summary.add(WireSummary(1, broken=[str(error)]))
    return summary


def soak_swarms(first: int, runs: int, workers: int) -> WireSummary:
    """``runs`` swarms from seed ``first`` on, in ``workers`` processes; prints as it goes."""
    total = WireSummary()
    batches = [range(at, min(at + BATCH, first + runs)) for at in range(first, first + runs, BATCH)]
    with ProcessPoolExecutor(workers) as pool:
        for done in as_completed([pool.submit(run_swarms, batch) for batch in batches]):
            batch = done.result()
            total.add(batch)
            for reason in batch.broken:
                print(f"BROKEN {reason}", flush=True)
            print(f"{total.runs:,} of {runs:,} swarms: {len(total.broken)} broken", flush=True)
    print(total)
    return total
