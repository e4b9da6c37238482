"""Events of the log: lines, and the check of an event against the vocabulary."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import EventError
from common.events import MAX_EVENT_BYTES, SwarmEvent, check_event, decode_event, encode_event
from common.vocabulary import ANY, LOG, NODE, TRACKER, VOCABULARY

TORRENT = "0123456789ab"
NUMBERS = st.integers() | st.floats()
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5) | st.sampled_from(["1:2", TORRENT]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def event(name: str = "piece:missing", node: int | None = 7, time: float = 1.5, **data: Any) -> SwarmEvent:
    return SwarmEvent(time, node, 1, name, data or {"torrent": TORRENT, "piece": 5})


def test_a_line_is_as_documented() -> None:
    line = encode_event(event(time=1204.53149))
    data = b'{"torrent":"0123456789ab","piece":5}'
    assert line == b'{"time":1204.531,"node":7,"seq":1,"name":"piece:missing","data":%b}' % data
    assert decode_event(line) == event(time=1204.531)


@given(st.binary() | st.text() | JSON.map(repr))
def test_any_other_line_is_refused_by_the_named_error(line: bytes | str) -> None:
    with pytest.raises(EventError):
        decode_event(line)


@given(
    name=st.sampled_from([kind.name for kind in VOCABULARY]) | st.text(),
    node=st.none() | st.integers(),
    data=JSON,
)
def test_an_event_is_accepted_or_refused_by_the_named_error(name: str, node: int | None, data: Any) -> None:
    try:
        found = check_event(SwarmEvent(0.0, node, 1, name, data))
    except EventError:
        return
    assert decode_event(encode_event(found)) == found == check_event(found)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (event("piece:lost"), "no event is named 'piece:lost'"),
        (event(torrent=TORRENT), "piece:missing: piece is missing"),
        (event(torrent=TORRENT, piece=-1), "piece:missing: piece: not a whole number from 0 to 2⁵³ - 1"),
        (event(torrent=TORRENT, piece=0.5), "piece:missing: piece: not a whole number from 0 to 2⁵³ - 1"),
        (event(torrent="x", piece=0), "piece:missing: torrent: not the first 12 hexadecimal digits"),
        (event(node=None), "'piece:missing' is no event of the tracker"),
        (SwarmEvent(0, 7, 1, "tracker:exit", {"node": 8}), "'tracker:exit' is no event of a node"),
        (event(time=-1), "no event: time: not milliseconds, at least 0, to a microsecond"),
        (event(time=float("nan")), "no event: time: not milliseconds, at least 0, to a microsecond"),
        (SwarmEvent(0, 7, 0, "node:left", {}), "no event: seq begins at 1"),
        (event("node:faults", spec="\ud800"), "node:faults is no JSON"),
        (event("node:faults", spec="x" * MAX_EVENT_BYTES), "node:faults has more than 65,536 bytes"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_field_and_the_reason(wrong: SwarmEvent, message: str) -> None:
    with pytest.raises(EventError, match="^" + re.escape(message)):
        check_event(wrong)


def test_unknown_fields_are_dropped_and_whole_floats_become_whole_numbers() -> None:
    found = check_event(event(torrent=TORRENT, piece=5.0, colour="red"))
    assert encode_event(found) == encode_event(event())


def test_every_kind_says_who_writes_it_and_when_and_each_field_its_meaning() -> None:
    for kind in VOCABULARY:
        assert kind.writer in (NODE, TRACKER, LOG, ANY) and kind.when
        assert all(field.meaning for field in kind.fields), kind.name
        assert re.fullmatch(r"[a-z]+(:[a-z]+)?", kind.name)
