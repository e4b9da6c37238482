"""A folder of hand-ins: each student's folder is graded, and becomes a row of a table.

hand-ins/ANN/mine.py, answers.toml, receipt.json        the folder's name is the student's ID
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from common.errors import CommandError
from common.text import sanitize
from labs.grader.grade import course_and_salt, grade
from labs.grader.lab import Lab
from labs.grader.parameters import draw, seed_of
from labs.grader.result import LabResult
from labs.handin import answers, receipt

COLUMNS = ("student", "lab", "points", "of", "predicted", "receipt", "first failure")


def collect(lab: Lab, folder: Path) -> Iterator[dict[str, str]]:
    """A row for each student's folder, in the order of their names."""
    if not folder.is_dir():
        raise CommandError(f"{folder} is no folder")
    for handed_in in sorted(path for path in folder.iterdir() if path.is_dir()):
        yield row(lab, handed_in)


def row(lab: Lab, handed_in: Path) -> dict[str, str]:
    """Grade one hand-in."""
    student = handed_in.name
    seed, mine = seed_of(*course_and_salt(), lab.name, student), handed_in / "mine.py"
    *_, result = grade(lab, mine, seed, student)
    questions = lab.predict(draw(seed, "predict"))
    right = answers.right(answers.read(handed_in / "answers.toml"), questions)
    failed = next((f"{stage.key} {stage.summary}" for stage in result.stages if stage.summary), "")
    return {
        "student": student,
        "lab": lab.name,
        "points": str(result.points),
        "of": str(result.max_points),
        "predicted": f"{right} of {len(questions)}",
        "receipt": receipt_state(handed_in / "receipt.json", result),
        "first failure": failed,
    }


def receipt_state(path: Path, result: LabResult) -> str:
    """ "ok", "missing", or why it is refused."""
    if not path.is_file():
        return "missing"
    try:
        found = receipt.read(path)
    except CommandError as error:
        return f"refused: {error}"
    return "; ".join(["refused: " + each for each in receipt.differences(found, result)][:1]) or "ok"


def table(rows: list[dict[str, str]]) -> str:
    """``rows`` as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _harmless(value) for key, value in each.items()} for each in rows)
    return text.getvalue()


def _harmless(value: str) -> str:
    """A cell of one line that no spreadsheet takes for a formula."""
    value = sanitize(value)
    return f"'{value}" if value.lstrip()[:1] in ("=", "+", "-", "@") else value
