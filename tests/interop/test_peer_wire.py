"""The peer wire with libtorrent and aria2 on loopback: in both directions, plain and encrypted."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

from node.content.torrent_file import create_torrent
from node.node import Node
from node.settings import NodeSettings, PeerWireSettings
from tests.interop.copies import is_same
from tests.interop.others import INTEROP, encryption, their_peer
from tests.waiting import until

pytestmark = INTEROP

SIZE = 5_000_001
ANNOUNCE = "http://127.0.0.1:1/announce"  # nothing listens there
PATIENCE = 60.0  # seconds
POLICIES = [  # ours, and libtorrent's
    ("prefer", "enabled"),
    ("off", "disabled"),
    ("require", "forced"),
    ("prefer", "forced"),
    ("prefer", "disabled"),
]
ARIA2 = (
    "--no-conf", "-q", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false",
    "--enable-peer-exchange=false", "--file-allocation=none",
)  # fmt: skip
OUR_HOST, THEIR_HOST = "127.0.0.2", "127.0.0.3"


class TorrentFolder:
    """A folder with a torrent, its content below ``full``, and folders for copies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "full").mkdir()
        self.content = folder / "full" / "x.bin"
        self.content.write_bytes(Random(1).randbytes(SIZE))
        self.torrent = folder / "x.torrent"
        create_torrent(self.content, self.torrent, ANNOUNCE)

    def copy(self, name: str) -> Path:
        (self.folder / name).mkdir()
        return self.folder / name

    def is_copied(self, folder: Path) -> bool:
        return is_same(folder / "x.bin", self.content)


@pytest.fixture
def place(tmp_path: Path) -> TorrentFolder:
    return TorrentFolder(tmp_path)


OurPeer = Callable[..., tuple[Node, tuple[str, int]]]


@pytest.fixture
def ours(place: TorrentFolder) -> Iterator[OurPeer]:
    """``ours(folder, encryption, peers)``: a standard peer of ours, and its TCP address."""
    with ExitStack() as stack:

        def make(
            folder: Path, encryption: str = "prefer", *peers: tuple[str, int]
        ) -> tuple[Node, tuple[str, int]]:
            wire = PeerWireSettings(encryption=encryption)
            settings = NodeSettings(
                None,
                folder,
                (),
                OUR_HOST,
                peer_wire=wire,
                transports=("tcp",),
                peers=peers,
                search_limit=30.0,
            )
            node = Node(settings, lambda event: None)
            node.enter_torrent()
            stack.callback(node.exit_torrent)
            return node, node.addr

        yield make


def seeds(handle: Any) -> bool:
    return bool(handle.status().is_seeding)


@pytest.mark.parametrize(("policy", "theirs"), POLICIES)
def test_libtorrent_fetches_from_us(
    libtorrent: Any, ours: OurPeer, place: TorrentFolder, policy: str, theirs: str
) -> None:
    node, addr = ours(place.copy("ours"), policy)
    node.serve(str(place.torrent), place.content)
    copy = place.copy("theirs")
    policies = encryption(libtorrent, theirs)
    session, handle = their_peer(libtorrent, place.torrent, copy, THEIR_HOST, **policies)
    until(lambda: handle.status().state != libtorrent.torrent_status.checking_files, PATIENCE)
    handle.connect_peer(addr)
    until(lambda: seeds(handle), PATIENCE)
    session.pause()
    until(lambda: place.is_copied(copy), PATIENCE)  # libtorrent writes behind
    (row,) = node.files()
    assert row.uploaded >= SIZE
    (peer,) = node.peers()
    assert peer.client.startswith("libtorrent")


@pytest.mark.parametrize(("policy", "theirs"), POLICIES)
def test_we_fetch_from_libtorrent(
    libtorrent: Any, ours: OurPeer, place: TorrentFolder, policy: str, theirs: str
) -> None:
    policies = encryption(libtorrent, theirs)
    session, handle = their_peer(libtorrent, place.torrent, place.content.parent, THEIR_HOST, **policies)
    until(lambda: seeds(handle), PATIENCE)
    copy = place.copy("ours")
    node, _ = ours(copy, policy, (THEIR_HOST, session.listen_port()))
    download = node.set_download_mode(str(place.torrent))
    assert download.done.wait(PATIENCE) and download.error is None
    assert place.is_copied(copy)


def test_a_seed_of_ours_dials_a_leecher(libtorrent: Any, ours: OurPeer, place: TorrentFolder) -> None:
    theirs = place.copy("theirs")
    session, handle = their_peer(libtorrent, place.torrent, theirs, THEIR_HOST)
    until(lambda: bool(session.listen_port()), PATIENCE)
    node, _ = ours(place.copy("ours"), "prefer", (THEIR_HOST, session.listen_port()))
    node.serve(str(place.torrent), place.content)
    until(lambda: seeds(handle), PATIENCE)
    until(lambda: place.is_copied(theirs), PATIENCE)  # libtorrent writes behind


def test_a_leecher_that_connects_to_us_is_fetched_from(
    libtorrent: Any, ours: OurPeer, place: TorrentFolder
) -> None:
    """No tracker names it: the connection that it opened is used."""
    session, handle = their_peer(libtorrent, place.torrent, place.content.parent, THEIR_HOST)
    until(lambda: seeds(handle), PATIENCE)
    copy = place.copy("ours")
    node, addr = ours(copy, "prefer")
    download = node.set_download_mode(str(place.torrent))
    handle.connect_peer(addr)
    assert download.done.wait(PATIENCE) and download.error is None
    assert place.is_copied(copy)
    assert session.listen_port()


@pytest.mark.parametrize("options", [[], ["--bt-require-crypto=true"], ["--bt-force-encryption=true"]])
def test_aria2_fetches_from_us(aria2: str, ours: OurPeer, place: TorrentFolder, options: list[str]) -> None:
    """aria2 takes peers from trackers only: here our seed calls it."""
    copy, port = place.copy("theirs"), free_port()
    words = [aria2, *ARIA2, f"--dir={copy}", "--seed-time=0", f"--listen-port={port}", *options]
    with subprocess.Popen([*words, str(place.torrent)]) as process:
        try:
            until(lambda: accepts("127.0.0.1", port), PATIENCE)
            node, _ = ours(place.copy("ours"), "prefer", ("127.0.0.1", port))
            node.serve(str(place.torrent), place.content)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
    assert place.is_copied(copy)


@pytest.mark.parametrize("options", [[], ["--bt-require-crypto=true"], ["--bt-force-encryption=true"]])
def test_we_fetch_from_aria2(aria2: str, ours: OurPeer, place: TorrentFolder, options: list[str]) -> None:
    port = free_port()
    words = [
        aria2,
        *ARIA2,
        f"--dir={place.content.parent}",
        "--seed-ratio=0.0",
        "-V",
        f"--listen-port={port}",
    ]
    with subprocess.Popen([*words, *options, str(place.torrent)]) as process:
        try:
            until(lambda: accepts("127.0.0.1", port), PATIENCE)
            copy = place.copy("ours")
            node, _ = ours(copy, "prefer", ("127.0.0.1", port))
            download = node.set_download_mode(str(place.torrent))
            assert download.done.wait(PATIENCE) and download.error is None
        finally:
            process.kill()
    assert place.is_copied(copy)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def accepts(host: str, port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(1.0)
        if sock.connect_ex((host, port)) == 0:
            time.sleep(0)  # the connection ends at once: no handshake comes
            return True
        return False
