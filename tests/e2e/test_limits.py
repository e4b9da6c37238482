"""Upload limits and slots, as a user sets and sees them."""

from __future__ import annotations

import filecmp
from typing import Any

MB = 10**6


def test_an_upload_limit_is_kept_reached_and_shared(swarm: Any) -> None:
    """Two files for two nodes at once from one owner: both take as long as both together must."""
    paths = [swarm.file(f"{name}.bin", 3 * MB) for name in ("one", "other")]
    owner = swarm.node("-up", "2MB")
    torrents = [swarm.share_also(owner, path) for path in paths]
    fetchers = [swarm.node() for _ in torrents]
    for fetcher in fetchers:
        fetcher.wait_for("started")
    for fetcher, torrent in zip(fetchers, torrents, strict=True):  # at the same moment
        fetcher.type(f"torrent -setMode download '{torrent}'")
    seconds = []
    for fetcher, path in zip(fetchers, paths, strict=True):
        completed = fetcher.wait_for("completed")
        assert filecmp.cmp(path, fetcher.folder / path.name, shallow=False)
        seconds.append(completed["transfer_seconds"])
    assert max(seconds) >= 6 * MB / (1.05 * 2 * MB) - 0.5  # minus the head start of the first fetcher
    assert max(seconds) <= 3 * 6 * MB / (2 * MB)  # this machine may be busy
    assert min(seconds) >= 0.6 * max(seconds)  # the limit was shared


def test_who_waits_for_a_slot_is_shown_and_gets_its_turn(swarm: Any) -> None:
    paths = [swarm.file(f"{name}.bin", 2 * MB) for name in ("first", "second")]
    owner = swarm.node("-up", "1MB", UPLOAD_SLOTS="1")
    torrents = [swarm.share_also(owner, path) for path in paths]
    first = swarm.fetch(torrents[0])
    first.wait_until("bytes", lambda: [event for event in first.seen("progress") if event["received"]])
    second = swarm.fetch(torrents[1])
    while not (waiting := [row for row in owner.ask("peers")["peers"] if row["state"] == "waiting"]):
        pass
    assert waiting[0]["filename"] == "second.bin"
    assert waiting[0]["reason"].startswith("waits, place 1 of 1: 1 is served at a time")
    for fetcher, path in zip((first, second), paths, strict=True):
        assert fetcher.end() == 0
        assert filecmp.cmp(path, fetcher.folder / path.name, shallow=False)
