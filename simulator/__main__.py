"""``python -m simulator``: many simulated transfers, or one of them (--seed) event by event.

With --sockets, transfers over real sockets as well. With --crowd or --swarm, many nodes start together
at one seed, over the classroom transport or over the peer wire.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from common.errors import CommandError
from node.message_faults import parse_node_faults
from simulator import sockets
from simulator.bounds import distribution_time
from simulator.describe import outcome_text, scenario_text
from simulator.flash_crowd import MAX_NODES, FlashCrowd, FlashCrowdPlan
from simulator.outcome import InvariantViolated, run
from simulator.recorder import recording
from simulator.scenario import Scenario
from simulator.soak import MIN_FACTOR, soak
from simulator.wire_outcome import soak_swarms
from simulator.wire_swarm import MAX_PEERS, WireSwarm, flash_swarm


def options_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--seed", type=int, help="repeat this run, and print its events")
    parser.add_argument("--runs", type=int, default=1000, help="simulated transfers (default 1000)")
    parser.add_argument("--first", type=int, default=0, help="seed of the first one (default 0)")
    parser.add_argument("--sockets", type=int, default=0, help="transfers over real sockets (default 0)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument(
        "--crowd",
        type=int,
        metavar="NODES",
        help="how long 64 MiB take to so many nodes that start together, each with an upload limit of 4 MB/s",
    )
    parser.add_argument("--swarm", type=int, metavar="NODES", help="the same over the peer wire, at most 50")
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="write the log of --crowd, --swarm or --seed: python -m labs replay FILE shows it",
    )
    parser.add_argument(
        "--faults",
        type=faults,
        default="",
        metavar="SPEC",
        help="of the fetching node of --seed, or of the first one of --swarm, as a node takes them",
    )
    parser.add_argument("--swarms", type=int, default=0, help="swarms of the peer wire (default 0)")
    return parser


def faults(text: str) -> str:
    """A specification of faults, as after a node's -faults."""
    try:
        parse_node_faults(text)
    except CommandError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def main() -> int:
    """The exit code: 0 if all runs kept the invariants, and were fast enough."""
    parser = options_parser()
    options = parser.parse_args()
    if options.swarm is not None:
        if not 1 <= options.swarm <= MAX_PEERS:
            parser.error(f"a swarm has 1 to {MAX_PEERS} nodes")
        return wire_spread(options.swarm, options.first, options.record, options.faults)
    if options.crowd is not None:
        if not 1 <= options.crowd <= MAX_NODES:
            parser.error(f"a crowd has 1 to {MAX_NODES} nodes")
        return spread(options.crowd, options.first, options.record)
    if options.seed is not None:
        return repeat(options.seed, options.record, options.faults)
    if options.faults:
        parser.error("--faults goes with --swarm or --seed")
    if options.record is not None:
        parser.error("--record goes with --crowd, --swarm or --seed")
    summary = soak(options.first, options.runs, options.workers)
    slow = bool(summary.runs) and summary.factor < MIN_FACTOR
    if slow:
        print(
            f"too slow: {summary.factor:.0f} times real time, {MIN_FACTOR:.0f} are promised",
            file=sys.stderr,
        )
    broken = sockets.soak(options.first, options.sockets) if options.sockets else 0
    if options.swarms:
        broken += len(soak_swarms(options.first, options.swarms, options.workers).broken)
    return 1 if summary.broken or slow or broken else 0


def spread(nodes: int, seed: int, record: Path | None = None) -> int:
    """Run a flash crowd, with progress, and compare it with the bound."""
    crowd = FlashCrowd(FlashCrowdPlan(nodes, 64 << 20, 4_000_000, seed=seed))
    print(f"{nodes} nodes and one seed; the bound is {crowd.plan.bound:.2f} virtual seconds", flush=True)
    with recording(record, crowd, f"simulator --crowd {nodes} --first {seed}", seed):
        crowd.run(lambda text: print(text, flush=True))
    last, bound = max(crowd.ended), crowd.plan.bound
    print(f"first node {min(crowd.ended):.2f} s, last node {last:.2f} s: {last / bound:.2f} times the bound")
    print(f"the seed sent {crowd.again:,} of {len(crowd.seeded):,} pieces more than once")
    return 0


def wire_spread(nodes: int, seed: int, record: Path | None = None, faults: str = "") -> int:
    """Run a flash crowd over the peer wire, and compare it with the bound."""
    plan = flash_swarm(nodes, 64 << 20, 1 << 18, 4_000_000, seed, faults)
    swarm, bound = WireSwarm(plan), distribution_time(plan.size, nodes, 4_000_000)
    with recording(record, swarm, f"simulator --swarm {nodes} --first {seed}", seed):
        swarm.run(10 * bound)
    first, last = min(swarm.ended.values()), max(swarm.ended.values())
    print(
        f"first node {first:.2f} s, last node {last:.2f} s: {last / bound:.2f} times the bound, {bound:.2f} s"
    )
    print(f"{swarm.wasted / plan.size / nodes:.2%} of all bytes came from two sources")
    for hit in swarm.members[1].hits:
        print(hit)
    return 0


def repeat(seed: int, record: Path | None = None, faults: str = "") -> int:
    """One run: the scenario, every event, the outcome."""
    scenario = replace(Scenario.of(seed), faults=faults)
    print(scenario_text(scenario), end="\n\n")
    lines: list[str] = []
    try:
        outcome = run(scenario, lines, record)
    except InvariantViolated as error:
        print("\n".join(lines))
        print(error, file=sys.stderr)
        return 1
    print("\n".join(lines), end="\n\n")
    print(outcome_text(outcome))
    return 0


if __name__ == "__main__":
    sys.exit(main())
