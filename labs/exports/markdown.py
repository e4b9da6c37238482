"""The result as Markdown, for a README or a hand-in."""

from __future__ import annotations

from collections.abc import Sequence

from common.text import sanitize
from labs.grader.result import LabResult


def text(results: Sequence[LabResult]) -> str:
    """A table for each lab."""
    lines: list[str] = []
    for result in results:
        lines += [f"### {_cell(result.title)}: {result.points} of {result.max_points} points", ""]
        lines += ["| stage | | points |", "|---|---|---|"]
        for stage in result.stages:
            summary = f": {stage.summary}" if stage.summary else ""
            state = _cell(f"{stage.status}{summary}")
            lines.append(
                f"| {stage.key} {_cell(stage.title)} | {state} | {stage.points} of {stage.max_points} |"
            )
        lines += [
            "",
            f"Student {_cell(result.student)}, seed `{result.seed}`, file `{result.file_hash[:16]}`.",
            "",
        ]
    return "\n".join(lines)


def _cell(words: str) -> str:
    """``words`` in one line, without the table's mark."""
    return sanitize(words.replace("\n", " ")).replace("|", "\\|")
