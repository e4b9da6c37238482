"""A disk that is full for a while: the download waits, reports the reason, and continues by itself."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.disks import fill

MIB = 1 << 20
PATIENCE = 3.0  # seconds after there is room again within which a download must go on

# For a process that sees no room while a file of this name is there: writing fails as on a full disk.
FULL_WHILE = """
import errno, os
def _unless_full(write):
    def call(*args, **kwargs):
        if os.path.exists(os.environ["DISK_IS_FULL_WHILE"]):
            number = int(os.environ.get("DISK_ERROR", errno.ENOSPC))
            raise OSError(number, os.strerror(number))
        return write(*args, **kwargs)
    return call
for _name in ("pwrite", "pwritev"):
    if hasattr(os, _name):
        setattr(os, _name, _unless_full(getattr(os, _name)))
"""


@dataclass
class FillableDisk:
    """A folder on a disk that the test can fill and free."""

    folder: Path
    environment: dict[str, str]
    fill: Callable[[], object]
    free: Callable[[], object]


@pytest.fixture
def pretended(tmp_path: Path) -> FillableDisk:
    """A disk that only reports that it is full; for any user and any system with pwrite."""
    shim, sign, folder = tmp_path / "shim", tmp_path / "full", tmp_path / "disk"
    shim.mkdir()
    (shim / "sitecustomize.py").write_text(FULL_WHILE, encoding="utf-8")
    path = os.pathsep.join(filter(None, [str(shim), os.environ.get("PYTHONPATH")]))
    return FillableDisk(
        folder, {"PYTHONPATH": path, "DISK_IS_FULL_WHILE": str(sign)}, sign.touch, sign.unlink
    )


@pytest.fixture
def real(mount: Callable[[int], Path], scale: Any) -> FillableDisk:
    """A real, small file system that is full."""
    folder = mount(scale.size + 4 * MIB)
    filler = folder / "filler"
    return FillableDisk(folder, {}, lambda: fill(filler), filler.unlink)


@pytest.mark.parametrize("which", ["pretended", "real"])
def test_it_is_full_and_freed_again(
    swarm: Any,
    scale: Any,
    in_the_middle: Any,
    watch: Any,
    note: Any,
    request: pytest.FixtureRequest,
    which: str,
) -> None:
    disk: FillableDisk = request.getfixturevalue(which)
    path = swarm.file("x.bin", scale.size)
    owner, torrent = swarm.share(path, **scale.limit)
    fetcher = swarm.downloading(torrent, "-d", str(disk.folder), PROGRESS_INTERVAL="0.05", **disk.environment)
    in_the_middle(fetcher)
    disk.fill()
    waiting = fetcher.wait_for("waiting")
    full = watch()
    assert waiting["reason"] == f"no room left on {disk.folder}; x.bin.part is kept"
    fetcher.wait_until("so long", lambda: full.seconds >= scale.gone / 2)
    (row,) = fetcher.ask("status")["downloads"]
    assert (row["state"], row["reason"]) == ("waiting", waiting["reason"])
    here = row["received"]
    assert here < scale.size
    disk.free()
    freed = watch()
    fetcher.wait_until("more", lambda: fetcher.seen("progress")[-1]["received"] > here)
    goes_on = freed.seconds
    completed = fetcher.wait_for("completed")
    assert (disk.folder / "x.bin").read_bytes() == path.read_bytes()
    fetched = sum(source["received"] for source in completed["sources"])
    note(f"disk full, {which}, freed after {scale.gone / 2:g} s", goes_on_after=goes_on, fetched=fetched)
    assert fetched == scale.size  # nothing was fetched twice
    assert goes_on < PATIENCE


def test_it_stays_full(
    swarm: Any, scale: Any, pretended: FillableDisk, in_the_middle: Any, watch: Any, note: Any
) -> None:
    path = swarm.file("x.bin", scale.size)
    _, torrent = swarm.share(path, **scale.limit)
    folder = ["-d", str(pretended.folder)]
    fetcher = swarm.node(
        *("-setMode", "download", str(torrent)),
        *folder,
        DISK_FULL_LIMIT="1",
        PROGRESS_INTERVAL="0.05",
        **pretended.environment,
    )
    in_the_middle(fetcher)
    pretended.fill()
    since = watch()
    assert fetcher.end() == 1
    (reason,) = fetcher.errors[-1:]
    note("disk stays full", fails_after=since.seconds, limit=1, says=reason)
    assert reason.startswith(f"no room left on {pretended.folder}; x.bin.part is kept; waited 1 s")
    assert sorted(entry.name for entry in pretended.folder.iterdir()) == [
        "x.bin.part",
        "x.bin.resume",
        "x.bin.torrent",
    ]
    pretended.free()
    again = swarm.node("-setMode", "download", str(torrent), *folder)
    assert again.end() == 0
    assert 0 < again.seen("download_started")[0]["verified"] < scale.size
    assert (pretended.folder / "x.bin").read_bytes() == path.read_bytes()


def test_a_signal_ends_the_wait_for_room(
    swarm: Any, scale: Any, pretended: FillableDisk, in_the_middle: Any
) -> None:
    _, torrent = swarm.share(swarm.file("x.bin", scale.size), **scale.limit)
    command = ["-setMode", "download", str(torrent), "-d", str(pretended.folder)]
    fetcher = swarm.node(*command, PROGRESS_INTERVAL="0.05", **pretended.environment)
    in_the_middle(fetcher)
    pretended.fill()
    fetcher.wait_for("waiting")
    assert fetcher.stop() == 1
    assert fetcher.errors[-1] == "interrupted; x.bin.part is kept"


def test_it_fails_or_is_unplugged(
    swarm: Any, scale: Any, pretended: FillableDisk, in_the_middle: Any
) -> None:
    """One line, and all that is verified stays: the next download does not fetch it again."""
    path = swarm.file("x.bin", scale.size)
    _, torrent = swarm.share(path, **scale.limit)
    words = ["-setMode", "download", str(torrent), "-d", str(pretended.folder)]
    fetcher = swarm.node(*words, PROGRESS_INTERVAL="0.05", DISK_ERROR=str(errno.EIO), **pretended.environment)
    in_the_middle(fetcher)
    pretended.fill()
    assert fetcher.end() == 1
    part = pretended.folder / "x.bin.part"
    assert fetcher.errors[-1:] == [f"{part} cannot be written: {os.strerror(errno.EIO)}"]
    pretended.free()
    again = swarm.node(*words)
    assert again.end() == 0
    fetched = {event["index"] for event in fetcher.seen("piece")}
    assert fetched and not fetched & {event["index"] for event in again.seen("piece")}
    assert (pretended.folder / "x.bin").read_bytes() == path.read_bytes()
