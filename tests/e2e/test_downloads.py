"""Downloads that succeed: sizes, names, places, owners, and credit at the tracker."""

from __future__ import annotations

import filecmp
import json
import shutil
from pathlib import Path
from typing import Any

from common.metainfo import decode_metainfo

PIECE = 32 << 10  # piece length of small files
MIB = 1 << 20
NAMES = ["with  two spaces.bin", "Größe [1].bin", "文件 😀.txt", "e\u0301tude", "-x"]


def same(one: Path, other: Path) -> bool:
    return filecmp.cmp(one, other, shallow=False)


def test_every_size_and_name_arrives_through_the_pipe(swarm: Any) -> None:
    sizes = [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 20 * MIB]
    files = {f"{size}.bin": size for size in sizes} | dict.fromkeys(NAMES, 1000)
    paths = [swarm.file(name, size) for name, size in files.items()]
    owner, fetcher = swarm.node(), swarm.node()
    for path in paths:
        torrent = swarm.share_also(owner, path)
        assert decode_metainfo(torrent.read_bytes()).name == path.name
        fetcher.type(f"torrent -setMode download '{torrent}'")
    for path in paths:
        completed = fetcher.wait_for("completed", filename=path.name)
        assert completed["size"] == files[path.name]
        assert sum(source["received"] for source in completed["sources"]) == files[path.name]
        assert same(path, swarm.folder / completed["path"]), path.name
    fetcher.wait_for("sharing", len(files))
    fetcher.type("torrent -setMode exit")
    assert fetcher.end() == 0
    assert owner.stop() == 0
    assert sorted(path.name for path in fetcher.folder.iterdir()) == sorted(
        path.name + end for path in paths for end in ("", ".resume", ".torrent")
    )
    assert not fetcher.seen("error") + fetcher.seen("failed") + fetcher.seen("owner_lost")


def test_three_owners_each_deliver_and_are_credited(swarm: Any, slow: dict[str, str]) -> None:
    path = swarm.file("by three.bin", 6 * MIB)
    owners = [swarm.share(path) for _ in range(3)]
    torrent = owners[0][1]
    numbers = [owner.number for owner, _ in owners]
    assert [read[1].read_bytes() for read in owners] == [torrent.read_bytes()] * 3
    assert sorted(swarm.owners(torrent)) == [(number, 0) for number in numbers]

    fetcher = swarm.fetch(torrent, **slow)
    assert fetcher.end() == 0
    assert same(path, fetcher.folder / path.name)
    (completed,) = fetcher.seen("completed")
    received = {source["node_id"]: source["received"] for source in completed["sources"]}
    assert (
        sorted(received) == numbers
        and all(received.values())
        and sum(received.values()) == path.stat().st_size
    )
    assert sorted(swarm.owners(torrent)) == [(number, 1) for number in numbers]
    swarm.wait_for_records(dict.fromkeys(numbers, 1))

    used = []
    for uploads in (2, 3):  # first a random choice of equals; then the same owner, which is now the best
        choosy = swarm.fetch(torrent, MAX_SPLITTNES_RATE="1")
        assert choosy.end() == 0
        (completed,) = choosy.seen("completed")
        used += [source["node_id"] for source in completed["sources"] if source["received"]]
        assert swarm.owners(torrent)[0] == (used[0], uploads)
    assert used == [used[0]] * 2
    assert [uploads for _, uploads in swarm.owners(torrent)] == [3, 1, 1]


def test_who_fetched_serves_when_the_first_owner_has_left(swarm: Any) -> None:
    path = swarm.file("handed on.bin", MIB)
    owner, torrent = swarm.share(path)
    second = swarm.downloading(torrent)
    second.wait_for("sharing")
    swarm.wait_for_owners(torrent, owner.number, second.number)
    assert owner.stop() == 0
    swarm.wait_for_owners(torrent, second.number)
    fourth = swarm.fetch(torrent)
    assert fourth.end() == 0
    assert same(path, fourth.folder / path.name)
    (source,) = fourth.seen("completed")[0]["sources"]
    assert (source["node_id"], source["received"]) == (second.number, MIB)


def test_names_are_found_in_the_nodes_own_folder(swarm: Any) -> None:
    owner = swarm.node()
    owner.wait_for("started")
    shutil.copy(swarm.file("mine.bin", 1000), owner.folder / "mine.bin")
    torrent = swarm.share_also(owner, Path("mine.bin"))
    fetcher = swarm.node()
    fetcher.wait_for("started")
    shutil.copy(torrent, fetcher.folder)
    fetcher.type("torrent -setMode download mine.bin")  # as people forget the ending
    fetcher.wait_for("completed")
    assert same(owner.folder / "mine.bin", fetcher.folder / "mine.bin")


def test_a_folder_of_ones_own_choice(swarm: Any, tmp_path: Path) -> None:
    path = swarm.file("x.bin", 1000)
    place = tmp_path / "made" / "as needed"
    owner = swarm.node("-setMode", "send", str(path), "-d", str(place))
    assert owner.wait_for("sharing")["torrent"] == str(place / "x.bin.torrent")
    target = tmp_path / "target"
    fetcher = swarm.node("-setMode", "download", str(place / "x.bin.torrent"), "-d", str(target))
    assert fetcher.end() == 0
    assert fetcher.seen("completed")[0]["path"] == str(target / "x.bin")
    assert sorted(entry.name for entry in target.iterdir()) == ["x.bin", "x.bin.resume", "x.bin.torrent"]
    assert owner.stop() == 0
    assert not owner.folder.exists() and not fetcher.folder.exists()


