"""The address that a node announces goes away (VPN, DHCP, another Wi-Fi), and comes back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ISOLATED = ["unshare", "--user", "--map-root-user", "--net"]

# In a network of its own: a tracker, and a node at 10.9.9.9 that shares a file. Prints what NEED names.
SCRIPT = """
import json, os, subprocess, sys, time, urllib.request

def ip(*words):
    subprocess.run(["ip", *words], check=True)

def start(*words):
    return subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True)

def owners():
    request = urllib.request.Request(
        "http://127.0.0.1:12345/need",
        b'{"node_id": 9, "filename": "x.bin"}',
        {"Content-Type": "application/json"},
    )
    return [entry["node_id"] for entry, _ in json.load(urllib.request.urlopen(request))["search_result"]]

def wait_for(expected):
    deadline = time.monotonic() + 30
    while owners() != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    return owners()

ip("link", "set", "lo", "up")
ip("addr", "add", "10.9.9.9/32", "dev", "lo")
tracker = start("tracker.py")
tracker.stdout.readline()
words = ["-node_id", "1", "-host", "10.9.9.9", "--json", "-setMode", "send", sys.argv[1]]
node = start("TorrentClient.py", *words)
seen = [wait_for([1])]
ip("addr", "del", "10.9.9.9/32", "dev", "lo")
seen.append(wait_for([]))
ip("addr", "add", "10.9.9.9/32", "dev", "lo")
seen.append(wait_for([1]))
node.terminate()
events = [json.loads(line)["event"] for line in node.communicate()[0].splitlines()]
tracker.terminate()
tracker.communicate()
print(json.dumps({"seen": seen, "events": events}))
"""


def can_isolate() -> bool:
    if not (shutil.which("unshare") and shutil.which("ip")):
        return False
    return subprocess.run([*ISOLATED, "ip", "link"], capture_output=True, timeout=60).returncode == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="network namespaces are Linux's")
def test_a_node_whose_address_goes_away_is_not_offered_until_it_is_back(tmp_path: Path) -> None:
    if not can_isolate():
        pytest.skip("this system gives users no network of their own")
    (tmp_path / "x.bin").write_bytes(b"hello")
    folders = {
        name: str(tmp_path / name.lower()) for name in ("TRACKER_DB_DIR", "LOGS_DIR", "NODE_FILES_DIR")
    }
    ran = subprocess.run(
        [*ISOLATED, sys.executable, "-c", SCRIPT, str(tmp_path / "x.bin")],
        cwd=ROOT,
        env={**os.environ, **folders},
        capture_output=True,
        encoding="utf-8",
        timeout=110,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["seen"] == [[1], [], [1]]
    assert [name for name in told["events"] if name.startswith("address")] == [
        "address_lost",
        "address_restored",
    ]
