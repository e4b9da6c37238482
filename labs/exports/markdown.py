"""The result as Markdown, for a README or a hand-in."""

from __future__ import annotations

from collections.abc import Sequence

from labs.grader.result import LabResult


def text(results: Sequence[LabResult]) -> str:
    """A table for each lab."""
    lines: list[str] = []
    for result in results:
        lines += [f"### {result.title}: {result.points} of {result.max_points} points", ""]
        lines += ["| stage | | points |", "|---|---|---|"]
        for stage in result.stages:
            summary = f": {stage.summary}" if stage.summary else ""
            state = f"{stage.status}{summary}".replace("|", "\\|").replace("\n", " ")
            lines.append(f"| {stage.key} {stage.title} | {state} | {stage.points} of {stage.max_points} |")
        lines += ["", f"Student {result.student}, seed `{result.seed}`, file `{result.file_hash[:16]}`.", ""]
    return "\n".join(lines)
