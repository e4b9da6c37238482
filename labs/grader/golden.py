"""Golden transcripts: the failure that each planted mistake shows, in ``wrong/NAME.txt``.

``python -m labs golden`` writes them; the tests compare. A change of a message is seen in the diff.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from labs.grader.grade import run_stage
from labs.grader.lab import Lab
from labs.grader.parameters import NOBODY, seed_of
from labs.grader.planted import Mistake, mistakes
from labs.grader.result import FAILED, StageResult


def transcript(lab: Lab, mistake: Mistake) -> tuple[StageResult, str]:
    """The result of the stage that must catch ``mistake``, and its story."""
    with tempfile.TemporaryDirectory() as folder:
        mine = Path(folder) / "mine.py"
        mine.write_text(mistake.source(lab.mine.read_text(encoding="utf-8")), encoding="utf-8")
        seed = seed_of("networks", "", lab.name, NOBODY)
        result, _, _ = run_stage(lab, lab.stage(mistake.stage), mine, seed)
    return result, "\n".join(result.story) + "\n"


def write(lab: Lab) -> Iterator[str]:
    """Write every transcript of ``lab``; a line for each mistake that its stage does not catch."""
    for mistake in mistakes(lab.folder):
        result, text = transcript(lab, mistake)
        if result.status == FAILED:
            mistake.transcript.write_text(text, encoding="utf-8")
        else:
            yield f"{lab.name}: {mistake.stage} does not catch {mistake.name}"
