"""The demo is the first thing that anybody runs: small here, but all of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import configs

ROOT = Path(configs.__file__).parent


def test_the_demo_ends_well_and_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "demo.py"), "--mebibytes", "6"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("verified") == 3
    assert "All copies are byte-identical." in done.stdout
    assert list(tmp_path.iterdir()) == []
