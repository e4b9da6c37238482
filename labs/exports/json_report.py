"""Our own report: everything that the grader knows; described by ``labs/schemas/report.json``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from labs.grader.result import LabResult

FORMAT = "labs/report/v1"


def text(results: Sequence[LabResult]) -> str:
    """The report as JSON."""
    labs = []
    for result in results:
        fields = dataclasses.asdict(result)
        fields.pop("printed")
        labs.append({**fields, "points": result.points, "max_points": result.max_points})
    points, most = sum(each.points for each in results), sum(each.max_points for each in results)
    report = {"format": FORMAT, "points": points, "max_points": most, "labs": labs}
    return json.dumps(report, indent=1) + "\n"
