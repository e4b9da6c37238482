"""``python -m labs live NN``: the student's Sender on real sockets, as a sequence and as a page."""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from common.errors import CommandError
from labs import replay, run_log, show
from labs.grader import cli as grader
from labs.grader.lab import Lab, find
from labs.grader.run import Run
from labs.grader.stage import StageFailed, StudentFault
from labs.grader.student import Student
from labs.harness.exchange import SEGMENT, Plan
from labs.harness.live import LiveExchange

LABS = ("03", "04")  # their mine.py has a Sender
SECONDS = 120.0  # of the clock, after which a run counts as hanging
ROWS = 45  # printed at most


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``live`` to ``python -m labs``."""
    parser = commands.add_parser("live", help="run your Sender on real sockets: python -m labs live 03")
    parser.add_argument("lab", help=" or ".join(LABS))
    parser.add_argument("--window", type=int, default=8, metavar="N", help="segments (default: 8)")
    parser.add_argument("--delay", type=float, default=50, metavar="MS", help="each way (default: 50)")
    parser.add_argument("--drop", type=int, default=9, metavar="N", help="the DATA that is lost (default: 9)")
    parser.add_argument("--mine", type=Path, metavar="FILE", help="the solution (default: the lab's mine.py)")
    parser.add_argument("-o", "--output", type=Path, metavar="RUN.html", help="default: logs/labNN-live.html")
    parser.set_defaults(run=live)


def live(options: argparse.Namespace) -> int:
    """Fetch, print the messages and the rate, and write the page. Exit code 1 if segments are missing."""
    lab = find(options.lab)
    if lab.number not in LABS:
        raise CommandError(f"lab {lab.number} has no Sender; labs {' and '.join(LABS)} have one")
    plan = Plan(60, delay=options.delay / 1000, drop=frozenset({options.drop}), seconds=SECONDS)
    with Student(grader.mine_of(options, lab)) as student:
        run = Run(student, random.Random(1))
        failure = _fetch(run, plan, options.window)
    _write(lab, run, options)
    print(failure or _rate(run, plan, options.window))
    return 1 if failure else 0


def _fetch(run: Run, plan: Plan, window: int) -> str:
    """Fetch all segments; why that failed, or ""."""
    try:
        run.student.load()
        with LiveExchange(run, run.part("Sender", window), plan) as exchange:
            exchange.run()
    except StageFailed as error:
        return error.line if isinstance(error, StudentFault) else str(error)
    return ""


def _write(lab: Lab, run: Run, options: argparse.Namespace) -> None:
    rows = run_log.joined(run.trace.rows)
    print("\n".join(show.diagram(rows[:ROWS], run_log.participants(rows))))
    if len(rows) > ROWS:
        print(f"  {len(rows) - ROWS:,} rows more, in the page")
    page: Path = options.output or show.FOLDER / f"lab{lab.number}-live.html"
    recording = page.with_name(f"{page.name.removesuffix('.html')}.jsonl.gz")
    show.write_recording(recording, rows, f"python -m labs live {lab.number}", 1)
    replay.replay(argparse.Namespace(recording=recording, output=page))
    print("open this file in a browser")


def _rate(run: Run, plan: Plan, window: int) -> str:
    seconds, trip = run.trace.rows[-1].time, 2 * plan.delay
    size = plan.segments * SEGMENT
    rate = (
        f"{plan.segments} segments of {SEGMENT:,} bytes in {seconds:.2f} s: {size / seconds / 1e3:.0f} kB/s"
    )
    return f"{rate}; window / round trip is {window * SEGMENT / trip / 1e3:.0f} kB/s" if trip else rate
