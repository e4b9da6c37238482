"""Screens: plain, JSON and terminal, from events and rows to characters."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from node import events
from node.events import DownloadStatus, FileStatus, ListedTorrent, PeerStatus, SourceProgress, TrackerStatus
from node.show.output import PlainOutput
from node.show.screen import JsonScreen, TextScreen
from node.show.tables import table
from node.show.terminal import LiveBars, TerminalOutput, drawn

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
TORRENTS = (ListedTorrent("movie.mkv", HASH, 10**9, owners=1, complete=2, peers=3),)
TRACKERS = (
    TrackerStatus("http://h:2", ("http://h:1", "http://h:2"), True),
    TrackerStatus("http://evil\x1b:1", ("http://evil\x1b:1",), False, "does not answer"),
)


def shown(kind: str, rows: tuple[Any, ...], width: int | None = None) -> list[str]:
    return table(kind, rows).lines(width)


def test_tables_of_any_width() -> None:
    assert shown("downloads", STATUS) == [
        "file       state       size   done       rate  left  owners  why",
        "movie.mkv  fetching  1.0 GB  42.0%  83.0 MB/s  0:08  2       -",
        "文件.bin   failed    2.0 kB   0.0%          -     -  -       no owner in 60 s",
    ]
    assert shown("files", FILES) == [
        "file       state      size  whole      sent  info hash  path",
        "movie.mkv  sharing  1.0 GB  yes    500.0 MB  abababab   nf/movie.mkv",
    ]
    assert shown("peers", PEERS) == [
        "node  address         over  file       direction    amount      rate  state   why",
        "   2  127.0.0.1:4002  udp   movie.mkv  we fetch   600.0 kB  2.0 MB/s  active  -",
        "   -  127.0.0.1:4003  udp   movie.mkv  we serve       10 B     0 B/s  idle    evil�[31m",
    ]


def test_the_list_of_torrents_counts_standard_peers() -> None:
    assert shown("torrents", TORRENTS) == [
        "name         size  owners  peers  complete  info hash",
        f"movie.mkv  1.0 GB       1      3         2  {HASH}",
    ]
    assert shown("torrents", TORRENTS, 60) == [
        "name         size  owners  peers  complete",
        "movie.mkv  1.0 GB       1      3         2",
        f"    info hash: {HASH}",
    ]


def test_narrow_tables_lose_columns_and_put_long_texts_below() -> None:
    assert shown("downloads", STATUS, 50) == [
        "file       state       size   done       rate",
        "movie.mkv  fetching  1.0 GB  42.0%  83.0 MB/s",
        "文件.bin   failed    2.0 kB   0.0%          -",
        "    why: no owner in 60 s",
    ]
    assert shown("files", FILES, 50)[1:] == [
        "movie.mkv  sharing  1.0 GB  yes    500.0 MB",
        "    path: nf/movie.mkv",
    ]
    assert shown("peers", PEERS, 50) == [
        "node  file       direction      rate  state",
        "   2  movie.mkv  we fetch   2.0 MB/s  active",
        "   -  movie.mkv  we serve      0 B/s  idle",
        "    why: evil�[31m",
    ]


def test_a_long_name_is_shortened_before_a_column_leaves() -> None:
    long = dataclasses.replace(PEERS[0], filename="lecture about the history of networks " * 2 + ".bin")
    lines = shown("peers", (long, PEERS[0]), 100)
    assert lines[0].split() == ["node", "address", "over", "file", "direction", "amount", "rate", "state"]
    assert (
        "127.0.0.1:4002  udp   lecture about the history" in lines[1] and "…  we fetch   600.0 kB" in lines[1]
    )
    assert cell_len(lines[1]) == 100
    assert "address" not in shown("peers", (long,), 60)[0]  # the name keeps some of its text


@pytest.mark.parametrize("width", [40, 50, 80, 120])
@pytest.mark.parametrize("kind", ["downloads", "files", "peers"])
def test_no_table_is_wider_than_its_terminal(kind: str, width: int) -> None:
    name, why = "a long name of a file " * 5, "a long reason that nobody expects " * 4
    rows: dict[str, tuple[Any, ...]] = {
        "downloads": (DownloadStatus(name, HASH, "fetching", 10**9, 0, 0, 8.3e7, 7.1, why, SOURCES),),
        "files": (FileStatus(name, HASH, 10**9, True, f"/some/where/{name}", 5, "sharing"),),
        "peers": (PeerStatus(2, ("127.0.0.1", 4002), name, "from", 6, 2e6, "active", why, False, 12),),
    }
    lines = shown(kind, rows[kind], width)
    assert all(cell_len(line) <= width for line in lines)
    assert any("a long" in line for line in lines[1:])
    assert len(lines) < 9


def test_a_column_without_anything_in_it_is_left_out() -> None:
    held = dataclasses.replace(PEERS[0], held=12)
    assert shown("peers", (PEERS[0],))[0].split()[-1] == "state"
    assert shown("peers", (held,))[1].endswith("active  12 pieces")
    assert shown("peers", (held,), 50) == shown("peers", (PEERS[0],), 50)


def test_nothing_is_said_in_words() -> None:
    for kind in ("downloads", "files", "peers"):
        assert shown(kind, ()) == [f"no {kind}"]


def recorded(width: int = 90) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=False, highlight=False, color_system=None)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def plain(out: io.StringIO, err: io.StringIO, **options: Any) -> TextScreen:
    return TextScreen(PlainOutput(out), PlainOutput(err), **options)


@pytest.mark.parametrize("width", [50, 60, 90, 200])
def test_bars_fit_begin_in_one_column_and_name_each_owner(width: int) -> None:
    console = recorded(width)
    console.print(drawn([PROGRESS], events.Hashing("h.bin", 1, 4), width))
    shown = [line.rstrip() for line in text_of(console).splitlines()]
    assert len(shown) == 4
    assert all(len(line) <= width - 4 for line in shown)
    assert "50.0%" in shown[0] and "2.0 MB/s" in shown[0]
    assert "node 2" in shown[1] and "600.0 kB" in shown[1] and "active" in shown[1]
    assert "node 4" in shown[2] and "0 B/s" in shown[2]
    assert "25.0%" in shown[3]
    starts = {found.start() for line in shown if (found := re.search("[━╸╺]", line))}
    assert len(starts) == 1
    if width == 200:
        assert "a [red]b.bin" in shown[0]  # a name is no markup
        assert "lost: silent for 2 s" in shown[2]


def test_a_terminal_screen_shows_each_thing_once_and_takes_bars_away() -> None:
    out, err = recorded(), recorded()
    screen = TextScreen(TerminalOutput(out), TerminalOutput(err), bars=LiveBars(out))
    screen.event(PROGRESS)
    screen.event(events.Piece("a", HASH, 1, (2,)))
    screen.event(events.Completed("a", HASH, "n/a", 1000, 1.0, 1.0, 1000.0, SOURCES))
    screen.event(events.Failed("b", HASH, "no node has it"))
    screen.error("no such\nfile")
    screen.close()
    assert text_of(out).count("downloaded a:") == 1
    assert "piece" not in text_of(out)
    assert text_of(err).splitlines() == ["download of b failed: no node has it", "no such�file"]


def test_long_lines_are_not_broken() -> None:
    out = recorded(40)
    TextScreen(TerminalOutput(out), TerminalOutput(out)).say("x" * 100)
    assert text_of(out) == "x" * 100 + "\n"


def test_a_screen_is_quiet_verbose_or_counts() -> None:
    def shown(verbose: bool, progress: bool, times: list[float]) -> list[str]:
        out = io.StringIO()
        clock = iter(times)
        screen = plain(out, io.StringIO(), verbose=verbose, progress=progress, clock=lambda: next(clock))
        for _ in range(4):
            screen.event(PROGRESS)
        screen.event(events.Stopped(1))
        return [line.split(":")[0] for line in out.getvalue().splitlines()]

    left = "node 1 left the torrent"
    assert shown(False, False, []) == [left]
    assert shown(True, False, []) == ["a [red]b.bin"] * 4 + [left]
    assert shown(False, True, [0.0, 0.25, 0.99, 1.0]) == ["a [red]b.bin"] * 2 + [left]


def test_failures_go_to_stderr() -> None:
    out, err = io.StringIO(), io.StringIO()
    screen = plain(out, err)
    screen.event(events.Failed("b", HASH, "no node has it"))
    screen.error("no such file")
    screen.say("two\nlines")
    assert out.getvalue() == "two\nlines\n"
    assert err.getvalue() == "download of b failed: no node has it\nno such file\n"


def test_a_download_that_its_user_ended_is_no_error() -> None:
    out, err = io.StringIO(), io.StringIO()
    plain(out, err).event(events.Cancelled("b", HASH, "b is cancelled; b.part is kept"))
    assert (out.getvalue(), err.getvalue()) == ("b is cancelled; b.part is kept\n", "")


def test_the_status_ends_with_the_upload_rate_and_the_peers_with_the_trackers() -> None:
    out = io.StringIO()
    screen = plain(out, io.StringIO())
    screen.answer("status", downloads=(), uploads=())
    screen.answer("status", downloads=(), uploads=(dataclasses.replace(PEERS[1], rate=8e6),))
    screen.answer("peers", peers=(), trackers=TRACKERS)
    assert out.getvalue().splitlines() == [
        *("no downloads", "no uploads", "no downloads", "↑ 8.0 MB/s to 1", "no peers"),
        *("tracker http://h:2 answers (2 of 2)", "tracker http://evil�:1 does not answer"),
    ]


def test_json_screen_prints_objects_and_nothing_else() -> None:
    out, err = io.StringIO(), io.StringIO()
    screen = JsonScreen(PlainOutput(out), PlainOutput(err))
    screen.event(PROGRESS)
    screen.event(events.Progress("inf", HASH, 1, 0, 0, float("inf"), float("nan"), ()))
    screen.event(events.Failed("bad\udcff\x1b", HASH, "line\nbreak"))
    screen.say("for people")
    screen.error("no such file")
    screen.answer("status", downloads=STATUS, uploads=())
    screen.answer("files", files=FILES)
    screen.answer("peers", peers=PEERS, trackers=TRACKERS)
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
    assert objects[6]["trackers"][0]["urls"] == ["http://h:1", "http://h:2"]
    assert out.getvalue().isascii()
    assert err.getvalue() == "for people\nno such file\n"
