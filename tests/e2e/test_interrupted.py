"""Interrupted downloads: bytes on disk are kept, and only the rest is fetched."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

MIB = 1 << 20
SIZE = 6 * MIB
Freeze = Callable[..., None]


def resumed(swarm: Any, torrent: Any, number: int) -> Any:
    """The same command again, at full speed; the node's own figures are checked."""
    fetcher = swarm.fetch(torrent, number=number)
    assert fetcher.end() == 0, fetcher.told()
    verified = fetcher.seen("download_started")[0]["verified"]
    received = sum(source["received"] for source in fetcher.seen("completed")[0]["sources"])
    assert received == SIZE - verified
    assert sorted(entry.name for entry in fetcher.folder.iterdir()) == [
        "x.bin",
        "x.bin.resume",
        "x.bin.torrent",
    ]
    return verified


def test_by_a_signal(swarm: Any, slow: dict[str, str], frozen_in_the_middle: Freeze) -> None:
    path = swarm.file("x.bin", SIZE)
    _, torrent = swarm.share(path)
    fetcher = swarm.fetch(torrent, **slow)
    frozen_in_the_middle(fetcher)
    fetcher.send_signal(signal.SIGINT)
    fetcher.thaw()
    assert fetcher.end() == 1
    assert fetcher.errors[-1] == "interrupted; x.bin.part is kept"
    assert sorted(entry.name for entry in fetcher.folder.iterdir()) == [
        "x.bin.part",
        "x.bin.resume",
        "x.bin.torrent",
    ]
    swarm.wait_for_exit(fetcher.number)  # EXIT was sent
    assert 0 < resumed(swarm, torrent, fetcher.number) < SIZE
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()


def test_of_several_at_once_each_goes_on(
    swarm: Any, slow: dict[str, str], frozen_in_the_middle: Freeze
) -> None:
    paths = [swarm.file(f"{letter}.bin", 3 * MIB) for letter in "abc"]
    owner = swarm.node()
    torrents = [swarm.share_also(owner, path) for path in paths]
    commands = [f"torrent -setMode download '{torrent}'" for torrent in torrents]
    first = swarm.node(**slow)
    first.type(*commands)
    frozen_in_the_middle(first)
    first.send_signal(signal.SIGTERM)
    first.thaw()
    assert first.end() == 0
    assert {entry.suffix for entry in first.folder.iterdir()} == {".part", ".resume", ".torrent"}
    second = swarm.node(number=first.number)
    second.type(*commands)
    second.end_input()
    for path in paths:
        second.wait_for("completed", filename=path.name)
        assert (second.folder / path.name).read_bytes() == path.read_bytes()
    assert sum(event["verified"] for event in second.seen("download_started")) > 0
