"""Owners of a part: a node with half a file serves that half."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from common.metainfo import decode_metainfo
from node.discovery.classroom import TrackerClient

MIB = 1 << 20
SIZE = 4 * MIB + 12_345


def leave_part(folder: Path, original: Path, start: int, end: int) -> None:
    """Write the part file of an earlier run that holds only bytes ``[start, end)``."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{original.name}.part").open("wb") as part:
        part.seek(start)
        part.write(original.read_bytes()[start:end])
        part.truncate(original.stat().st_size)


def torrent_without_owner(swarm: Any, path: Path) -> Path:
    """The torrent of a file without an owner, which has left."""
    owner, torrent = swarm.share(path)
    owner.stop()
    swarm.wait_for_owners(torrent)
    return Path(torrent)


def with_part(swarm: Any, path: Path, start: int, end: int, **settings: str) -> Any:
    """A node that has ``[start, end)`` of the file from an earlier run, and waits for commands."""
    number = swarm.number()
    leave_part(swarm.folder / "files" / f"node{number}", path, start, end)
    node = swarm.node(number=number, **settings)
    node.wait_for("started")
    return node


def download(torrent: Path, *nodes: Any) -> None:
    """Let the nodes fetch the file. They begin at the same moment, as far as the machine allows."""
    for node in nodes:
        node.type(f"torrent -setMode download '{torrent}'")


@pytest.mark.parametrize("shares", [2, 4])
def test_those_who_have_a_part_each_finish_from_each_other(
    swarm: Any, slow: dict[str, str], shares: int
) -> None:
    path = swarm.file("x.bin", SIZE)
    torrent = torrent_without_owner(swarm, path)
    cuts = [SIZE * number // shares for number in range(shares)] + [SIZE]
    nodes = [
        with_part(swarm, path, max(0, start - 70_000), end, **slow) for start, end in itertools.pairwise(cuts)
    ]
    download(torrent, *nodes)
    numbers = {node.number for node in nodes}
    delivered: set[int] = set()
    for node in nodes:
        completed = node.wait_for("completed")
        assert (node.folder / "x.bin").read_bytes() == path.read_bytes()
        sources = {source["node_id"]: source["received"] for source in completed["sources"]}
        assert set(sources) <= numbers - {node.number}
        delivered |= {number for number, received in sources.items() if received}
        wanted = SIZE - node.seen("download_started")[0]["verified"]
        assert wanted <= sum(sources.values()) <= wanted * 1.03  # hardly anything came twice
    assert delivered == numbers  # each part left the only node that had it
    swarm.wait_for_owners(torrent, *numbers)


def test_a_downloading_node_passes_on_what_it_has_and_is_shown_as_what_it_is(swarm: Any) -> None:
    path = swarm.file("x.bin", SIZE)
    torrent = torrent_without_owner(swarm, path)
    pieces = decode_metainfo(torrent.read_bytes()).geometry
    held = pieces.pieces_touched(0, 2 * MIB)  # the piece in the middle is not whole
    first = with_part(swarm, path, 0, SIZE // 2)
    download(torrent, first)
    first.wait_for("download_started")
    swarm.wait_for_owners(torrent, first.number)
    tracker = TrackerClient(swarm.tracker.url, swarm.number())
    (entry,) = tracker.need(info_hash=decode_metainfo(torrent.read_bytes()).info_hash_hex)
    tracker.close()
    assert entry.complete is False
    second = swarm.downloading(torrent)
    amount = sum(map(pieces.piece_length_of, held))
    second.wait_until(
        "all that the first one has", lambda: any(e["verified"] == amount for e in second.seen("progress"))
    )
    (row,) = second.ask("status")["downloads"]
    assert (row["state"], row["verified"]) == ("fetching", amount)
    (source,) = row["sources"]
    assert (source["node_id"], source["complete"], source["held"]) == (first.number, False, len(held))
    (peer,) = [peer for peer in second.ask("peers")["peers"] if peer["direction"] == "from"]
    assert (peer["node_id"], peer["complete"], peer["held"]) == (first.number, False, len(held))
    (file,) = first.ask("files")["files"]
    assert (file["complete"], file["uploaded"]) == (False, amount)
    swarm.share(path)  # and now there is an owner of all
    for node in (first, second):
        node.wait_for("completed")
        assert (node.folder / "x.bin").read_bytes() == path.read_bytes()
    (file,) = first.ask("files")["files"]
    assert file["complete"] is True


def test_what_was_given_up_is_not_offered_any_more(swarm: Any, brief: dict[str, str]) -> None:
    path = swarm.file("x.bin", SIZE)
    torrent = torrent_without_owner(swarm, path)
    gives_up = with_part(swarm, path, 0, SIZE // 2, **brief)
    download(torrent, gives_up)
    gives_up.wait_for("failed")
    assert gives_up.ask("files")["files"] == []
    swarm.wait_for_owners(torrent)  # the tracker knows
    other = swarm.fetch(torrent, **brief)
    assert other.end() == 1
    assert "the tracker knows no owner" in other.seen("failed")[0]["reason"]


def test_a_node_that_shares_more_is_not_named_for_what_it_gave_up(swarm: Any, brief: dict[str, str]) -> None:
    path, more = swarm.file("x.bin", SIZE), swarm.file("y.bin", 10)
    torrent = torrent_without_owner(swarm, path)
    gives_up = swarm.node(**brief)
    shared = swarm.share_also(gives_up, more)
    leave_part(gives_up.folder, path, 0, SIZE // 2)
    gives_up.type(f"torrent -setMode download '{torrent}'")
    gives_up.wait_for("failed")
    swarm.wait_for_owners(torrent)
    swarm.wait_for_owners(shared, gives_up.number)


def test_a_node_that_stops_a_file_is_not_listed_for_it_and_keeps_its_credit(
    swarm: Any, brief: dict[str, str]
) -> None:
    owner = swarm.node(**brief)
    torrent = swarm.share_also(owner, swarm.file("x.bin", SIZE))
    other = swarm.share_also(owner, swarm.file("y.bin", 10))
    assert swarm.fetch(other, **brief).end() == 0
    owner.type("stop x.bin")
    owner.wait_for("sharing_stopped")
    swarm.wait_for_owners(torrent)
    swarm.wait_for_uploads(other, {owner.number: 1})
