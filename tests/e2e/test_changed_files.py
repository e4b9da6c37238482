"""Files that changed after they were shared: never served, and the user sees a message."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

KIB = 1 << 10
MIB = 1 << 20


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"other bytes, as many as before")


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(bytes(path.stat().st_size))
    other.replace(path)


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "longer.bin": (append, "changed"),
    "shorter.bin": (lambda path: os.truncate(path, 10), "changed"),
    "overwritten.bin": (overwrite, "changed"),
    "replaced.bin": (replace, "changed"),
    "deleted.bin": (Path.unlink, "gone"),
}


def test_a_changed_file_is_no_longer_offered_and_can_be_shared_anew(
    swarm: Any, brief: dict[str, str]
) -> None:
    owner = swarm.node()
    originals = {name: swarm.file(name, 100 * KIB) for name in CHANGES}
    torrents = {name: swarm.share_also(owner, path) for name, path in originals.items()}
    content = {name: path.read_bytes() for name, path in originals.items()}
    for name, (change, _) in CHANGES.items():
        change(originals[name])
    for name, (_, why) in CHANGES.items():
        stopped = owner.wait_for("sharing_stopped", filename=name)
        assert str(originals[name]) in stopped["reason"] and why in stopped["reason"]
    states = {row["filename"]: row["state"] for row in owner.ask("files")["files"]}
    assert all(states[name].startswith("stopped: ") for name in CHANGES), states

    fetcher = swarm.node(**brief)
    for torrent in torrents.values():
        fetcher.type(f"torrent -setMode download '{torrent}'")
    for name in CHANGES:
        lost = fetcher.wait_for("owner_lost", filename=name)
        assert (lost["node_id"], lost["reason"], lost["banned"]) == (
            owner.number,
            "its copy has changed",
            False,
        )
        assert name in fetcher.wait_for("failed", filename=name)["reason"]
        assert not (fetcher.folder / name).exists()

    originals["deleted.bin"].write_bytes(content["deleted.bin"])  # the very bytes again
    again = swarm.share_also(owner, originals["deleted.bin"])
    new = swarm.share_also(owner, originals["longer.bin"])  # a new torrent of the new bytes
    assert swarm.fetch(again).end() == 0
    newer = swarm.fetch(new)
    assert newer.end() == 0
    assert (newer.folder / "longer.bin").read_bytes() == content["longer.bin"] + b"more"


def test_alone_with_a_changed_file_a_download_fails_and_says_why(
    swarm: Any, slow: dict[str, str], brief: dict[str, str], frozen_in_the_middle: Callable[..., None]
) -> None:
    path = swarm.file("x.bin", 6 * MIB)
    owner, torrent = swarm.share(path, json=True)
    fetcher = swarm.fetch(torrent, **slow, **brief)
    frozen_in_the_middle(fetcher)
    path.unlink()
    owner.wait_for("sharing_stopped")
    fetcher.thaw()
    assert fetcher.end() == 1
    reason = fetcher.errors[-1]
    assert (
        "x.bin: " in reason
        and f"node {owner.number}: its copy has changed" in reason
        and "x.bin.part is kept" in reason
    )
    assert (fetcher.folder / "x.bin.part").stat().st_size == 6 * MIB
