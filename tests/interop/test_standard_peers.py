"""Our standard peers and libtorrent, both ways, as processes on loopback: by address and by magnet link."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from common.magnet import Magnet, format_magnet
from node.content.torrent_file import create_torrent
from tests.interop.copies import wait_for_copy
from tests.interop.others import INTEROP, encryption, session

pytestmark = INTEROP

SIZE = (3 << 20) + 7
PATIENCE = 60.0


class LibtorrentClient:
    """A libtorrent session at an address of its own, without anything that leaves it."""

    def __init__(self, libtorrent: Any, host: str, **settings: Any) -> None:
        self.libtorrent = libtorrent
        self.session = session(libtorrent, host, **settings)
        self.host = host

    def add(self, torrent: Path, folder: Path) -> Any:
        return self.session.add_torrent(
            {"ti": self.libtorrent.torrent_info(str(torrent)), "save_path": str(folder)}
        )

    @property
    def addr(self) -> str:
        return f"{self.host}:{self.session.listen_port()}"

    def wait_until_seeding(self, handle: Any) -> None:
        deadline = time.monotonic() + PATIENCE
        while not handle.status().is_seeding:
            assert time.monotonic() < deadline, str(handle.status().state)
            time.sleep(0.05)


class TwoPeers:
    """A shared file, one node of ours and one libtorrent session."""

    def __init__(self, libtorrent: Any, start_node: Callable[..., Any], folder: Path) -> None:
        self.libtorrent, self.start_node, self.folder = libtorrent, start_node, folder
        self.path = folder / "original" / "film.bin"
        self.path.parent.mkdir()
        self.path.write_bytes(Random(11).randbytes(SIZE))
        self.torrent = folder / "film.torrent"
        create_torrent(self.path, self.torrent, "http://127.0.0.1:9/announce")
        self.sessions: list[LibtorrentClient] = []

    @property
    def info_hash(self) -> Any:
        return self.libtorrent.torrent_info(str(self.torrent)).info_hashes().v1

    def client(self, host: str, **settings: Any) -> LibtorrentClient:
        self.sessions.append(LibtorrentClient(self.libtorrent, host, **settings))
        return self.sessions[-1]

    def seed(self, host: str, **settings: Any) -> LibtorrentClient:
        seed = self.client(host, **settings)
        seed.wait_until_seeding(seed.add(self.torrent, self.path.parent))
        return seed

    def fetch(self, *words: str) -> Any:
        """Our node, which has fetched the file."""
        node = self.start_node(*words, "-d", "there", "--json")
        assert node.end() == 0, node.told()
        assert (self.folder / "there" / "film.bin").read_bytes() == self.path.read_bytes()
        return node

    def serve_to(self, host: str, leecher: LibtorrentClient, wanted: Any) -> None:
        """Let the leecher fetch the file from a node of ours at ``host``."""
        node = self.start_node(str(self.torrent), "-s", str(self.path), "-host", host)
        found = re.search(rf"{re.escape(host)}:(\d+)", node.wait_for_line("listens on tcp"))
        assert found
        node.wait_for_line("sharing")
        wanted.save_path = str(self.folder / "theirs")
        handle = leecher.session.add_torrent(wanted)
        handle.connect_peer((host, int(found[1])))
        leecher.wait_until_seeding(handle)
        wait_for_copy(self.folder / "theirs" / "film.bin", self.path)
        assert node.stop() == 0


@pytest.fixture
def peers(libtorrent: Any, start_node: Callable[..., Any], tmp_path: Path) -> Iterator[TwoPeers]:
    peers = TwoPeers(libtorrent, start_node, tmp_path)
    yield peers
    for each in peers.sessions:
        each.session.pause()


policies = pytest.mark.parametrize("policy", ["enabled", "forced", "disabled"])


@policies
def test_we_fetch_from_libtorrent(peers: TwoPeers, policy: str) -> None:
    seed = peers.seed("127.0.0.21", **encryption(peers.libtorrent, policy))
    peers.fetch(str(peers.torrent), "-host", "127.0.0.22", "--peer", seed.addr)


@policies
def test_libtorrent_fetches_from_us(peers: TwoPeers, policy: str) -> None:
    wanted = peers.libtorrent.add_torrent_params()
    wanted.ti = peers.libtorrent.torrent_info(str(peers.torrent))
    leecher = peers.client("127.0.0.24", **encryption(peers.libtorrent, policy))
    peers.serve_to("127.0.0.23", leecher, wanted)


def test_we_fetch_a_magnet_from_libtorrent(peers: TwoPeers) -> None:
    host, port = peers.seed("127.0.0.25").addr.split(":")
    link = format_magnet(Magnet(peers.info_hash.to_bytes(), "a film", (), ((host, int(port)),)))
    assert peers.fetch(link, "-host", "127.0.0.26").seen("metadata", filename="a film")


def test_libtorrent_fetches_a_magnet_from_us(peers: TwoPeers) -> None:
    wanted = peers.libtorrent.parse_magnet_uri(f"magnet:?xt=urn:btih:{peers.info_hash}")
    peers.serve_to("127.0.0.27", peers.client("127.0.0.28"), wanted)
