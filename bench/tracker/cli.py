"""``python -m bench tracker``: measure the tracker on this machine, print one table, save it as JSON.

Exit codes: 0 everything that was judged is good, 1 something is short or failed, 2 wrong usage. The long
measurements (siege, kills and several) run only by name, or with --long.
"""

from __future__ import annotations

import argparse
import dataclasses
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import machine, report
from bench.judging import Figure, exit_code
from bench.processes import ROOT, BenchError
from bench.tracker.effort import FULL, QUICK, Effort
from bench.tracker.measurements import BY_NAME, LONG, missing
from common.errors import SwarmError

FORMAT = 1  # of the JSON
FAILURES = (BenchError, SwarmError, OSError, RuntimeError, subprocess.SubprocessError)


@dataclass
class BenchOutcome:
    """The figures, and the names that have none."""

    rows: list[Figure] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)  # a line each, with the reason
    failed: list[str] = field(default_factory=list)  # the same

    @property
    def code(self) -> int:
        """0 only if nothing failed and nothing is short."""
        return 1 if self.failed else exit_code(self.rows)

    @property
    def remarks(self) -> list[str]:
        """The lines below the table."""
        return [*(f"skipped: {line}" for line in self.skipped), *(f"failed: {line}" for line in self.failed)]


def parse(words: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m bench tracker", description=__doc__)
    add = parser.add_argument
    add("--only", nargs="+", choices=BY_NAME, metavar="NAME", help=f"of {', '.join(BY_NAME)}")
    add("--long", action="store_true", help=f"also the long ones: {', '.join(LONG)}")
    add("--quick", action="store_true", help="small and short: shows that it works, not how fast")
    add("--out", type=Path, metavar="FILE", help="for the results (bench/results/tracker-<date-time>.json)")
    return parser.parse_args(words)


def chosen(only: Sequence[str], long: bool, outcome: BenchOutcome) -> list[str]:
    """The names to measure, in the table's order. Those left out are noted with the reason."""
    names = []
    for name in BY_NAME:
        if only and name not in only:
            continue
        reason = missing(name)
        if not only and not long and name in LONG:
            reason = "takes long; --long, or --only with its name"
        if reason:
            outcome.skipped.append(f"{name}: {reason}")
        else:
            names.append(name)
    return names


def measure(names: Sequence[str], effort: Effort, outcome: BenchOutcome, say: Callable[[str], None]) -> None:
    """Measure each name in turn. A failure is noted, and the next one follows. Ctrl-C ends all."""
    for name in names:
        say(name)
        try:
            outcome.rows += BY_NAME[name](effort)
        except KeyboardInterrupt:
            outcome.failed.append(f"{name}: interrupted")
            return
        except FAILURES as error:
            outcome.failed.append(f"{name}: {error}")


def main(words: list[str] | None = None) -> int:
    """Measure, print, save."""
    given = parse(words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that it, too, ends every child
    talk = Console(stderr=True, highlight=False)
    begun, now = time.monotonic(), datetime.now().astimezone()
    effort = QUICK if given.quick else FULL
    outcome, facts = BenchOutcome(), machine.facts(ROOT)
    names = chosen(given.only or (), given.long, outcome)
    measure(
        names,
        effort,
        outcome,
        lambda text: talk.print(f"{time.monotonic() - begun:6.1f} s  {text}", markup=False),
    )
    report.show(outcome.rows, "the tracker" + (", quick" if given.quick else ""), facts, outcome.remarks)
    out = given.out or ROOT / "bench" / "results" / f"tracker-{now:%Y-%m-%d-%H%M%S}.json"
    report.save(document(outcome, effort, facts, now.isoformat(timespec="seconds")), out)
    print(f"saved: {out}")
    return outcome.code


def document(
    outcome: BenchOutcome, effort: Effort, facts: dict[str, str | int], started: str
) -> dict[str, Any]:
    """The whole result, for json.dumps; a figure's ``rounds`` are its raw values."""
    return {
        "format": FORMAT,
        "started": started,
        "machine": facts,
        "effort": dataclasses.asdict(effort),
        "figures": [row.as_json() for row in outcome.rows],
        "skipped": outcome.skipped,
        "failed": outcome.failed,
    }
