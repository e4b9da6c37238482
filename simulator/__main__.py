"""``python -m simulator``: many simulated transfers, or one of them (--seed) event by event.

With --sockets, transfers over real sockets as well. With --crowd, one seed and so many others begin together.
"""

from __future__ import annotations

import argparse
import sys

from simulator import sockets
from simulator.flash_crowd import MOST_NODES, FlashCrowd, FlashCrowdPlan
from simulator.outcome import InvariantViolated, run
from simulator.scenario import Scenario
from simulator.soak import LEAST_FACTOR, soak


def main() -> int:
    """The exit code: 0 if all runs ended as they must, fast enough."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--seed", type=int, help="repeat this run, and print what happens in it")
    parser.add_argument("--runs", type=int, default=1000, help="simulated transfers (default 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first one's seed (default 0)")
    parser.add_argument("--sockets", type=int, default=0, help="transfers over real sockets (default 0)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument(
        "--crowd", type=int, metavar="NODES", help="64 MiB, -up 4MB: when has the last one all?"
    )
    options = parser.parse_args()
    if options.crowd is not None:
        if not 1 <= options.crowd <= MOST_NODES:
            parser.error(f"a crowd has 1 to {MOST_NODES} nodes")
        return spread(options.crowd, options.first)
    if options.seed is not None:
        return repeat(options.seed)
    summary = soak(options.first, options.runs, options.workers)
    slow = bool(summary.runs) and summary.factor < LEAST_FACTOR
    if slow:
        print(
            f"too slow: {summary.factor:.0f} times real time, and {LEAST_FACTOR:.0f} is promised",
            file=sys.stderr,
        )
    broken = sockets.soak(options.first, options.sockets) if options.sockets else 0
    return 1 if summary.broken or slow or broken else 0


def spread(nodes: int, seed: int) -> int:
    """One seed and ``nodes`` nodes, and how far from the best that can be they are."""
    crowd = FlashCrowd(FlashCrowdPlan(nodes, 64 << 20, 4_000_000, seed=seed))
    crowd.run()
    last, bound = max(crowd.ended), crowd.plan.bound
    print(
        f"first {min(crowd.ended):.2f} s, last {last:.2f} s: {last / bound:.2f} times the least that it takes"
    )
    print(f"of {len(crowd.seeded):,} pieces the seed sent {crowd.again:,} again")
    return 0


def repeat(seed: int) -> int:
    """One run, event by event."""
    scenario = Scenario.of(seed)
    print(scenario)
    lines: list[str] = []
    try:
        outcome = run(scenario, lines)
    except InvariantViolated as error:
        print("\n".join(lines))
        print(error, file=sys.stderr)
        return 1
    print("\n".join(lines))
    print(outcome)
    return 0


if __name__ == "__main__":
    sys.exit(main())
