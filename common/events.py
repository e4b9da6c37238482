"""One event of the swarm's log: as a line, and checked against the vocabulary. Pure.

A log is a list of events in the order in which they became known. Most come from nodes, which report them to
the tracker; the tracker adds its own. The simulator writes the same. The shape is qlog's:

    {"time": 1204.531, "node": 7, "seq": 123, "name": "piece:missing", "data": {"torrent": ..., "piece": 5}}

``time``: milliseconds since the log's begin. ``node``: the node that reports; null: the tracker, or the log
itself. ``seq``: the number of this event among those of its node, from 1. Times may go back from one event
to the next: a report arrives up to two seconds after its events. The time of a position in the log is the
highest time up to there.

Units: sizes in bytes, durations in ms, rates in bytes a second, unless the field says otherwise. ``peer`` is
a node_id if it is known, else "HOST:PORT". Fields that a reader does not know are ignored; so are events
whose name it does not know. ``common.vocabulary`` has the names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from common.errors import EventError
from common.shapes import Shape, ShapeError, cleaned
from common.vocabulary import ANY, KEYFRAME, NODE, VOCABULARY, EventKind

MAX_EVENT_BYTES = 1 << 16  # of one event as JSON, except a keyframe
MAX_KEYFRAME_BYTES = 1 << 25  # of one keyframe as JSON
MAX_NAME = 64  # characters of an event's name


@dataclass(frozen=True, slots=True)
class SwarmEvent:
    """One event of the log. ``time`` in ms; ``node`` None: of the tracker or of the log."""

    time: float
    node: int | None
    seq: int
    name: str
    data: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The event as a dictionary for JSON; its time is rounded to a microsecond."""
        return {
            "time": rounded(self.time),
            "node": self.node,
            "seq": self.seq,
            "name": self.name,
            "data": self.data,
        }


def rounded(ms: float) -> float:
    """``ms`` as the log writes it: to a microsecond."""
    return round(ms, 3)


# ---- one line


def encode_event(event: SwarmEvent) -> bytes:
    """The event as one line of JSON, without the newline; EventError if it cannot be written as UTF-8."""
    try:
        return msgspec.json.encode(event.as_json())
    except (UnicodeEncodeError, TypeError, RecursionError) as error:
        raise EventError(f"{event.name} is no JSON: {error}") from None


def decode_event(line: bytes | str) -> SwarmEvent:
    """The event in one line; EventError. Its name may be unknown, and its data may be anything."""
    try:
        value = msgspec.json.decode(line)
    except (ValueError, RecursionError) as error:
        raise EventError(f"not JSON: {error}") from None
    return event_of(value)


def event_of(value: object) -> SwarmEvent:
    """The event in a decoded JSON value; EventError unless its five fields have their shapes."""
    try:
        found = cleaned(ENVELOPE, value)
    except ShapeError as error:
        raise EventError(f"no event: {error}") from None
    if not found["seq"] or len(found["name"]) > MAX_NAME or not isinstance(value, Mapping):
        raise EventError("no event: seq begins at 1, and a name has at most 64 characters")
    data = value.get("data")
    if not isinstance(data, Mapping):
        raise EventError("no event: data is not an object")
    return SwarmEvent(found["time"], found["node"], found["seq"], found["name"], data)


def check_event(event: SwarmEvent) -> SwarmEvent:
    """The event with exactly the fields of its kind; EventError if one is missing, wrong or too large."""
    data = checked_data(event.name, event.data)
    check_writer(event)
    found = event_of({**event.as_json(), "data": data})
    most = MAX_KEYFRAME_BYTES if event.name == KEYFRAME else MAX_EVENT_BYTES
    if len(encode_event(found)) > most:
        raise EventError(f"{event.name} has more than {most:,} bytes")
    return found


def check_writer(event: SwarmEvent) -> None:
    """EventError if the kind is unknown, or a node writes an event of the tracker, or the other way round."""
    kind = BY_NAME.get(event.name)
    if kind is None or (kind.writer != ANY and (kind.writer == NODE) is (event.node is None)):
        writer = "the tracker" if event.node is None else "a node"
        raise EventError(f"{event.name[:MAX_NAME]!r} is no event of {writer}")


def checked_data(name: str, data: object) -> dict[str, Any]:
    """``data`` with exactly the fields of the kind ``name``; EventError if one is missing or wrong."""
    kind = _KINDS.get(name)
    if kind is None:
        raise EventError(f"no event is named {name[:MAX_NAME]!r}")
    try:
        found: dict[str, Any] = cleaned(kind, data)
    except ShapeError as error:
        raise EventError(f"{name}: {error}") from None
    return found


ENVELOPE: Shape = ["record", {"time": "ms", "node": ["null", "node"], "seq": "count", "name": "text"}]
BY_NAME: Mapping[str, EventKind] = {kind.name: kind for kind in VOCABULARY}
_KINDS: dict[str, Shape] = {kind.name: kind.shape for kind in VOCABULARY}
