"""``python -m bench network``: measure transfers over emulated links, side by side with TCP and libtorrent.

Exit codes: 0 everything that was judged is good, 1 something is short or failed, 2 wrong usage, 0 with a
word about it where there can be no network namespaces.
"""

from __future__ import annotations

import argparse
import dataclasses
import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import machine, report
from bench.judging import Figure, exit_code
from bench.network import namespaces
from bench.network.figures import figures
from bench.network.measurements import CONTENDERS, NetworkBench, Wishes
from bench.network.scenarios import BY_NAME
from bench.processes import ROOT, BenchError
from common.errors import SwarmError
from node.chunk_udp.congestion import CONTROLLERS

MOST = 100  # runs, owners
FORMAT = 1  # of the JSON
RUNS = 5
QUICK_DIVISOR = 4  # of sizes


def whole(text: str) -> int:
    """A number from 1 to MOST."""
    if not text.isdecimal() or not 0 < int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MOST}")
    return int(text)


def parse(words: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m bench network", description=__doc__)
    add = parser.add_argument
    add("--only", nargs="+", choices=BY_NAME, metavar="NAME", help=f"of {', '.join(BY_NAME)}")
    add("--owners", nargs="+", type=whole, metavar="N", help="as many owners only (what the scenario says)")
    names = ", ".join(CONTENDERS)
    add("--with", nargs="+", dest="contenders", choices=CONTENDERS, metavar="WHO", help=f"of {names}")
    add("--cc", nargs="+", choices=sorted(CONTROLLERS), metavar="NAME", help="of ours (the default one)")
    add(
        "--runs",
        type=whole,
        metavar="N",
        help="of which the median counts (5; 20 of ours where evenness counts)",
    )
    add("--quick", action="store_true", help="one run of a quarter of the size")
    add("--limit", type=float, metavar="SECONDS", help="that a transfer of ours may take")
    add("--seed", type=int, default=1, help="of the first run; the next have the next (1)")
    add("--out", type=Path, metavar="FILE", help="for the results (bench/results/network-<date-time>.json)")
    return parser.parse_args(words)


def wishes(given: argparse.Namespace) -> Wishes:
    """The parsed options."""
    return Wishes(
        tuple(BY_NAME[name] for name in given.only or BY_NAME),
        tuple(given.contenders or CONTENDERS),
        tuple(given.cc or (None,)),
        tuple(given.owners or ()),
        given.runs or (1 if given.quick else RUNS),
        given.seed,
        bool(given.quick or given.runs),
        QUICK_DIVISOR if given.quick else 1,
        given.limit,
    )


def run(bench: NetworkBench, talk: Console) -> int:
    """Measure; returns 0, or 1 with a message if it broke off. Finished runs are kept."""
    try:
        bench.run()
    except KeyboardInterrupt:
        talk.print("interrupted")
        return 1
    except (BenchError, SwarmError, OSError) as error:
        talk.print(f"{error}", markup=False, style="red")
        return 1
    return 0


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
    started = datetime.now().astimezone().isoformat(timespec="seconds")
    asked = wishes(given)
    bench = NetworkBench(
        asked,
        lambda text: talk.print(f"{time.monotonic() - begun:6.1f} s  {text}", markup=False, soft_wrap=True),
    )
    facts = machine.facts(bench.folder)
    code = run(bench, talk)
    rows = figures(bench.runs, asked.scenarios)
    if rows:
        remarks = [f"skipped: {line}" for line in bench.skipped]
        report.show(rows, "over emulated links, medians", facts, remarks)
        out = given.out or ROOT / "bench" / "results" / f"network-{datetime.now():%Y-%m-%d-%H%M%S}.json"
        report.save(document(rows, bench, facts, started), out)
        print(f"saved: {out}")
    return code or exit_code(rows)


def document(
    rows: list[Figure], bench: NetworkBench, facts: dict[str, str | int], started: str
) -> dict[str, Any]:
    """All of it, as JSON takes it."""
    return {
        "format": FORMAT,
        "started": started,
        "machine": facts,
        "figures": [row.as_json() for row in rows],
        "runs": [dataclasses.asdict(run) for run in bench.runs],
        "skipped": bench.skipped,
    }
