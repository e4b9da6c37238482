"""``python -m bench network``: measure transfers over emulated links, side by side with TCP and libtorrent.

Exit codes: 0 everything that was judged is good, 1 something is short or failed, 2 wrong usage, 0 with a
word about it where there can be no network namespaces.
"""

from __future__ import annotations

import argparse
import signal
import time
from pathlib import Path

from rich.console import Console

from bench.network import namespaces
from bench.network.measurements import CONTENDERS, Bench, Plan
from bench.network.scenarios import BY_NAME
from bench.processes import BenchError
from common.errors import SwarmError


def parse(words: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m bench network", description=__doc__)
    add = parser.add_argument
    add("--only", nargs="+", choices=BY_NAME, metavar="NAME", help=f"of {', '.join(BY_NAME)}")
    add("--owners", nargs="+", type=int, metavar="N", help="as many owners only (what the scenario says)")
    add("--with", nargs="+", dest="contenders", choices=CONTENDERS, metavar="WHO", default=list(CONTENDERS))
    add("--cc", nargs="+", metavar="NAME", default=[""], help="congestion controls of ours (the default one)")
    add("--runs", type=int, default=5, metavar="N", help="of which the median counts (5)")
    add("--quick", action="store_true", help="one run of a quarter of the size")
    add("--seed", type=int, default=1, help="of the first run; the next have the next (1)")
    add("--out", type=Path, metavar="FILE", help="for the results (bench/results/network-<date-time>.json)")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Measure, print, save."""
    given = parse(words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    reason = namespaces.missing()
    if reason:
        print(f"skipped: {reason}")
        return 0
    talk = Console(stderr=True, highlight=False)
    begun = time.monotonic()
    plan = Plan(
        tuple(BY_NAME[name] for name in given.only or BY_NAME),
        tuple(given.contenders),
        tuple(name or None for name in given.cc),
        tuple(given.owners or ()),
        1 if given.quick else given.runs,
        given.seed,
        4 if given.quick else 1,
    )
    bench = Bench(
        plan,
        lambda text: talk.print(f"{time.monotonic() - begun:6.1f} s  {text}", markup=False, soft_wrap=True),
    )
    try:
        bench.run()
    except KeyboardInterrupt:
        talk.print("interrupted")
        return 1
    except (BenchError, SwarmError, OSError) as error:
        talk.print(f"{error}", markup=False, style="red")
        return 1
    return 0
