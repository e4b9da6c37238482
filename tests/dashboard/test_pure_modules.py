"""The page's pure modules in node.js: the playhead, the sentences, the sequence diagram."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

NODE = shutil.which("node")
HERE = Path(__file__).resolve().parent
STATIC = HERE.parents[1] / "tracker" / "web" / "static"
SUITES = sorted(HERE.glob("*.test.mjs"))
MAX_FILE_LINES = 400
# Ways to turn a text into code or markup, and addresses of elsewhere.
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|\.style\.cssText|"
    r"setAttribute\(\"style|https?:(?!//www\.w3\.org/2000/svg)"
)


@pytest.mark.skipif(NODE is None, reason="node.js is not installed")
@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_suite_in_node(suite: Path) -> None:
    assert NODE is not None
    ran = subprocess.run([NODE, "--test", str(suite)], capture_output=True, text=True, encoding="utf-8")
    assert ran.returncode == 0, ran.stdout[-4000:]


def test_scripts_are_short_and_make_no_markup_from_texts() -> None:
    assert len(SUITES) > 2
    found = []
    for path in sorted(STATIC.glob("*.js")):
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > MAX_FILE_LINES:
            found.append(f"{path.name}: {len(text.splitlines())} lines")
        found += [f"{path.name}: {match[0]}" for match in FORBIDDEN.finditer(text)]
    assert found == []
