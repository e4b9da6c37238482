"""Gradescope's ``results.json`` (gradescope/autograder_samples, docs/specs.md of January 2025)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from labs.grader.result import FAILED, PASSED, LabResult, StageResult


def text(results: Sequence[LabResult]) -> str:
    """The file's content. Every test is visible: the grader that students run is the one that grades."""
    tests = [_test(result, stage) for result in results for stage in result.stages]
    finished = all(result.is_finished for result in results)
    summary = ", ".join(f"{each.lab}: {each.points} of {each.max_points}" for each in results)
    report: dict[str, Any] = {
        "score": sum(result.points for result in results),
        "execution_time": round(sum(stage.seconds for each in results for stage in each.stages)),
        "output": summary if finished else f"not finished. {summary}",
        "output_format": "text",
        "stdout_visibility": "visible",
        "tests": tests,
        "extra_data": {"seeds": {result.lab: result.seed for result in results}},
    }
    return json.dumps(report, indent=1) + "\n"


def _test(result: LabResult, stage: StageResult) -> dict[str, Any]:
    test: dict[str, Any] = {
        "score": stage.points,
        "max_score": stage.max_points,
        "name": f"{result.lab} {stage.title}",
        "number": f"{result.lab[:2]}.{stage.key[1:]}",
        "output": "\n".join(stage.story) or f"{stage.status} {stage.summary}".strip(),
        "output_format": "text",
        "visibility": "visible",
    }
    if stage.status in (PASSED, FAILED):
        test["status"] = stage.status
    return test
