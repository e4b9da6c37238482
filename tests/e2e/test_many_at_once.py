"""More downloads than a process may have files open: they take turns, and all end."""

from __future__ import annotations

import shutil
from typing import Any

import pytest


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit")
def test_downloads_take_turns(swarm: Any) -> None:
    owner = swarm.node()
    paths = [swarm.file(f"{number}.bin", 1000) for number in range(40)]
    torrents = [swarm.share_also(owner, path) for path in paths]
    owner.freeze()  # so that no fetcher ends before all have begun
    fetcher = swarm.node(before=["prlimit", "--nofile=110"], OWNER_SEARCH_LIMIT="60", OWNER_TIMEOUT="0.5")
    fetcher.type(*(f"torrent -setMode download '{torrent}'" for torrent in torrents))
    states = [row["state"] for row in fetcher.ask("status")["downloads"]]
    assert len(states) == 40 and states.count("waiting") == 24
    fetcher.wait_for("owner_lost", 8)
    owner.thaw()
    for path in paths:
        fetcher.wait_for("completed", filename=path.name)
        assert (fetcher.folder / path.name).read_bytes() == path.read_bytes()
    fetcher.type(f"torrent -setMode download '{torrents[0]}'", "exit")
    assert fetcher.end() == 0
    assert len(fetcher.seen("error")) == 1 and not fetcher.seen("failed")


def test_waiting_downloads_do_not_hold_up_the_end(swarm: Any) -> None:
    owner = swarm.node()
    torrents = [swarm.share_also(owner, swarm.file(f"{number}.bin", 1000)) for number in range(20)]
    assert owner.stop() == 0
    fetcher = swarm.node(json=False)
    fetcher.type(*(f"torrent -setMode download '{torrent}'" for torrent in torrents), "exit")
    assert fetcher.end(20) == 0
    assert sum("is not finished; nothing of it has arrived yet" in line for line in fetcher.lines) == 20
