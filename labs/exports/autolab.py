"""Autolab's last line (docs/lab.md), which the server edits before it parses it.

Autolab replaces ``word:`` by ``"word":`` everywhere in the line, also inside strings. So names and hints have
no colon, and there is no address in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from labs.grader.result import PASSED, LabResult

_UNSAFE = re.compile(r"[^A-Za-z0-9 .,_-]+")


def lines(results: Sequence[LabResult]) -> list[str]:
    """The formatted feedback, then the scores: the last two lines of standard output."""
    feedback: dict[str, object] = {"_presentation": "semantic", "stages": [result.lab for result in results]}
    for result in results:
        feedback[result.lab] = {
            f"{stage.key} {_safe(stage.title)}": {
                "passed": stage.status == PASSED,
                "hint": _safe(stage.summary)[:200],
            }
            for stage in result.stages
        }
    points = {result.lab: result.points for result in results}
    scores = {"scores": points, "scoreboard": [sum(points.values())]}
    return [json.dumps(feedback), json.dumps(scores)]


def _safe(words: str) -> str:
    return _UNSAFE.sub(" ", words).strip()
