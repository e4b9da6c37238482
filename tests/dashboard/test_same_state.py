"""The page's JavaScript and Python compute the same state from the same log, at any time of it."""

from __future__ import annotations

import bisect
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common import swarm_room
from common.errors import EventError
from common.events import SwarmEvent, decode_event, encode_event
from common.log_file import LogReader
from common.swarm_state import SwarmState
from tests.common.test_swarm_state import FULL, KNOWN, many_events
from tests.page_in_node import NODE_JS, PageInNode
from tests.sample_log import write_sample

pytestmark = pytest.mark.skipif(NODE_JS is None, reason="node.js is not installed")
Json = Any


@pytest.fixture(scope="module")
def page() -> Iterator[PageInNode]:
    page = PageInNode()
    yield page
    page.close()


class Recording:
    """The states of a recording by time, as Python computes them."""

    def __init__(self, path: Path) -> None:
        with LogReader(path) as log:
            self.lines = list(log)
        self.events = [event for event in self.lines if event.name != "keyframe"]
        self.clock = [max(0.0, self.events[0].time)]
        for event in self.events[1:]:
            self.clock.append(max(self.clock[-1], event.time))

    def states(self, times: list[float]) -> list[Json]:
        """The state at each time: after all events whose position has at most that time."""
        wanted = [max(1, bisect.bisect_right(self.clock, time)) for time in times]
        found: dict[int, Json] = {}
        state = SwarmState()
        for position, event in enumerate(self.events, 1):
            state.apply(event)
            if position in wanted:
                found[position] = state.as_json()
        return [found[position] for position in wanted]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_page_shows_the_state_that_python_computes(page: PageInNode, tmp_path: Path, seed: int) -> None:
    path, dice = tmp_path / "x.jsonl", random.Random(seed)
    write_sample(path, nodes=4 + seed, pieces=30, seconds=20, seed=seed)
    recording = Recording(path)
    opened = page.ask(open=path.read_text(encoding="utf-8"))
    assert (opened["events"], opened["cut"]) == (len(recording.events), 0)
    end = recording.clock[-1]
    times = [dice.uniform(0, end) for _ in range(40)] + [
        end,
        0.0,
        end / 2,
        end / 2 - 1,
    ]  # most of them scrub back
    for time, expected in zip(times, recording.states(times), strict=True):
        assert page.ask(seek=time) == expected, f"at {time} ms"


def test_steps_backwards_show_the_states_of_the_steps_forwards(page: PageInNode, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    write_sample(path, nodes=3, pieces=10, seconds=20)
    states = {0: SwarmState().as_json()}
    state = SwarmState()
    for position, event in enumerate(Recording(path).events, 1):
        state.apply(event)
        states[position] = state.as_json()
    page.ask(open=path.read_text(encoding="utf-8"))
    page.ask(seek=10_000.0)
    dice = random.Random(3)
    for _ in range(120):
        stepped = page.ask(step=dice.choice([1, -1, -1]))
        assert stepped["state"] == states[stepped["position"]]


KEYFRAMES = st.integers(0, 3).map(lambda node: SwarmEvent(5.0, None, 1, "keyframe", _state_with(node)))


def _state_with(node: int) -> Json:
    state = SwarmState()
    state.apply(SwarmEvent(4.5, node, 1, "torrent:known", KNOWN))
    state.apply(
        SwarmEvent(4.5, node, 2, "piece:requested", {"torrent": KNOWN["torrent"], "piece": 2, "peers": [1]})
    )
    found = state.as_json()
    if node == 3:
        found["nodes"]["3"]["torrents"][KNOWN["torrent"]]["pieces"] = ".r.."
    return found


ODD_LINES = st.sampled_from(
    [
        *("", "{}", "[]", "null", "rubbish", '{"time":1,"node":1,"seq":1,"name":"node:left","data":[]}'),
        '{"time":1,"node":1,"seq":0,"name":"node:left","data":{}}',
        '{"time":1,"node":1,"seq":1.5,"name":"node:left","data":{}}',
        '{"time":1,"node":1.0,"seq":1.0,"name":"node:left","data":{}}',
        '{"time":-1,"node":1,"seq":1,"name":"node:left","data":{}}',
        '{"time":1e14,"node":1,"seq":1,"name":"node:left","data":{}}',
        '{"time":1,"node":2147483648,"seq":1,"name":"node:left","data":{}}',
        '{"time":1,"node":null,"seq":1,"name":"node:left","data":{}}',
        '{"time":1,"node":1,"seq":1,"name":"constructor","data":{}}',
        '{"time":1,"node":1,"seq":9007199254740993,"name":"node:left","data":{}}',
        '{"time":2.0,"node":null,"seq":1,"name":"clock","data":{"node":1,"offset_ms":-9007199254740991.5,"bound_ms":0}}',
        '{"time":2.0,"node":null,"seq":1,"name":"clock","data":{"node":1,"offset_ms":-0.0,"bound_ms":1e3}}',
        '{"time":2,"node":null,"seq":1,"name":"clock","data":{"node":1,"offset_ms":0.1,"bound_ms":1,"__proto__":{"x":1}}}',
    ]
)


def encode(event: SwarmEvent) -> str:
    try:
        return encode_event(event).decode()
    except EventError:  # a text that is no UTF-8
        return ""


LINES = st.tuples(
    many_events(40).map(lambda found: [encode(event) for event in found]),
    st.lists(KEYFRAMES.map(encode) | ODD_LINES, max_size=5),
).flatmap(lambda parts: st.permutations(parts[0] + parts[1]))


@pytest.fixture(params=[{}, FULL], ids=["", "full"])
def limits(page: PageInNode, request: pytest.FixtureRequest) -> Iterator[None]:
    """The real limits, and some that are reached at once: then old entries give way to new ones."""
    before = page.ask(limits=request.param)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in request.param.items():
            patch.setattr(swarm_room, name, value)
        yield
    page.ask(limits=before)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(LINES)
def test_any_lines_give_the_same_state(page: PageInNode, limits: None, lines: list[str]) -> None:
    lines = [encode(SwarmEvent(0, 1, 1, "torrent:known", KNOWN)), *lines]
    state, applied = SwarmState(), []
    for line in lines:
        try:
            applied.append(state.apply(decode_event(line)))
        except EventError:
            applied.append(False)
    expected = json.loads(json.dumps([state.as_json(), applied]))
    assert page.ask(apply=lines) == expected
