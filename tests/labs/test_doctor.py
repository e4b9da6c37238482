"""``python -m labs doctor``: each broken set-up is named with its fix, and nothing else is."""

from __future__ import annotations

import email.utils
import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labs.__main__ import main
from labs.doctor import facts as looking
from labs.doctor.checks import findings
from labs.doctor.facts import ComputerFacts, gather
from labs.grader.lab import LABS

HEALTHY = ComputerFacts(
    *(
        (3, 11, 7),
        (),
        "Linux",
        "6.1.0",
        "127.0.0.1",
        12345,
        "",
        "",
        "",
        65_507,
        425_984,
        ("127.0.0.1", "::1"),
    ),
    *("192.168.1.7", "", False, "", "", None),
)
WSL1, WSL2 = "4.4.0-19041-Microsoft", "5.15.90.1-microsoft-standard-WSL2"
BROKEN: dict[
    str, tuple[dict[str, Any], str, str]
] = {  # what differs, the check that says so, words of the fix
    "an old Python": ({"python": (3, 9, 2)}, "python", "Python 3.10"),
    "a package": ({"missing": ("msgspec",)}, "packages", "pip install -r requirements.txt"),
    "a taken port": ({"port_taken": "Address already in use"}, "port", "TRACKER_ADDR"),
    "nothing arrives": ({"there": "nothing came within 1 s"}, "UDP", "firewall"),
    "no way back": ({"back": "nothing came within 1 s"}, "UDP", "firewall"),
    "macOS's datagrams": ({"largest": 9216, "system": "Darwin"}, "datagram", "net.inet.udp.maxdgram=65535"),
    "a small MTU": ({"largest": 0}, "datagram", "mtu 1500"),
    "a small buffer": ({"buffer": 8192}, "buffer", "net.core.rmem_max"),
    "macOS's buffer": ({"buffer": 8192, "system": "Darwin"}, "buffer", "kern.ipc.maxsockbuf"),
    "only ::1": ({"localhost": ("::1",)}, "localhost", "127.0.0.1 in TRACKER_ADDR"),
    "no localhost": ({"localhost": ()}, "localhost", "hosts file"),
    "a firewall": ({"lan_blocked": "nothing came within 1 s"}, "firewall", "ufw allow"),
    "Windows' firewall": ({"lan_blocked": "x", "system": "Windows"}, "firewall", "Allow an app"),
    "WSL 1": ({"release": WSL1}, "WSL", "--set-version NAME 2"),
    "WSL 2": ({"release": WSL2, "lan": "172.20.3.4"}, "WSL", "networkingMode=mirrored"),
    "a clock that goes back": ({"steps_back": True}, "clock", "virtual machine"),
    "another time": ({"tracker": "t", "ahead": -3600.0}, "clock", "automatic time"),
    "no tracker": ({"tracker": "t", "tracker_error": "refused"}, "clock", "started"),
}


def test_a_healthy_computer_has_nothing_wrong() -> None:
    assert [each.line for each in findings(HEALTHY) if each.fix] == []
    assert [
        each.line for each in findings(replace(HEALTHY, release=WSL2, lan="", ahead=0.2)) if each.fix
    ] == []


@pytest.mark.parametrize(("differs", "name", "fix"), BROKEN.values(), ids=BROKEN)
def test_each_fault_is_named_with_its_fix_and_nothing_else(
    differs: dict[str, Any], name: str, fix: str
) -> None:
    [found] = [each for each in findings(replace(HEALTHY, **differs)) if each.fix]
    assert found.name == name and fix in found.fix
    assert found.line.startswith("WRONG") and "\n" not in found.line


def test_macos_asks_for_the_local_network() -> None:
    broken = replace(HEALTHY, system="Darwin", release="24.1.0", lan_blocked="x")
    assert [each.name for each in findings(broken) if each.fix] == ["firewall", "macOS"]


# ---- real ones


def test_a_taken_port_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert main(["doctor", "--port", str(port)]) == 1
    line = next(line for line in capsys.readouterr().out.splitlines() if " port " in line)
    assert line.startswith("WRONG") and f"port {port}" in line and "TRACKER_ADDR" in line
    assert looking.why_taken("127.0.0.1", 0) == ""


def test_a_tracker_that_holds_the_port_is_no_fault(
    start_tracker: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    tracker = start_tracker(SWARM_KEY="secret")
    code = main(["doctor", "--port", str(tracker.port)])
    out = capsys.readouterr().out
    assert code == int("WRONG" in out)  # of another check, if at all
    line = next(line for line in out.splitlines() if " port " in line)
    assert line.startswith("ok") and f"a tracker answers on 127.0.0.1 port {tracker.port}" in line


def test_a_host_that_is_not_this_computer_is_found() -> None:
    found = gather("203.0.113.9", 0)
    assert {each.name for each in findings(found) if each.fix} >= {"port", "UDP"}


def test_a_missing_package_is_found(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("Flask>=3\n# no-comment\nsurely-not-here==1  # x\n", encoding="utf-8")
    assert looking.missing_packages(tmp_path / "r.txt") == ("surely-not-here",)
    assert looking.missing_packages() == ()


@pytest.fixture
def slow_clock() -> Iterator[str]:
    """A server whose clock is an hour behind."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(404)
            self.send_header("Date", email.utils.formatdate(time.time() - 3600, usegmt=True))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_wrong_wall_clock_is_found(slow_clock: str) -> None:
    error, ahead = looking.wall_offset(slow_clock)
    assert error == "" and ahead == pytest.approx(3600, abs=60)
    assert looking.wall_offset("127.0.0.1:1")[0]
    assert looking.wall_offset("no address at all")[0]


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="namespaces need root")
def test_a_network_that_is_down_is_found() -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-n", "true"]).returncode:
        pytest.skip("there are no network namespaces")
    command = ["unshare", "-n", sys.executable, "-m", "labs", "doctor"]
    done = subprocess.run(command, cwd=LABS.parent, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    wrong = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("WRONG")]
    assert "UDP" in wrong or "port" in wrong
