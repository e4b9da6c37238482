"""The demo is a newcomer's first command: small here, but complete."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from rich.console import Console

import configs
from demo import result_table

ROOT = Path(configs.__file__).parent


@pytest.mark.parametrize("width", [50, 60, 70, 80, 100])
def test_the_table_of_results_cuts_no_number(width: int) -> None:
    hash_of_the_original = "0123456789ab…"
    rows = [
        ["1", "original", "", "", "", hash_of_the_original],
        ["4", "node 1\nnode 2", "123,456,789\n18,202,112", "12.34 s", "104.9 MB/s", "verified"],
    ]
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(result_table("lecture.bin", rows, console))
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert printed.count("…") == 1 and "123,456,789" in printed and "verified" in printed
    assert ("104.9 MB/s" in printed) is (width >= 70) and ("12.34 s" in printed) is (width >= 80)


def test_the_demo_ends_well_and_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "demo.py"), "--mebibytes", "6"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("verified") == 3
    assert "All copies are byte-identical." in done.stdout
    assert list(tmp_path.iterdir()) == []


def owners(session: requests.Session, url: str) -> set[int]:
    """The nodes that own a complete copy, as the log says."""
    events = session.get(f"{url}/swarm", timeout=60).json()["events"]
    return {e["data"]["node"] for e in events if e["name"] == "tracker:own" and e["data"]["complete"]}


def test_the_show_stays_for_a_look_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "COLUMNS": "200", "UPLOAD_LIMIT": "none"}
    words = [sys.executable, "-u", str(ROOT / "demo.py"), "--show", "--mebibytes", "1"]
    show = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path)
    assert show.stdout is not None
    try:
        url = next(line for line in show.stdout if "The tracker runs at" in line).split()[4].rstrip(".")
        assert any("The swarm stays for a look" in line for line in show.stdout)
        with requests.Session() as session:
            session.trust_env = False
            assert session.get(url, timeout=60).headers["Content-Type"].startswith("text/html")
            until = time.monotonic() + 60
            while owners(session, url) != {1, 2, 3, 4, 5, 6}:  # a node announces its copy after it shows it
                assert time.monotonic() < until
                time.sleep(0.1)
        show.send_signal(signal.SIGINT)
        assert show.wait(60) == 0
    finally:
        show.kill()
        show.wait()
        show.stdout.close()
    assert list(tmp_path.iterdir()) == []
