"""The fast check of an event's data takes nothing that ``check_event`` refuses, and gives the same data."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import EventError
from common.events import SwarmEvent, check_event
from common.shapes import MAX_MS, MAX_WHOLE, Shape
from common.vocabulary import ANY, NODE, VOCABULARY
from tracker.see import event_types
from tracker.see.event_types import checked_event_data

KINDS = [kind for kind in VOCABULARY if kind.writer in (NODE, ANY)]
ODD = st.sampled_from(
    [None, True, -1, 0, 1, 1.0, 1.5, -0.0, 1e13, MAX_MS + 1, 2**31 - 1, 2**31, MAX_WHOLE, MAX_WHOLE + 1,
     2**70, "", "x", "[::1]:80", "1.2.3.4:5\n", "0123456789ab", "0123456789ab\n", "01", "in", "udp", "\ud800",
     "é" * 3, [], {}, [1, 2], [[1, 2]], {"x": 1}]
)  # fmt: skip


def values(shape: Shape) -> st.SearchStrategy[Any]:
    """Mostly right values of a shape."""
    if isinstance(shape, str):
        plain = {
            "node": st.integers(0, 2**31 - 1), "count": st.integers(0, MAX_WHOLE), "flag": st.booleans(),
            "ms": st.floats(0, MAX_MS) | st.integers(0, MAX_MS), "text": st.text(max_size=5),
            "number": st.floats(-1e9, 1e9), "peer": st.integers(0, 99) | st.just("127.0.0.1:4001"),
            "address": st.just("127.0.0.1:4001"), "torrent": st.just("0123456789ab"),
            "info_hash": st.just("ab" * 20), "letters": st.text(".rcvx", max_size=5),
            "name": st.just("offset"), "whole": st.just("17"), "link": st.just("1>2"),
            "scalar": st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.floats(-9, 9),
        }  # fmt: skip
        return plain[shape] | ODD if shape != "flag" else plain[shape]
    kind, *parts = shape
    if kind == "list":
        return st.lists(values(parts[0]), max_size=3) | ODD
    if kind == "tuple":
        return st.tuples(*map(values, parts)).map(list) | ODD
    if kind == "map":
        return st.dictionaries(st.sampled_from(["offset", "x", "Bad", ""]), values(parts[1]), max_size=3)
    if kind == "one":
        return st.sampled_from(parts) | ODD
    if kind == "null":
        return st.none() | values(parts[0])
    required = {name: values(part) for name, part in parts[0].items() if not name.endswith("?")}
    optional = {name.rstrip("?"): values(part) for name, part in parts[0].items() if name.endswith("?")}
    return st.fixed_dictionaries(required, optional={**optional, "unknown": ODD})


@settings(max_examples=40)
@given(st.data())
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_both_checks_take_the_same(kind: Any, data: st.DataObject) -> None:
    given_data = data.draw(values(kind.shape))
    text = json.dumps(given_data)
    try:
        decoded = msgspec.json.decode(text)
        expected: Any = dict(check_event(SwarmEvent(1.0, 1, 1, kind.name, decoded)).data)
    except (EventError, msgspec.MsgspecError):  # the latter: half a character
        expected = None
    for fast in (True, False):
        if fast:
            try:
                found: Any = event_types._DECODERS[kind.name].decode(text)
            except msgspec.MsgspecError:
                continue  # stricter: not so fast
        else:
            try:
                found = checked_event_data(1.0, 1, 1, kind.name, msgspec.Raw(text.encode()))
            except EventError:
                assert expected is None
                continue
        assert expected is not None, found
        assert json.loads(msgspec.json.encode(found)) == expected


def test_the_usual_events_are_checked_fast() -> None:
    """None of these is left to the slow check."""
    usual = {
        "link:bytes": {"torrent": "0123456789ab", "in": [[2, 10]], "out": [["127.0.0.1:5", 3]], "down": 10,
                       "up": 3, "span_ms": 500.25},
        "piece:verified": {"torrent": "0123456789ab", "piece": 7, "peers": [2, "127.0.0.1:5"]},
        "piece:held": {"torrent": "0123456789ab", "ranges": [[0, 5]]},
        "gap": {"events": 3, "span_ms": 12},
    }  # fmt: skip
    for name, data in usual.items():
        found = event_types._DECODERS[name].decode(json.dumps(data))
        assert json.loads(msgspec.json.encode(found)) == data


@pytest.mark.parametrize("name", ["tracker:exit", "clock", "keyframe", "node:silent", "nonsense"])
def test_a_node_cannot_write_events_of_the_tracker(name: str) -> None:
    with pytest.raises(EventError):
        checked_event_data(1.0, 1, 1, name, msgspec.Raw(b'{"node": 1}'))
