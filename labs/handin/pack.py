"""A zip for Gradescope: ``setup.sh`` and ``run_autograder`` in its root, and the tree without answers.

Gradescope puts the submission into /autograder/submission, the zip into /autograder/source, and reads
/autograder/results/results.json. AUTOGRADER names another folder than /autograder, for trying it.
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from labs.grader.lab import Lab
from labs.handin import handout

SETUP = """#!/usr/bin/env bash
# Runs once, when the image is built.
set -e
cd "${AUTOGRADER:-/autograder}/source"
python3 -m venv .venv
.venv/bin/python -m pip install --quiet -r requirements.txt -c constraints.txt
"""
RUN = """#!/usr/bin/env bash
# Runs for each submission.
export AUTOGRADER="${{AUTOGRADER:-/autograder}}" COURSE="{course}" TERM_SALT="{salt}"
cd "$AUTOGRADER/source"
exec .venv/bin/python -m labs gradescope {lab}
"""
EXECUTABLE = 0o100755 << 16


def write(lab: Lab, out: Path, course: str, salt: str) -> int:
    """Write the zip; returns the number of its files."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
        tree = Path(folder) / "tree"
        handout.write(tree)
        files = sorted(path for path in tree.rglob("*") if path.is_file())
        for path in files:
            zipped.write(path, path.relative_to(tree))
        for name, text in (
            ("setup.sh", SETUP),
            ("run_autograder", RUN.format(course=course, salt=salt, lab=lab.name)),
        ):
            entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            entry.external_attr = EXECUTABLE
            zipped.writestr(entry, text)
        return len(files) + 2
