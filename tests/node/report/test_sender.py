"""Reports over time, to a tracker that answers, is gone, was started again, or refuses. In virtual time."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.discovery.http_client import HttpResponse
from node.report.collector import EventCollector
from node.report.post import Fate, PostAnswer, answer_of
from node.report.sender import IDLE_PAUSE, MOVING_PAUSE, ReportSender

STARTED = {"addr": "127.0.0.1:4001", "program": "test"}


class FakeTracker:
    """Takes reports as the tracker does: repeated events once, and a hole is a gap."""

    def __init__(self) -> None:
        self.next = 1
        self.epoch = "1"
        self.events: list[list[Any]] = []
        self.reports: list[dict[str, Any]] = []
        self.mood = "answers"

    def post(self, body: bytes, timeout: float) -> PostAnswer:
        if self.mood == "gone":
            return PostAnswer(Fate.LATER, 1.0)
        if self.mood in ("refuses", "does not know it", "is older"):
            fates = {"refuses": Fate.REFUSED, "is older": Fate.NEVER}
            return PostAnswer(fates.get(self.mood, Fate.UNKNOWN_NODE), 1.0)
        report = json.loads(body)
        self.reports.append(report)
        for event in report["events"]:
            if event[1] > self.next and self.events:
                self.events.append([event[0], self.next, "gap", {"events": event[1] - self.next}])
            if event[1] >= self.next:
                self.next = event[1] + 1
                self.events.append(event)
        if self.mood == "answer is lost":
            return PostAnswer(Fate.LATER, 1.0)
        return PostAnswer(Fate.TAKEN, 0.5, self.next, self.epoch)

    def restart(self) -> None:
        """It knows nothing any more."""
        self.next, self.epoch, self.events = 1, self.epoch + "1", []


class SenderScene:
    """A node's reports and its clock."""

    def __init__(self) -> None:
        self.now = 50.0
        self.tracker = FakeTracker()
        self.registered = 0
        self.collector = EventCollector(lambda: self.now)
        self.sent: list[tuple[float, int]] = []
        self.total = self.last_seq = 0
        self.sender = ReportSender(self.collector, self._post, self._register, 7, STARTED, lambda: self.now)
        self.sender.introduce()

    def _post(self, body: bytes, timeout: float) -> PostAnswer:
        self.sent.append((self.now, len(body)))
        self.last_seq = max([self.last_seq, *(event[1] for event in json.loads(body)["events"])])
        return self.tracker.post(body, timeout)

    def _register(self) -> None:
        self.registered += 1

    def happens(self, piece: int) -> None:
        self.collector.add("piece:verified", {"torrent": "0123456789ab", "piece": piece, "peers": [2]})

    def step(self, moved: int = 0) -> None:
        self.now += self.sender.pause
        self.collector.begin_look()
        self.total += moved
        self.sender.moved(self.total)
        self.sender.send()

    def names(self) -> list[str]:
        return [event[2] for event in self.tracker.events]


def test_a_report_has_the_clock_and_the_time_that_the_last_one_took() -> None:
    scene = SenderScene()
    scene.step()
    scene.happens(3)
    scene.step()
    first, second = scene.tracker.reports
    assert (first["node_id"], first["round_trip"], second["round_trip"]) == (7, None, 0.0)
    assert first["run"] == second["run"] and second["sent"] == scene.now * 1000
    assert [event[1:3] for event in first["events"] + second["events"]] == [
        [1, "node:started"],
        [2, "piece:verified"],
    ]


def test_reports_are_frequent_while_bytes_move_and_empty_ones_are_rare() -> None:
    scene = SenderScene()
    scene.step()
    assert scene.sender.pause == IDLE_PAUSE
    scene.step(moved=10)
    assert scene.sender.pause == MOVING_PAUSE
    count = len(scene.sent)
    for _ in range(8):
        scene.step()
    assert len(scene.sent) - count in (7, 8)


def test_a_tracker_that_is_gone_gets_everything_when_it_is_back() -> None:
    scene = SenderScene()
    scene.step()
    scene.tracker.mood = "gone"
    scene.step()
    assert scene.sender.pause == 1.0  # soon after its return it knows this node again
    count = len(scene.sent)
    scene.step()
    assert len(scene.sent) == count + 1
    for piece in range(50):
        scene.happens(piece)
        scene.step()
    scene.tracker.mood = "answers"
    for _ in range(40):
        scene.step()
    assert [e[3]["piece"] for e in scene.tracker.events if e[2] == "piece:verified"] == list(range(50))


def test_a_tracker_with_another_epoch_is_introduced_to_the_node() -> None:
    scene = SenderScene()
    scene.step()
    scene.happens(1)
    scene.step()
    scene.tracker.restart()
    scene.step()
    assert scene.sender.pause < MOVING_PAUSE + 0.1
    scene.step()
    assert scene.names() == ["node:started"] and scene.tracker.events[0][1] == 3


def test_a_tracker_that_was_away_for_long_is_right_again_within_3_seconds() -> None:
    """However much the node wanted to say: attempts cost little of the budget, and old events give way."""
    scene = SenderScene()
    scene.step(moved=30_000_000)
    for piece in range(60):
        scene.happens(piece)
    scene.tracker.mood = "gone"
    scene.step(moved=30_000_000)
    assert scene.sent[-1][1] > 4000  # this batch is not sent again and again
    for piece in range(600):
        scene.happens(piece)
        scene.step()
    scene.tracker.mood = "answers"
    scene.tracker.restart()
    back = scene.now
    for _ in range(12):
        if "node:started" not in scene.names():
            scene.step()
    assert "node:started" in scene.names() and scene.tracker.reports[-1]["sent"] / 1000 - back <= 3.0
    assert scene.names()[-2:] == ["gap", "node:started"]
    assert scene.tracker.events[-2][3]["events"] > 500
    times = [at for at, _ in scene.sent if at > back]
    for _ in range(20):
        scene.step()
    times = [at for at, _ in scene.sent if at > back]
    assert all(later - at <= IDLE_PAUSE for at, later in itertools.pairwise(times))


