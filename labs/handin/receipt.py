"""A receipt of one grading, with which a second run can be compared.

Forging one needs a right solution, because the traces' hashes come from a run of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.errors import CommandError
from labs.grader.result import LabResult

FORMAT = "labs/receipt/v1"


def receipt(result: LabResult) -> dict[str, Any]:
    """The receipt of ``result``."""
    return {
        "format": FORMAT,
        "lab": result.lab,
        "student": result.student,
        "seed": result.seed,
        "file": result.file_hash,
        "versions": result.versions,
        "points": result.points,
        "stages": {stage.key: [stage.status, stage.trace_hash] for stage in result.stages},
    }


def read(path: Path) -> dict[str, Any]:
    """The receipt in ``path``. CommandError if it is not a receipt."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CommandError(f"{path} is no receipt: {error}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise CommandError(f"{path} is no receipt: it has no format {FORMAT}")
    return found


def differences(handed_in: dict[str, Any], result: LabResult) -> Iterator[str]:
    """Why ``handed_in`` is not the receipt of ``result``, a line each; nothing if it is."""
    own = receipt(result)
    if handed_in.get("lab") != own["lab"]:
        yield f"the receipt is of lab {handed_in.get('lab')!r}, not {own['lab']!r}"
    if handed_in.get("student") != own["student"]:
        yield f"the receipt belongs to student {handed_in.get('student')!r}, not {own['student']!r}"
    elif handed_in.get("seed") != own["seed"]:
        yield "the receipt is of another course, term or student: its seed differs"
    if handed_in.get("file") != own["file"]:
        yield "the file was changed after the receipt was made"
        return
    versions = handed_in.get("versions")
    if not isinstance(versions, dict) or versions.get("labs") != own["versions"]["labs"]:
        yield "the receipt was made with other checks; compare the points only"
        return
    stages = handed_in.get("stages")
    for key, found in own["stages"].items():
        told = stages.get(key) if isinstance(stages, dict) else None
        if told != found:
            yield f"stage {key}: the receipt says {told}, this run {found}"
