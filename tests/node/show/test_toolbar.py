"""The line below the prompt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from node import events
from node.events import DownloadStatus, SourceProgress
from node.show.toolbar import LINES, Toolbar, bar, download_line

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
    assert toolbar.text((), 80) == "node 7 · tracker answers · sharing nothing"
    toolbar.event(events.Started(7, ("127.0.0.1", 4001)))
    toolbar.event(events.Sharing("a", "1" * 40, 1, "t"))
    assert toolbar.text((), 80) == "node 7 on 127.0.0.1:4001 · tracker answers · sharing 1 file"
    toolbar.event(events.Sharing("b", "2" * 40, 1, "t"))
    toolbar.event(events.Sharing("b", "2" * 40, 1, "t"))
    toolbar.event(events.TrackerLost("u", "r"))
    assert toolbar.text((), 80) == "node 7 on 127.0.0.1:4001 · tracker does not answer · sharing 2 files"
    toolbar.event(events.TrackerBack("u"))
    toolbar.event(events.SharingStopped("b", "2" * 40, "it changed"))
    assert toolbar.text((), 80) == "node 7 on 127.0.0.1:4001 · tracker answers · sharing 1 file"


def test_a_download_is_a_bar() -> None:
    assert download_line(row(), 100) == (
        "movie.mkv                 ━━━━━━━━────────  50.0%   83.0 MB/s  0:07 left  from 2, 3"
    )
    assert Toolbar(1).text((row(), row("done", "completed")), 100) == download_line(row(), 100)
    assert download_line(row(state="searching", reason="no owner"), 100).endswith(
        "  50.0%  searching: no owner"
    )


def test_many_downloads_do_not_push_the_prompt_away() -> None:
    lines = Toolbar(1).text([row(str(i)) for i in range(9)], 80).split("\n")
    assert len(lines) == LINES
    assert lines[-1] == "and 5 downloads more: torrent -status"


def test_hashing_is_a_bar_until_it_is_done() -> None:
    toolbar = Toolbar(1)
    toolbar.event(events.Hashing("a.bin", 1, 4))
    assert toolbar.text((), 80) == "a.bin                     ━━━━────────────  25.0%  hashing"
    toolbar.event(events.Hashing("a.bin", 4, 4))
    assert "hashing" not in toolbar.text((), 80)


@pytest.mark.parametrize(
    ("done", "whole", "text"), [(0, 4, "────"), (3, 4, "━━━─"), (4, 4, "━━━━"), (0, 0, "━━━━")]
)
def test_bars(done: int, whole: int, text: str) -> None:
    assert bar(done, whole, 4) == text


@given(st.text(max_size=80), st.text(max_size=80), st.integers(20, 200))
def test_any_name_fits_in_any_width(name: str, reason: str, width: int) -> None:
    line = download_line(row(name, "searching", reason), width)
    assert cell_len(line) <= width
    assert len(line.splitlines()) == 1
