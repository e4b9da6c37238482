"""How a node ends: end of input, signals, exit; and its EXIT reaches the tracker."""

from __future__ import annotations

import itertools
import re
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

MIB = 1 << 20


def test_input_that_ends_at_once(swarm: Any) -> None:
    node = swarm.node()
    node.end_input()
    assert node.end() == 0
    assert [event["event"] for event in node.events] == ["started", "listening", "stopped"]


def test_at_the_end_of_input_downloads_finish_and_are_served(swarm: Any, slow: dict[str, str]) -> None:
    path = swarm.file("x.bin", 6 * MIB)
    owner, torrent = swarm.share(path)
    fetcher = swarm.downloading(torrent, **slow)
    fetcher.end_input()
    fetcher.wait_for_error("sharing until stopped")
    fetcher.wait_for("completed")  # printed on the other stream
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    swarm.wait_for_owners(torrent, owner.number, fetcher.number)
    assert owner.stop() == 0
    assert swarm.fetch(torrent).end() == 0  # from the node whose input has ended
    assert fetcher.stop() == 0


def test_a_last_line_without_an_end_and_lines_that_end_as_windows_does(swarm: Any) -> None:
    path = swarm.file("x.bin", 10)
    node = swarm.node()
    node.process.stdin.write(f"\ufefftorrent -setMode send '{path}'\r\n\r\ntorrent -setMode exit".encode())
    node.end_input()
    assert node.end() == 0
    assert node.seen("sharing") and not node.seen("error")


@pytest.mark.parametrize(
    ("number", "driven"), [(signal.SIGINT, "by pipe"), (signal.SIGTERM, "by one command")]
)
def test_a_signal_is_a_good_end_and_the_tracker_is_told(swarm: Any, number: int, driven: str) -> None:
    path = swarm.file("x.bin", 1000)
    if driven == "by pipe":
        owner, torrent = swarm.share(path)
    else:
        owner = swarm.node("-setMode", "send", str(path))
        torrent = swarm.folder / owner.wait_for("sharing")["torrent"]
    swarm.wait_for_owners(torrent, owner.number)
    assert owner.stop(number) == 0
    assert swarm.owners(torrent) == []
    swarm.wait_for_exit(owner.number)
    assert owner.events[-1]["event"] == "stopped"
    assert not any("Traceback" in line for line in owner.errors)


def test_signals_that_go_on_coming_do_not_spoil_a_good_end(swarm: Any) -> None:
    owner, _ = swarm.share(swarm.file("x.bin", 1000))
    numbers = itertools.cycle([signal.SIGINT, signal.SIGTERM])
    while owner.process.poll() is None:  # some of them come when the interpreter is all but gone
        owner.send_signal(next(numbers))
        time.sleep(0.001)
    assert owner.end() == 0
    assert owner.events[-1]["event"] == "stopped"


def test_exit_in_mid_download_says_what_is_left(
    swarm: Any, slow: dict[str, str], frozen_in_the_middle: Callable[..., None]
) -> None:
    _, torrent = swarm.share(swarm.file("x.bin", 16 * MIB))
    fetcher = swarm.downloading(torrent, json=False, **slow)
    fetcher.wait_for_line("downloading x.bin")
    fetcher.type("torrent -setMode exit")
    assert fetcher.end() == 0
    assert (fetcher.folder / "x.bin.part").exists() and not (fetcher.folder / "x.bin").exists()
    said = "\n".join(fetcher.lines + fetcher.errors)
    assert "x.bin is not finished; " in said and "Traceback" not in said


def test_stop_ends_sharing_and_downloads(swarm: Any) -> None:
    small, large = swarm.file("a", 1_300_000), swarm.file("b", 5_000_000)
    owner = swarm.node("-up", "500kB", json=False)
    owner.type(f"send '{small}'", f"send '{large}'", "stop a")
    assert "a: you stopped it" in owner.wait_for_line("no longer sharing")
    torrent, other = owner.folder / "a.torrent", owner.folder / "b.torrent"
    fetcher = swarm.node(json=False)
    fetcher.type(f"download '{torrent}'", f"download '{other}'")
    fetcher.wait_for_line("downloading b")
    fetcher.type("stop b", "stop c")
    fetcher.wait_for_line("b: stopped")
    fetcher.type(f"send '{other}'", "exit")
    assert fetcher.end() == 0
    assert "c is neither shared nor being downloaded; try: files" in fetcher.errors
    assert any("is a torrent: did you mean 'download " in line for line in fetcher.errors)
    assert not any("Traceback" in line for line in fetcher.errors)
    owner.type(f"send '{small}'", "exit")
    assert owner.end() == 0
    assert sum("sharing a (1.3 MB)" in line for line in owner.lines) == 2


def test_after_all_a_node_did_only_files_and_readable_logs_are_left(swarm: Any) -> None:
    path = swarm.file("x.bin", MIB)
    owner, torrent = swarm.share(path)
    fetcher = swarm.node()
    fetcher.type(f"torrent -setMode download '{torrent}'", "nonsense", "torrent -setMode send nothing")
    fetcher.wait_for("sharing")
    fetcher.type("torrent -setMode exit")
    assert fetcher.end() == owner.stop() == 0
    assert sorted(entry.name for entry in fetcher.folder.iterdir()) == [
        "x.bin",
        "x.bin.resume",
        "x.bin.torrent",
    ]
    assert [entry.name for entry in owner.folder.iterdir()] == ["x.bin.torrent"]
    logs = sorted((swarm.folder / "logs").iterdir())
    assert sorted(log.name for log in logs) == sorted(f"node{n.number}.log" for n in (owner, fetcher))
    logged = "".join(log.read_text(encoding="utf-8") for log in [*logs, swarm.tracker.logs / "_tracker.log"])
    for line in logged.splitlines():
        assert re.match(r"\[\d\d:\d\d:\d\d]  \S", line), line
    for word in ("sharing x.bin", "downloading x.bin", "downloaded x.bin", "left the torrent"):
        assert word in logged
