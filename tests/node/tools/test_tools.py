"""create, show, verify and magnet, as a user calls them."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from random import Random
from typing import Any

import pytest

from common.magnet import parse_magnet
from common.metainfo import decode_metainfo
from node.tools import cli
from node.tools.progress import ProgressLine

PIECE = 16 << 10


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "stop_on_signals", lambda stop: None)
    for name, size in {"a.txt": 5, "week 1/slides.pdf": 3 * PIECE, "empty": 0}.items():
        (tmp_path / "course" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "course" / name).write_bytes(Random(name).randbytes(size))
    return tmp_path / "course"


def run(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> str:
    """The command's output; its exit code must be ``code``."""
    assert cli.main([str(word) for word in words]) == code
    printed = capsys.readouterr()
    assert bool(printed.err) == bool(code), printed.err
    return printed.err if code else printed.out


def run_json(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> dict[str, Any]:
    assert cli.main([*map(str, words), "--json"]) == code
    (line,) = capsys.readouterr().out.splitlines()
    fields: dict[str, Any] = json.loads(line)
    return fields


def test_create_show_verify_and_magnet(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["-tracker", "http://a:1/announce,udp://b:1", "-tracker", "https://c/announce", "-piece", "16KiB"]
    printed = run(capsys, "create", folder, *words, "--private", "--comment", "for the class")
    info = decode_metainfo(Path("course.torrent").read_bytes())
    assert printed.splitlines()[:2] == ["course.torrent", f"info hash {info.info_hash_hex}"]
    shown = run_json(capsys, "show", "course.torrent")
    assert shown.pop("creation_date") == info.creation_date
    assert shown == {
        "file": "course.torrent",
        "name": "course",
        "info_hash": info.info_hash_hex,
        "size": 3 * PIECE + 5,
        "piece_length": PIECE,
        "pieces": 4,
        "files": [
            {"path": "course/a.txt", "size": 5},
            {"path": "course/empty", "size": 0},
            {"path": "course/week 1/slides.pdf", "size": 3 * PIECE},
        ],
        "trackers": [["http://a:1/announce", "udp://b:1"], ["https://c/announce"]],
        "private": True,
        "comment": "for the class",
        "created_by": "classroom-swarm",
        "warnings": [],
    }
    assert "3 files" in run(capsys, "show", "course.torrent")
    assert run(capsys, "verify", "course.torrent", folder) == "right: all of 4 pieces\n"
    link = parse_magnet(run(capsys, "magnet", "course.torrent"))
    assert (link.info_hash, link.name, link.trackers) == (info.info_hash, "course", info.announce_list)


def test_verify_reports_each_piece(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "create", folder, "-piece", "16k", "-o", "x.torrent")
    data = bytearray((folder / "week 1/slides.pdf").read_bytes())
    data[PIECE] ^= 1
    (folder / "week 1/slides.pdf").write_bytes(data[:-1])
    found = run_json(capsys, "verify", "x.torrent", folder, code=1)
    assert {key: found[key] for key in ("pieces", "right", "wrong", "missing", "missing_files")} == {
        "pieces": 4,
        "right": 2,
        "wrong": [1],
        "missing": 1,
        "missing_files": ["course/week 1/slides.pdf"],
    }
    assert cli.main(["verify", "x.torrent", str(folder)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "right: 2 of 4 pieces",
        "wrong: 1 (1)",
        "missing: 1",
        "missing or too short: course/week 1/slides.pdf",
    ]
    assert "no such file" in run_json(capsys, "verify", "x.torrent", "nowhere", code=1)["error"]
    assert "no such file" in run(capsys, "verify", "x.torrent", "nowhere", code=1)


def test_show_goes_on_after_a_torrent_that_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "create", folder / "a.txt")
    Path("bad.torrent").write_bytes(b"d4:infod12:meta versioni2e4:name1:xee")
    assert cli.main(["show", "bad.torrent", "a.txt.torrent", "gone.torrent", "--json"]) == 1
    first, second, third = map(json.loads, capsys.readouterr().out.splitlines())
    assert set(first) == {"file", "error"} and "version 2 only (BEP 52) is not supported" in first["error"]
    assert second["name"] == "a.txt" and third["file"] == "gone.torrent"
    assert cli.main(["show", "bad.torrent", "a.txt.torrent"]) == 1
    printed = capsys.readouterr()
    assert "version 2" in printed.err and "a.txt" in printed.out


def test_no_file_is_overwritten_but_a_torrent_of_the_same_content(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "create", folder)
    run(capsys, "create", folder, "-tracker", "udp://a:1")
    assert run_json(capsys, "show", "course.torrent")["trackers"] == [["udp://a:1"]]
    before = Path("course.torrent").read_bytes()
    (folder / "a.txt").write_bytes(b"other")
    assert "exists and is no torrent of this content" in run(capsys, "create", folder, code=1)
    assert "exists and is no torrent" in run(
        capsys, "create", folder / "a.txt", "-o", "course.torrent", code=1
    )
    Path("notes").write_text("mine")
    assert "exists and is no torrent" in run(capsys, "create", folder, "-o", "notes", code=1)
    assert Path("course.torrent").read_bytes() == before and Path("notes").read_text() == "mine"
    assert sorted(path.name for path in Path().iterdir()) == ["course", "course.torrent", "notes"]


def test_where_the_torrent_goes(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("out").mkdir()
    assert run_json(capsys, "create", folder, "-o", "out")["file"] == str(Path("out", "course.torrent"))
    assert "no such folder" in run(capsys, "create", folder, "-o", "nowhere/x.torrent", code=1)
    assert "inside the folder" in run(capsys, "create", folder, "-o", folder / "x.torrent", code=1)
    assert "no such file" in run(capsys, "create", "nothing", code=1)
    monkeypatch.chdir(folder)
    assert "inside the folder" in run(capsys, "create", ".", code=1)
    assert run_json(capsys, "create", ".", "-o", "..")["name"] == "course"


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid"), reason="needs modes of files")
def test_a_failure_leaves_nothing_behind(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(descriptor: int) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("common.files.sync_file", no_room)
    assert "no room left" in run(capsys, "create", folder, code=1)
    assert [path.name for path in Path().iterdir()] == ["course"]


@pytest.mark.parametrize(
    "words",
    [
        ["create"],
        ["show"],
        ["verify", "x"],
        ["magnet"],
        ["create", "course", "-piece", "3"],
        ["create", "course", "-piece", "24KiB"],
        ["create", "course", "-piece", "8KiB"],
        ["create", "course", "-piece", "256MiB"],
        ["create", "course", "-piece", "1GB"],
        ["create", "course", "-piece", ""],
        ["create", "course", "-tracker", "127.0.0.1:1"],
        ["create", "course", "-tracker", "http://a/,"],
        ["create", "course", "-tracker", "http://"],
        ["create", "course", "-tracker", "ftp://a/"],
        ["create", ""],
    ],
)
def test_wrong_usage(folder: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 2
    assert capsys.readouterr().err


def test_the_number_of_trackers_is_limited(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for n in range(17) for word in ("-tracker", f"http://a/{n}")]
    assert "17 trackers are more than 16" in run(capsys, "create", folder, *words, code=1)


def test_names_from_a_torrent_reach_no_terminal_as_they_are(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if os.name == "nt":
        pytest.skip("Windows has no such names")
    (folder / "\x1b[2J").write_text("x")
    run(capsys, "create", folder, "-comment", "\x1b[31m")
    for command in (["show", "course.torrent"], ["verify", "course.torrent", "course"]):
        assert "\x1b" not in run(capsys, *command)


class ToolTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_line_on_a_terminal_and_nothing_elsewhere() -> None:
    now = 0.0
    terminal, pipe = ToolTerminal(), io.StringIO()
    shown, silent = ProgressLine(terminal, lambda: now), ProgressLine(pipe, lambda: now)
    for step in range(1, 5):
        now = step * 0.05
        shown(step * 10**8, 4 * 10**8)
        silent(step * 10**8, 4 * 10**8)
    shown.clear()
    silent.clear()
    assert pipe.getvalue() == ""
    lines = terminal.getvalue().split("\r\x1b[K")
    assert lines == [
        "",
        "hashing   50.0%  200.0 of 400.0 MB  2.0 GB/s  0:01",
        "hashing  100.0%  400.0 of 400.0 MB  2.0 GB/s  0:00",
        "",
    ]
