"""``python -m bench``: measure everything on this machine, print one table, save it as JSON.

Exit codes: 0 everything that was judged is good, 1 something is short or failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import time
from datetime import datetime
from pathlib import Path

from rich.console import Console

from bench import machine, report
from bench.figures import figures
from bench.judging import exit_code
from bench.measurements import NAMES, Bench, BenchPlan
from bench.network.cli import main as network
from bench.processes import ROOT, BenchError
from common.errors import SwarmError

QUICK = BenchPlan(size=64 << 20, runs=1, files=100, warm_up=False, crowds=())  # a crowd takes minutes
UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 10**3, "MB": 10**6, "GB": 10**9}
MAX_SIZE = 64 << 30
MAX_RUNS = 100


def size(text: str) -> int:
    """Bytes: ``1GiB``, ``500MB``, ``4096``."""
    match = re.fullmatch(r"(\d{1,12}) ?([A-Za-z]*)", text)
    if match is None or match[2] not in UNITS or not 0 < int(match[1]) * UNITS[match[2]] <= MAX_SIZE:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size like 1GiB, at most {MAX_SIZE >> 30}GiB")
    return int(match[1]) * UNITS[match[2]]


def runs(text: str) -> int:
    """How often: from 1."""
    if not text.isdecimal() or not 0 < int(text) <= MAX_RUNS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MAX_RUNS}")
    return int(text)


def folder(text: str) -> Path:
    """A folder that exists."""
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no folder")
    return Path(text)


def parse(words: list[str] | None) -> tuple[BenchPlan, Path]:
    """The plan, and where the results go."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="64 MiB, one run, no warm-up: shows that it works, not how fast")
    add("--size", type=size, metavar="SIZE", help="of the file that is moved (1GiB)")
    add("--runs", type=runs, metavar="N", help="of which the median counts (3)")
    add("--only", nargs="+", choices=NAMES, metavar="NAME", help=f"of {', '.join(NAMES)}")
    add("--before", default="", metavar="COMMIT", help="an earlier commit to compare with, for reports")
    add("--folder", type=folder, metavar="DIR", help="for the files (memory if there is room for them)")
    add("--out", type=Path, metavar="FILE", help="for the results (bench/results/<date-time>.json)")
    given = parser.parse_args(words)
    usual = QUICK if given.quick else BenchPlan()
    plan = BenchPlan(
        given.size or usual.size,
        given.runs or usual.runs,
        tuple(given.only or usual.only),
        usual.files,
        usual.warm_up,
        usual.crowds,
        given.folder,
        given.before,
    )
    return plan, given.out or ROOT / "bench" / "results" / f"{datetime.now():%Y-%m-%d-%H%M%S}.json"


def main(words: list[str] | None = None) -> int:
    """Measure, print, save."""
    words = sys.argv[1:] if words is None else words
    if words[:1] == ["network"]:
        return network(words[1:])
    if words[:1] == ["tracker"]:  # which wants what the rest does without
        from bench.tracker.cli import main as tracker

        return tracker(words[1:])
    if words[:1] == ["bittorrent"]:
        from bench.bittorrent.cli import main as bittorrent

        return bittorrent(words[1:])
    plan, out = parse(words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that it, too, ends every child
    talk = Console(stderr=True, highlight=False)
    started = datetime.now().astimezone().isoformat(timespec="seconds")
    begun = time.monotonic()
    bench = Bench(plan, lambda text: talk.print(f"{time.monotonic() - begun:6.1f} s  {text}", markup=False))
    facts = machine.facts(bench.folder)
    try:
        bench.run()
    except KeyboardInterrupt:
        talk.print("interrupted")
        return 1
    except (BenchError, SwarmError, OSError) as error:
        talk.print(f"{error}", markup=False, style="red")
        return 1
    rows = figures(bench.measured)
    title = f"{plan.size / (1 << 30):.4g} GiB over loopback, median of {len(bench.measured.ours) or 1}"
    report.show(rows, title, facts, [f"skipped: {line}" for line in bench.measured.skipped])
    report.save(report.document(rows, bench.measured, facts, started), out)
    print(f"saved: {out}")
    return exit_code(rows)


if __name__ == "__main__":
    sys.exit(main())
