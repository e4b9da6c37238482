"""The trace of a lab's run as events of the swarm's log, for the page of ``labs replay``. Pure.

Each participant (fetcher, owner, you, tracker) becomes a node; the student's is node 1. Each row becomes one
``messages:dumped`` with one message, so that a step in the page is a step of the run. Virtual seconds become
milliseconds of the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from common.events import SwarmEvent, check_event
from common.text import sanitize
from labs.grader.trace import Row

YOURS = ("fetcher", "you")  # participants that are the student's; the others answer them
ALONE = "your part"  # the participant of a run without messages
MAX_TEXT = 300  # characters of one field
MAX_FIELDS = 30
MAX_LABEL = 24  # characters beside a lifeline; all words are among the fields
ARROWS = "→←╳ "
_NUMBERED = re.compile(r"([A-Z]+) (\d{1,15})")
_CLAUSE = re.compile(r"[:;,(]")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


def participants(rows: Sequence[Row]) -> list[str]:
    """The participants of ``rows``, the student's first; their node_ids are 1, 2, ..."""
    found = dict.fromkeys(name for row in rows for name in (row.sender, row.receiver) if name)
    return sorted(found, key=lambda name: name not in YOURS) or [ALONE]


def joined(rows: Sequence[Row]) -> list[Row]:
    """``rows``, in which a message that is lost at once is one row instead of two."""
    kept: list[Row] = []
    for row in rows:
        last = kept[-1] if kept else None
        if last is not None and row.mark == "lost" and _key(row) == _key(last) and row.message:
            kept[-1] = Row(
                row.time, f"{last.text} {row.text.partition(row.message)[2].strip()}", last.call, row.mark,
                row.sender, row.receiver, row.message, last.fields,
            )  # fmt: skip
        else:
            kept.append(row)
    return kept


def events(rows: Sequence[Row], program: str) -> Iterator[SwarmEvent]:
    """The events of ``rows``, in their order. Each passes ``check_event``."""
    names = participants(rows)
    seqs = dict.fromkeys(range(1, len(names) + 1), 0)

    def event(time: float, node: int, name: str, data: Mapping[str, Any]) -> SwarmEvent:
        seqs[node] += 1
        return check_event(SwarmEvent(round(max(time, 0.0) * 1000, 3), node, seqs[node], name, data))

    for node, name in enumerate(names, 1):
        yield event(rows[0].time if rows else 0.0, node, "node:started", _started(f"{name}, {program}"))
    requests: dict[tuple[str, str], int] = {}  # (sender, message): how often so far
    shown = joined(rows)
    for index, row in enumerate(shown):
        times = requests[row.sender, row.message] = requests.get((row.sender, row.message), 0) + 1
        node, message = _message(row, names, times)
        data = {
            "reason": _text(row.text.lstrip(ARROWS)),
            "dump": index + 1,
            "first": 0,
            "total": 1,
            "messages": [message],
        }
        yield event(row.time, node, "messages:dumped", data)


def _key(row: Row) -> tuple[float, str, str, str]:
    return row.time, row.sender, row.receiver, row.message


def _started(program: str) -> dict[str, Any]:
    limits = dict.fromkeys(("addr", "tcp_addr", "up_limit", "down_limit", "slots"))
    return {**limits, "transports": ["virtual time"], "program": program}


def _message(row: Row, names: Sequence[str], times: int) -> tuple[int, dict[str, Any]]:
    """The node that reports ``row``, which is the student's where it takes part, and the message."""
    ends = [names.index(name) + 1 if name in names else 0 for name in (row.sender, row.receiver)]
    name, fields = (
        row.message,
        {key: _scalar(value) for key, value in row.fields.items() if _NAME.fullmatch(key)},
    )
    if numbered := _NUMBERED.fullmatch(row.message):
        name, fields = numbered[1], {"sequence": int(numbered[2]), **fields}
    fields = {**dict(list(fields.items())[:MAX_FIELDS]), **_words(row, times)}
    if not all(ends):
        node = max(*ends, 1)
        peer = next((number for number in range(1, len(names) + 1) if number != node), None)  # of the diagram
        words = _text(row.text)
        label = _CLAUSE.split(words.lstrip(ARROWS))[0][:MAX_LABEL] or words
        return node, {"ago_ms": 0, "direction": "here", "peer": peer, "message": label, "fields": fields}
    node, peer = sorted(ends)
    direction = "out" if node == ends[0] else "in"
    message = {"ago_ms": 0, "direction": direction, "peer": peer, "message": name, "fields": fields}
    if row.mark == "lost":
        message["lost"] = True
    elif times > 1 and numbered and row.sender in YOURS:
        message["again"] = int(numbered[2])
    return node, message


def _words(row: Row, times: int) -> dict[str, Any]:
    """Fields that hold words: the row's text, the call beside it, and how often the message was sent."""
    words: dict[str, Any] = {"text": _text(row.text)}
    if row.call:
        words["call"] = _text(row.call)
    if row.mark:
        words["mark"] = row.mark
    if row.message and times > 1:
        words["reason"] = f"time {times}"
    return words


def _text(words: str) -> str:
    return sanitize(words)[:MAX_TEXT]


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and abs(value) < 2**53:
        return value
    return _text(str(value))
