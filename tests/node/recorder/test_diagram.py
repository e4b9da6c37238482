"""The diagram in the terminal, as docs/seeing.md shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from node.recorder.diagram import diagram
from node.recorder.losses import marked
from node.recorder.rows import MessageRow

DOCUMENT = (Path(__file__).parents[3] / "docs" / "seeing.md").read_text(encoding="utf-8")


def row(time: float, message: str, sequence: int, start: int, end: int, peer: int | str = 1) -> MessageRow:
    fields: dict[str, Any] = {"sequence": sequence, "transfer": "1" * 16}
    direction = "out" if message == "REQUEST" else "in"
    fields |= {"offset": start, "length": end - start}
    return {"time": time, "direction": direction, "peer": peer, "message": message, "fields": fields}


def here(piece: int, torrent: str = "a", time: float = 1.0) -> MessageRow:
    fields = {"piece": piece, "torrent": torrent}
    return {"time": time, "direction": "here", "peer": None, "message": "verified", "fields": fields}


def test_the_example_of_the_document_is_drawn_by_the_code() -> None:
    rows = [
        row(50.0, "REQUEST", 8, 23040, 27360),
        row(50.004, "REQUEST", 9, 27360, 31680),
        *(row(50.813, "DATA", 8, at, at + 1440) for at in (23040, 24480, 25920)),
        row(50.82, "DATA", 9, 27360, 28800),
        row(50.869, "DATA", 9, 30240, 31680),
        row(50.91, "REQUEST", 13, 28800, 30240),
        row(51.397, "DATA", 13, 28800, 30240),
        here(0, "91178cc7237f", 57.544),
    ]
    assert "\n".join(diagram(marked(rows))) in DOCUMENT


@pytest.mark.parametrize("width", [None, 80, 200])
def test_arrows_are_of_one_length(width: int | None) -> None:
    rows = [row(at, "REQUEST", at, at * 100, at * 100 + 100) for at in range(4)]
    rows += [row(9, "DATA", 2, 200, 300), row(9, "DATA", 3, 300, 400, "10.0.0.1:5")]
    rows[4]["fields"]["lost"] = True
    sent = row(9, "DATA", 3, 300, 400)
    sent["direction"] = "out"
    sent["fields"]["lost"] = True
    lines = diagram([*rows, sent], width)
    ends = {line.rindex("│") for line in lines[1:]}
    assert len(ends) == 1 and max(map(len, lines)) <= (width or 200)
    assert [line.split("│")[2].strip() for line in lines[-2:]] == ["10.0.0.1:5", "node 1  lost"]


def test_adjacent_messages_of_one_kind_share_a_line() -> None:
    rows = [here(3), here(4), here(5), here(7), here(8, "b")]
    rows += [row(2, "DATA", 1, at, at + 10) for at in (0, 10, 30, 40)] + [row(2, "DATA", 2, 50, 60)]
    labels = [
        line.split("  ")[-1] if "torrent" not in line else line[12:32].strip() for line in diagram(rows)[1:]
    ]
    assert labels[:3] == ["● verified 3 to 5", "● verified 7", "● verified 8"]
    assert [label.strip("│◀─ ") for label in labels[3:]] == [
        "DATA 1 x 2 [0, 20)",
        "DATA 1 x 2 [30, 50)",
        "DATA 2 [50, 60)",
    ]


def test_without_messages_there_is_no_diagram() -> None:
    assert diagram([]) == []
