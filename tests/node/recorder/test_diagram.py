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


def test_the_example_of_the_document_is_drawn_by_the_code() -> None:
    verified: MessageRow = {
        **{"time": 57.544, "direction": "here", "peer": None},  # type: ignore[typeddict-item]
        **{"message": "verified", "fields": {"piece": 0, "torrent": "91178cc7237f"}},
    }
    rows = [
        row(50.0, "REQUEST", 8, 23040, 27360),
        row(50.004, "REQUEST", 9, 27360, 31680),
        *(row(50.813, "DATA", 8, at, at + 1440) for at in (23040, 24480, 25920)),
        row(50.82, "DATA", 9, 27360, 28800),
        row(50.869, "DATA", 9, 30240, 31680),
        row(50.91, "REQUEST", 13, 28800, 30240),
        row(51.397, "DATA", 13, 28800, 30240),
        verified,
    ]
    assert "\n".join(diagram(marked(rows))) in DOCUMENT


@pytest.mark.parametrize("width", [None, 80, 200])
def test_arrows_are_of_one_length(width: int | None) -> None:
    rows = [row(at, "REQUEST", at, at * 100, at * 100 + 100) for at in range(4)]
    rows += [row(9, "DATA", 2, 200, 300), row(9, "DATA", 3, 300, 400, "10.0.0.1:5")]
    rows[4]["fields"]["lost"] = True
    sent = {**row(9, "DATA", 3, 300, 400), "direction": "out"}
    sent["fields"]["lost"] = True
    lines = diagram([*rows, sent], width)  # type: ignore[list-item]
    ends = {line.rindex("│") for line in lines[1:]}
    assert len(ends) == 1 and max(map(len, lines)) <= (width or 200)
    assert [line.split("│")[2].strip() for line in lines[-2:]] == ["10.0.0.1:5", "node 1  lost"]


def test_without_messages_there_is_no_diagram() -> None:
    assert diagram([]) == []
