"""The line below the prompt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from node import events
from node.events import DownloadStatus, PeerStatus, SourceProgress
from node.show.toolbar import MAX_LINES, Toolbar

HASH = "ab" * 20
SOURCES = (
    SourceProgress(2, ("127.0.0.1", 4002), 600_000, 2e6, "active"),
    SourceProgress(3, ("127.0.0.1", 4003), 600_000, 2e6, "active"),
    SourceProgress(4, ("127.0.0.1", 4004), 0, 0.0, "lost", "silent"),
)


def row(name: str = "movie.mkv", state: str = "fetching", reason: str = "") -> DownloadStatus:
    return DownloadStatus(name, HASH, state, 1000, 500, 600, 8.3e7, 7.0, reason, SOURCES)


def test_an_idle_node_says_where_it_is_and_what_it_shares() -> None:
    toolbar = Toolbar(7)
    assert toolbar.text((), (), 80) == "node 7 · tracker answers · sharing nothing"
    toolbar.event(events.Started(7, ("127.0.0.1", 4001)))
    toolbar.event(events.Sharing("a", "1" * 40, 1, "t"))
    assert toolbar.text((), (), 80) == "node 7 on 127.0.0.1:4001 · tracker answers · sharing 1 file"
    toolbar.event(events.Sharing("b", "2" * 40, 1, "t"))
    toolbar.event(events.Sharing("b", "2" * 40, 1, "t"))
    toolbar.event(events.TrackerLost("u", "r"))
    assert toolbar.text((), (), 80) == "node 7 on 127.0.0.1:4001 · tracker does not answer · sharing 2 files"
    toolbar.event(events.TrackerBack("u"))
    toolbar.event(events.SharingStopped("b", "2" * 40, "it changed"))
    assert toolbar.text((), (), 80) == "node 7 on 127.0.0.1:4001 · tracker answers · sharing 1 file"


def test_a_tracker_that_refuses_is_not_taken_for_a_silent_one() -> None:
    toolbar = Toolbar(7)
    toolbar.event(events.TrackerLost("http://h:1", "tracker http://h:1 does not answer (timeout)"))
    toolbar.event(events.TrackerLost("http://h:1", "tracker http://h:1 refuses: node 7 is in use", True))
    assert toolbar.text((), (), 80) == "node 7 · tracker refuses: node 7 is in use · sharing nothing"


def test_a_node_that_serves_says_how_fast() -> None:
    toolbar = Toolbar(7)
    peers = [PeerStatus(2, ("127.0.0.1", 4002), "a", "to", 10, 8e6, "served", "")]
    assert toolbar.text((), peers, 80) == "node 7 · tracker answers · sharing nothing ↑ 8.0 MB/s to 1"
    assert toolbar.text((row(),), peers, 80).split("\n")[1] == "↑ 8.0 MB/s to 1"


def test_on_a_narrow_terminal_an_idle_node_takes_two_lines() -> None:
    toolbar = Toolbar(7)
    toolbar.event(events.Started(7, ("127.0.0.1", 4001)))
    assert toolbar.text((), (), 50).split("\n") == [
        "node 7 on 127.0.0.1:4001 · tracker answers ·",
        "sharing nothing",
    ]


def test_a_download_is_a_bar() -> None:
    line = "movie.mkv                 ━━━━━━━━────────  50.0%   83.0 MB/s  0:07 left  from 2, 3"
    assert Toolbar(1).text((row(), row("done", "completed")), (), 100) == line
    searching = Toolbar(1).text((row(state="searching", reason="no owner"),), (), 100)
    assert searching.endswith("  50.0%  searching: no owner")


@pytest.mark.parametrize("width", [50, 80, 120])
def test_all_bars_begin_in_the_same_column(width: int) -> None:
    rows = [row("a"), row("a name that is longer than others"), row("b", "searching", "why " * 20)]
    lines = Toolbar(1).text(rows, (), width).split("\n")
    assert len({line.index("━") for line in lines}) == 1


def test_many_downloads_do_not_push_the_prompt_away() -> None:
    lines = Toolbar(1).text([row(str(i)) for i in range(9)], (), 80).split("\n")
    assert len(lines) == MAX_LINES
    assert lines[-1] == "and 5 more downloads: status"


def test_hashing_is_a_bar_until_it_is_done() -> None:
    toolbar = Toolbar(1)
    toolbar.event(events.Hashing("a.bin", 1, 4))
    assert toolbar.text((), (), 80) == "a.bin             ━━━━────────────  25.0%  hashing"
    toolbar.event(events.Hashing("a.bin", 4, 4))
    assert "hashing" not in toolbar.text((), (), 80)


def test_an_empty_file_is_done() -> None:
    empty = DownloadStatus("a", HASH, "finishing", 0, 0, 0, 0.0, None, "", ())
    assert "━" * 16 + " 100.0%" in Toolbar(1).text((empty,), (), 80)


@given(st.text(max_size=80), st.text(max_size=80), st.integers(20, 200))
def test_any_name_fits_in_any_width(name: str, reason: str, width: int) -> None:
    line = Toolbar(1).text((row(name, "searching", reason),), (), width)
    assert cell_len(line) <= width
    assert len(line.splitlines()) == 1
