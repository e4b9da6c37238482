"""The whole bench, end to end on real processes. Its structure is looked at, not its speed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bench.__main__ import parse, size
from bench.theirs import installed

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 100.0  # seconds; it takes ten on a quiet machine
COMMAND = [sys.executable, "-m", "bench", "--quick"]


def test_quick_measures_every_figure_and_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    work = tmp_path / "work"
    work.mkdir()
    ended = subprocess.run(
        [*COMMAND, "--size", "16MiB", "--folder", str(work), "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(work)},
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
    )
    assert ended.returncode in (0, 1), ended.stderr
    assert out.exists(), ended.stderr
    assert list(work.iterdir()) == []
    saved = json.loads(out.read_text(encoding="utf-8"))
    names = [row["figure"] for row in saved["figures"]]
    assert all(name.strip() in ended.stdout for name in names)
    wanted = ["SHA-1, one core", "download, 1 owner", "download, 3 owners", "create_torrent"]
    wanted += ["many files, to announce all"]
    wanted += ["download ÷ libtorrent", "  ÷ libtorrent, tuned"] if installed() else []
    wanted += ["peak RSS, owner", "CPU, downloader"] if hasattr(os, "wait4") else []
    assert set(wanted) <= set(names)
    assert installed() or "libtorrent is not installed" in ended.stdout
    runs = saved["runs"]
    assert set(runs["three_owners"][0]["received"]) == {"1", "2", "3"}
    assert runs["many_files"][0]["known"] == runs["many_files"][0]["files"] == 100
    assert len(runs["sha1"]) >= 3 and min(runs["sha1"]) > 0


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_bench_ends_its_processes_and_removes_its_files(
    number: signal.Signals, tmp_path: Path
) -> None:
    words = ["--only", "download", "--folder", str(tmp_path), "--out", str(tmp_path / "results.json")]
    with subprocess.Popen([*COMMAND, *words], cwd=ROOT, stderr=subprocess.PIPE, encoding="utf-8") as bench:
        assert bench.stderr is not None
        assert "random data" in bench.stderr.readline()
        process = psutil.Process(bench.pid)
        children: list[psutil.Process] = []
        while not children:  # ends: with the tracker, or with the bench
            assert bench.poll() is None
            children = process.children(recursive=True)
        bench.send_signal(number)
        assert "interrupted" in bench.stderr.read()
        assert bench.wait(timeout=PATIENCE) == 1
    assert psutil.wait_procs(children, timeout=5)[1] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "number"), [("1GiB", 1 << 30), ("64 MiB", 64 << 20), ("500MB", 5 * 10**8), ("7", 7)]
)
def test_sizes(text: str, number: int) -> None:
    assert size(text) == number


@pytest.mark.parametrize("words", [["--size", "0"], ["--size", "1TiB"], ["--runs", "0"], ["--only", "speed"]])
def test_wrong_usage_is_said(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        parse(words)
    assert raised.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_no_folder_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        parse(["--folder", str(tmp_path / "missing")])
    assert parse(["--folder", str(tmp_path)])[0].folder == tmp_path
