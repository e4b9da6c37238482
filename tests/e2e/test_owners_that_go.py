"""Owners that die, fall silent or come back elsewhere while they are fetched from."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

MIB = 1 << 20
SIZE = 6 * MIB
Freeze = Callable[..., None]


def test_one_of_two_is_killed(
    swarm: Any, slow: dict[str, str], brief: dict[str, str], frozen_in_the_middle: Freeze
) -> None:
    path = swarm.file("x.bin", SIZE)
    (dying, torrent), (staying, _) = swarm.share(path), swarm.share(path)
    fetcher = swarm.fetch(torrent, **slow, **brief)
    frozen_in_the_middle(fetcher, sources=[dying.number])
    dying.kill()
    fetcher.thaw()
    assert fetcher.end() == 0
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    lost = fetcher.seen("owner_lost")[0]
    assert (lost["node_id"], lost["reason"], lost["banned"]) == (
        dying.number,
        "no program listens at its address",
        False,
    )
    received = {source["node_id"]: source["received"] for source in fetcher.seen("completed")[0]["sources"]}
    assert received[staying.number] > SIZE // 2


def test_the_only_one_is_killed_and_the_rest_comes_from_a_later_one(
    swarm: Any, slow: dict[str, str], brief: dict[str, str], frozen_in_the_middle: Freeze
) -> None:
    path = swarm.file("x.bin", SIZE)
    owner, torrent = swarm.share(path)
    fetcher = swarm.node(**slow, **brief)
    fetcher.type(f"torrent -setMode download '{torrent}'")
    frozen_in_the_middle(fetcher)
    owner.kill()
    fetcher.thaw()
    reason = fetcher.wait_for("failed")["reason"]
    assert reason.startswith("x.bin: ") and "x.bin.part is kept" in reason
    assert f"node {owner.number}: no program listens at its address" in reason
    assert fetcher.seen("waiting")
    (row,) = fetcher.ask("status")["downloads"]
    assert (row["state"], row["reason"]) == ("failed", reason)
    swarm.share(path)
    fetcher.type(f"torrent -setMode download '{torrent}'")
    completed = fetcher.wait_for("completed")
    again = fetcher.wait_for("download_started", 2)
    assert 0 < again["verified"] < SIZE
    assert sum(source["received"] for source in completed["sources"]) == SIZE - again["verified"]
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()


def test_one_falls_silent_and_others_take_over(
    swarm: Any, slow: dict[str, str], brief: dict[str, str], frozen_in_the_middle: Freeze
) -> None:
    path = swarm.file("x.bin", SIZE)
    owners = [swarm.share(path) for _ in range(3)]
    fetcher = swarm.fetch(owners[0][1], DOWNLOAD_LIMIT="1500kB", **slow, **brief)  # or it is over first
    silent = owners[1][0]
    frozen_in_the_middle(fetcher, sources=[silent.number])
    silent.freeze()
    begin = time.monotonic()
    fetcher.thaw()
    lost = fetcher.wait_for("owner_lost")
    assert lost["node_id"] == silent.number and lost["reason"].startswith("silent for 1.")
    assert fetcher.end() == 0
    assert time.monotonic() - begin < 15
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()


def test_the_only_one_is_silent_for_a_while_and_goes_on(
    swarm: Any, slow: dict[str, str], frozen_in_the_middle: Freeze
) -> None:
    path = swarm.file("x.bin", SIZE)
    owner, torrent = swarm.share(path)
    fetcher = swarm.fetch(torrent, OWNER_TIMEOUT="0.5", **slow)
    frozen_in_the_middle(fetcher)
    owner.freeze()
    fetcher.thaw()
    fetcher.wait_for("owner_lost", node_id=owner.number)
    owner.thaw()
    assert fetcher.end() == 0
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    sources = fetcher.seen("completed")[0]["sources"]  # one node, perhaps over both transports
    assert {source["node_id"] for source in sources} == {owner.number}
    assert SIZE <= sum(source["received"] for source in sources) < SIZE + MIB


def test_the_only_one_comes_back_at_another_port(
    swarm: Any, slow: dict[str, str], brief: dict[str, str], frozen_in_the_middle: Freeze
) -> None:
    path = swarm.file("x.bin", SIZE)
    owner, torrent = swarm.share(path)
    first = owner.wait_for("started")["addr"]
    fetcher = swarm.fetch(torrent, **slow, **{**brief, "OWNER_SEARCH_LIMIT": "30"})
    frozen_in_the_middle(fetcher)
    assert owner.stop() == 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(tuple(first))
        back, _ = swarm.share(path, number=owner.number)
    assert back.wait_for("started")["addr"] != first
    fetcher.thaw()
    assert fetcher.end() == 0
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    fractions = {tuple(s["addr"]): s["received"] for s in fetcher.seen("completed")[0]["sources"]}
    assert fractions[tuple(back.wait_for("started")["addr"])] > 0


def test_nobody_has_it(swarm: Any, brief: dict[str, str]) -> None:
    owner, torrent = swarm.share(swarm.file("x.bin", 1000))
    assert owner.stop() == 0
    fetcher = swarm.fetch(torrent, json=False, **brief)
    assert fetcher.end() == 1
    (reason,) = fetcher.errors
    assert reason.startswith("x.bin: ") and "the tracker knows no owner" in reason


@pytest.mark.parametrize("name", ["not shared", "dead"])
def test_the_tracker_names_one_who_does_not_have_it(swarm: Any, brief: dict[str, str], name: str) -> None:
    path = swarm.file("x.bin", 1000)
    owner, torrent = swarm.share(path)
    fetcher = swarm.fetch(torrent, json=False, **brief)
    assert fetcher.end() == 0
    if name == "dead":
        owner.kill()
        why = "no program listens at its address"
    else:
        path.write_bytes(b"other")
        owner.wait_for("sharing_stopped")
        why = "its copy has changed"
    late = swarm.fetch(torrent, json=False, **brief)
    assert late.end() == 1
    (reason,) = late.errors
    assert f"node {owner.number}: {why}" in reason
