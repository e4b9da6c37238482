"""The stages of lab 7."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from labs.grader.lab import Question
from labs.grader.run import Run
from labs.grader.stage import stage
from simulator.flash_crowd import FlashCrowd, FlashCrowdPlan

BOUNDS = "Kumar and Ross 2006; Kurose and Ross, 2.5"
GIGABIT, MEGABIT, KILOBIT = 125_000_000.0, 125_000.0, 125.0  # bytes


@dataclass(frozen=True)
class Asking:
    """A peer as the student's Choker sees it."""

    name: str
    rate: float
    interested: bool


def close(told: object, right: float) -> bool:
    """Within a thousandth."""
    return isinstance(told, (int, float)) and abs(told - right) <= 0.001 * right


def compare(run: Run, told: object, right: float, what: str, likely: str) -> None:
    """Note and judge one bound."""
    run.note(0.0, what, call=True)
    run.expect(close(told, right), f"{right:,.0f} s for {what}", f"{told}", at=0.0, likely=likely)


@stage("a server and its clients", 2, BOUNDS)
def s1(run: Run) -> None:
    for clients, right in ((100, 50_000.0), (1000, 500_000.0), (10, 5000.0)):
        told = run.call("client_server", 10 * GIGABIT, 20 * MEGABIT, [2 * MEGABIT] * clients)
        compare(run, told, right, f"10 Gbit to {clients} clients", "the number of clients (wrong/one_client)")
    slow = float(run.rng.randint(2, 9)) * KILOBIT
    told = run.call("client_server", 1e6, 20 * MEGABIT, [2 * MEGABIT, slow])
    compare(run, told, 1e6 / slow, "a client on a slow line", "the slowest client (wrong/fast_lines)")


@stage("the swarm", 3, BOUNDS)
def s2(run: Run) -> None:
    for upload, nodes, right in ((300, 100, 20_000.0), (300, 1000, 31_250.0), (700, 1000, 13_888.89)):
        told = run.call(
            "swarm", 10 * GIGABIT, 20 * MEGABIT, [upload * KILOBIT] * nodes, [2 * MEGABIT] * nodes
        )
        what = f"10 Gbit to {nodes} nodes that send {upload} kb/s"
        compare(run, told, right, what, "the seed uploads, too (wrong/no_seed)")
    told = run.call("swarm", 10 * GIGABIT, 20 * MEGABIT, [2 * MEGABIT] * 100, [2 * MEGABIT] * 100)
    compare(run, told, 5000.0, "nodes whose own lines are the limit", "the download rate (wrong/no_download)")


@stage("nodes that differ", 2, BOUNDS)
def s3(run: Run) -> None:
    ups = [rate * MEGABIT for rate in (24, 23, 27, 25, 18, 29, 27)]
    downs = [rate * MEGABIT for rate in (27, 20, 22, 39, 32, 33, 17)]
    told = run.call("swarm", 7 * GIGABIT, 84 * MEGABIT, ups, downs)
    compare(run, told, 411.7647, "seven different nodes", "the mean instead of the slowest (wrong/mean)")
    seed = run.rng.randint(1, 5) * MEGABIT
    told = run.call("swarm", GIGABIT, seed, [40 * MEGABIT] * 5, [80 * MEGABIT] * 5)
    compare(run, told, GIGABIT / seed, "a slow seed", "the seed must send each byte once (wrong/fast_seed)")


@stage("measured beside both bounds", 2, "docs/bench.md; simulator/flash_crowd.py")
def s4(run: Run) -> None:
    size, rate = 2 << 20, 500_000
    for nodes in (1, 4, 16):
        crowd = FlashCrowd(FlashCrowdPlan(nodes, size, rate, 1 << 15, run.rng.getrandbits(16)))
        crowd.run()
        measured, fast = max(crowd.ended), [1e9] * nodes
        least = run.call("swarm", float(size), float(rate), [float(rate)] * nodes, fast)
        server = run.call("client_server", float(size), float(rate), fast)
        run.note(measured, f"{nodes} nodes: {measured:.1f} s; the bounds are {least:.1f} and {server:.1f} s")
        run.expect(
            least <= measured and (nodes == 1 or measured < server),
            f"{nodes} nodes above the swarm's bound, and faster than one server",
            f"{measured:.1f} s between {least:.1f} and {server:.1f} s",
            at=measured,
        )


@stage("tit for tat", 3, "Cohen 2003, 3.2; BEP 3, choking")
def s5(run: Run) -> None:
    choker, rng, slots = run.part("Choker"), run.random_for_student(), 4
    peers = [Asking(f"node {n}", float(100 - 3 * n), n % 4 != 0) for n in range(1, 13)]
    wanting = [peer.name for peer in peers if peer.interested]
    lucky: list[str] = []
    for number in range(60):
        chosen = choker.unchoke(run.rng.sample(peers, len(peers)), slots, number, rng)
        run.note(10.0 * number, f"round {number}: {', '.join(sorted(map(str, chosen)))}")
        run.expect(
            set(wanting[: slots - 1]) <= set(chosen) and len(chosen) <= slots and set(chosen) <= set(wanting),
            f"{', '.join(wanting[: slots - 1])}, and one other that is interested",
            f"{sorted(map(str, chosen))}",
            at=10.0 * number,
            likely="peers that want nothing take slots (wrong/polite), or too many do (wrong/generous)",
        )
        lucky += set(chosen) - set(wanting[: slots - 1])
    changes = sum(now != before for before, now in zip(lucky, lucky[1:], strict=False))
    run.expect(
        len(lucky) == 60 and len(set(lucky)) >= 4 and changes <= 20,
        "one more peer in each round, another one every third round, at least 4 different ones in 60",
        f"{len(lucky)} rounds with one, {len(set(lucky))} different ones, {changes} changes",
        at=600.0,
        likely="nobody by chance (wrong/stingy), or anew in each round (wrong/restless)",
    )


def predict(rng: Random) -> list[Question]:
    """Three numbers to work out before the first run."""
    nodes, size, rate = rng.randint(5, 40), rng.randint(30, 130), 4
    return [
        Question(
            f"{size} MB, {nodes} clients, a server of {rate} MB/s. At least how long?",
            nodes * size / rate,
            "s",
        ),
        Question(
            f"And {nodes} nodes that send {rate} MB/s each, too?", nodes * size / (rate * (nodes + 1)), "s"
        ),
        Question("With ever more nodes, the swarm's time comes near to?", size / rate, "s"),
    ]
