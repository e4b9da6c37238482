"""The answer to ``-pieces``: a map of the pieces that fits the terminal, and how rare they are. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from common.text import sanitize
from node.events import PiecesStatus
from node.show import units

MAP_LINES = 16  # of a map; then a cell stands for several pieces
MAP_WIDTH = 64  # cells of a line at most
DEFAULT_WIDTH = 72  # columns if the output has no width
MAX_RARITIES = 5  # counts of copies that are listed, the rarest first
VERIFIED, PARTLY, FETCHED, MISSING, NO_COPY, UNWANTED = "█▄▒·!-"
LEGEND = (
    f"{VERIFIED} verified  {PARTLY} partly verified  {FETCHED} being fetched  {MISSING} missing  "
    f"{NO_COPY} missing, no known peer has it  {UNWANTED} not selected"
)


def map_lines(row: PiecesStatus, width: int | None) -> list[str]:
    """The map of ``row`` and the lines around it, for a terminal of ``width`` columns. None: any width."""
    count, width = len(row.states), width or DEFAULT_WIDTH
    number = len(str(max(0, count - 1)))
    cells = max(8, min(MAP_WIDTH, width - number - 1) // 8 * 8)
    together = max(1, -(-count // (cells * MAP_LINES)))  # pieces of a cell
    lines = [f"{row.filename}: {_summary(row)}"]
    for first in range(0, count, cells * together):
        end = min(first + cells * together, count)
        groups = (row.states[at : at + together] for at in range(first, end, together))
        lines.append(f"{first:>{number}} {''.join(map(_cell, groups))}")
    if together > 1:
        lines.append(f"each character stands for {together} pieces")
    lines += _wrapped(LEGEND, width)
    lines += _rarity(row)
    return [sanitize(line) for line in lines]


def _cell(states: str) -> str:
    """The most important news of a group of pieces."""
    if "f" in states:
        return FETCHED
    if "x" in states:
        return NO_COPY
    if "m" in states:
        return PARTLY if "v" in states else MISSING
    return VERIFIED if "v" in states else UNWANTED


def _summary(row: PiecesStatus) -> str:
    found, count = Counter(row.states), len(row.states)
    parts = [f"{found['v']} of {count} pieces of {units.binary_size(row.piece_length)} verified"]
    parts += [f"{found['f']} being fetched"] if found["f"] else []
    parts += [f"{found['x']} without a copy"] if found["x"] else []
    parts += [f"{found['u']} not selected"] if found["u"] else []
    return ", ".join(parts)


def _rarity(row: PiecesStatus) -> Iterator[str]:
    if row.availability is None:
        return
    copies = availability(row.availability)
    yield f"availability {copies}: copies of the rarest piece, ours among them, and the rest"
    rarities = [(number, pieces) for number, pieces in enumerate(row.copies) if pieces]
    for number, pieces in rarities[:MAX_RARITIES]:
        more = " or more" if number == len(row.copies) - 1 else ""
        noun = "copy" if number == 1 and not more else "copies"
        yield f"  {number}{more} {noun}: {pieces} piece{'' if pieces == 1 else 's'}"
    if len(rarities) > MAX_RARITIES:
        rest = sum(pieces for _, pieces in rarities[MAX_RARITIES:])
        yield f"  more copies: {rest} pieces"


def availability(copies: float) -> str:
    """``2.35``; rounded down, so that 2.00 means two whole copies."""
    return f"{int(copies * 100 + 1e-6) / 100:.2f}"


def _wrapped(text: str, width: int) -> list[str]:
    """``text`` in lines of ``width`` columns, broken between the entries of a legend."""
    lines = [""]
    for entry in text.split("  "):
        if lines[-1] and len(lines[-1]) + 2 + len(entry) > width:
            lines.append("")
        lines[-1] += ("  " if lines[-1] else "") + entry
    return lines
