"""A crowd that starts together: the physical bound, and a small crowd of real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.content import make_content
from bench.crowd import run
from simulator.bounds import distribution_time


def test_the_bound_is_the_seed_alone_or_all_uploads_together() -> None:
    assert distribution_time(64_000_000, 10, 4_000_000) == 16.0
    assert distribution_time(64_000_000, 1, 4_000_000) == 16.0
    assert distribution_time(100, 10**6, 1) == pytest.approx(100, rel=1e-5)


def test_a_small_crowd_ends_with_whole_files(tmp_path: Path) -> None:
    content = make_content(tmp_path, 3_000_000)
    result = run(tmp_path, content, 3, upload=2_000_000)
    assert len(result.seconds) == 3
    assert result.bound == 1.5
    assert result.bound * 0.9 < result.seconds[-1]
    assert list(result.seconds) == sorted(result.seconds)
