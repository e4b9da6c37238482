"""Events of losses, windows and samples: few a second, and the rest counted. Dumps as events."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from common.events import SwarmEvent, check_event
from node.notes import ConnectionNote, ConnectionSample, RangeLost, RangeRepaired, WindowReduced
from node.peer import Peer
from node.report.batches import MAX_BATCH
from node.report.changes import Change
from node.report.dumps import Dumps
from node.report.names import peer_name
from node.report.notes import MAX_A_SECOND, NoteEvents, SampleEvents

OWNER = Peer("127.0.0.1", 4000, node_id=5)
HASH = bytes(range(20))


def lost(at: float, number: int = 0) -> RangeLost:
    return RangeLost(OWNER, HASH, at, 1000 * number, 1000 * number + 1000, number + 1, "late")


def repaired(at: float, of: RangeLost, again: int = 9) -> RangeRepaired:
    return RangeRepaired(OWNER, HASH, at, of, "asked again" if again else "late", again, 0.25, 1072)


def events(*notes: ConnectionNote) -> list[Change]:
    found = [change for _, change in NoteEvents().events(notes, peer_name)]
    for name, data in found:
        check_event(SwarmEvent(1.0, 1, 1, name, data))
    return found


def test_a_loss_and_its_repair() -> None:
    first, second = events(lost(1.0), repaired(1.5, lost(1.0)))
    place = {
        "torrent": HASH.hex()[:12],
        "peer": 5,
        "message": "DATA",
        "offset": 0,
        "length": 1000,
        "request": 1,
    }
    assert first == ("datagram:lost", {**place, "reason": "late", "others": 0})
    costs = {"by": "asked again", "again": 9, "cost_ms": 250.0, "cost_bytes": 1072, "others": 0}
    assert second == ("datagram:repaired", {**place, **costs})
    assert "again" not in events(lost(1.0), repaired(1.5, lost(1.0), again=0))[1][1]
    assert events(WindowReduced(OWNER, HASH, 1.0, 7, "loss"))[0][1]["window"] == 7


@given(st.lists(st.integers(0, 80).map(lambda eighth: eighth / 8), max_size=60).map(sorted))
def test_at_most_four_a_second_and_none_is_forgotten(times: list[float]) -> None:
    notes: list[ConnectionNote] = [lost(at, number) for number, at in enumerate(times)]
    found = list(NoteEvents().events([*notes, lost(100.0, 99)], peer_name))
    shown = [at for at, _ in found]
    assert all(sum(at - 1.0 < each <= at for each in shown) <= MAX_A_SECOND for at in shown)
    assert sum(1 + data["others"] for _, (_, data) in found) == len(times) + 1


def test_a_repair_is_shown_if_its_loss_was() -> None:
    losses = [lost(1.0, number) for number in range(8)]
    found = events(*losses, *(repaired(1.5 + n, each) for n, each in enumerate(losses)))
    names = [name for name, _ in found]
    assert names.count("datagram:lost") == names.count("datagram:repaired") == MAX_A_SECOND


def test_connections_are_sampled_in_turn() -> None:
    rows = [("t" * 12, peer, ConnectionSample(1, 0.1, 2)) for peer in range(6)]
    sampler = SampleEvents()
    peers = [data["peer"] for second in range(3) for _, data in sampler.events(rows, second * 1.0)]
    assert peers == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]


def test_a_dump_of_many_messages_is_several_events_that_fit() -> None:
    fields: dict[str, Any] = {"sequence": 4, "torrent": "ab" * 6, "lost": True, "again": 3}
    row = {"time": 900.0, "direction": "in", "peer": 5, "message": "DATA", "fields": fields}
    dumps = Dumps()
    found = [data for _, data in dumps.events("a test", [row] * 500, 1000.0)]
    for data in found:
        check_event(SwarmEvent(1.0, 1, 1, "messages:dumped", data))
        assert len(json.dumps(data)) < MAX_BATCH
    assert [data["first"] for data in found] == [
        0,
        *(len(found[0]["messages"]) * n for n in range(1, len(found))),
    ]
    assert sum(len(data["messages"]) for data in found) == 500 == found[0]["total"]
    message = found[0]["messages"][0]
    assert (message["ago_ms"], message["lost"], message["again"]) == (100.0, True, 3)
    assert message["fields"] == {"sequence": 4, "torrent": "ab" * 6}
    assert list(dumps.events("nothing", [], 1.0)) == []
