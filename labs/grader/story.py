"""A failure as text: the steps so far, the expectation, the rule, how to see it. Pure.

The form is that of Stanford's minnow: the steps so far, the expectation, the actual result.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from labs.grader.stage import Stage, StageFailed, StudentFault
from labs.grader.trace import Row

ROWS = 12  # of the trace that are shown
_MISTAKE = re.compile(r" \(wrong/\w+\)")  # names the planted mistake for readers of checks.py
MAX_COLUMN = 64  # characters of a step


def story(
    lab: str, stage: Stage, failed: StageFailed, rows: Sequence[Row], seed: str, usual: bool
) -> tuple[str, ...]:
    """The lines of the failure of ``stage``. ``rows``: the last ones of its trace up to the failure.

    ``usual``: the commands that are shown find this seed by themselves.
    """
    return tuple(_lines(lab, stage, failed, rows[-ROWS:], seed, "" if usual else f" --seed {seed}"))


def heading(lab: str, key: str, title: str, outcome: str, width: int = 100) -> str:
    """One stage in one line: its title on the left, its outcome on the right."""
    left = f"{lab}  {key} «{title}»"
    return f"{left:<{max(width - len(outcome), len(left) + 1)}}{outcome}"


def _lines(
    lab: str, stage: Stage, failed: StageFailed, rows: Sequence[Row], seed: str, with_seed: str
) -> Iterator[str]:
    if rows:
        width = min(MAX_COLUMN, max(len("what happened"), *(len(row.text) for row in rows)))
        yield f"  {'virtual time':<13}  {'what happened':<{width}}  your part"
        for row in rows:
            yield f"  {row.time:>9.3f} s    {row.text:<{width}}  {row.call}".rstrip()
        yield ""
    if isinstance(failed, StudentFault):
        yield f"  ***** {failed.line} *****"
    else:
        yield f"  expected: {failed.expected}"
        yield f"  got:      {failed.got}"
    where = f"{failed.at:.3f} s" if failed.at is not None else f"call {failed.call}"
    yield f"  where:    {where}"
    yield f"  rule:     {stage.rule}"
    if failed.likely:
        yield f"  likely:   {_MISTAKE.sub('', failed.likely)}"
    number = lab[:2]
    yield f"  see it:   python -m labs show {number} {stage.key}{with_seed}"
    if failed.call:
        yield f"  the call: python -m labs call {number} {stage.key} {failed.call}{with_seed}"
    yield f"  again:    python -m labs grade {number} {stage.key} --seed {seed}"
