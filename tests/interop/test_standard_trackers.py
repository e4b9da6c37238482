"""Swarms that meet at a tracker: ours and opentracker, over HTTP and UDP, our node and libtorrent."""

from __future__ import annotations

import itertools
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import pytest

from common import bencode
from common.addresses import Addr, join_host_port
from common.metainfo import Metainfo
from common.udp_tracker import ConnectRequest
from node.content.torrent_file import create_torrent
from node.node import Node
from node.settings import NodeSettings, PeerWireSettings
from tests.interop.copies import is_same
from tests.interop.others import INTEROP, their_peer

pytestmark = INTEROP

SIZE = 3_000_001
PATIENCE = 60.0  # seconds
OUR_HOST, OTHER_HOST, THEIR_HOST = "127.0.0.2", "127.0.0.4", "127.0.0.3"
CASES = [(tracker, scheme) for tracker in ("ours", "opentracker") for scheme in ("http", "udp")]

# libtorrent keeps the connection ids of UDP trackers for a minute, by address without the port, for all its
# sessions in one process. So each tracker has an address of its own.
HOSTS = (f"127.0.1.{number}" for number in itertools.count(1))

StartTracker = Callable[[str], Addr]  # by name; where it listens


def until(condition: Callable[[], object], what: str = "it") -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true"
        time.sleep(0.02)


class TrackedContent:
    """A file, and the torrent of it at a tracker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "full").mkdir()
        self.path = folder / "full" / "x.bin"
        self.path.write_bytes(Random(1).randbytes(SIZE))
        self.torrent = folder / "x.torrent"
        self.info_hash = self.torrent_at("").info_hash

    def torrent_at(self, announce: str) -> Metainfo:
        return create_torrent(self.path, self.torrent, announce)

    def copy(self, name: str) -> Path:
        (self.folder / name).mkdir()
        return self.folder / name

    def is_in(self, folder: Path) -> bool:
        return is_same(folder / "x.bin", self.path)


@pytest.fixture
def content(tmp_path: Path) -> TrackedContent:
    return TrackedContent(tmp_path)


def free_port(host: str) -> int:
    """A port that is free for TCP and for UDP."""
    with socket.create_server((host, 0)) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.bind(tcp.getsockname())
        return int(tcp.getsockname()[1])


def answers_udp(addr: Addr) -> bool:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        sock.connect(addr)
        try:
            sock.send(ConnectRequest(1).encode())
            return bool(sock.recv(100))
        except OSError:
            return False


@pytest.fixture
def tracker(start_tracker: Any, content: TrackedContent) -> Iterator[StartTracker]:
    """``tracker("ours")`` or ``tracker("opentracker")``: where a tracker listens that serves ``content``."""
    with ExitStack() as stack:

        def start(name: str) -> Addr:
            host = next(HOSTS)
            if name == "ours":
                return host, int(start_tracker(TRACKER_ADDR=f"{host}:0").port)
            program = shutil.which("opentracker")
            if not program:
                pytest.skip("opentracker is not installed (your package manager has it)")
            port = free_port(host)
            root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            root.chmod(0o755)  # it reads as another user
            (root / "allowed").write_text(f"{content.info_hash.hex()}\n")
            words = [program, "-i", host, "-p", str(port), "-P", str(port), "-d", str(root)]
            process = subprocess.Popen(
                [*words, "-w", "allowed"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            until(lambda: answers_udp((host, port)), "an answer of opentracker")
            return host, port

        yield start


def announce_url(addr: Addr, scheme: str) -> str:
    return f"{scheme}://{join_host_port(*addr)}/announce"


OurNode = Callable[[Path, str], Node]


@pytest.fixture
def node() -> Iterator[OurNode]:
    """``node(folder, host)``: a standard peer of ours."""
    with ExitStack() as stack:

        def make(folder: Path, host: str) -> Node:
            settings = NodeSettings(
                None,
                folder,
                (),
                host,
                peer_wire=PeerWireSettings(),
                transports=("tcp",),
                search_limit=PATIENCE,
            )
            made = Node(settings, lambda event: None)
            made.enter_torrent()
            stack.callback(made.exit_torrent)
            return made

        yield make


def counts(addr: Addr, info: Metainfo) -> dict[bytes, Any]:
    """The tracker's scrape of the torrent."""
    query = quote(info.info_hash, safe="")
    with urllib.request.urlopen(
        f"http://{join_host_port(*addr)}/scrape?info_hash={query}", timeout=10
    ) as answer:
        files = bencode.decode(answer.read())
    assert isinstance(files, dict)
    found = files[b"files"]
    assert isinstance(found, dict)
    return found.get(info.info_hash, {b"complete": 0, b"incomplete": 0, b"downloaded": 0})  # type: ignore[return-value]


@pytest.mark.parametrize(("name", "scheme"), CASES)
def test_two_of_ours_meet_and_leave(
    tracker: StartTracker, node: OurNode, content: TrackedContent, name: str, scheme: str
) -> None:
    addr = tracker(name)
    info = content.torrent_at(announce_url(addr, scheme))
    seed = node(content.copy("seed"), OUR_HOST)
    seed.serve(str(content.torrent), content.path)
    until(lambda: counts(addr, info)[b"complete"] == 1, "the seed at the tracker")
    folder = content.copy("leech")
    leech = node(folder, OTHER_HOST)
    download = leech.set_download_mode(str(content.torrent))
    assert download.done.wait(PATIENCE)
    assert download.error is None
    assert content.is_in(folder)
    until(lambda: counts(addr, info)[b"complete"] == 2, "the second seed at the tracker")
    assert counts(addr, info)[b"downloaded"] == 1
    leech.exit_torrent()
    seed.exit_torrent()
    left = counts(addr, info)
    assert (left[b"complete"], left[b"incomplete"]) == (0, 0)


