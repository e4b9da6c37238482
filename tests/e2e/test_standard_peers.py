"""Nodes without a number: standard peers of one torrent, as processes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from common.magnet import Magnet, format_magnet
from common.metainfo import decode_metainfo
from common.torrent_encoding import TorrentNotes
from node.content.new_torrent import NewTorrent
from node.content.torrent_file import create_torrent

Start = Callable[..., Any]
MIB = 1 << 20
DOWNLOAD = ("-setMode", "download")
BRIEF = {"OWNER_SEARCH_LIMIT": "2"}  # seconds


@pytest.fixture
def shared(tmp_path: Path) -> tuple[Path, Path]:
    """A file and its torrent, which names a tracker that does not run."""
    path = tmp_path / "original" / "film.bin"
    path.parent.mkdir()
    path.write_bytes(Random(7).randbytes(3 * MIB + 5))
    torrent = tmp_path / "film.torrent"
    create_torrent(path, torrent, "http://127.0.0.1:9/announce")
    return path, torrent


@pytest.fixture
def serve(start_node: Start) -> Start:
    """``serve(torrent, path, *words)``: a node that serves, and its address as ``--peer`` takes it."""

    def start(torrent: Path, path: Path, *words: str, **settings: str) -> tuple[Any, str]:
        node = start_node(str(torrent), "-s", str(path), "-host", "127.0.0.11", *words, **settings)
        line = node.wait_for_line("listens on tcp")
        node.wait_for_line("sharing")
        found = re.fullmatch(r"node listens on tcp (127\.0\.0\.11:\d+)", line)
        assert found, line
        return node, found[1]

    return start


def test_one_serves_and_one_fetches(
    shared: tuple[Path, Path], serve: Start, start_node: Start, tmp_path: Path
) -> None:
    path, torrent = shared
    owner, addr = serve(torrent, path.parent)  # the folder that the file is in will do
    node = start_node(str(torrent), "-d", "there", "-host", "127.0.0.12", "--peer", addr, "--json")
    assert node.end() == 0
    assert (tmp_path / "there" / "film.bin").read_bytes() == path.read_bytes()
    (listening,) = node.seen("listening")
    assert listening["transport"] == "tcp" and listening["addr"][0] == "127.0.0.12"
    (completed,) = node.seen("completed")
    assert completed["sources"][0]["addr"] == list(addr_of(addr))
    assert owner.stop() == 0


def addr_of(text: str) -> tuple[str, int]:
    host, port = text.split(":")
    return host, int(port)


def test_a_seed_goes_on_serving(
    shared: tuple[Path, Path], serve: Start, start_node: Start, tmp_path: Path
) -> None:
    path, torrent = shared
    owner, addr = serve(torrent, path)
    seed = start_node(str(torrent), "-d", "seed", "-host", "127.0.0.13", "--peer", addr, "--seed")
    found = re.search(r"127\.0\.0\.13:\d+", seed.wait_for_line("listens on tcp"))
    assert found
    seed.wait_for_line("downloaded film.bin")
    assert owner.stop() == 0
    node = start_node(str(torrent), "-d", "there", "--peer", found[0])
    assert node.end() == 0
    assert (tmp_path / "there" / "film.bin").read_bytes() == path.read_bytes()
    assert seed.stop() == 0


def test_another_file_is_not_served(shared: tuple[Path, Path], start_node: Start, tmp_path: Path) -> None:
    path, torrent = shared
    wrong = tmp_path / "wrong.bin"
    wrong.write_bytes(path.read_bytes()[:-1] + b"x")
    node = start_node(str(torrent), "-s", str(wrong))
    assert node.end() == 1
    assert "wrong.bin" in node.errors[-1]


def test_a_wrong_torrent_is_refused_before_anything_starts(start_node: Start, tmp_path: Path) -> None:
    (tmp_path / "cut.torrent").write_bytes(b"d4:info")
    for words in (["cut.torrent"], ["cut.torrent", "-s", "."], ["-node_id", "1", *DOWNLOAD, "cut.torrent"]):
        node = start_node(*words)
        assert node.end() == 1
        assert node.lines == [] and "the file is cut off" in node.errors[0]


def test_without_a_peer_the_reason_is_given(shared: tuple[Path, Path], start_node: Start) -> None:
    _, torrent = shared
    node = start_node(str(torrent), "--peer", "127.0.0.1:9", **BRIEF)
    assert node.end() == 1
    assert re.search(r"film\.bin: no .* for 2 s", node.errors[-1])


@pytest.mark.parametrize(
    ("of_owner", "of_fetcher"), [("require", "prefer"), ("off", "off"), ("prefer", "require")]
)
def test_encryption_that_both_accept(
    of_owner: str, of_fetcher: str, shared: tuple[Path, Path], serve: Start, start_node: Start
) -> None:
    path, torrent = shared
    _, addr = serve(torrent, path, "--encryption", of_owner)
    assert start_node(str(torrent), "-d", "x", "--peer", addr, "--encryption", of_fetcher).end() == 0


def test_encryption_that_one_refuses(shared: tuple[Path, Path], serve: Start, start_node: Start) -> None:
    path, torrent = shared
    _, addr = serve(torrent, path, "--encryption", "off")
    node = start_node(str(torrent), "-d", "x", "--peer", addr, "--encryption", "require", **BRIEF)
    assert node.end() == 1


def test_a_node_of_the_classroom_uses_both_transports(
    shared: tuple[Path, Path], serve: Start, swarm: Any
) -> None:
    """One owner over UDP and one over TCP; the download completes, and -peers names both."""
    path, torrent = shared
    _, addr = serve(torrent, path)
    owner, own_torrent = swarm.share(path)
    node = swarm.node("--peer", addr)
    node.type(f'torrent -setMode download "{own_torrent}"')
    node.wait_for("completed")
    transports = {row["addr"][0]: row["transport"] for row in node.ask("peers")["peers"]}
    assert transports["127.0.0.11"] == "tcp" and transports["127.0.0.1"] == "udp"
    assert node.stop() == 0 and owner.stop() == 0


def test_a_magnet_link_names_the_peer(
    shared: tuple[Path, Path], serve: Start, start_node: Start, tmp_path: Path
) -> None:
    """Fetched in full from the info hash alone; a peer without the torrent is reported to have no
    metadata."""
    path, torrent = shared
    _, addr = serve(torrent, path)
    info = decode_metainfo(torrent.read_bytes())
    link = format_magnet(Magnet(info.info_hash, "a film", (), (addr_of(addr),)))
    node = start_node(link, "-d", "there", "--json")
    assert node.end() == 0
    assert (tmp_path / "there" / "film.bin").read_bytes() == path.read_bytes()
    assert (tmp_path / "there" / "film.bin.torrent").exists()
    other = format_magnet(Magnet(bytes(20), "other", (), (addr_of(addr),)))
    node = start_node(other, "-d", "there", **BRIEF)
    assert node.end() == 1
    assert "no metadata for 2 s (1 peer, which does not have the metadata" in node.errors[-1]


@pytest.mark.parametrize("by", ["name", "hash"])
def test_a_torrent_of_the_classroom_is_fetched_by_its_name_or_hash(by: str, swarm: Any) -> None:
    """No .torrent is handed out: the metadata comes from the owner over UDP."""
    path = swarm.file("handout.bin", MIB + 3)
    _, torrent = swarm.share(path)
    info = decode_metainfo(torrent.read_bytes())
    node = swarm.node()
    listed = {row["info_hash"]: row for row in node.ask("list")["torrents"]}
    assert listed[info.info_hash_hex]["filename"] == "handout.bin"
    assert listed[info.info_hash_hex]["size"] == MIB + 3
    node.type(f"torrent -setMode download {'handout.bin' if by == 'name' else info.info_hash_hex}")
    completed = node.wait_for("completed", info_hash=info.info_hash_hex)
    assert (node.folder / "handout.bin").read_bytes() == path.read_bytes(), completed
    assert (node.folder / "handout.bin.torrent").exists()


@pytest.mark.parametrize("mode", ["download", "magnet"])
def test_a_folder_is_shared_and_fetched(mode: str, swarm: Any, tmp_path: Path) -> None:
    """Through the classroom: `send FOLDER`, then by the torrent or by its hash."""
    folder = tmp_path / "originals" / "course"
    for name, size in (("week 1/slides.pdf", MIB), ("week 1/empty.txt", 0), ("readme.txt", 5)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(Random(f"{tmp_path} {name}").randbytes(size))
    owner, torrent = swarm.share(folder)
    info = decode_metainfo(torrent.read_bytes())
    node = swarm.node()
    node.type(f'torrent -setMode download "{torrent if mode == "download" else info.info_hash_hex}"')
    node.wait_for("completed")
    for name in ("week 1/slides.pdf", "week 1/empty.txt", "readme.txt"):
        assert (node.folder / "course" / name).read_bytes() == (folder / name).read_bytes()
    assert {row["filename"] for row in node.ask("files")["files"]} == {"course"}


def test_selected_files_only(serve: Start, start_node: Start, tmp_path: Path) -> None:
    folder = tmp_path / "originals" / "course"
    folder.mkdir(parents=True)
    for name in ("a.bin", "b.bin", "c.bin"):
        (folder / name).write_bytes(Random(name).randbytes(200_000))
    planned = NewTorrent.plan(folder, 1 << 16)
    torrent = tmp_path / "course.torrent"
    torrent.write_bytes(planned.encode(TorrentNotes(), 1))
    _, addr = serve(torrent, folder)
    assert start_node(str(torrent), "-d", "there", "--peer", addr, "--select", "2-3").end() == 0
    assert sorted(path.name for path in (tmp_path / "there" / "course").iterdir()) == ["b.bin", "c.bin"]
    for name in ("b.bin", "c.bin"):
        assert (tmp_path / "there" / "course" / name).read_bytes() == (folder / name).read_bytes()
    small = start_node(str(torrent), "-d", "small", "--peer", addr, "--select", "2", "--json")
    assert small.end() == 0
    for name in ("download_started", "completed", "sharing"):
        assert [event["size"] for event in small.seen(name)] == [200_000], (name, small.told())
    assert small.seen("progress")[-1]["verified"] == small.seen("progress")[-1]["size"] == 200_000
    assert small.seen("completed")[0]["is_selection"]
    node = start_node(str(torrent), "-d", "other", "--peer", addr, "--select", "4")
    assert node.end() == 1 and "4" in node.errors[-1]
    assert start_node(str(torrent), "-d", "there", "--peer", addr).end() == 0  # the rest
    assert (tmp_path / "there" / "course" / "a.bin").read_bytes() == (folder / "a.bin").read_bytes()


def test_a_download_and_a_share_are_paused_and_resumed(swarm: Any, slow: dict[str, str]) -> None:
    path = swarm.file("long.bin", 3 * MIB)
    owner, torrent = swarm.share(path)
    node = swarm.node("-down", "1MB", **slow)
    node.type(f'torrent -setMode download "{torrent}"')
    node.wait_for("piece")
    node.type("torrent -pause long.bin")
    assert "paused" in node.wait_for("cancelled")["reason"]
    (row,) = node.ask("status")["downloads"]
    assert row["state"] == "paused"
    assert {peer["reason"] for peer in node.ask("peers")["peers"]} == {"you paused it"}
    assert not node.seen("owner_lost")
    node.type("torrent -resume long.bin")
    node.wait_for("download_started", 2)
    node.type("torrent -pieces long.bin")
    (pieces,) = node.wait_for("pieces")["pieces"]
    assert set(pieces["states"]) <= set("vfmx") and len(pieces["states"]) > 1
    node.wait_for("completed")
    owner.type("torrent -pause long.bin")
    assert owner.wait_for("sharing_stopped")["reason"] == "you paused it"
    assert owner.ask("files")["files"][0]["state"] == "paused"
    owner.type("torrent -pause long.bin")
    owner.wait_for_error("long.bin is paused already")
    owner.type("torrent -resume long.bin")
    owner.wait_for("sharing", 2)
    node.type("torrent -pause nothing", "torrent -resume long.bin", "torrent -select long.bin 2")
    node.wait_for_error("this node has no torrent nothing")
    node.wait_for_error("long.bin is not paused")
    node.wait_for_error("2")
    node.type("torrent -pause long.bin")
    node.wait_for("sharing_stopped")
    assert [row["state"] for row in node.ask("status")["downloads"]] == ["paused"]


def test_a_node_may_use_tcp_alone(swarm: Any) -> None:
    """It finds the owner through the class's tracker, and fetches over the owner's TCP port."""
    path = swarm.file("tcp only.bin", MIB)
    _, torrent = swarm.share(path)
    node = swarm.node("--transports", "tcp", str(torrent))
    assert node.end() == 0, node.told()
    (completed,) = node.seen("completed")
    assert {source["transport"] for source in completed["sources"] if source["received"]} == {"tcp"}
    assert node.seen("started", transport="tcp") and node.seen("listening")
