"""The grader's result in the forms that course systems read: one model, a short writer for each.

Each file is written before the first stage ("not finished"), and again after every stage, by atomic replace:
whatever ends the grader, a valid file is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from common.files import atomic_write
from labs.exports import classroom50, gradescope, json_report, junit, markdown
from labs.grader.result import LabResult

Writer = Callable[[Sequence[LabResult]], str]

WRITERS: dict[str, tuple[Writer, str]] = {
    "json": (json_report.text, "our own form; labs/schemas/report.json"),
    "junit": (junit.text, "JUnit XML (xunit2), for CI systems"),
    "gradescope": (gradescope.text, "Gradescope's results.json"),
    "classroom50": (classroom50.text, "classroom50's result.json"),
    "markdown": (markdown.text, "a table for people"),
}


def write_all(files: dict[str, Path], results: Sequence[LabResult]) -> None:
    """Write each of ``files`` (by the names in WRITERS) again."""
    for name, path in files.items():
        atomic_write(path, WRITERS[name][0](results).encode("utf-8", "replace"), sync=False)
