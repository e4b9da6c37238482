"""``make class`` and ``make reset``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import configs

ROOT = Path(configs.__file__).parent


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    folders = {"NODE_FILES_DIR": "files", "LOGS_DIR": "logs", "TRACKER_DB_DIR": "db"}
    return {
        **os.environ,
        **{name: str(tmp_path / folder) for name, folder in folders.items()},
        "TRACKER_ADDR": "127.0.0.1:0",
    }


def reset(environment: dict[str, str], *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "classroom.py"), "reset", *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )
    return done.returncode, done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="its processes cannot be interrupted")
def test_a_class_serves_until_it_is_stopped_and_reset_removes_what_it_left(
    environment: dict[str, str], tmp_path: Path
) -> None:
    words = [sys.executable, str(ROOT / "classroom.py"), "start", "--nodes", "3", "--mebibytes", "1"]
    with subprocess.Popen(
        words, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        lines = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], lines
        assert process.poll() is None
        before = sorted(tmp_path.rglob("*.bin"))
        code, told = reset(environment, "--yes")
        assert code == 1 and "a tracker runs on" in told and "nothing was removed" in told
        assert all(f"node {number} runs on" in told for number in (1, 2, 3))
        assert sorted(tmp_path.rglob("*.bin")) == before and (tmp_path / "db" / "tracker.db").exists()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    copies = [(tmp_path / "files" / f"node{number}" / "lecture.bin").read_bytes() for number in (1, 2, 3)]
    assert len(set(copies)) == 1
    own = tmp_path / "files" / "own notes.txt"
    own.write_text("mine", encoding="utf-8")
    code, told = reset(environment)
    assert code == 1 and "node1" in told  # no terminal to ask
    assert (tmp_path / "files" / "node1").exists()
    assert reset(environment, "--yes")[0] == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [own]
    assert reset(environment) == (0, "nothing to remove\n")


def test_reset_leaves_a_folder_alone_that_is_not_the_trackers(
    environment: dict[str, str], tmp_path: Path
) -> None:
    for name in ("db/thesis.txt", "logs/other.log", "files/node1.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert reset(environment, "--yes") == (0, "nothing to remove\n")
