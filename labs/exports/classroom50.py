"""classroom50's ``result.json`` (foundation50/classroom50, Advanced-Autograding, as of mid-2026)."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import datetime, timezone

from labs.grader.result import PASSED, LabResult

NAMES = {  # our field: the variable of their runner
    "classroom": "CLASSROOM",
    "assignment": "ASSIGNMENT",
    "submission": "SUBMISSION_TAG",
    "commit": "COMMIT_URL",
    "release": "RELEASE_URL",
    "review": "REVIEW_URL",
}


def text(results: Sequence[LabResult]) -> str:
    """The file's content. Scores are whole numbers."""
    tests = [
        {
            "test-name": f"{result.lab} {stage.key}",
            "passed": stage.status == PASSED,
            "score": stage.points,
            "max-score": stage.max_points,
        }
        for result in results
        for stage in result.stages
    ]
    report = {
        "schema": "classroom50/result/v1",
        **{name: os.environ.get(variable, "") for name, variable in NAMES.items()},
        "datetime": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "score": sum(result.points for result in results),
        "max-score": sum(result.max_points for result in results),
        "tests": tests,
    }
    return json.dumps(report, indent=1) + "\n"