def test_the_torrents_own_tracker_is_asked(swarm: Any, tmp_path: Path) -> None:
    path = swarm.file("x.bin", 1000)
    _, torrent = swarm.share(path)
    announce = f"{swarm.tracker.url}/announce".encode()
    content = torrent.read_bytes()
    assert decode_metainfo(content).announce == announce.decode()
    older = f"{swarm.tracker.url}/tracker".encode()
    other = tmp_path / "other.torrent"
    other.write_bytes(content.replace(b"%d:%s" % (len(announce), announce), b"%d:%s" % (len(older), older)))
    fetchers = [
        swarm.fetch(file, tracker="http://127.0.0.1:9") for file in (torrent, other)
    ]  # no owner is there
    assert [fetcher.end() for fetcher in fetchers] == [0, 0]
    assert all(same(path, fetcher.folder / "x.bin") for fetcher in fetchers)


def test_two_files_of_one_name_are_told_apart(swarm: Any, tmp_path: Path) -> None:
    one = swarm.file("notes.txt", 50_000).rename(tmp_path / "one.txt")
    two = swarm.file("notes.txt", 50_000)
    (tmp_path / "a").mkdir()
    one = one.rename(tmp_path / "a" / "notes.txt")
    (_, first), (_, second) = swarm.share(one), swarm.share(two)
    fetchers = [swarm.fetch(first), swarm.fetch(second)]
    assert [fetcher.end() for fetcher in fetchers] == [0, 0]
    assert same(one, fetchers[0].folder / "notes.txt")
    assert same(two, fetchers[1].folder / "notes.txt")
    assert not fetchers[0].seen("owner_lost") + fetchers[1].seen("owner_lost")


def test_what_is_shown_as_json_and_as_text(swarm: Any) -> None:
    path = swarm.file("shown.bin", 100_000)
    owner, torrent = swarm.share(path)
    fetcher = swarm.downloading(torrent)
    fetcher.wait_for("sharing")
    (download,) = fetcher.ask("status")["downloads"]
    assert (download["filename"], download["state"], download["verified"]) == (
        "shown.bin",
        "completed",
        100_000,
    )
    (peer,) = fetcher.ask("peers")["peers"]
    assert (peer["node_id"], peer["direction"], peer["amount"]) == (owner.number, "from", 100_000)
    (file,) = fetcher.ask("files")["files"]
    assert (file["state"], file["complete"], file["uploaded"]) == ("sharing", True, 0)
    (file,) = owner.ask("files")["files"]
    assert (file["size"], file["uploaded"]) == (100_000, 100_000)
    (peer,) = owner.ask("peers")["peers"]
    assert (peer["direction"], peer["amount"]) == ("to", 100_000)

    reader = swarm.node(json=False)
    reader.type("torrent -status", f"torrent -setMode download '{torrent}'")
    reader.wait_for_line("sharing shown.bin (100.0 kB)")
    reader.type("torrent -status", "torrent -files", "torrent -peers", "help", "torrent -setMode exit")
    assert reader.end() == 0
    assert not reader.errors
    text = "\n".join(reader.lines)
    assert "\x1b" not in text
    assert "no downloads" in reader.lines
    for columns in (
        ["shown.bin", "completed", "100.0 kB", "100.0%"],
        ["shown.bin", "sharing", "100.0 kB", "yes"],
    ):
        assert any(
            line.split()[: len(columns) + 1] and all(c in line for c in columns) for line in reader.lines
        )
    assert any(line.split()[0] in (str(owner.number), str(fetcher.number)) for line in reader.lines)
    assert "torrent -setMode send FILE" in text


def test_a_node_that_only_speaks_json(swarm: Any) -> None:
    path = swarm.file("x.bin", 200_000)
    _, torrent = swarm.share(path)
    fetcher = swarm.fetch(torrent)
    assert fetcher.end() == 0
    told = [json.loads(line)["event"] for line in fetcher.lines]  # every line is an object
    assert told[0] == "started" and told[-1] == "stopped"
    assert [
        name for name in told if name in ("download_started", "owners_found", "completed", "sharing")
    ] == ["download_started", "owners_found", "completed", "sharing"]
    assert told.count("piece") == 7


def test_exit_codes_of_single_commands(swarm: Any, brief: dict[str, str]) -> None:
    """Wrong usage is 2: tests/node/test_cli.py."""
    path = swarm.file("x.bin", 1000)
    owner, torrent = swarm.share(path)
    fetcher = swarm.fetch(torrent, json=False)
    assert fetcher.end() == 0 and not fetcher.errors
    assert f"from 1 owner: node {owner.number} (100%)" in fetcher.wait_for_line("downloaded x.bin")
    assert swarm.fetch(torrent.with_name("nothing")).end() == 1
    owner.type("exit")
    assert owner.end() == 0
    late = swarm.fetch(torrent, json=False, **brief)
    assert late.end() == 1
    (reason,) = late.errors
    assert "x.bin" in reason and "the tracker knows no owner" in reason
