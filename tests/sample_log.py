"""A made-up but plausible recording in which each kind of event occurs: for tests, and to work on the page.

    python tests/sample_log.py OUT.jsonl.gz [--nodes 10] [--pieces 300] [--seconds 60] [--seed 1]

Node 1 is the seed; the other nodes fetch rarest first from the uploaders that have a slot for them. Times,
sums and letters are consistent, as in a real log: only the network is missing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common.log_file import LogWriter, make_header
from tests.sample_swarm import SampleSwarm


def write_sample(path: Path, nodes: int = 10, pieces: int = 300, seconds: float = 60, seed: int = 1) -> int:
    """Write the recording; returns the number of its events."""
    header = make_header(
        f"a made-up run of {nodes} nodes, seed {seed}",
        "classroom swarm 0.1.0",
        begun=0.0,
        run=f"{seed:016x}",
        seeds=[seed],
    )
    with LogWriter(path, header) as log:
        for event in SampleSwarm(nodes, pieces, seconds, seed).events():
            log.write(event)
        return log.events


def main() -> None:
    """Write the recording that the options describe."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    for name, default in [("nodes", 10), ("pieces", 300), ("seconds", 60), ("seed", 1)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    print(
        f"{write_sample(options.out, options.nodes, options.pieces, options.seconds, options.seed):,} events"
    )


if __name__ == "__main__":
    main()
