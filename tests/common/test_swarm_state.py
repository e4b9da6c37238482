"""The state of a swarm after a log: the effect of each event; unknown and malformed events are ignored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import swarm_room, swarm_state
from common.errors import EventError
from common.events import SwarmEvent, check_event, decode_event, encode_event
from common.shapes import MAX_WHOLE
from common.swarm_state import SwarmState
from common.vocabulary import VOCABULARY, EventKind
from tests.page_in_node import NODE_JS, PageInNode

TORRENT, OTHER = "0123456789ab", "ba9876543210"
STANDARD = "192.0.2.9:6881"


class Log:
    """A state, and a way to write events into it."""

    def __init__(self) -> None:
        self.state = SwarmState()
        self.now = 0.0
        self.lines: list[str] = []
        self.states: list[dict[str, Any]] = []  # after each line

    def write(self, node: int | None, what: str, /, **data: Any) -> bool:
        self.now += 1.0
        return self.take(check_event(SwarmEvent(self.now, node, len(self.lines) + 1, what, data)))

    def take(self, event: SwarmEvent) -> bool:
        applied = self.state.apply(event)
        self.lines.append(encode_event(event).decode())
        self.states.append(self.state.as_json())
        return applied

    def row(self, node: int = 7) -> dict[str, Any]:
        found: dict[str, Any] = self.state.as_json()["nodes"][str(node)]["torrents"][TORRENT]
        return found

    def link(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.state.as_json()["links"][name][TORRENT]
        return found


@pytest.fixture(scope="module")
def page() -> Iterator[PageInNode | None]:
    page = None if NODE_JS is None else PageInNode()
    yield page
    if page is not None:
        page.close()


@pytest.fixture
def log(page: PageInNode | None) -> Iterator[Log]:
    """The page must have the same states."""
    log = Log()
    known(log, 7)
    yield log
    if page is not None:
        for count, expected in enumerate(log.states, 1):
            assert page.ask(apply=log.lines[:count])[0] == expected, log.lines[count - 1]


def known(log: Log, node: int | None, torrent: str = TORRENT, pieces: int | None = 8) -> None:
    log.write(
        node,
        "torrent:known",
        torrent=torrent,
        info_hash=torrent + "0" * 28,
        name="x.bin",
        size=None if pieces is None else pieces * 10,
        piece_length=10,
        pieces=pieces,
    )


def started(log: Log, node: int = 7) -> None:
    log.write(node, "node:started", addr=None, tcp_addr=None, up_limit=None, down_limit=None, slots=1,
              transports=["udp"], program="x")  # fmt: skip


def test_a_piece_goes_through_its_letters(log: Log) -> None:
    letters = []
    for what, data in [
        ("piece:requested", {"peers": [1, STANDARD]}),
        ("piece:received", {}),
        ("piece:failed", {"peers": [1]}),
        ("piece:missing", {}),  # of a request that was given up: the piece stays bad
        ("piece:requested", {"peers": [1]}),
        ("piece:missing", {}),
        ("piece:requested", {"peers": [1]}),
        ("piece:verified", {"peers": [1]}),
        ("piece:requested", {"peers": [1]}),  # late: it stays verified
        ("piece:received", {}),
        ("piece:missing", {}),
    ]:
        log.write(7, what, torrent=TORRENT, piece=3, **data)
        letters.append(log.row()["pieces"][3] + ("*" if log.row()["asked"] else ""))
    assert " ".join(letters) == "r* c x x r* . r* v v v v"


def test_the_held_pieces_replace_the_row_or_a_span_of_it(log: Log) -> None:
    log.write(7, "piece:requested", torrent=TORRENT, piece=1, peers=[2])
    log.write(7, "piece:requested", torrent=TORRENT, piece=6, peers=[2])
    log.write(7, "piece:held", torrent=TORRENT, ranges=[[0, 1], [3, 5]], span=[0, 5])
    assert (log.row()["pieces"], log.row()["asked"]) == ("v..vv.r.", {"6": [2]})
    log.write(7, "piece:held", torrent=TORRENT, ranges=[[7, 99]])
    assert (log.row()["pieces"], log.row()["asked"]) == (".......v", {})


def test_bytes_are_added_up_by_both_ends(log: Log) -> None:
    data = {"in": [[1, 30], [STANDARD, 5]], "out": [[2, 7]]}
    for _ in range(2):
        log.write(7, "link:bytes", torrent=TORRENT, down=35, up=7, span_ms=500, **data)
    log.write(
        2,
        "link:bytes",
        torrent=TORRENT,
        down=MAX_WHOLE,
        up=0,
        span_ms=1,
        **{"in": [[7, MAX_WHOLE]], "out": []},
    )
    log.write(
        2, "link:bytes", torrent=TORRENT, down=MAX_WHOLE, up=0, span_ms=1, **{"in": [[7, 1]], "out": []}
    )
    assert log.link("1>7")["received"] == 60 and log.link(f"{STANDARD}>7")["received"] == 10
    assert log.link("7>2")["sent"] == 14 and log.link("7>2")["received"] == MAX_WHOLE
    assert log.link("7>2")["out"] == {"time": 3.0, "bytes": 7, "span_ms": 500}
    assert (log.row()["down"], log.row()["moved"]) == (35, {"time": 3.0, "span_ms": 500})


def test_a_new_run_of_a_node_forgets_its_views_and_keeps_the_totals(log: Log) -> None:
    log.write(7, "peer:state", torrent=TORRENT, peer=1, transport="udp", state="queued", place=2,
              reason="wait", complete=True, held=None)  # fmt: skip
    log.write(7, "slot:granted", torrent=TORRENT, peer=2)
    log.write(7, "link:bytes", torrent=TORRENT, down=5, up=6, span_ms=1, **{"in": [[1, 5]], "out": [[2, 6]]})
    log.write(2, "peer:state", torrent=TORRENT, peer=7, transport="udp", state="active", place=0, reason="",
              complete=True, held=None)  # fmt: skip
    started(log)
    assert log.state.as_json()["nodes"]["7"]["torrents"] == {}
    assert (log.link("1>7")["state"], log.link("1>7")["received"]) == (None, 5)
    assert (log.link("7>2")["slot"], log.link("7>2")["sent"], log.link("7>2")["state"]) == (None, 6, "active")


def test_silence_ends_with_any_event_of_the_node(log: Log) -> None:
    for end in (
        lambda: log.write(7, "torrent:state", torrent=TORRENT, state="seeding", reason=""),
        lambda: log.write(None, "tracker:register", node=7, addr="192.0.2.1:5"),
        lambda: log.write(None, "clock", node=7, offset_ms=1, bound_ms=2),
        lambda: log.write(None, "node:back", node=7, silent_ms=2500),
        lambda: started(log),
    ):
        log.write(None, "node:silent", node=7, silent_ms=2000, removed=False)
        node = log.state.nodes[7]
        assert (node["state"], node["silent_ms"], node["removed"]) == ("silent", 2000, False)
        end()
        assert (node["state"], node["silent_ms"], node["removed"]) == ("here", 0, False)
    log.write(None, "node:silent", node=7, silent_ms=9000, removed=True)
    log.write(None, "clock", node=7, offset_ms=1, bound_ms=2)
    log.write(None, "node:back", node=7, silent_ms=9500)
    assert (node["state"], node["removed"]) == ("silent", True)
    log.write(None, "tracker:exit", node=7)
    log.write(7, "torrent:state", torrent=TORRENT, state="stopped", reason="")  # a late report
    assert (node["state"], node["reports"]) == ("left", True)


def test_the_pieces_of_a_torrent_may_become_known_later(log: Log) -> None:
    known(log, None, OTHER, pieces=None)
    log.write(7, "torrent:state", torrent=OTHER, state="searching", reason="")
    assert not log.write(7, "piece:received", torrent=OTHER, piece=0)
    known(log, 7, OTHER, pieces=3)
    known(log, 7, OTHER, pieces=5)  # another node cannot change it
    assert log.state.as_json()["nodes"]["7"]["torrents"][OTHER]["pieces"] == "..."


def test_an_event_about_unknown_things_changes_nothing(log: Log) -> None:
    before = log.state.as_json()
    assert not log.write(8, "torrent:state", torrent=OTHER, state="seeding", reason="")
    assert not log.write(8, "piece:received", torrent=TORRENT, piece=8)
    for name, data in [
        ("piece:lost", {}),
        ("piece:received", {"torrent": TORRENT, "piece": "1"}),
        ("keyframe", {}),
    ]:
        assert not log.take(SwarmEvent(9.0, 8, 1, name, data))
    assert log.state.as_json() == before


def test_entries_beyond_the_limits_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    known(log, 7)
    for name, value in [("MAX_NODES", 2), ("MAX_CELLS", 10), ("MAX_LINKS", 1), ("MAX_TORRENTS", 1)]:
        monkeypatch.setattr(swarm_room, name, value)
    monkeypatch.setattr(swarm_state, "MAX_ASKED", 1)
    for node in (7, 8, 9):
        log.write(node, "slot:granted", torrent=TORRENT, peer=1)
        for piece in (0, 1):
            log.write(node, "piece:requested", torrent=TORRENT, piece=piece, peers=[1])
    known(log, 7, OTHER)
    assert list(log.state.nodes) == [7, 8] and list(log.state.links) == ["7>1"]
    assert list(log.state.torrents) == [TORRENT]
    assert (log.row(7)["pieces"], log.row(7)["asked"]) == ("rr......", {"0": [1]})
    assert (log.row(8)["pieces"], log.row(8)["asked"]) == ("", {})


def numbered(number: int) -> str:
    return f"{number:012x}"


def test_a_log_of_a_term_shows_its_last_torrents_and_nodes(
    page: PageInNode | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """13 torrents and 45 nodes one after the other, room for 10 and 40; torrent 1 is in use all the time."""
    limits = {"MAX_TORRENTS": 10, "MAX_NODES": 40}
    for name, value in limits.items():
        monkeypatch.setattr(swarm_room, name, value)
    log = Log()
    for number in range(13):
        known(log, None, numbered(number))
        log.write(99, "torrent:state", torrent=numbered(number), state="seeding", reason="")
        if number != 1:
            log.write(99, "torrent:state", torrent=numbered(number), state="stopped", reason="")
    for node in range(45):
        log.write(None, "tracker:register", node=node, addr=None)
        log.write(node, "slot:granted", torrent=numbered(1), peer=99)
        log.write(node, "piece:received", torrent=numbered(1), piece=1)
        log.write(node, "node:left")
    state = log.states[-1]
    assert sorted(state["torrents"]) == [numbered(each) for each in (1, *range(4, 13))]
    assert sorted(state["nodes"]["99"]["torrents"]) == sorted(state["torrents"])
    assert sorted(map(int, state["nodes"])) == [*range(6, 45), 99]
    assert sorted(state["links"]) == sorted(f"{node}>99" for node in range(6, 45))
    assert log.state._cells == 8 * 10 + 8 * 39
    if page is not None:
        before = page.ask(limits=limits)
        assert page.ask(apply=log.lines)[0] == state
        page.ask(limits=before)


def test_a_removed_node_gives_way_and_so_do_links_and_letters_of_the_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in [("MAX_NODES", 3), ("MAX_CELLS", 20), ("MAX_LINKS", 2)]:
        monkeypatch.setattr(swarm_room, name, value)
    log = Log()
    known(log, 7)
    for node in (7, 8):
        log.write(node, "slot:granted", torrent=TORRENT, peer=STANDARD)
        log.write(node, "piece:received", torrent=TORRENT, piece=0)
    log.write(8, "node:left")
    log.write(9, "slot:granted", torrent=TORRENT, peer=STANDARD)
    log.write(9, "piece:received", torrent=TORRENT, piece=0)
    assert sorted(log.state.links) == [f"7>{STANDARD}", f"9>{STANDARD}"]
    assert [log.row(node)["pieces"] for node in (7, 8, 9)] == ["c.......", "", "c......."]
    log.write(None, "node:silent", node=7, silent_ms=9, removed=False)
    log.write(None, "tracker:register", node=10, addr=None)
    assert sorted(log.state.nodes) == [7, 9, 10]
    log.write(None, "tracker:register", node=11, addr=None)
    assert sorted(log.state.nodes) == [7, 9, 10]  # a silent node may come back
    log.write(None, "node:silent", node=7, silent_ms=9, removed=True)
    log.write(None, "tracker:register", node=11, addr=None)
    assert sorted(log.state.nodes) == [9, 10, 11] and list(log.state.links) == [f"9>{STANDARD}"]


# ---- any log

SMALL = st.integers(0, 3)
PEERS = SMALL | st.just(STANDARD)
ODD = st.none() | st.floats(-1, 2) | st.text(max_size=2) | st.just([[1]]) | st.just({})


def values(shape: Any) -> st.SearchStrategy[Any]:
    """Values of ``shape``, sometimes of another shape."""
    plain: dict[str, st.SearchStrategy[Any]] = {
        **dict.fromkeys(("node", "count", "ms"), SMALL),
        **{"peer": PEERS, "torrent": st.sampled_from([TORRENT, OTHER]), "flag": st.booleans()},
        **{"info_hash": st.just("a" * 40), "address": st.just(STANDARD), "number": st.floats(-5, 5)},
    }
    if isinstance(shape, str):
        return plain.get(shape, st.text("xyz", max_size=2))
    kind, *parts = shape
    if kind == "list":
        return st.lists(values(parts[0]), max_size=3)
    if kind == "tuple":
        return st.tuples(*map(values, parts)).map(list)
    if kind == "null":
        return st.none() | values(parts[0])
    if kind == "one":
        return st.sampled_from(parts)
    if kind == "map":
        return st.just({})
    fields = {name.rstrip("?"): values(part) for name, part in parts[0].items() if not name.endswith("?")}
    more = {name.rstrip("?"): values(part) for name, part in parts[0].items() if name.endswith("?")}
    return st.fixed_dictionaries(fields, optional=more)


KINDS = [kind for kind in VOCABULARY if kind.name != "keyframe"]


def events(kinds: list[EventKind] = KINDS) -> st.SearchStrategy[SwarmEvent]:
    return st.sampled_from(kinds).flatmap(
        lambda kind: st.builds(
            SwarmEvent,
            st.integers(0, 99) | st.floats(0, 99).map(lambda ms: round(ms, 3)),
            SMALL if kind.writer == "node" else st.none() | SMALL,
            SMALL.map(lambda at: at + 1),
            st.just(kind.name),
            values(kind.shape) | st.fixed_dictionaries({f.name: values(f.shape) | ODD for f in kind.fields}),
        )
    )


def many_events(most: int) -> st.SearchStrategy[list[SwarmEvent]]:
    """Half of the logs have a few kinds only, so that these meet each other often."""
    few = st.lists(st.sampled_from(KINDS), min_size=1, max_size=3)
    return st.lists(events(), max_size=most) | few.flatmap(
        lambda kinds: st.lists(events(kinds), max_size=most)
    )


KNOWN = {"torrent": TORRENT, "info_hash": "a" * 40, "name": "x", "size": 40, "piece_length": 10, "pieces": 4}
LOGS = many_events(40).map(lambda found: [SwarmEvent(0, 1, 1, "torrent:known", KNOWN), *found])


FULL = {"MAX_TORRENTS": 1, "MAX_NODES": 2, "MAX_LINKS": 2, "MAX_CELLS": 6}


@pytest.mark.parametrize("limits", [{}, FULL], ids=["", "full"])
@given(LOGS, st.data())
def test_a_state_is_the_same_from_any_keyframe(
    limits: dict[str, int], log: list[SwarmEvent], data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in limits.items():
            patch.setattr(swarm_room, name, value)
        compare_from_a_keyframe(log, data)


def compare_from_a_keyframe(log: list[SwarmEvent], data: st.DataObject) -> None:
    whole, cut = SwarmState(), data.draw(st.integers(0, len(log)))
    for event in log[:cut]:
        whole.apply(decode_event(encode_event(event)))
    later = SwarmState()
    later.apply(SwarmEvent(whole.time, None, 1, "keyframe", json.loads(json.dumps(whole.as_json()))))
    for event in log[cut:]:
        assert whole.apply(event) == later.apply(event)
    assert whole.as_json() == later.as_json()
    assert list(paths(whole.as_json())) == sorted(paths(later.as_json()))


def paths(value: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path to each key."""
    for key, part in value.items() if isinstance(value, dict) else ():
        yield (*at, key)
        yield from paths(part, (*at, key))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.pop("time"),
        lambda state: state["nodes"]["1"]["torrents"][TORRENT].update(pieces="v"),
        lambda state: state["nodes"].update({"01": state["nodes"]["1"]}),
        lambda state: state["nodes"].update({"9999999999": state["nodes"]["1"]}),
        lambda state: state["torrents"].clear(),
        lambda state: state.update(links={"no link": {}}),
    ],
)
def test_a_spoiled_state_is_refused(spoil: Any) -> None:
    state = SwarmState()
    for name, data in [("torrent:known", KNOWN), ("piece:received", {"torrent": TORRENT, "piece": 1})]:
        assert state.apply(SwarmEvent(1.0, 1, 1, name, data))
    found = state.as_json()
    spoil(found)
    with pytest.raises(EventError, match="^no state of a swarm: "):
        SwarmState.from_json(found)
