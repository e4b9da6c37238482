"""The classes that the documents show work with ``-use`` as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from node import plugins

ROOT = Path(__file__).resolve().parents[2]
SHOWN = {
    "LeastUploadsFirst": ("CONTRIBUTING.md", "ranking"),
    "LastFirst": ("CONTRIBUTING.md", "piece-order"),
    "Vegas": ("docs/transport.md", "congestion"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_class_that_is_shown_loads_as_a_plugin(name: str, tmp_path: Path) -> None:
    document, kind = SHOWN[name]
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), re.DOTALL)
    (code,) = (block for block in blocks if f"class {name}" in block)
    file = tmp_path / "mine.py"
    file.write_text(code, encoding="utf-8")
    assert plugins.load(f"{file}:{name}").kind == kind