def test_a_refused_report_becomes_a_gap() -> None:
    scene = SenderScene()
    scene.step()
    scene.happens(1)
    scene.tracker.mood = "refuses"
    scene.step()
    scene.tracker.mood = "answers"
    scene.happens(2)
    scene.step()
    assert scene.names() == ["node:started", "gap", "piece:verified"]
    assert scene.tracker.events[1][3]["events"] == 1


def test_a_tracker_that_does_not_know_the_node_has_it_register() -> None:
    scene = SenderScene()
    scene.tracker.mood = "does not know it"
    scene.step()
    assert scene.registered == 1 and not scene.sender.is_answered
    scene.tracker.mood = "answers"
    scene.step()  # an empty report
    assert scene.sender.pause == 0.5
    scene.step()
    assert scene.names() == ["node:started"]


def test_an_older_tracker_gets_one_report() -> None:
    scene = SenderScene()
    scene.tracker.mood = "is older"
    scene.step()
    assert not scene.sender.is_wanted


def test_a_node_goes_on_reporting_after_a_dump() -> None:
    scene = SenderScene()
    scene.step()
    row = {"time": 0.0, "direction": "in", "peer": 2, "message": "DATA", "fields": {"length": 1440}}
    scene.collector.dump("asked for", [row] * 1000)
    while scene.collector.waits:
        scene.step()
    assert scene.names().count("messages:dumped") > 2
    end, count = scene.now, len(scene.sent)
    scene.happens(3)
    while scene.now < end + 10.0:
        scene.step()
    times = [at for at, _ in scene.sent[count:]]
    assert max(after - before for before, after in zip([end, *times], times, strict=False)) <= 2 * IDLE_PAUSE
    assert scene.names()[-1] == "piece:verified"


def test_the_last_report_has_everything() -> None:
    scene = SenderScene()
    scene.step()
    for piece in range(200):  # more than the budget allows
        scene.happens(piece)
    scene.sender.send_last()
    assert len(scene.tracker.events) == 201


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["answers"] * 4 + ["gone", "answer is lost", "refuses"]),
            st.integers(0, 40),  # events
            st.integers(0, 3_000_000),  # bytes
        ),
        max_size=80,
    )
)
def test_within_the_budget_every_event_arrives_once_in_order_or_is_counted(
    steps: list[tuple[str, int, int]],
) -> None:
    scene, added, moved, trouble = SenderScene(), 0, list[tuple[float, int]](), 0.0
    for mood, events, amount in steps:
        scene.tracker.mood = mood
        for _ in range(events):
            scene.happens(added)
            added += 1
        before = len(scene.sent)
        scene.step(amount)
        moved.append((scene.now, amount))
        if mood != "answers":
            trouble = scene.now
        if len(scene.sent) > before and scene.now - trouble > 6.0:  # no report was a repetition
            spent = sum(size for at, size in scene.sent if at > scene.now - 5.0)
            assert spent <= max(5000, sum(size for at, size in moved if at > scene.now - 5.0) / 100)
    scene.tracker.mood = "answers"
    while scene.collector.waits or not scene.sender.is_answered:
        scene.step(1_000_000)
    pieces = [event[3]["piece"] for event in scene.tracker.events if event[2] == "piece:verified"]
    assert pieces == sorted(set(pieces))
    gaps = sum(event[3]["events"] for event in scene.tracker.events if event[2] == "gap")
    started = scene.names().count("node:started")
    if scene.tracker.events and scene.tracker.events[0][1] == 1 and scene.tracker.next > scene.last_seq:
        assert len(pieces) + gaps + started == added + 1


@pytest.mark.parametrize(
    ("status", "body", "fate"),
    [
        (200, {"status": "Report taken", "next": 4, "interval_ms": 500, "epoch": "e"}, Fate.TAKEN),
        (200, {"next": "x", "interval_ms": [], "epoch": 3}, Fate.TAKEN),
        (200, {"hello": 1}, Fate.NEVER),
        (301, {}, Fate.NEVER),
        (404, {"error": "no"}, Fate.NEVER),
        (400, {"error": "node 3 is not known", "field": "node_id"}, Fate.UNKNOWN_NODE),
        (400, {"error": "events[3]: no", "field": "events"}, Fate.REFUSED),
        (413, {}, Fate.REFUSED),
        (403, {"error": "secret"}, Fate.LATER),
        (503, {}, Fate.LATER),
    ],
)
def test_what_an_answer_means(status: int, body: dict[str, Any], fate: Fate) -> None:
    assert answer_of(HttpResponse(status, json.dumps(body).encode(), None)).fate is fate


def test_a_busy_tracker_is_left_alone_for_as_long_as_it_asks() -> None:
    waits: Callable[[float | None], float] = lambda after: answer_of(HttpResponse(429, b"[", after)).wait  # noqa: E731
    assert (waits(None), waits(7.0), waits(1e9)) == (1.0, 7.0, 60.0)
