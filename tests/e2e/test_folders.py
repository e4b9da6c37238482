"""Torrents of several files, from one real node to the next."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import pytest

from common import bencode

FILES = {"a.txt": 70_000, "sub/deep/b.bin": 400_000, "sub/empty": 0, "z": 5}
PIECE = 32 << 10


@pytest.fixture
def make_folder() -> Any:
    """``make_folder(parent, url)``: a folder "album" in ``parent`` and the bytes of its torrent."""

    def make(parent: Path, url: str) -> bytes:
        rng, data, listed = random.Random(4), b"", []
        for name, length in FILES.items():
            path = parent / "album" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(rng.randbytes(length))
            data += path.read_bytes()
            listed.append({b"length": length, b"path": [part.encode() for part in name.split("/")]})
        hashes = b"".join(hashlib.sha1(data[at : at + PIECE]).digest() for at in range(0, len(data), PIECE))
        info = {b"files": listed, b"name": b"album", b"piece length": PIECE, b"pieces": hashes}
        return bencode.encode({b"announce": f"{url}/announce".encode(), b"info": info})  # type: ignore[dict-item]

    return make


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_folder_goes_from_node_to_node(swarm: Any, make_folder: Any, tmp_path: Path) -> None:
    """The first node adopts the complete folder, the second fetches it and serves it to the third."""
    first = swarm.number()
    torrent = tmp_path / "album.torrent"
    torrent.write_bytes(make_folder(tmp_path / "files" / f"node{first}", swarm.tracker.url))
    original = tree(tmp_path / "files" / f"node{first}" / "album")
    owner = swarm.node(number=first)
    owner.type(f'torrent -setMode download "{torrent}"')
    owner.wait_for("sharing")
    second = swarm.node()
    second.type(f'torrent -setMode download "{torrent}"')
    second.wait_for("sharing")
    assert tree(second.folder / "album") == original
    owner.stop()
    swarm.wait_for_owners(torrent, second.number)
    third = swarm.fetch(torrent)
    assert third.end() == 0
    assert tree(third.folder / "album") == original


def test_another_folder_of_that_name_is_left_alone(swarm: Any, make_folder: Any, tmp_path: Path) -> None:
    number = swarm.number()
    torrent = tmp_path / "album.torrent"
    folder = tmp_path / "files" / f"node{number}"
    torrent.write_bytes(make_folder(folder, swarm.tracker.url))
    (folder / "album" / "a.txt").write_bytes(b"!" * 70_000)
    node = swarm.node("-setMode", "download", str(torrent), number=number)
    assert node.end() == 1
    assert "is another folder; it is not overwritten" in node.seen("failed")[0]["reason"]
    assert (folder / "album" / "a.txt").read_bytes() == b"!" * 70_000


def test_some_files_and_later_the_others(swarm: Any, make_folder: Any, tmp_path: Path) -> None:
    """Selected files are complete, served, and not fetched again; no other file is created."""
    first, second = swarm.number(), swarm.number()
    torrent = tmp_path / "album.torrent"
    torrent.write_bytes(make_folder(tmp_path / "files" / f"node{first}", swarm.tracker.url))
    original = tree(tmp_path / "files" / f"node{first}" / "album")
    owner = swarm.node(number=first)
    owner.type(f'torrent -setMode download "{torrent}"')
    owner.wait_for("sharing")
    some = swarm.node("-setMode", "download", str(torrent), "-select", "1,4", number=second)
    assert some.end() == 0
    assert tree(some.folder / "album") == {name: original[name] for name in ("a.txt", "z")}
    fetched = {event["index"] for event in some.seen("piece")}
    assert 0 < len(fetched) < 15
    others = swarm.node("-setMode", "download", str(torrent), number=second)
    assert others.end() == 0
    assert tree(others.folder / "album") == original
    assert not fetched & {event["index"] for event in others.seen("piece")}
    assert not (others.folder / "album.part").exists() and not (others.folder / "album.side").exists()
