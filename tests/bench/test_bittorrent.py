"""The figures of the peer wire: ratios within a round, medians over rounds, and a move that is real."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.bittorrent.figures import GIB, MIB, PeerWireRuns, figures
from bench.bittorrent.moves import OURS, THEIRS, Move, move
from bench.bittorrent.swarms import Crowd
from bench.content import make_content
from bench.judging import Figure
from bench.records import Usage


def a_round(speed: float) -> dict[tuple[str, str], Move]:
    """libtorrent alone moves ``speed`` bytes a second."""
    factors = {(THEIRS, THEIRS): 1.0, (THEIRS, OURS): 1.2, (OURS, THEIRS): 1.5, (OURS, OURS): 3.0}
    return {
        kind: Move(
            *kind, GIB, GIB / (speed * factor), Usage(2.0 if kind[0] == OURS else 3.0, 1), Usage(4.0, 1)
        )
        for kind, factor in factors.items()
    }


def named(rows: list[Figure]) -> dict[str, Figure]:
    return {row.name.strip(): row for row in rows}


def test_ratios_are_taken_within_a_round() -> None:
    runs = PeerWireRuns(moves=[a_round(1e8), a_round(9e8), a_round(3e8)])
    runs.idle = {OURS: Usage(1.5, 1), THEIRS: Usage(1.0, 1)}
    rows = named(figures(runs))
    assert rows["our download ÷ libtorrent's"].value == pytest.approx(1.2)
    assert rows["download from us ÷ from libtorrent"].value == pytest.approx(1.5)
    assert rows["ours → ours ÷ libtorrent → libtorrent"].value == pytest.approx(3.0)
    assert rows["libtorrent's seeder ÷ ours"].value == pytest.approx((3.0 - 1.0) / (2.0 - 1.5))
    assert all(row.ok is not False for row in rows.values())


def test_each_bound_can_fail() -> None:
    moves = {kind: Move(*kind, GIB, 1.0, Usage(3.0, 1), Usage(4.0, 1)) for kind in a_round(1e8)}
    runs = PeerWireRuns([moves], crowds=[Crowd((20.0, 30.0), 16.0)], stalled=[(2.0, 1.0)])
    runs.rss = {MIB: 121 * MIB}
    judged = [row for row in figures(runs) if row.bounds]
    assert len(judged) == 7 and all(row.ok is False for row in judged)


def test_a_move_is_real_and_compared(tmp_path: Path) -> None:
    content = make_content(tmp_path, 3 * MIB)
    done = move(tmp_path, content, OURS, OURS)
    assert done.size == 3 * MIB and done.seconds > 0
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("move-")] == []
