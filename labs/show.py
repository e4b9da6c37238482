"""``python -m labs show NN sK``: one run of a stage as a sequence, in the terminal and as a page.

The page is that of ``labs replay``: it steps through the run, row by row, and shows each message's fields.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from common.errors import FileFault
from common.log_file import LogWriter, make_header
from labs import replay, run_log
from labs.grader import cli as grader
from labs.grader.grade import VERSION, run_stage
from labs.grader.lab import LABS, Lab, find
from labs.grader.result import FAILED, StageResult
from labs.grader.run import Run
from labs.grader.story import heading
from labs.grader.trace import Row

BEFORE, AFTER = 40, 5  # rows around the failure, in the terminal
MAX_ROWS = 20_000  # in the page: the last ones
FOLDER = LABS.parent / "logs"
WIDTH = 52  # characters between two lifelines
BEGUN = 1_767_225_600.0  # wall seconds of virtual time 0: the same page for the same run


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``show`` to ``python -m labs``."""
    parser = commands.add_parser(
        "show", help="see a run as a sequence of messages: python -m labs show 04 s3"
    )
    parser.add_argument("lab")
    parser.add_argument("stage")
    grader.add_student(parser)
    parser.add_argument(
        "--all", action="store_true", help="print every row, not those around the failure only"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="RUN.html", help="default: logs/labNN-sK.html")
    parser.set_defaults(run=show)


def show(options: argparse.Namespace) -> int:
    """Run the stage, print its rows, and write its page, which ends at the failure.

    Exit code 1 if the run failed before its first row, as with a file that cannot be imported: no page then.
    """
    lab = find(options.lab)
    stage = lab.stage(options.stage)
    seed = grader.seed_for(options, lab)
    mine = grader.mine_of(options, lab)
    result, run, _ = run_stage(lab, stage, mine, seed)
    rows = run_log.joined(run.trace.rows)
    if result.status == FAILED and not rows:
        print(f"{mine}: nothing to show: {result.summary}", file=sys.stderr)
        return 1
    print("\n".join(_lines(lab, result, run, rows, options.all)), flush=True)
    page: Path = options.output or FOLDER / f"lab{lab.number}-{stage.key}.html"
    recording = page.with_name(f"{page.name.removesuffix('.html')}.jsonl.gz")
    command = f"python -m labs show {lab.number} {stage.key} --seed {seed:016x}"
    if result.status == FAILED and not options.all:  # the page opens at the end of its recording
        rows = [*rows[: _end(run, rows)], Row(_failed_at(run, rows), f"FAIL: {result.summary}", mark="wrong")]
    write_recording(recording, rows[-MAX_ROWS:], command, seed)
    code = replay.replay(argparse.Namespace(recording=recording, output=page))
    print("open this file in a browser")
    return code


def write_recording(path: Path, rows: Sequence[Row], command: str, seed: int) -> None:
    """Write ``rows`` as a recording of the swarm's log. ``command``: the one that repeats the run."""
    program = f"labs {VERSION}"
    header = make_header(command, program, begun=BEGUN, run=f"{seed:016x}", clock="ms of virtual time")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileFault(f"{path.parent}: {error.strerror or error}") from None
    with LogWriter(path, header) as log:
        for event in run_log.events(rows, program):
            log.write(event)


def _lines(lab: Lab, result: StageResult, run: Run, rows: Sequence[Row], is_all: bool) -> Iterator[str]:
    is_failed = result.status == FAILED
    yield heading(lab.name, result.key, result.title, "FAIL" if is_failed else "ok")
    yield ""
    end = _end(run, rows)
    first, last = (0, len(rows)) if is_all else (max(0, end - BEFORE), min(len(rows), end + AFTER))
    if first:
        yield f"  {first:,} rows before: --all shows them"
    names = run_log.participants(run.trace.rows)
    yield from diagram(rows[first:end], names)
    if is_failed:
        at = run.failure.at if run.failure is not None else None
        where = "the last call" if at is None else f"{at:.3f} s"
        yield f"  ***** {where}: {result.summary} *****"
    yield from diagram(rows[end:last], names)[bool(rows[first:end]) :]
    if last < len(rows):
        yield f"  {len(rows) - last:,} rows after"
    if not rows:
        yield "  this run has no rows"
    yield ""


def _failed_at(run: Run, rows: Sequence[Row]) -> float:
    """Virtual seconds of the failure; it was the last call: of the last row."""
    at = run.failure.at if run.failure is not None else None
    return at if at is not None else rows[-1].time if rows else 0.0


def _end(run: Run, rows: Sequence[Row]) -> int:
    """The number of rows up to the failure."""
    at = run.failure.at if run.failure is not None else None
    return len(rows) if at is None else sum(row.time <= at + 1e-9 for row in rows)


# ---- the sequence as text


def diagram(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    """The lifelines' names, then ``rows``, a line each."""
    if not rows:
        return []
    head = names[0] if len(names) != 2 else f"{names[0]}{names[1]:>{WIDTH + 3 - len(names[0])}}"
    return [f"  {'':<13}{head}", *(f"  {row.time:>9.3f} s  {_line(row, names)}".rstrip() for row in rows)]


def _line(row: Row, names: Sequence[str]) -> str:
    if not row.sender or len(names) != 2:
        ends = f"{row.sender} → {row.receiver}: " if row.sender else ""
        return f"● {ends}{row.text}  {row.call}".rstrip()
    words = row.text.lstrip(run_log.ARROWS)[: WIDTH - 6]
    is_lost, room = row.mark == "lost", WIDTH - len(words) - 4
    if row.sender == names[0]:
        arrow = f"─ {words} {'─' * room}{'╳' if is_lost else '▶'}"
    else:
        arrow = f"{'╳' if is_lost else '◀'}{'─' * room} {words} ─"
    return f"│{arrow}│  {row.call}"
