"""The lines that the tracker shows on its terminal."""

from __future__ import annotations

from tracker.terminal_events import MAX_REMEMBERED, REPEAT_SECONDS, TerminalEvents


def need(node_id: int, name: str, owners: int) -> str:
    return f"NEED node {node_id}: {name!r}, other owners: {owners}"


def test_a_repeated_need_is_shown_once_a_minute_or_when_the_owners_change() -> None:
    events = TerminalEvents()
    shown = [second for second in range(180) if events.shows(need(2, "x, y", 0), float(second))]
    assert shown == [0, REPEAT_SECONDS, 2 * REPEAT_SECONDS]
    assert events.shows(need(2, "x, y", 1), 180.0) and not events.shows(need(2, "x, y", 1), 181.0)
    assert events.shows(need(2, "x, y", 0), 182.0)
    assert events.shows(need(3, "x, y", 0), 182.0) and events.shows(need(2, "z", 0), 182.0)


def test_all_other_lines_but_heartbeats_are_shown() -> None:
    events = TerminalEvents()
    for line in ("OWN node 1 at 127.0.0.1:1: 'x'", "EXIT node 1"):
        assert events.shows(line, 0.0) and events.shows(line, 0.0)
    assert not events.shows("UPDATE node 1: 'x', uploads: 3", 0.0)
    assert not events.shows("tracker started at http://h:1", 0.0)


def test_it_remembers_a_limited_number_of_needs() -> None:
    events = TerminalEvents()
    for number in range(3 * MAX_REMEMBERED):
        assert events.shows(need(number, "x", 0), 1.0)
    assert len(events._needs) == MAX_REMEMBERED
