"""The storage in this process over a folder, where the disk decides what may be answered."""

from __future__ import annotations

import errno

import pytest

from common.errors import StorageFull, StorageReadOnly
from common.messages import OwnedFile
from faults.disk import MemoryDisk, Survivors
from tests.tracker.storage.swarm import FOLDER
from tracker.model import Caller, Receipt, Rules
from tracker.storage.folder import FolderKeeper
from tracker.storage.memory import InProcess

A, B = Caller(1, ("127.0.0.1", 4001)), Caller(2, ("127.0.0.1", 4002))
F, G = OwnedFile("f", "ab" * 20, 9), OwnedFile("g")


def opened(disk: MemoryDisk) -> tuple[InProcess, FolderKeeper]:
    keeper = FolderKeeper(FOLDER, 3600.0, True, disk)
    storage = InProcess(Rules(), keeper)
    storage.open()
    return storage, keeper


def fail(disk: MemoryDisk, call: str, error: int) -> None:
    def before(now: str) -> None:
        if now == call:
            raise OSError(error, "no such luck")

    disk.before_call = before


def test_on_a_full_disk_writes_are_refused_and_all_else_goes_on() -> None:
    disk = MemoryDisk()
    storage, keeper = opened(disk)
    storage.own(A, [F])
    fail(disk, "write", errno.ENOSPC)
    with pytest.raises(StorageFull):
        storage.own(A, [G])
    for refused in (
        lambda: storage.register(B),
        lambda: storage.own(B, [F]),
        lambda: storage.update(A, Receipt("f")),
        lambda: storage.exit(A),
    ):
        with pytest.raises(StorageFull):
            refused()
    assert storage.need(B, "f", None, 9).total == 1
    assert storage.counts().nodes == 1 and "no room" in storage.health()
    disk.before_call = lambda call: None
    keeper._attempt(keeper._tend)
    assert not storage.health()
    assert storage.register(B).known is False
    storage.close()


def test_a_repetition_of_what_could_not_be_kept_is_no_success() -> None:
    disk = MemoryDisk()
    storage, keeper = opened(disk)
    storage.own(B, [F])
    fail(disk, "write", errno.ENOSPC)
    for _ in range(3):
        with pytest.raises(StorageFull):
            storage.own(A, [G])
        with pytest.raises(StorageFull):
            storage.register(A)
    assert storage.register(B).known  # a heartbeat of one whose records are safe
    assert storage.own(B, [F]).news == ()
    disk.before_call = lambda call: None
    keeper._attempt(keeper._tend)
    assert storage.own(A, [G]).known
    again, _ = opened(MemoryDisk(disk.files(Survivors.NONE)))
    assert again.need(A, "g", None, 9).total == 1


def test_after_a_disk_failed_nothing_is_recorded_and_all_that_was_can_be_read() -> None:
    disk = MemoryDisk()
    storage, _ = opened(disk)
    storage.own(A, [F])
    fail(disk, "sync", errno.EIO)
    with pytest.raises(StorageReadOnly):
        storage.own(A, [G])
    disk.before_call = lambda call: None
    with pytest.raises(StorageReadOnly):
        storage.exit(A)
    assert storage.need(A, "f", None, 9).total == 1
    storage.close()
    again, _ = opened(MemoryDisk(disk.files(Survivors.NONE)))
    assert (again.need(A, "f", None, 9).total, again.need(A, "g", None, 9).total) == (1, 0)
    again.close()
