"""The picture of the congestion controllers goes into the file that the user names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from simulator import plot


def test_the_picture_goes_where_the_user_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plot, "course", lambda name: plot.Course([1.0], [0.0], [1.0]))
    image = tmp_path / "mine.svg"
    monkeypatch.setattr(sys, "argv", ["plot", str(image)])
    assert plot.main() == 0 and image.read_text(encoding="utf-8").startswith("<svg")
    monkeypatch.setattr(sys, "argv", ["plot", str(tmp_path / "none" / "mine.svg")])
    assert plot.main() == 1
    assert capsys.readouterr().err.endswith("mine.svg: No such file or directory\n")
