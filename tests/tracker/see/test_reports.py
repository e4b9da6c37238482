"""Reports of nodes: clocks, repeated and missing events, runs. All in numbers, without sockets."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.events import SwarmEvent, decode_event
from tracker.see.live_log import LiveLog
from tracker.see.node_clock import WINDOW_MS, NodeClock, RecentMinimum
from tracker.see.report import NodeReport
from tracker.see.reporting_node import SILENT_MS, ReportingNode


def made(
    sent: float, rows: list[Any], run: str = "a", trip: float | None = None, node: int = 1
) -> NodeReport:
    fields = {"node_id": node, "run": run, "sent": sent, "events": rows, "round_trip": trip}
    return NodeReport.decode(json.dumps(fields).encode())


def report(sent: float, *seqs: int, run: str = "a", trip: float | None = None) -> NodeReport:
    """A report whose events all happened when it was sent."""
    return made(sent, [(sent, seq, "node:faults", {"spec": str(seq)}) for seq in seqs], run, trip)


def taken(node: ReportingNode, given: NodeReport, received: float) -> list[SwarmEvent]:
    return list(node.take(given, given.checked_events(), received))


def write(log: LiveLog, given: NodeReport, received: float) -> None:
    log.take_report(given, given.checked_events(), received)


def shown(events: Sequence[SwarmEvent]) -> list[tuple[str, int, Any]]:
    data: list[Any] = [event.data for event in events]
    return [
        (event.name, event.seq, each.spec if event.name == "node:faults" else each["events"])
        for event, each in zip(events, data, strict=True)
    ]


# ---- clocks


@given(
    shift=st.floats(-1e7, 1e7),
    journeys=st.lists(st.tuples(st.floats(0.01, 900), st.floats(0.01, 900)), min_size=1, max_size=40),
)
def test_no_estimate_is_wrong_by_more_than_its_bound(
    shift: float, journeys: list[tuple[float, float]]
) -> None:
    """Whatever the clock of the node says, and however long reports and answers travel."""
    clock, now, trip = NodeClock(), 1000.0, None
    for there, back in journeys:
        now += 1000
        clock.add(now + there, now + shift, trip)
        trip = there + back
        if clock.bound is not None:
            error = clock.offset - -shift
            assert abs(error) <= clock.bound + 1e-6


def test_a_node_whose_clock_is_5_s_off_receives_nothing_before_it_is_sent() -> None:
    """Two nodes, each arrow of a few ms: in the log it arrives after it leaves, or within the two bounds."""
    rng, log = random.Random(7), LiveLog()
    shifts = {1: 0.0, 2: 5000.0}
    seqs, trips, arrows = {1: 0, 2: 0}, {1: None, 2: None}, 0
    waiting: dict[int, list[Any]] = {1: [], 2: []}
    now = 10_000.0
    for step in range(400):
        now += rng.uniform(20, 80)
        for node, at, spec in ((1, now, f"leaves {step}"), (2, now + rng.uniform(1, 9), f"arrives {step}")):
            seqs[node] += 1
            waiting[node].append((at + shifts[node], seqs[node], "node:faults", {"spec": spec}))
        if step % 10 == 9:
            for node in (1, 2):
                sent = now + 10
                there, back = rng.uniform(0.2, 40), rng.uniform(0.2, 40)
                given = made(sent + shifts[node], waiting[node], "a", trips[node], node)
                write(log, given, sent + there)
                waiting[node], trips[node] = [], there + back  # type: ignore[assignment]
    events = [decode_event(line) for line in log.step(0).lines]
    bounds = {e.data["node"]: e.data["bound_ms"] for e in events if e.name == "clock"}
    assert bounds.keys() == {1, 2} and all(0 < bound < 40 for bound in bounds.values())
    offsets = {e.data["node"]: e.data["offset_ms"] for e in events if e.name == "clock"}
    assert offsets[2] == pytest.approx(-5000, abs=bounds[2])
    times = {e.data["spec"]: e.time for e in events if e.name == "node:faults"}
    settled = range(50, 400)  # the first reports may have travelled long
    for step in settled:
        assert times[f"arrives {step}"] >= times[f"leaves {step}"] - bounds[1] - bounds[2]
        arrows += 1
    assert arrows == len(settled)


@given(st.lists(st.tuples(st.floats(0, 5000), st.floats(-1e6, 1e6)), min_size=1, max_size=60))
def test_the_recent_minimum_is_that_of_the_last_minute(steps: list[tuple[float, float]]) -> None:
    minimum, now, values = RecentMinimum(), 0.0, []
    for wait, value in steps:
        now += wait
        minimum.add(now, value)
        values.append((now, value))
        assert minimum.value == min(v for at, v in values if at >= now - WINDOW_MS)


# ---- events


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 6)), max_size=20))
def test_each_event_is_written_once_or_counted_in_a_gap(batches: list[tuple[int, int]]) -> None:
    """Batches repeated, overlapping, lost or late: the numbers in the log only rise and leave none out."""
    node, expected = ReportingNode(1), None
    for now, (first, count) in enumerate(batches):
        for name, seq, value in shown(taken(node, report(now, *range(first, first + count)), now)):
            assert expected is None or seq == expected
            expected = seq + value if name == "gap" else seq + 1
            assert name == "gap" or value == str(seq)
    assert node.next_seq == (expected or 1)


def test_a_hole_is_a_gap_with_its_length() -> None:
    node = ReportingNode(1)
    taken(node, report(0, 1, 2), 100)
    (gap, event) = taken(node, report(2000, 6), 2100)
    assert (gap.name, gap.node, gap.seq, gap.data) == ("gap", 1, 3, {"events": 3, "span_ms": 2000.0})
    assert (event.seq, event.time) == (6, 2100)


def test_a_new_process_of_a_node_begins_at_1_and_an_old_one_is_ignored() -> None:
    node = ReportingNode(1)
    taken(node, report(0, 1, 2, 3), 0)
    assert shown(taken(node, report(0, 1, run="b"), 10)) == [("node:faults", 1, "1")]
    assert taken(node, report(5, 4, run="a"), 20) == []  # it was delayed on its way
    assert shown(taken(node, report(9, 2, run="b"), 30)) == [("node:faults", 2, "2")]


def test_a_log_that_begins_in_the_middle_of_a_run_begins_without_a_gap() -> None:
    node = ReportingNode(1)
    taken(node, report(0), 0)
    assert shown(taken(node, report(5, 57), 9)) == [("node:faults", 57, "57")]


def test_no_event_is_later_than_its_report_or_before_the_log() -> None:
    node = ReportingNode(1)
    rows: list[Any] = [(0.0, 1, "node:left", {}), (1e12, 2, "node:left", {})]
    early, late = taken(node, made(5e6, rows), 700.0)
    assert (early.time, late.time) == (0.0, 700.0)


# ---- silence


def test_a_silent_node_is_named_once_and_its_next_report_ends_it() -> None:
    log = LiveLog()
    write(log, report(0, 1, trip=4.0), 0)
    for now in range(0, 9000, 500):
        log.note_silent_nodes(float(now))
    write(log, report(9500), 9600)
    log.note_silent_nodes(9700)
    events = [decode_event(line) for line in log.step(0).lines]
    assert [(e.name, e.time) for e in events] == [
        ("node:faults", 0), ("clock", 0), ("node:silent", SILENT_MS), ("node:back", 9600),
    ]  # fmt: skip
    assert events[2].data == {"node": 1, "silent_ms": SILENT_MS, "removed": False}
    assert events[3].data == {"node": 1, "silent_ms": 9600}


def test_a_late_report_of_an_old_process_ends_no_silence() -> None:
    log = LiveLog()
    for run in ("a", "b"):
        write(log, report(0, 1, run=run), 0)
    for now in range(0, 6000, 500):
        log.note_silent_nodes(float(now))
    write(log, report(0, 2, run="a"), 6000)
    assert decode_event(log.step(0).lines[-1]).name == "node:silent"


def test_a_tracker_that_stood_still_takes_no_node_for_silent() -> None:
    """Reports wait in its socket: they are read after the next look for silent nodes."""
    log = LiveLog()
    write(log, report(0, 1), 0)
    log.note_silent_nodes(250)
    for now in range(60_000, 64_000, 250):
        log.note_silent_nodes(float(now))
    write(log, report(60_000, 2), 64_000)
    assert log.last == 2


def test_a_node_that_has_left_is_not_silent() -> None:
    log = LiveLog()
    write(log, made(5, [(5.0, 1, "node:left", {})]), 5)
    log.note_silent_nodes(60_000)
    assert log.last == 1
