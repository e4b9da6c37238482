"""The map of pieces: it fits the terminal, and shows the rarity of pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from node.events import PiecesStatus
from node.show.piece_map import MAP_LINES, availability, map_lines

HASH = "ab" * 20


def row(states: str, copies: tuple[int, ...] = (), available: float | None = None) -> PiecesStatus:
    return PiecesStatus("film.mkv", HASH, 2**20, states, copies, available)


def test_a_small_torrent_has_a_character_a_piece() -> None:
    lines = map_lines(row("vvvfmxu", (1, 2, 4), 0.86), 60)
    assert lines[0] == (
        "film.mkv: 3 of 7 pieces of 1 MiB verified, 1 being fetched, 1 without a copy, 1 not selected"
    )
    assert lines[1] == "0 ███▒·!-"
    assert lines[-4:] == [
        "availability 0.86: copies of the rarest piece, ours among them, and the rest",
        "  0 copies: 1 piece",
        "  1 copy: 2 pieces",
        "  2 or more copies: 4 pieces",
    ]


def test_a_large_torrent_is_drawn_in_groups() -> None:
    lines = map_lines(row("v" * 5000 + "m" * 5000), 80)
    drawn = [line for line in lines if line.lstrip()[:1].isdigit()]
    assert len(drawn) == MAP_LINES
    assert drawn[0] == "   0 " + "█" * 64
    assert any(line == "each character stands for 10 pieces" for line in lines)
    assert "▄" not in "".join(drawn)  # the border lies between two groups


@pytest.mark.parametrize(
    ("states", "cell"), [("vf", "▒"), ("vx", "!"), ("vm", "▄"), ("vv", "█"), ("uu", "-"), ("mm", "·")]
)
def test_the_most_important_news_of_a_group_is_shown(states: str, cell: str) -> None:
    lines = map_lines(row(states * 5000), 20)
    assert lines[1].split() == ["0", cell * 8]


@given(st.text("vfmxu", max_size=3000), st.integers(20, 200))
def test_every_line_of_the_map_fits(states: str, width: int) -> None:
    lines = map_lines(row(states), width)
    assert all(cell_len(line) <= width for line in lines[1:] if not line.startswith("!"))
    assert len(lines) < MAP_LINES + 15


def test_availability_is_never_rounded_up() -> None:
    assert [availability(copies) for copies in (0.0, 0.999, 1.0, 2.35, 2.9999999)] == [
        *("0.00", "0.99", "1.00", "2.35", "2.99")
    ]