@pytest.mark.parametrize(("name", "scheme"), CASES)
def test_libtorrent_finds_our_seed(
    libtorrent: Any, tracker: StartTracker, node: OurNode, content: TrackedContent, name: str, scheme: str
) -> None:
    addr = tracker(name)
    info = content.torrent_at(announce_url(addr, scheme))
    node(content.copy("ours"), OUR_HOST).serve(str(content.torrent), content.path)
    until(lambda: counts(addr, info)[b"complete"] == 1, "our seed at the tracker")
    folder = content.copy("theirs")
    session, handle = their_peer(libtorrent, content.torrent, folder, THEIR_HOST)
    until(lambda: handle.status().is_seeding, "their download")
    session.pause()
    until(lambda: content.is_in(folder), "their file on disk")  # it is written a little later


@pytest.mark.parametrize(("name", "scheme"), CASES)
def test_we_find_libtorrents_seed(
    libtorrent: Any, tracker: StartTracker, node: OurNode, content: TrackedContent, name: str, scheme: str
) -> None:
    addr = tracker(name)
    info = content.torrent_at(announce_url(addr, scheme))
    session, handle = their_peer(libtorrent, content.torrent, content.path.parent, THEIR_HOST)
    until(lambda: handle.status().is_seeding, "their check")
    handle.force_reannounce()
    until(lambda: counts(addr, info)[b"complete"] == 1, "their seed at the tracker")
    folder = content.copy("ours")
    download = node(folder, OUR_HOST).set_download_mode(str(content.torrent))
    assert download.done.wait(PATIENCE)
    assert download.error is None
    assert content.is_in(folder)
    session.pause()


def test_a_seed_calls_a_leecher_that_waits(
    libtorrent: Any, tracker: StartTracker, node: OurNode, content: TrackedContent
) -> None:
    """The leecher asked the tracker before the seed came, and would ask again only minutes later."""
    addr = tracker("ours")
    info = content.torrent_at(announce_url(addr, "udp"))
    folder = content.copy("theirs")
    session, handle = their_peer(libtorrent, content.torrent, folder, THEIR_HOST)
    until(lambda: counts(addr, info)[b"incomplete"] == 1, "their leecher at the tracker")
    node(content.copy("ours"), OUR_HOST).serve(str(content.torrent), content.path)
    until(lambda: handle.status().is_seeding, "their download")
    session.pause()
    until(lambda: content.is_in(folder), "their file on disk")  # it is written a little later


def test_a_classroom_node_and_libtorrent_are_one_swarm(
    libtorrent: Any, start_tracker: Any, content: TrackedContent
) -> None:
    """One torrent: the classroom's requests for our node, an announce for theirs."""
    host = next(HOSTS)
    url = start_tracker(TRACKER_ADDR=f"{host}:0").url
    addr = host, int(url.rpartition(":")[2])
    with ExitStack() as stack:

        def classroom_node(number: int, host: str) -> tuple[Node, Path]:
            folder = content.copy(f"node{number}")
            made = Node(NodeSettings(number, folder, (url,), host, search_limit=PATIENCE), lambda event: None)
            made.enter_torrent()
            stack.callback(made.exit_torrent)
            return made, folder

        owner, folder = classroom_node(1, OUR_HOST)
        (folder / "x.bin").write_bytes(content.path.read_bytes())
        owner.set_send_mode("x.bin")
        torrent = folder / "x.bin.torrent"
        theirs = content.copy("theirs")
        session, handle = their_peer(libtorrent, torrent, theirs, THEIR_HOST)
        until(lambda: handle.status().is_seeding, "their download")
        until(lambda: content.is_in(theirs), "their file on disk")
        until(lambda: counts(addr, content.torrent_at(""))[b"complete"] == 2, "both at the tracker")
        owner.exit_torrent()
        fetcher, copied = classroom_node(2, OTHER_HOST)
        download = fetcher.set_download_mode(str(torrent))
        assert download.done.wait(PATIENCE)
        assert download.error is None
        assert content.is_in(copied)
        session.pause()


def test_a_classroom_seed_calls_a_leecher_that_waits(
    libtorrent: Any, start_tracker: Any, content: TrackedContent
) -> None:
    host = next(HOSTS)
    url = start_tracker(TRACKER_ADDR=f"{host}:0").url
    info = content.torrent_at(f"{url}/announce")
    theirs, ours = content.copy("theirs"), content.copy("ours")
    session, handle = their_peer(libtorrent, content.torrent, theirs, THEIR_HOST)
    addr = host, int(url.rpartition(":")[2])
    until(lambda: counts(addr, info)[b"incomplete"] == 1, "their leecher at the tracker")
    (ours / "x.bin").write_bytes(content.path.read_bytes())
    node = Node(NodeSettings(1, ours, (url,), OUR_HOST, search_limit=PATIENCE), lambda event: None)
    node.enter_torrent()
    try:
        node.set_send_mode("x.bin")
        until(lambda: handle.status().is_seeding, "their download")
    finally:
        node.exit_torrent()
    session.pause()
    until(lambda: content.is_in(theirs), "their file on disk")  # it is written a little later
