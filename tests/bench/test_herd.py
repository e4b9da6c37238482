"""The bench of a tracker that is lost and comes back: small, with real processes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bench.judging import exit_code
from bench.tracker import herd


def test_a_small_herd_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(herd.SETTINGS, "TRACKER_TIME_INTERVAL", "2")
    monkeypatch.setattr(herd, "HEARTBEAT", 1.0)
    result = herd.stampede(tmp_path, 50, 0.5, seed=1)
    assert exit_code(result.figures()) == 0 and len(result.back) == 50
    assert sum(result.calls.values()) >= 50
    assert result.figures()[0].name == "50 nodes: all back"


def test_who_is_late_or_missing_is_judged() -> None:
    calls = Counter({0: 30, 1: 10})
    assert [row.ok for row in herd.Herd(2, 11.0, 60.0, [1.0, 22.0], calls).figures()] == [True, True, None]
    assert [row.ok for row in herd.Herd(2, 11.0, 60.0, [1.0, 22.5], calls).figures()] == [False, True, None]
    assert [row.ok for row in herd.Herd(2, 11.0, 60.0, [1.0], calls).figures()] == [True, False, None]
    assert [row.ok for row in herd.Herd(2, 11.0, 60.0, [], Counter()).figures()] == [None, False, None]
    assert herd.Herd(110, 11.0, 60.0, [1.0], calls).figures()[-1].ratio == 3.0
