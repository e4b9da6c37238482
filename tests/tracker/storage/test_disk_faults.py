"""A disk that fails: at each call in turn, once or from then on, for lack of room or for good."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field

import pytest

from common.errors import StorageFault, StorageFull, StorageReadOnly
from faults.disk import MemoryDisk, Survivors
from tests.tracker.storage.swarm import State, Swarm, history, needed_by, node, opened
from tracker.model import NodeJoined, NodeLeft
from tracker.storage.folder import FolderKeeper

LENGTH = 24  # requests


@dataclass
class Trial:
    """A history on a disk that fails at call ``at`` (the first is 1), and at the ``times - 1`` after it."""

    at: int
    error: int
    times: int = 1
    states: list[State] = field(default_factory=list)
    acknowledged: int = 0
    refused: list[StorageFault] = field(default_factory=list)
    failed_call: str = ""

    def __post_init__(self) -> None:
        self.disk = MemoryDisk()
        self.disk.before_call = self._fail
        self.keeper: FolderKeeper | None = None
        self.swarm = Swarm()
        self.states.append(self.swarm.state)

    def run(self) -> None:
        """All of it, up to a clean end if there can be one."""
        try:
            self.keeper, self.swarm, _ = opened(self.disk)
        except StorageFault as error:
            self.refused.append(error)
            return
        self.keeper._source = self.swarm
        for number, changes in enumerate(history(LENGTH)):
            self._request(self.keeper, changes)
            if number % 8 == 5:
                self.keeper._attempt(self.keeper._tend)
        for _ in range(min(self.times, 3)):  # a full disk has room again
            self.keeper._attempt(self.keeper._tend)
        self.keeper.close()

    def _request(self, keeper, changes) -> None:
        if not needed_by(changes) <= self.swarm.state[0].keys():
            return  # its node was refused
        try:
            keeper.check_writable()
            ticket = self.swarm.apply(changes, keeper)
            self.states.append(self.swarm.state)
            keeper.wait(ticket)
            self.acknowledged = len(self.states) - 1
        except StorageFault as error:
            assert isinstance(error, (StorageFull, StorageReadOnly)) and "\n" not in str(error)
            self.refused.append(error)

    def _fail(self, call: str) -> None:
        if self.at <= len(self.disk.calls) < self.at + self.times:
            self.failed_call = self.failed_call or call
            raise OSError(self.error, "no such luck")


def calls_in_all() -> int:
    trial = Trial(0, errno.EIO)
    trial.run()
    assert not trial.refused
    return len(trial.disk.calls)


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("times", [1, 2, 10_000])
def test_a_fault_at_any_call_makes_no_answer_wrong(error: int, times: int) -> None:
    for at in range(1, calls_in_all() + 1):
        trial = Trial(at, error, times)
        trial.run()
        trial.disk.before_call = lambda call: None
        for survivors in Survivors:
            _, swarm, contents = opened(MemoryDisk(trial.disk.files(survivors)))
            where = f"call {at}, {trial.failed_call}, {survivors.value}"
            assert swarm.state in trial.states[trial.acknowledged :], where
            assert not contents.damage, where


@pytest.mark.parametrize("times", [1, 2, 3])
def test_after_a_full_disk_everything_goes_on_by_itself(times: int) -> None:
    for at in range(1, calls_in_all() + 1):
        trial = Trial(at, errno.ENOSPC, times)
        trial.run()
        if trial.keeper is None:
            continue
        where = f"call {at}, {trial.failed_call}"
        assert not any(isinstance(error, StorageReadOnly) for error in trial.refused), where
        assert opened(MemoryDisk(trial.disk.files(Survivors.NONE)))[1].state == trial.swarm.state, where


def failing(call: str, error: int) -> tuple[MemoryDisk, FolderKeeper, Swarm]:
    """A keeper with a record in it, on a disk where ``call`` fails from now on."""
    disk = MemoryDisk()
    keeper, swarm, _ = opened(disk)
    keeper.wait(swarm.apply([NodeJoined(node(1))], keeper))

    def fail(now: str) -> None:
        if now == call:
            raise OSError(error, "no such luck")

    disk.before_call = fail
    return disk, keeper, swarm


def test_after_a_failed_sync_nothing_is_written_to_that_file_again() -> None:
    disk, keeper, swarm = failing("sync", errno.EIO)
    with pytest.raises(StorageReadOnly, match=r"journal-1\.log.*no such luck"):
        keeper.wait(swarm.apply([NodeJoined(node(2))], keeper))
    disk.before_call = lambda call: None
    calls = len(disk.calls)
    with pytest.raises(StorageReadOnly):
        keeper.check_writable()
    with pytest.raises(StorageReadOnly):
        keeper.wait(swarm.apply([NodeJoined(node(3))], keeper))
    keeper._source = swarm
    keeper._attempt(keeper._tend)
    assert len(disk.calls) == calls and "read only" in keeper.health()
    keeper.close()
    _, swarm, _ = opened(MemoryDisk(disk.files(Survivors.NONE)))
    assert list(swarm.state[0]) == [1]


def test_a_full_disk_takes_back_what_it_wrote_and_keeps_the_rest_for_later() -> None:
    disk, keeper, swarm = failing("write", errno.ENOSPC)
    with pytest.raises(StorageFull, match="no room"):
        keeper.wait(swarm.apply([NodeJoined(node(2))], keeper))
    with pytest.raises(StorageFull):
        keeper.check_writable()
    swarm.apply([NodeLeft(1)], keeper)  # a silent node's removal waits for nobody
    assert list(opened(MemoryDisk(disk.files()))[1].state[0]) == [1]
    keeper._attempt(keeper._tend)
    assert keeper.health()
    disk.before_call = lambda call: None
    keeper._attempt(keeper._tend)
    keeper.check_writable()
    assert not keeper.health()
    assert list(opened(MemoryDisk(disk.files(Survivors.NONE)))[1].state[0]) == [2]


def test_a_sync_for_which_there_is_no_room_is_made_good_in_another_file() -> None:
    disk, keeper, swarm = failing("sync", errno.ENOSPC)
    with pytest.raises(StorageFull):
        keeper.wait(swarm.apply([NodeJoined(node(2))], keeper))
    disk.before_call = lambda call: None
    keeper._attempt(keeper._tend)
    keeper.wait(swarm.apply([NodeJoined(node(3))], keeper))
    assert disk.calls.count("create journal-2.log") == 1
    _, again, contents = opened(MemoryDisk(disk.files(Survivors.NONE)))
    assert list(again.state[0]) == [1, 2, 3] and not contents.damage


def test_a_snapshot_that_fails_leaves_the_journal_at_work() -> None:
    for call in (
        "create nodes.json.new",
        "replace files.json",
        "link nodes.json.new",
        "replace snapshot.json",
    ):
        disk, keeper, swarm = failing(call, errno.EIO)
        keeper._source = swarm
        keeper._attempt(keeper._tend)
        keeper.wait(swarm.apply([NodeJoined(node(2))], keeper))
        keeper._attempt(keeper._tend)
        keeper.wait(swarm.apply([NodeJoined(node(3))], keeper))
        assert not keeper.health()
        assert list(opened(MemoryDisk(disk.files(Survivors.NONE)))[1].state[0]) == [1, 2, 3]
