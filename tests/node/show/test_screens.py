"""Screens: plain, JSON and terminal, from events and rows to characters."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from rich.console import Console

from node import events
from node.events import DownloadStatus, FileStatus, PeerStatus, SourceProgress, TrackerStatus
from node.show import bars, tables
from node.show.json_lines import JsonScreen
from node.show.plain import PlainScreen, plain_table
from node.show.terminal import TerminalScreen, rich_table

HASH = "ab" * 20
SOURCES = (
    SourceProgress(2, ("127.0.0.1", 4002), 600_000, 2e6, "active"),
    SourceProgress(4, ("127.0.0.1", 4004), 50_000, 0.0, "lost", "silent for 2 s"),
)
PROGRESS = events.Progress("a [red]b.bin", HASH, 1_000_000, 650_000, 500_000, 2e6, 0.3, SOURCES)
STATUS = (
    DownloadStatus("movie.mkv", HASH, "fetching", 10**9, 42 * 10**7, 43 * 10**7, 8.3e7, 7.1, "", SOURCES),
    DownloadStatus("文件.bin", HASH, "failed", 2000, 0, 0, 0.0, None, "no owner in 60 s", ()),
)
FILES = (FileStatus("movie.mkv", HASH, 10**9, True, "nf/movie.mkv", 5 * 10**8, "sharing"),)
PEERS = (
    PeerStatus(2, ("127.0.0.1", 4002), "movie.mkv", "from", 600_000, 2e6, "active", ""),
    PeerStatus(None, ("127.0.0.1", 4003), "movie.mkv", "to", 10, 0.0, "idle", "evil\x1b[31m"),
)
TRACKERS = (
    TrackerStatus("http://h:2", ("http://h:1", "http://h:2"), True),
    TrackerStatus("http://evil\x1b:1", ("http://evil\x1b:1",), False),
)


def test_plain_status() -> None:
    assert plain_table(tables.status_sheet(STATUS)) == (
        "file       state       size   done       rate  left  owners  why\n"
        "movie.mkv  fetching  1.0 GB  42.0%  83.0 MB/s  0:08  2       -\n"
        "文件.bin   failed    2.0 kB   0.0%          -     -  -       no owner in 60 s"
    )


def test_plain_files_and_peers() -> None:
    assert plain_table(tables.files_sheet(FILES)) == (
        "file       state      size  whole      sent  info hash  path\n"
        "movie.mkv  sharing  1.0 GB  yes    500.0 MB  abababab   nf/movie.mkv"
    )
    assert plain_table(tables.peers_sheet(PEERS)) == (
        "node  address         file       way     amount      rate  state   why\n"
        "   2  127.0.0.1:4002  movie.mkv  from  600.0 kB  2.0 MB/s  active  -\n"
        "   -  127.0.0.1:4003  movie.mkv  to        10 B     0 B/s  idle    evil�[31m"
    )


def test_nothing_is_said_in_words() -> None:
    assert plain_table(tables.status_sheet(())) == "no downloads"
    assert plain_table(tables.files_sheet(())) == "no files"
    assert plain_table(tables.peers_sheet(())) == "no peers"


def recorded(width: int = 90) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=False, highlight=False, color_system=None)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_terminal_table() -> None:
    console = recorded()
    console.print(rich_table(tables.peers_sheet(PEERS)))
    shown = [line.rstrip() for line in text_of(console).splitlines()]
    assert shown[0].split() == ["node", "address", "file", "way", "amount", "rate", "state", "why"]
    assert set(shown[1]) == {"─"}
    assert shown[2].split()[:4] == ["2", "127.0.0.1:4002", "movie.mkv", "from"]
    assert "\x1b" not in text_of(console)


@pytest.mark.parametrize("width", [50, 60, 90, 200])
def test_bars_fit_and_name_everybody(width: int) -> None:
    console = recorded(width)
    console.print(bars.drawn([PROGRESS], events.Hashing("h.bin", 1, 4), width))
    shown = [line.rstrip() for line in text_of(console).splitlines()]
    assert len(shown) == 4
    assert all(len(line) <= width - 4 for line in shown)
    assert "50.0%" in shown[0] and "2.0 MB/s" in shown[0]
    assert "node 2" in shown[1] and "600.0 kB" in shown[1] and "active" in shown[1]
    assert "node 4" in shown[2] and "0 B/s" in shown[2]
    assert "25.0%" in shown[3]
    if width == 200:
        assert "a [red]b.bin" in shown[0]  # a name is no markup
        assert "lost: silent for 2 s" in shown[2]


def test_terminal_screen_says_each_thing_once_and_takes_bars_away() -> None:
    out, err = recorded(), recorded()
    screen = TerminalScreen(out, err, live=True)
    screen.event(PROGRESS)
    screen.event(events.Piece("a", HASH, 1, (2,)))
    screen.event(events.Completed("a", HASH, "n/a", 1000, 1.0, 1.0, 1000.0, SOURCES))
    screen.event(events.Failed("b", HASH, "nobody has it"))
    screen.error("no such\nfile")
    screen.close()
    assert text_of(out).count("downloaded a:") == 1
    assert "piece" not in text_of(out)
    assert text_of(err).splitlines() == ["download of b failed: nobody has it", "no such�file"]


def test_long_lines_are_not_broken() -> None:
    out = recorded(40)
    TerminalScreen(out, out).say("x" * 100)
    assert text_of(out) == "x" * 100 + "\n"


def test_plain_screen_is_quiet_verbose_or_counts() -> None:
    def shown(verbose: bool, progress: bool, times: list[float]) -> list[str]:
        out = io.StringIO()
        clock = iter(times)
        screen = PlainScreen(out, io.StringIO(), verbose, progress, lambda: next(clock))
        for _ in range(4):
            screen.event(PROGRESS)
        screen.event(events.Started(1, ("127.0.0.1", 1)))
        return [line.split(":")[0] for line in out.getvalue().splitlines()]

    started = "node 1 listens on udp 127.0.0.1"
    assert shown(False, False, []) == [started]
    assert shown(True, False, []) == ["a [red]b.bin"] * 4 + [started]
    assert shown(False, True, [0.0, 0.25, 0.99, 1.0]) == ["a [red]b.bin"] * 2 + [started]


def test_plain_screen_sends_failures_to_stderr() -> None:
    out, err = io.StringIO(), io.StringIO()
    screen = PlainScreen(out, err)
    screen.event(events.Failed("b", HASH, "nobody has it"))
    screen.error("no such file")
    screen.say("two\nlines")
    assert out.getvalue() == "two\nlines\n"
    assert err.getvalue() == "download of b failed: nobody has it\nno such file\n"


def test_with_the_peers_it_is_said_which_tracker_answers() -> None:
    out = io.StringIO()
    PlainScreen(out, io.StringIO()).peers((), TRACKERS)
    assert out.getvalue() == (
        "no peers\ntracker http://h:2 answers (2 of 2)\ntracker http://evil�:1 does not answer\n"
    )


def test_json_screen_prints_objects_and_nothing_else() -> None:
    out, err = io.StringIO(), io.StringIO()
    screen = JsonScreen(out, err)
    screen.event(PROGRESS)
    screen.event(events.Progress("inf", HASH, 1, 0, 0, float("inf"), float("nan"), ()))
    screen.event(events.Failed("bad\udcff\x1b", HASH, "line\nbreak"))
    screen.say("for people")
    screen.error("no such file")
    screen.status(STATUS)
    screen.files(FILES)
    screen.peers(PEERS, TRACKERS)
    objects = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [o["event"] for o in objects] == [
        "progress", "progress", "failed", "error", "status", "files", "peers"
    ]  # fmt: skip
    assert objects[0]["sources"][1]["reason"] == "silent for 2 s"
    assert objects[1]["rate"] is None and objects[1]["eta"] is None
    assert objects[2]["filename"] == "bad\udcff\x1b" and objects[2]["reason"] == "line\nbreak"
    assert objects[3] == {"event": "error", "error": "no such file"}
    assert objects[4]["downloads"][1]["filename"] == "文件.bin"
    assert objects[5]["files"][0]["uploaded"] == 5 * 10**8
    assert objects[6]["peers"][1]["node_id"] is None
    assert objects[6]["trackers"][0] == {
        "url": "http://h:2",
        "urls": ["http://h:1", "http://h:2"],
        "answers": True,
        "state": "answers",
        "reason": "",
        "silent_for": None,
    }
    assert out.getvalue().isascii()
    assert err.getvalue() == "for people\nno such file\n"


def test_a_reader_that_left_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as broken:
        screen = PlainScreen(broken, io.StringIO())
        screen.say("nobody reads this")
        screen.flush()
        screen.say("nor this")
        screen.flush()


def test_owners_of_a_part_are_marked_with_what_they_hold() -> None:
    part = SourceProgress(7, ("127.0.0.1", 4007), 10, 1.0, "active", "", False, 12)
    row = DownloadStatus("a.bin", HASH, "fetching", 10**6, 0, 0, 1.0, None, "", (SOURCES[0], part))
    assert "2, 7 (part)" in plain_table(tables.status_sheet((row,)))
    peer = PeerStatus(7, ("127.0.0.1", 4007), "a.bin", "from", 10, 1.0, "active", "", False, 12)
    assert "active, has 12 pieces" in plain_table(tables.peers_sheet((peer,)))
