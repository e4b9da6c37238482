"""Files that exist already, and full disks: the user loses no data."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.disks import fill

MIB = 1 << 20
OTHER_FILE = "exists and is another file; it is not overwritten"


def put(folder: Path, name: str, content: bytes) -> os.stat_result:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    os.utime(folder / name, ns=(10**18, 10**18))
    return (folder / name).stat()


def test_what_stands_in_the_way_is_left_alone(swarm: Any, tmp_path: Path) -> None:
    owner, fetcher = swarm.node(), swarm.node()
    fetcher.wait_for("started")
    here, elsewhere = fetcher.folder, tmp_path / "elsewhere"
    elsewhere.write_bytes(b"e" * 1000)
    ways: dict[str, tuple[Callable[[], object], str]] = {
        "same size.bin": (lambda: put(here, "same size.bin", b"m" * 1000), OTHER_FILE),
        "shorter.bin": (lambda: put(here, "shorter.bin", b"m" * 999), OTHER_FILE),
        "part.bin": (lambda: put(here, "part.bin.part", b"p" * 77), "part.bin.part has 77 bytes, not 1000"),
        "folder.bin": (lambda: (here / "folder.bin").mkdir(), "folder.bin"),
        "nowhere.bin": (lambda: (here / "nowhere.bin").symlink_to(tmp_path / "nowhere"), "nowhere.bin"),
        "elsewhere.bin": (lambda: (here / "elsewhere.bin").symlink_to(elsewhere), "elsewhere.bin"),
        "link.bin": (lambda: (here / "link.bin.part").symlink_to(elsewhere), "link.bin"),
    }
    torrents = {name: swarm.share_also(owner, swarm.file(name, 1000)) for name in ways}
    for name, (put_it, _) in ways.items():
        put_it()
        fetcher.type(f"torrent -setMode download '{torrents[name]}'")
    before = {path: path.lstat() for path in here.iterdir()}
    for name, (_, says) in ways.items():
        reason = fetcher.wait_for("failed", filename=name)["reason"]
        assert says in reason and reason.isprintable()
    assert {download["state"] for download in fetcher.ask("status")["downloads"]} == {"failed"}
    after = {path: path.lstat() for path in here.iterdir()}
    for path, status in before.items():
        assert (after[path].st_mtime_ns, after[path].st_ino) == (status.st_mtime_ns, status.st_ino), path
    assert (here / "same size.bin").read_bytes() == b"m" * 1000
    assert (here / "shorter.bin").read_bytes() == b"m" * 999
    assert elsewhere.read_bytes() == b"e" * 1000 and not (tmp_path / "nowhere").exists()
    assert "same size.bin.part" not in fetcher.files() and "shorter.bin.part" not in fetcher.files()
    (here / "same size.bin").rename(here / "moved away")
    fetcher.type(f"torrent -setMode download '{torrents['same size.bin']}'")
    fetcher.wait_for("completed")
    assert (here / "same size.bin").read_bytes() == (
        swarm.folder / "originals" / "same size.bin"
    ).read_bytes()


def test_a_file_that_appears_during_the_download_is_kept(
    swarm: Any, slow: dict[str, str], frozen_in_the_middle: Callable[..., None]
) -> None:
    path = swarm.file("x.bin", 4 * MIB)
    _, torrent = swarm.share(path)
    fetcher = swarm.fetch(torrent, **slow)
    frozen_in_the_middle(fetcher)
    put(fetcher.folder, "x.bin", b"mine")
    fetcher.thaw()
    assert fetcher.end() == 1
    assert "x.bin exists; it is not overwritten, x.bin.part is kept" in fetcher.errors[-1]
    assert (fetcher.folder / "x.bin").read_bytes() == b"mine"
    assert (fetcher.folder / "x.bin.part").read_bytes() == path.read_bytes()


def test_the_very_file_is_success_at_once_and_is_served(swarm: Any) -> None:
    path = swarm.file("x.bin", 100_000)
    owner, torrent = swarm.share(path)
    assert owner.stop() == 0
    fetcher = swarm.node()
    before = put(fetcher.folder, "x.bin", path.read_bytes())
    fetcher.type(f"torrent -setMode download '{torrent}'")
    completed = fetcher.wait_for("completed")
    assert completed["rate"] == 0 and not any(source["received"] for source in completed["sources"])
    assert (fetcher.folder / "x.bin").stat().st_mtime_ns == before.st_mtime_ns
    swarm.wait_for_owners(torrent, fetcher.number)
    assert swarm.fetch(torrent).end() == 0


def test_the_same_download_twice(
    swarm: Any, slow: dict[str, str], frozen_in_the_middle: Callable[..., None], tmp_path: Path
) -> None:
    _, torrent = swarm.share(swarm.file("x.bin", 6 * MIB))
    command = f"torrent -setMode download '{torrent}'"
    fetcher = swarm.node(**slow)
    fetcher.type(command)
    frozen_in_the_middle(fetcher)
    fetcher.type(command)
    other = swarm.fetch(torrent, json=False)  # another node is no trouble
    assert other.end() == 0
    third = swarm.node("-setMode", "download", str(torrent), "-d", str(fetcher.folder), json=False)
    assert third.end() == 1  # in the same folder
    (error,) = third.errors
    assert "x.bin.part is in use by another download" in error
    fetcher.thaw()
    assert "x.bin is being downloaded already" in fetcher.wait_for("error")["error"]
    fetcher.wait_for("sharing")
    fetcher.type(command)
    assert "x.bin is here already" in fetcher.wait_for("error", 2)["error"]
    assert len(fetcher.seen("completed")) == 1 and not fetcher.seen("failed")


def test_no_room_is_said_before_the_first_byte(swarm: Any, mount: Callable[[int], Path]) -> None:
    small_disk = mount(8 * MIB)
    path = swarm.file("x.bin", 9 * MIB)
    _, torrent = swarm.share(path)
    fetcher = swarm.node("-setMode", "download", str(torrent), "-d", str(small_disk), json=False)
    assert fetcher.end() == 1
    (error,) = fetcher.errors
    assert f"no room left in {small_disk} for x.bin: {9 * MIB} bytes are wanted" in error
    assert list(small_disk.iterdir()) == []


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit")
def test_a_limit_on_file_sizes(swarm: Any) -> None:
    path = swarm.file("x.bin", 2 * MIB)
    _, torrent = swarm.share(path)
    fetcher = swarm.downloading(torrent, before=["prlimit", f"--fsize={MIB}"])
    reason = fetcher.wait_for("failed")["reason"]
    assert "x.bin" in reason and "too large" in reason
    fetcher.type("exit")
    assert fetcher.end() == 0


def test_no_room_for_the_torrent(swarm: Any, mount: Callable[[int], Path]) -> None:
    small_disk = mount(8 * MIB)
    path = swarm.file("x.bin", 3 * MIB)
    node = swarm.node("-d", str(small_disk))
    node.wait_for("started")
    fill(small_disk / "filler")
    node.type(f"torrent -setMode send '{path}'")
    error = node.wait_for("error")["error"]
    assert f"no room left on {small_disk} for x.bin.torrent" in error
    assert node.files(small_disk) == ["filler"]
    (small_disk / "filler").unlink()
    swarm.share_also(node, path)
