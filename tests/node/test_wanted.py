"""The meaning of ``download X``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from common.errors import CommandError, FileFault, MagnetError, TrackerUnavailable
from common.magnet import Magnet
from node.content.torrent_file import TorrentFile, create_torrent
from node.events import ListedTorrent
from node.folder import NodeFolder
from node.wanted import find_wanted

HASH = "ab" * 20
FILM = ListedTorrent("film.mkv", HASH, 10**9, 3, 2)


@pytest.fixture
def folder(tmp_path: Path) -> NodeFolder:
    (tmp_path / "a.bin").write_bytes(b"content")
    create_torrent(tmp_path / "a.bin", tmp_path / "a.bin.torrent", "http://127.0.0.1:1/announce")
    (tmp_path / "a.bin").unlink()
    return NodeFolder(tmp_path)


def nothing() -> Sequence[ListedTorrent]:
    raise AssertionError("the tracker need not be asked")


def test_a_file_comes_first(folder: NodeFolder) -> None:
    for text in ("a.bin.torrent", "a.bin", str(folder.path / "a.bin.torrent")):
        wanted = find_wanted(text, folder, nothing)
        assert isinstance(wanted, TorrentFile) and wanted.info.name == "a.bin"


def test_a_link_and_a_hash_need_no_tracker(folder: NodeFolder) -> None:
    assert find_wanted(HASH.upper(), folder, nothing) == Magnet(bytes.fromhex(HASH))
    assert find_wanted(f"magnet:?xt=urn:btih:{HASH}&dn=x", folder, nothing) == Magnet(
        bytes.fromhex(HASH), "x"
    )
    with pytest.raises(MagnetError):
        find_wanted("magnet:?dn=x", folder, nothing)


def test_a_name_is_looked_up_at_the_tracker(folder: NodeFolder) -> None:
    assert find_wanted("film.mkv", folder, lambda: [FILM]) == Magnet(bytes.fromhex(HASH), "film.mkv")
    with pytest.raises(FileFault, match="lists no torrent of this name"):
        find_wanted("film.mkv", folder, lambda: [ListedTorrent("film.mkv", "", None, 1, 1)])
    with pytest.raises(CommandError, match=f"download one of {HASH}, {'cd' * 20}"):
        find_wanted("film.mkv", folder, lambda: [FILM, ListedTorrent("film.mkv", "cd" * 20, 1, 1, 1)])


def test_a_missing_file_stays_a_missing_file(folder: NodeFolder) -> None:
    def unreachable() -> Sequence[ListedTorrent]:
        raise TrackerUnavailable("tracker http://h:1 does not answer")

    for text in ("b.torrent", "there/b"):
        with pytest.raises(FileFault, match="no such file"):
            find_wanted(text, folder, nothing)
    with pytest.raises(FileFault, match="no such file: b .*; tracker http://h:1 does not answer"):
        find_wanted("b", folder, unreachable)
