"""``python -m simulator``: one run with its trace (--seed N), or many of them (--runs N)."""

from __future__ import annotations

import argparse
import sys

from simulator.outcome import Broken, run
from simulator.scenario import Scenario


def main() -> int:
    """The exit code: 0 if all runs ended as they must."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--seed", type=int, help="repeat this run, and print what happens in it")
    options = parser.parse_args()
    return repeat(options.seed)


def repeat(seed: int) -> int:
    """One run, event by event."""
    scenario = Scenario.of(seed)
    print(scenario)
    lines: list[str] = []
    try:
        outcome = run(scenario, lines)
    except Broken as error:
        print("\n".join(lines))
        print(error, file=sys.stderr)
        return 1
    print("\n".join(lines))
    print(outcome)
    return 0


if __name__ == "__main__":
    sys.exit(main())
