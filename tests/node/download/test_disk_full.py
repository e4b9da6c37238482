"""A full disk: writing waits, is reported once, goes on by itself, and gives up after its limit."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from common.errors import DiskFull
from node.content.positional_file import Buffer
from node.download.disk_full import RETRY_SECONDS, RetryWhenFull


class FullDisk:
    """A part on a disk that is full for ``refusals`` writes."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.written: list[tuple[int, bytes]] = []

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise DiskFull("no room left on /d for x.bin")
        self.written.append((offset, b"".join(buffers)))

    def read_into(self, offset: int, buffer: memoryview) -> int:
        return len(buffer)


class DiskScene:
    """A patient part; waiting takes no time, and is written down."""

    def __init__(self, refusals: int, limit: float = 1000.0, over: bool = False) -> None:
        self.disk = FullDisk(refusals)
        self.waited: list[float] = []
        self.told: list[tuple[float, str]] = []
        self.reasons: list[str] = []
        self._over = over
        self.part = RetryWhenFull(self.disk, limit, self._wait, lambda *what: self.told.append(what))

    def _wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        self.reasons.append(self.part.reason)
        return self._over


def test_where_there_is_room_nothing_is_said() -> None:
    scene = DiskScene(0)
    scene.part.write(5, [b"abc"])
    assert scene.disk.written == [(5, b"abc")]
    assert (scene.waited, scene.told, scene.part.reason) == ([], [], "")
    assert scene.part.read_into(0, memoryview(bytearray(3))) == 3


def test_it_waits_says_so_once_and_goes_on() -> None:
    scene = DiskScene(3)
    scene.part.write(5, [b"abc"])
    assert scene.disk.written == [(5, b"abc")]
    assert scene.waited == [RETRY_SECONDS] * 3
    assert scene.told == [(RETRY_SECONDS, "no room left on /d for x.bin")]
    assert scene.reasons == ["no room left on /d for x.bin"] * 3
    assert scene.part.reason == ""
    scene.disk.refusals = 1
    scene.part.write(6, [b"d"])
    assert len(scene.told) == 2  # another time that it is full


def test_it_gives_up_after_its_limit() -> None:
    scene = DiskScene(1000, limit=0.0)
    with pytest.raises(DiskFull, match=r"^no room left on /d for x\.bin; waited 0 s for room"):
        scene.part.write(0, [b"x"])
    assert scene.waited == []


def test_it_waits_no_longer_than_the_download_goes_on() -> None:
    scene = DiskScene(1000, over=True)
    with pytest.raises(DiskFull):
        scene.part.write(0, [b"x"])
    assert len(scene.waited) == 1


def test_several_threads_that_wait_say_it_once() -> None:
    lock = threading.Barrier(2, timeout=10)

    class Full(FullDisk):
        def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
            if offset not in seen:
                seen.add(offset)
                lock.wait()
                raise DiskFull("no room")
            both.wait()

    seen: set[int] = set()
    both = threading.Barrier(2, timeout=10)
    told: list[object] = []
    part = RetryWhenFull(Full(0), 1000.0, lambda seconds: False, lambda *what: told.append(what))
    threads = [threading.Thread(target=part.write, args=(offset, [b"x"])) for offset in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(told) == 1 and part.reason == ""
