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
Start = Callable[..., Any]


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


@pytest.fixture
def client(libtorrent: Any) -> Iterator[Callable[..., LibtorrentClient]]:
    """``client(host, **settings)``."""
    made: list[LibtorrentClient] = []

    def start(host: str, **settings: Any) -> LibtorrentClient:
        made.append(LibtorrentClient(libtorrent, host, **settings))
        return made[-1]

    yield start
    for each in made:
        each.session.pause()
    made.clear()


@pytest.fixture
def shared(tmp_path: Path) -> tuple[Path, Path]:
    path = tmp_path / "original" / "film.bin"
    path.parent.mkdir()
    path.write_bytes(Random(11).randbytes(SIZE))
    create_torrent(path, tmp_path / "film.torrent", "http://127.0.0.1:9/announce")
    return path, tmp_path / "film.torrent"


@pytest.mark.parametrize("policy", ["enabled", "forced", "disabled"])
def test_we_fetch_from_libtorrent(
    libtorrent: Any,
    client: Callable[..., LibtorrentClient],
    shared: tuple[Path, Path],
    start_node: Start,
    tmp_path: Path,
    policy: str,
) -> None:
    path, torrent = shared
    seed = client("127.0.0.21", **encryption(libtorrent, policy))
    seed.wait_until_seeding(seed.add(torrent, path.parent))
    node = start_node(str(torrent), "-d", "there", "-host", "127.0.0.22", "--peer", seed.addr)
    assert node.end() == 0, node.told()
    assert (tmp_path / "there" / "film.bin").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("policy", ["enabled", "forced", "disabled"])
def test_libtorrent_fetches_from_us(
    libtorrent: Any,
    client: Callable[..., LibtorrentClient],
    shared: tuple[Path, Path],
    start_node: Start,
    tmp_path: Path,
    policy: str,
) -> None:
    path, torrent = shared
    node = start_node(str(torrent), "-s", str(path), "-host", "127.0.0.23")
    found = re.search(r"127\.0\.0\.23:(\d+)", node.wait_for_line("listens on tcp"))
    assert found
    node.wait_for_line("sharing")
    leecher = client("127.0.0.24", **encryption(libtorrent, policy))
    (tmp_path / "theirs").mkdir()
    handle = leecher.add(torrent, tmp_path / "theirs")
    handle.connect_peer(("127.0.0.23", int(found[1])))
    leecher.wait_until_seeding(handle)
    wait_for_copy(tmp_path / "theirs" / "film.bin", path)
    assert node.stop() == 0


def test_we_fetch_a_magnet_from_libtorrent(
    libtorrent: Any,
    client: Callable[..., LibtorrentClient],
    shared: tuple[Path, Path],
    start_node: Start,
    tmp_path: Path,
) -> None:
    path, torrent = shared
    seed = client("127.0.0.25")
    seed.wait_until_seeding(seed.add(torrent, path.parent))
    host, port = seed.addr.split(":")
    info_hash = libtorrent.torrent_info(str(torrent)).info_hashes().v1.to_bytes()
    link = format_magnet(Magnet(info_hash, "a film", (), ((host, int(port)),)))
    node = start_node(link, "-d", "there", "-host", "127.0.0.26", "--json")
    assert node.end() == 0, node.told()
    assert (tmp_path / "there" / "film.bin").read_bytes() == path.read_bytes()
    assert node.seen("metadata", filename="a film")


def test_libtorrent_fetches_a_magnet_from_us(
    libtorrent: Any,
    client: Callable[..., LibtorrentClient],
    shared: tuple[Path, Path],
    start_node: Start,
    tmp_path: Path,
) -> None:
    path, torrent = shared
    node = start_node(str(torrent), "-s", str(path), "-host", "127.0.0.27")
    found = re.search(r"127\.0\.0\.27:(\d+)", node.wait_for_line("listens on tcp"))
    assert found
    node.wait_for_line("sharing")
    leecher = client("127.0.0.28")
    info_hash = libtorrent.torrent_info(str(torrent)).info_hashes().v1
    wanted = libtorrent.parse_magnet_uri(f"magnet:?xt=urn:btih:{info_hash}")
    wanted.save_path = str(tmp_path / "theirs")
    handle = leecher.session.add_torrent(wanted)
    handle.connect_peer(("127.0.0.27", int(found[1])))
    leecher.wait_until_seeding(handle)
    wait_for_copy(tmp_path / "theirs" / "film.bin", path)
