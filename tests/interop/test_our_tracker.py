"""libtorrent and aria2 find each other through our tracker, over HTTP and UDP, each at its own address."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import requests

from common import bencode
from node.content.torrent_file import create_torrent
from tests.interop.copies import wait_for_copy
from tests.interop.others import INTEROP, QUIET

pytestmark = INTEROP

SIZE = 3_000_000
PATIENCE = 60.0
ARIA2 = (
    "--no-conf", "-q", "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false",
    "--file-allocation=none", "--dht-entry-point=127.0.0.1:9",
)  # fmt: skip
"""It asks UDP trackers only through its DHT socket. So DHT is on, with an entry point that is not there."""


class TrackedTorrent:
    """A file and its torrent, which names our tracker."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self.path = folder / "original" / "film.bin"
        self.path.parent.mkdir()
        self.path.write_bytes(Random(5).randbytes(SIZE))
        self.file = folder / "film.torrent"
        self.aria2 = [*ARIA2, f"--dht-file-path={folder / 'dht.dat'}"]
        self.info_hash = create_torrent(self.path, self.file, url).info_hash


@pytest.fixture(params=["http", "udp"])
def torrent(request: pytest.FixtureRequest, tmp_path: Path, tracker_process: Any) -> TrackedTorrent:
    return TrackedTorrent(tmp_path, f"{request.param}://127.0.0.1:{tracker_process.port}/announce")


# A process for each client: libtorrent keeps one UDP connection id for a tracker's host in each process,
# whatever address its sessions have. But an id belongs to one address, and to one run of the tracker.
CLIENT = """
import sys, time, libtorrent
torrent, folder, host, *quiet = sys.argv[1:]
session = libtorrent.session({**dict.fromkeys(quiet, False), "listen_interfaces": host + ":0",
    "outgoing_interfaces": host, "allow_multiple_connections_per_ip": True})
handle = session.add_torrent({"ti": libtorrent.torrent_info(torrent), "save_path": folder})
while not handle.status().is_seeding:
    time.sleep(0.05)
print("seeding", flush=True)
sys.stdin.read()
session.pause()
"""
Start = Callable[[str, Path, Path], None]


@pytest.fixture
def client(libtorrent: Any) -> Iterator[Start]:
    """``client(host, torrent, folder)`` starts libtorrent and returns when it has the whole torrent."""
    started: list[subprocess.Popen[str]] = []

    def start(host: str, torrent: Path, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        words = [sys.executable, "-W", "ignore", "-c", CLIENT, str(torrent), str(folder), host, *QUIET]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "seeding\n"

    yield start
    for process in started:
        process.kill()
        process.communicate()


def scraped(url: str, info_hash: bytes) -> Any:
    answer = requests.get(f"{url}/scrape", params={"info_hash": info_hash}, timeout=10)
    fields: Any = bencode.decode(answer.content)
    return fields[b"files"][info_hash]


def wait_until_counted(url: str, info_hash: bytes, **expected: int) -> None:
    """Wait until a scrape has these numbers."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = scraped(url, info_hash)
        if all(found[name.encode()] == number for name, number in expected.items()):
            return
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_two_libtorrents(
    client: Start, torrent: TrackedTorrent, tracker_process: Any, tmp_path: Path
) -> None:
    client("127.0.0.31", torrent.file, torrent.path.parent)
    wait_until_counted(tracker_process.url, torrent.info_hash, complete=1)
    client("127.0.0.32", torrent.file, tmp_path / "there")
    wait_for_copy(tmp_path / "there" / "film.bin", torrent.path)
    wait_until_counted(tracker_process.url, torrent.info_hash, complete=2, downloaded=1, incomplete=0)


def test_aria2_fetches_from_libtorrent(
    client: Start, aria2: str, torrent: TrackedTorrent, tracker_process: Any, tmp_path: Path
) -> None:
    client("127.0.0.33", torrent.file, torrent.path.parent)
    wait_until_counted(tracker_process.url, torrent.info_hash, complete=1)
    words = [aria2, *torrent.aria2, f"--dir={tmp_path / 'there'}", "--seed-time=0", "--interface=127.0.0.34"]
    subprocess.run([*words, str(torrent.file)], check=True, timeout=PATIENCE)
    assert (tmp_path / "there" / "film.bin").read_bytes() == torrent.path.read_bytes()
    if torrent.url.startswith("http"):  # over UDP, aria2 sends no "stopped" when it ends
        wait_until_counted(tracker_process.url, torrent.info_hash, complete=1, incomplete=0)


def test_libtorrent_fetches_from_aria2(
    client: Start, aria2: str, torrent: TrackedTorrent, tracker_process: Any, tmp_path: Path
) -> None:
    words = [
        aria2,
        *ARIA2,
        f"--dir={torrent.path.parent}",
        "--seed-ratio=0.0",
        "-V",
        "--interface=127.0.0.35",
    ]
    with subprocess.Popen([*words, str(torrent.file)]) as seed:
        try:
            wait_until_counted(tracker_process.url, torrent.info_hash, complete=1)
            client("127.0.0.36", torrent.file, tmp_path / "there")
        finally:
            seed.terminate()
    wait_for_copy(tmp_path / "there" / "film.bin", torrent.path)
