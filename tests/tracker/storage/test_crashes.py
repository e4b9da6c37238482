"""The folder after a crash at every point of its history, with all, some or nothing of what was not synced.

All that the storage does to the disk is recorded. Before each call the disk is what a crash there would
leave; each such disk is opened, and must hold what was acknowledged until then, and nothing that never was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from faults.disk import MemoryDisk, Survivors
from tests.tracker.storage.swarm import State, Swarm, history, needed_by, opened
from tracker.model import Change, NodeRecord

Files = dict[str, bytes]


@dataclass
class Crash:
    """What is left, and what of the history must and may be in it."""

    files: Files
    acknowledged: int
    happened: int
    where: str


@dataclass
class Run:
    """A history carried out on a disk, with the disk's contents before each call."""

    durable: bool = True
    states: list[State] = field(default_factory=list)
    crashes: list[Crash] = field(default_factory=list)
    acknowledged: int = 0
    rest: Iterator[list[Change]] = iter(())  # what is to happen yet

    def __post_init__(self) -> None:
        self.disk = MemoryDisk()
        self.disk.before_call = self._record
        self.keeper, self.swarm, _ = opened(self.disk, durable=self.durable)
        self.states.append(self.swarm.state)
        self.keeper._source = Restless(self)

    def do(self, changes: Sequence[Change]) -> None:
        """One request: decided, recorded, answered."""
        ticket = self.swarm.apply(changes, self.keeper)
        self.states.append(self.swarm.state)
        self.keeper.wait(ticket)
        self.acknowledged = ticket

    def _record(self, call: str) -> None:
        seen = set()
        for survivors in Survivors:
            files = self.disk.files(survivors)
            if (key := frozenset(files.items())) not in seen:
                seen.add(key)
                where = f"call {len(self.disk.calls)}, {call}, {survivors.value}"
                self.crashes.append(Crash(files, self.acknowledged, max(len(self.states) - 1, 0), where))


class Restless(Swarm):
    """A source that changes between each two looks of a snapshot."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def node_ids(self) -> list[int]:
        return self._after(self._run.swarm.node_ids())

    def node_records(self, node_ids: Sequence[int]) -> list[NodeRecord]:
        return self._after(self._run.swarm.node_records(node_ids))

    def file_names(self) -> list[str]:
        return self._after(self._run.swarm.file_names())

    def owners_of(self, names: Sequence[str]) -> list:
        return self._after(self._run.swarm.owners_of(names))

    def _after(self, answer):
        for _ in range(2):
            if changes := next(self._run.rest, None):
                self._run.do(changes)
        return answer


def recovered(files: Files) -> tuple[State, list[Files]]:
    """What is read, and what crashes while it is read would leave."""
    disk = MemoryDisk(files)
    left: list[Files] = []
    disk.before_call = lambda call: left.extend(map(disk.files, Survivors))
    return opened(disk)[1].state, left


def carried_out(durable: bool, length: int = 60) -> Run:
    run = Run(durable)
    run.rest = iter(history(length))
    for number, changes in enumerate(run.rest):
        run.do(changes)
        if number % 7 == 5:
            run.keeper.save()
    run.keeper.close()
    return run


@pytest.fixture(scope="module", params=[True, False], ids=["full", "os"])
def run(request: pytest.FixtureRequest) -> Run:
    return carried_out(request.param)


def test_whatever_a_crash_leaves_holds_what_was_acknowledged(run: Run) -> None:
    assert len(run.crashes) > 400
    for crash in run.crashes:
        _, swarm, contents = opened(MemoryDisk(crash.files))
        power_cut = "only the program died" not in crash.where
        least = 0 if power_cut and not run.durable else crash.acknowledged
        assert swarm.state in run.states[least : crash.happened + 1], crash.where
        assert not contents.damage, crash.where


def test_a_crash_while_recovering_from_a_crash_changes_nothing(run: Run) -> None:
    for crash in run.crashes[::71]:
        state, left = recovered(crash.files)
        for files in left:
            assert opened(MemoryDisk(files))[1].state == state, crash.where


def test_what_is_recorded_after_a_recovery_is_there_after_the_next_crash(run: Run) -> None:
    for crash in run.crashes[::17]:
        disk = MemoryDisk(crash.files)
        keeper, swarm, _ = opened(disk)
        for changes in history(5, seed=1):
            if needed_by(changes) <= swarm.state[0].keys():
                keeper.wait(swarm.apply(changes, keeper))
        _, again, contents = opened(MemoryDisk(disk.files(Survivors.NONE)))
        assert again.state == swarm.state and not contents.remarks, crash.where
