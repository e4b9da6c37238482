"""create, show, verify and magnet as processes: exit codes, Ctrl-C, progress on a terminal, flat memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = [sys.executable, str(ROOT / "TorrentClient.py")]
PATIENCE = 60  # seconds; a test that needs them has failed
LARGE = 1 << 36  # bytes of a sparse file that takes longer to hash than any test waits
MEMORY = 100  # MiB

needs_posix = pytest.mark.skipif(os.name == "nt", reason="needs signals and terminals of Unix")


def run(folder: Path, *words: str, code: int = 0) -> str:
    ran = subprocess.run(
        [*PROGRAM, *words], cwd=folder, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False
    )
    assert ran.returncode == code, ran.stderr
    assert ran.stderr.count("\n") == (1 if code == 1 else 0)
    return ran.stdout


def test_from_a_folder_to_its_magnet_link(tmp_path: Path) -> None:
    (tmp_path / "course" / "week 1").mkdir(parents=True)
    (tmp_path / "course" / "week 1" / "naïve.txt").write_text("hello")
    created = json.loads(
        run(tmp_path, "create", "course", "-tracker", "http://127.0.0.1:1/announce", "--json")
    )
    shown = json.loads(run(tmp_path, "show", "course.torrent", "--json"))
    assert shown == created
    assert shown["files"] == [{"path": "course/week 1/naïve.txt", "size": 5}]
    assert run(tmp_path, "verify", "course.torrent", "course") == "right: all of 1 piece\n"
    assert run(tmp_path, "magnet", "course.torrent").startswith(f"magnet:?xt=urn:btih:{shown['info_hash']}&")
    (tmp_path / "course" / "week 1" / "naïve.txt").write_text("jello")
    assert json.loads(run_failing_verify(tmp_path))["wrong"] == [0]
    run(tmp_path, "show", "missing.torrent", code=1)
    assert not (tmp_path / "logs").exists(), "no node was started"


def run_failing_verify(folder: Path) -> str:
    words = [*PROGRAM, "verify", "course.torrent", "course", "--json"]
    ran = subprocess.run(
        words, cwd=folder, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False
    )
    assert (ran.returncode, ran.stderr) == (1, "")
    return ran.stdout


def test_wrong_usage_is_exit_code_2(tmp_path: Path) -> None:
    ran = subprocess.run(
        [*PROGRAM, "create"], cwd=tmp_path, capture_output=True, timeout=PATIENCE, check=False
    )
    assert ran.returncode == 2 and b"PATH" in ran.stderr


@needs_posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_no_torrent_and_says_so_in_a_line(
    tmp_path: Path, number: signal.Signals
) -> None:
    """On a terminal, so that its progress shows when it hashes; the line of progress is removed."""
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(LARGE)
    ours, theirs = os.openpty()
    with subprocess.Popen([*PROGRAM, "create", "large.bin"], cwd=tmp_path, stderr=theirs) as program:
        os.close(theirs)
        shown = b""
        while b"GB  " not in shown:  # two amounts and a rate
            shown += os.read(ours, 4096)
        program.send_signal(number)
        assert program.wait(PATIENCE) == 1
        shown = b""
        while b"interrupted" not in shown:
            shown += os.read(ours, 4096)
    os.close(ours)
    assert shown.endswith(b"\r\x1b[Kinterrupted while hashing\r\n")
    assert [path.name for path in tmp_path.iterdir()] == ["large.bin"]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux counts it")
@pytest.mark.parametrize("piece", ["64KiB", "128MiB"])
def test_memory_does_not_grow_with_pieces_or_files(tmp_path: Path, piece: str) -> None:
    (tmp_path / "t").mkdir()
    for number in range(100):
        (tmp_path / "t" / f"{number}").write_bytes(b"")
    with (tmp_path / "t" / "large.bin").open("wb") as file:
        file.truncate(1 << 30)
    # From a small process: the count begins with the memory of the process that starts the program.
    measure = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=2)\n"
    measure += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10)"
    words = [sys.executable, "-c", measure, *PROGRAM, "create", "t", "-piece", piece]
    used = subprocess.run(words, cwd=tmp_path, capture_output=True, check=True, text=True).stdout
    assert 10 < int(used) < MEMORY
