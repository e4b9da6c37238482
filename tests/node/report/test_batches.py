"""The queue of a node's events: in order, without a hole, bounded, and light when it must be."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from node.report.batches import MAX_EVENT, Batches, WaitingEvent, lighten

TORRENT = "0123456789ab"


def piece(name: str, index: int, **more: Any) -> tuple[str, dict[str, Any]]:
    return name, {"torrent": TORRENT, "piece": index, **more}


def links(down: int, *came: list[int]) -> tuple[str, dict[str, Any]]:
    rows = {"in": list(came), "out": [], "down": down, "up": 0, "span_ms": 500.0}
    return "link:bytes", {"torrent": TORRENT, **rows}


SAMPLE = "congestion:sample", {"torrent": TORRENT, "peer": 2, "window": 1, "rtt_ms": 1.0, "outstanding": 1}


def rows_of(batches: Batches, room: int = 60_000) -> list[list[Any]]:
    return [json.loads(row) for row in batches.batch(room)]


class BatchReader:
    """The tracker, as far as numbers go: it ignores repeated ones, and sees holes."""

    def __init__(self) -> None:
        self.next = 1
        self.events: list[list[Any]] = []

    def take(self, rows: list[list[Any]]) -> int:
        for row in rows:
            assert row[1] <= self.next, "a hole"
            if row[1] == self.next:
                self.next += 1
                self.events.append(row)
        return self.next


@given(
    st.lists(st.sampled_from(["add", "send", "lose answer", "lose report"]), max_size=200), st.integers(1, 12)
)
def test_every_event_arrives_once_and_in_order_or_is_counted_in_a_gap(steps: list[str], bound: int) -> None:
    batches, reader, added = Batches(bound), BatchReader(), 0
    for step in steps:
        if step == "add":
            added += 1
            batches.add(float(added), *piece("piece:verified", added, peers=[]))
        else:
            rows = rows_of(batches)
            if step != "lose report":
                answer = reader.take(rows)
                if step == "send":
                    batches.acknowledge(answer)
    while len(batches):
        batches.acknowledge(reader.take(rows_of(batches)))
    seen = [row[3]["piece"] for row in reader.events if row[2] == "piece:verified"]
    assert seen == sorted(set(seen))
    missing = sum(row[3]["events"] for row in reader.events if row[2] == "gap")
    assert len(seen) + missing == added


def test_the_oldest_make_room_and_a_gap_says_how_many() -> None:
    batches = Batches(3)
    assert [batches.add(float(i), *piece("piece:verified", i, peers=[])) for i in range(5)] == [
        *[True] * 3,
        *[False] * 2,
    ]
    rows = rows_of(batches)
    assert rows[0] == [1.0, 1, "gap", {"events": 2, "span_ms": 1.0}]
    assert [row[3]["piece"] for row in rows[1:]] == [2, 3, 4]


def test_a_batch_is_repeated_until_it_is_acknowledged() -> None:
    batches = Batches()
    batches.add(1.0, *piece("piece:verified", 1, peers=[]))
    first = rows_of(batches)
    batches.add(2.0, *piece("piece:verified", 2, peers=[]))
    assert rows_of(batches) == first
    batches.acknowledge(2)
    assert [row[1] for row in rows_of(batches)] == [2]


def test_a_batch_has_the_room_that_it_is_given() -> None:
    batches = Batches()
    for index in range(100):
        batches.add(1000.0, *piece("piece:verified", index, peers=[1, 2]))
    rows = batches.batch(1000)
    assert 0 < sum(map(len, rows)) <= 1000
    assert len(rows) < 100 and rows_of(batches)[0][1] == 1


def test_an_event_that_fits_into_no_report_becomes_a_gap() -> None:
    batches = Batches()
    batches.add(1.0, "node:faults", {"spec": "x" * MAX_EVENT})
    batches.add(2.0, *piece("piece:verified", 1, peers=[]))
    names = []
    while len(batches):
        names += [row[2] for row in rows_of(batches)]
        batches.acknowledge(10)
    assert names == ["gap", "piece:verified"]


def test_over_the_budget_samples_go_first_and_then_what_is_superfluous() -> None:
    events = [
        WaitingEvent(float(time), *event, is_sample=event is SAMPLE)
        for time, event in enumerate(
            [
                SAMPLE,
                piece("piece:requested", 1, peers=[2]),
                piece("piece:requested", 2, peers=[2]),
                links(10, [2, 10]),
                piece("piece:requested", 2, peers=[2, 3]),
                piece("piece:verified", 1, peers=[2]),
                SAMPLE,
                links(25, [2, 5], [3, 10]),
            ]
        )
    ]
    without = [event for event in events if event.name != "congestion:sample"]
    assert lighten(events, sum(event.measured() for event in without)) == without
    light = lighten(events, 10)
    assert [(event.name, event.data.get("piece")) for event in light] == [
        ("piece:requested", 2),
        ("piece:verified", 1),
        ("link:bytes", None),
    ]
    assert light[0].data["peers"] == [2, 3]
    sums = light[2].data
    assert dict(map(tuple, sums["in"])) == {2: 15, 3: 10}
    assert (sums["down"], sums["span_ms"]) == (25, 1000.0)


@given(st.lists(st.tuples(st.sampled_from(["requested", "verified", "failed", "links"]), st.integers(0, 3))))
def test_no_result_and_no_byte_is_spared(steps: list[tuple[str, int]]) -> None:
    events = [
        WaitingEvent(0.0, *(links(0, [i, 7]) if kind == "links" else piece(f"piece:{kind}", i, peers=[])))
        for kind, i in steps
    ]
    results = [("piece:verified", i) for kind, i in steps if kind == "verified"]
    light = lighten(events, 0)
    assert [(e.name, e.data["piece"]) for e in light if e.name == "piece:verified"] == results
    moved = sum(amount for e in light if e.name == "link:bytes" for _, amount in e.data["in"])
    assert moved == 7 * sum(kind == "links" for kind, _ in steps)
    last = {i: kind for kind, i in steps if kind != "links"}  # the state of each piece stays the same
    assert {e.data["piece"]: e.name for e in light if "piece" in e.data} == {
        i: f"piece:{kind}" for i, kind in last.items()
    }
