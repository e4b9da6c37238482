"""Draws rows of messages as a sequence diagram in text: one lifeline for this node, one for the peer. Pure.

           ms  this node                                          node 3
        0.000  │── REQUEST 2 [1440, 2880) ─────────────────────────▶│
        0.412  │  ╳ ◀─────────────────────── DATA 2 [1440, 2880) ───│  lost
        0.412  │── REQUEST 4 [1440, 2880) ─────────────────────────▶│  again (REQUEST 2)

Adjacent messages of one kind share an arrow: DATA 4 x 8 [1440, 12960).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from node.recorder.rows import HERE, OUT, MessageRow

NARROWEST = 40  # columns of an arrow
WIDEST = 64  # columns of an arrow
TIME_COLUMNS = 10  # columns of the time
NOTE_COLUMNS = 26  # that are left for the words behind an arrow
_SHOWN = (
    "reason",
    "queue_position",
    "complete",
    "size",
    "node",
    "torrent",
    "rare_only",
    "no_token",
    "bytes",
    "hits",
    "rule",
)
_RANGES = {"DATA": "offset", "REQUEST": "offset", "piece": "begin", "request": "begin"}


def diagram(rows: Sequence[MessageRow], width: int | None = None) -> list[str]:
    """Lines of about ``width`` columns at most; none without rows. Times are ms since the first row."""
    if not rows:
        return []
    room = (width or TIME_COLUMNS + WIDEST + NOTE_COLUMNS) - TIME_COLUMNS - NOTE_COLUMNS
    arrow = max(NARROWEST, min(WIDEST, room))
    begin = rows[0]["time"]
    peers = list(dict.fromkeys(row["peer"] for row in rows if row["peer"] is not None))
    right = _peer(peers[0]) if len(peers) == 1 else "peers"
    lines = [f"{'ms':>{TIME_COLUMNS}}  this node{right:>{arrow - 7}}"]
    for row, count, end in _runs(rows):
        named = _peer(row["peer"]) if len(peers) > 1 and row["direction"] != HERE else ""
        drawn = _drawn(row, _label(row, count, end), arrow)
        words = "  ".join(filter(None, (named, _words(row))))
        lines.append(f"{row['time'] - begin:{TIME_COLUMNS}.3f}  {drawn}  {words}".rstrip())
    return lines


def _runs(rows: Sequence[MessageRow]) -> Iterator[tuple[MessageRow, int, int]]:
    """Rows, each with the number of messages that it stands for, and the end of their bytes."""
    at = 0
    while at < len(rows):
        first, count = rows[at], 1
        end = _end(first)
        while at + count < len(rows) and _continues(first, rows[at + count], end):
            end = _end(rows[at + count])
            count += 1
        yield first, count, end
        at += count


def _end(row: MessageRow) -> int:
    """The number after the bytes of ``row``; after its piece, if this node verified one."""
    fields, start = row["fields"], _RANGES.get(row["message"], "")
    if row["direction"] == HERE:
        return int(fields.get("piece", 0)) + 1
    return fields[start] + fields["length"] if start in fields else 0


def _continues(first: MessageRow, row: MessageRow, end: int) -> bool:
    """True if ``row`` is of the kind of ``first``, and its bytes, or its piece, begin at ``end``."""
    if first["direction"] == HERE:
        same_torrent = row["fields"].get("torrent") == first["fields"].get("torrent")
        return row["message"] == first["message"] and same_torrent and row["fields"].get("piece") == end
    start = _RANGES.get(row["message"])
    if start is None or row["message"] == "REQUEST" or row["fields"].get(start) != end:
        return False
    same = ("direction", "peer", "message")
    fields = ("sequence", "piece", "lost")
    return all(row[name] == first[name] for name in same) and all(  # type: ignore[literal-required]
        row["fields"].get(name) == first["fields"].get(name) for name in fields
    )


def _label(row: MessageRow, count: int, end: int) -> str:
    """``DATA 4 x 8 [1440, 12960)``, ``piece 7 [0, 16384)``, ``REFUSE 9 BUSY``."""
    fields = row["fields"]
    words: list[Any] = [row["message"], *(fields[name] for name in ("sequence", "piece") if name in fields)]
    if count > 1:
        words.append(f"to {end - 1}" if row["direction"] == HERE else f"x {count}")
    start = fields.get(_RANGES.get(row["message"], ""))
    if start is not None:
        words.append(f"[{start}, {end})")
    elif "begin" in fields:
        words.append(f"[{fields['begin']}, {fields['begin'] + fields['length']})")
    if "reason" in fields:
        words.append(fields["reason"])
    return " ".join(map(str, words))


def _drawn(row: MessageRow, label: str, width: int) -> str:
    """The two lifelines, and the arrow between them with ``label`` on it."""
    if row["direction"] == HERE:
        return f"● {label}".ljust(width + 2)
    if row["fields"].get("lost"):
        if row["direction"] == OUT:
            return f"│── {label} ".ljust(width - 6, "─") + "▶ ╳".ljust(7) + "│"
        return "│  ╳ ◀" + f" {label} ──│".rjust(width - 4, "─")
    if row["direction"] == OUT:
        return f"│── {label} ".ljust(width, "─") + "▶│"
    return "│◀" + f" {label} ──│".rjust(width, "─")


def _words(row: MessageRow) -> str:
    """The words behind an arrow."""
    fields = row["fields"]
    words = []
    if fields.get("lost"):
        words.append("lost")
    if "again" in fields:
        words.append(f"again (REQUEST {fields['again']})")
    for name in _SHOWN:
        if name in fields and not (name == "reason" or (name == "torrent" and row["message"] == "REQUEST")):
            value = fields[name]
            words.append(name.replace("_", " ") if value is True else f"{name.replace('_', ' ')} {value}")
    if "more" in fields:
        words.append(f"and {fields['more']} more")
    if "more_bytes" in fields:
        words.append(f"and {fields['more_bytes']} bytes more")
    return ", ".join(words)


def _peer(peer: int | str | None) -> str:
    return f"node {peer}" if isinstance(peer, int) else str(peer)
