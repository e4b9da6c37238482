"""The bench of a tracker that is lost and comes back: small, with real processes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bench.tracker import herd


def test_a_small_herd_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(herd.SETTINGS, "TRACKER_TIME_INTERVAL", "2")
    monkeypatch.setattr(herd, "HEARTBEAT", 1.0)
    result = herd.stampede(tmp_path, 50, 0.5, seed=1)
    assert result.good and len(result.back) == 50
    assert sum(result.calls.values()) >= 50
    assert f"50 nodes, tracker gone for 0.5 s, interval {result.interval:.1f} s: 50 back" in str(result)


def test_who_is_late_or_missing_is_judged() -> None:
    calls = Counter({0: 30, 1: 10})
    assert herd.Herd(2, 11.0, 60.0, [1.0, 22.0], calls).good
    assert not herd.Herd(2, 11.0, 60.0, [1.0, 22.5], calls).good
    assert not herd.Herd(2, 11.0, 60.0, [1.0], calls).good
    assert herd.Herd(110, 11.0, 60.0, [1.0], calls).peak == 3.0
