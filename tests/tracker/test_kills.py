"""kill -9 under load, a few times; ``make kills`` does it a thousand times."""

from __future__ import annotations

from pathlib import Path

from bench.tracker.kills import kill_often


def test_nothing_that_was_acknowledged_is_lost(tmp_path: Path) -> None:
    result = kill_often(tmp_path, kills=5, seed=7)
    assert result.lost == []
    assert result.acknowledged > 50
