"""Real links between real namespaces: their delay, their rate, and their complete removal."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench.content import make_content
from bench.network import namespaces, ours
from bench.network.cli import main
from bench.network.records import TransferPlan
from bench.network.scenarios import MBIT
from bench.network.topology import FETCHER, network, owner
from faults.link import LinkFaults

ROOT = Path(__file__).resolve().parents[2]
WHY_NOT = namespaces.missing()
networked = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "there are namespaces")
LINK = LinkFaults(rate=20 * MBIT, delay=0.02, queue=100_000)
PATIENCE = 60.0  # seconds


def test_without_root_or_linux_it_says_so_and_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.network.namespaces.missing", lambda: "network namespaces want root")
    assert main(["--quick"]) == 0
    assert capsys.readouterr().out == "skipped: network namespaces want root\n"


@pytest.mark.parametrize(
    "words", [["--only", "speed"], ["--with", "quic"], ["--runs", "0"], ["--owners", "0"]]
)
def test_wrong_usage_is_said(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(words)
    assert raised.value.code == 2
    assert words[0] in capsys.readouterr().err


@networked
def test_a_link_takes_its_delay_keeps_its_rate_and_leaves_nothing() -> None:
    before = (os.readlink("/proc/self/ns/net"), len(os.listdir("/proc/self/fd")))
    with network(1, PATIENCE) as net:
        net.set_links({FETCHER: (LINK, LINK)}, 1)
        with net.inside(FETCHER):
            here = socket.create_server((net.address(FETCHER), 0), family=socket.AF_INET)
        with net.inside(owner(1)):
            there = socket.socket()
        begun = time.monotonic()
        there.settimeout(PATIENCE)
        with here, there:
            there.connect(here.getsockname())
            assert time.monotonic() - begun >= 0.04
            accepted, _ = here.accept()
            with accepted:
                accepted.settimeout(PATIENCE)
                begun = time.monotonic()
                there.sendall(bytes(500_000))  # TCP's checksums must be right for any of it to arrive
                there.shutdown(socket.SHUT_WR)
                while accepted.recv(1 << 16):
                    pass
        assert time.monotonic() - begun >= 500_000 / (20 * MBIT)
        counted = net.counted()["stations"]
        assert counted[FETCHER]["got"]["tcp"] > 500_000
        assert counted[owner(1)]["sent"]["tcp"] > 500_000
        assert counted[FETCHER]["got"]["udp"] == 0
    assert (os.readlink("/proc/self/ns/net"), len(os.listdir("/proc/self/fd"))) == before
    assert psutil.Process().children() == []


@networked
def test_a_small_file_moves_over_a_bad_link_and_is_counted(tmp_path: Path) -> None:
    content = make_content(tmp_path, 100_000)
    bad = LinkFaults(rate=20 * MBIT, delay=0.01, queue=100_000, corrupt=0.02, duplicate=0.02)
    flow, wire = ours.move(tmp_path, content, 1, TransferPlan({FETCHER: (bad, bad)}, 3, 30.0))
    assert flow.done, flow.reason
    assert flow.seconds >= 100_000 / (20 * MBIT) * 0.9
    assert wire.down > wire.payload >= 100_000 > wire.up > 0
    assert sum(wire.series["payload"]) == wire.payload
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [content.path.name, content.torrent.name]
    )
    assert psutil.Process().children() == []


@networked
def test_an_interrupted_run_leaves_no_process(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "bench", "network", "--only", "clean", "--with", "ours", "--owners", "1"]
    with subprocess.Popen(
        [*words, "--out", str(tmp_path / "out.json")], cwd=ROOT, stderr=subprocess.PIPE, encoding="utf-8"
    ) as bench:
        process = psutil.Process(bench.pid)
        children: list[psutil.Process] = []
        while len(children) < 2:  # the emulator, and the tracker
            assert bench.poll() is None
            children = process.children(recursive=True)
        bench.send_signal(signal.SIGINT)
        assert bench.stderr is not None
        assert "interrupted" in bench.stderr.read()
        assert bench.wait(timeout=PATIENCE) == 1
    assert psutil.wait_procs(children, timeout=10)[1] == []
