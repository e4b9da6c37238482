"""The service in virtual time: decide, record, answer; and 32 threads at once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from common.errors import NodeConflict, StorageFault, StorageFull, StorageReadOnly
from common.messages import Exit, Need, Own, OwnedFile, Register, Update
from tests.tracker.storage.notebook import Notebook
from tests.tracker.storage.places import VirtualClock
from tracker.model import Counts, Rules, Write
from tracker.service import TrackerService
from tracker.storage.base import Durability
from tracker.storage.memory import MemoryStorage

A, B, C = (("127.0.0.1", port) for port in (4001, 4002, 4003))
SILENCE = 22.0
HASH = "ab" * 20


class ServiceTracker:
    """A service on a virtual clock; ``restart`` makes a new service on the same records."""

    def __init__(self, kept: Durability | None = None, max_results: int = 50, **rules: Any) -> None:
        self.clock = VirtualClock()
        self.rules = Rules(**{"silence": SILENCE, "half_life": 100.0, **rules})
        self.kept = kept or Notebook()
        self.max_results = max_results
        self.restart()

    def restart(self) -> None:
        self.storage = MemoryStorage(self.rules, self.kept, self.clock, random.Random(1))
        self.service = TrackerService(
            self.storage, self.rules, max_results=self.max_results, clock=self.clock
        )
        self.service.open()

    def pass_time(self, seconds: float) -> None:
        """As the sweeping thread does it: no deadline is slept through."""
        end = self.clock.now + seconds
        while self.clock.now + (wait := self.service.sweep()) <= end:
            self.clock.now += wait
        self.clock.now = end
        self.service.sweep()

    def owners(self, filename: str = "f", info_hash: str | None = None) -> list[tuple[int, int]]:
        answer = self.service.search_file(Need(99, filename, info_hash)).to_json()
        return [(entry["node_id"], uploads) for entry, uploads in answer["search_result"]]


@pytest.fixture
def tracker() -> ServiceTracker:
    return ServiceTracker()


def test_register_tells_the_interval_and_whether_the_node_was_known(tracker: ServiceTracker) -> None:
    first = tracker.service.register_node(Register(1, A))
    expected = {"status": "Node registered", "interval": 11.0, "known": False, "files": 0, "claimed": False}
    assert first == expected
    tracker.service.add_file_owner(Own(1, A, (OwnedFile("f"), OwnedFile("g"))))
    assert tracker.service.register_node(Register(1, A)) == {**first, "known": True, "files": 2}


def test_the_log_tells_parts_from_files_and_does_not_count_the_asker(
    tracker: ServiceTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr("tracker.service.log", lines.append)
    for complete in (False, True):
        tracker.service.add_file_owner(Own(2, B, (OwnedFile("f", HASH, 9, complete),)))
    tracker.service.search_file(Need(2, "f", HASH, B))
    tracker.service.search_file(Need(3, "f", HASH, C))
    assert lines == [
        "OWN node 2 at 127.0.0.1:4002: a part of 'f'",
        "OWN node 2 at 127.0.0.1:4002: 'f'",
        "NEED node 2: 'f', other owners: 0",
        "NEED node 3: 'f', other owners: 1",
    ]


def test_need_ranks_by_uploads_and_tells_what_is_known_of_each(tracker: ServiceTracker) -> None:
    tracker.service.add_file_owner(Own(1, A, (OwnedFile("f", HASH, 9),)))
    tracker.service.add_file_owner(Own(2, B, (OwnedFile("f"),)))
    tracker.service.update_db(Update(2, "f"))
    assert tracker.service.search_file(Need(7, "f")).to_json() == {
        "dest_node_id": 7,
        "filename": "f",
        "search_result": [
            [{"node_id": 2, "addr": ["127.0.0.1", 4002], "complete": True}, 1],
            [{"node_id": 1, "addr": ["127.0.0.1", 4001], "info_hash": HASH, "complete": True, "size": 9}, 0],
        ],
    }
    assert tracker.service.search_file(Need(7, None, HASH)).filename == "f"
    assert tracker.service.search_file(Need(7, "nobody's")).owners == ()


def test_need_names_no_more_owners_than_it_is_told_to() -> None:
    tracker = ServiceTracker(max_results=2)
    for node_id in range(5):
        tracker.service.add_file_owner(Own(node_id, A, (OwnedFile("f"),)))
    tracker.service.update_db(Update(3, "f"))
    owners = [node_id for node_id, _ in tracker.owners()]
    assert owners[0] == 3 and len(owners) == 2


def test_a_node_that_calls_at_every_interval_stays_though_one_call_is_lost(tracker: ServiceTracker) -> None:
    tracker.service.add_file_owner(Own(1, A, (OwnedFile("f"),)))
    for call in range(20):
        tracker.pass_time(10.9)
        if call % 2:
            tracker.service.register_node(Register(1, A))
    assert tracker.owners() == [(1, 0)]


@pytest.mark.parametrize(
    "sign",
    [
        lambda s: s.register_node(Register(1, A)),
        lambda s: s.add_file_owner(Own(1, A, (OwnedFile("f"),))),
        lambda s: s.search_file(Need(1, "f", addr=A)),
        lambda s: s.update_db(Update(1, "f", addr=A)),
    ],
)
def test_every_request_with_its_address_is_a_sign_of_life(tracker: ServiceTracker, sign) -> None:
    tracker.service.add_file_owner(Own(1, A, (OwnedFile("f"),)))
    tracker.pass_time(20.0)
    sign(tracker.service)
    tracker.pass_time(20.0)
    assert len(tracker.owners()) == 1


def test_a_request_does_not_see_a_node_whose_deadline_has_come_though_nobody_swept(
    tracker: ServiceTracker,
) -> None:
    tracker.service.add_file_owner(Own(1, A, (OwnedFile("f"),)))
    tracker.clock.now += SILENCE
    assert tracker.owners() == []
    assert tracker.service.register_node(Register(1, B))["known"] is False


def test_a_tracker_that_stood_still_drops_nobody_for_it(tracker: ServiceTracker) -> None:
    tracker.service.add_file_owner(Own(1, A, (OwnedFile("f"),)))
    tracker.clock.now += 3600  # suspended: no sweep happened
    assert tracker.owners() == [(1, 0)]
    tracker.pass_time(SILENCE)
    assert tracker.owners() == []


def test_a_node_id_is_kept_by_who_has_it(tracker: ServiceTracker) -> None:
    tracker.service.register_node(Register(1, A))
    for attempt in (
        lambda: tracker.service.register_node(Register(1, B)),
        lambda: tracker.service.add_file_owner(Own(1, B, (OwnedFile("f"),))),
        lambda: tracker.service.update_db(Update(1, "f", addr=B)),
        lambda: tracker.service.remove_node(Exit(1, B)),
    ):
        with pytest.raises(NodeConflict):
            attempt()
    assert tracker.owners() == []
    assert tracker.service.remove_node(Exit(1, A)) == {"status": "Node removed"}
    assert tracker.service.register_node(Register(1, B))["known"] is False


def test_to_exit_twice_is_as_good_as_once(tracker: ServiceTracker) -> None:
    tracker.service.add_file_owner(Own(1, A, (OwnedFile("f"),)))
    assert (
        tracker.service.remove_node(Exit(1))
        == tracker.service.remove_node(Exit(1))
        == {"status": "Node removed"}
    )
    assert tracker.owners() == []
    assert tracker.storage.counts().nodes == 0


class Ordered(Notebook):
    """Notes the order of its calls, and fails on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.happened: list[str] = []
        self.fault: StorageFault | None = None

    def check_writable(self) -> None:
        if self.fault:
            raise self.fault

    def append(self, writes: Sequence[Write]) -> int:
        self.happened.append("append")
        return super().append(writes)

    def sync(self, number: int) -> None:
        self.happened.append("sync")


def test_it_answers_after_it_recorded_and_saves_no_heartbeat() -> None:
    kept = Ordered()
    service = ServiceTracker(kept).service
    service.register_node(Register(1, A))
    service.add_file_owner(Own(1, A, (OwnedFile("f"),)))
    service.update_db(Update(1, "f"))
    assert kept.happened == ["append", "sync"] * 3
    service.register_node(Register(1, A))
    service.add_file_owner(Own(1, A, (OwnedFile("f"),)))
    service.search_file(Need(1, "f"))
    assert kept.happened == ["append", "sync"] * 3
    service.remove_node(Exit(1))
    assert kept.happened == ["append", "sync"] * 4


@pytest.mark.parametrize("fault", [StorageFull("no room"), StorageReadOnly("a bad disk")])
def test_what_could_not_be_kept_is_not_begun_and_all_else_goes_on(fault: StorageFault) -> None:
    kept = Ordered()
    tracker = ServiceTracker(kept)
    tracker.service.add_file_owner(Own(1, A, (OwnedFile("f"),)))
    before, kept.fault = kept.state(), fault
    for request in (
        lambda: tracker.service.register_node(Register(2, B)),
        lambda: tracker.service.register_node(Register(1, A, claim=True)),
        lambda: tracker.service.add_file_owner(Own(1, A, (OwnedFile("g"),))),
        lambda: tracker.service.add_file_owner(Own(2, B, (OwnedFile("g"),))),
        lambda: tracker.service.update_db(Update(1, "f")),
        lambda: tracker.service.remove_node(Exit(1)),
    ):
        with pytest.raises(type(fault)):
            request()
    assert tracker.service.register_node(Register(1, A))["known"]
    assert tracker.service.add_file_owner(Own(1, A, (OwnedFile("f"),)))["files"] == 1
    assert tracker.service.remove_node(Exit(7)) == {"status": "Node removed"}
    assert tracker.owners() == [(1, 0)] and kept.state() == before
    tracker.pass_time(SILENCE)
    assert tracker.owners() == [] and tracker.storage.counts() == Counts()


def test_a_file_is_withdrawn_and_the_node_keeps_its_credit(tracker: ServiceTracker) -> None:
    tracker.service.add_file_owner(Own(1, A, (OwnedFile("f", HASH, 9), OwnedFile("g"))))
    tracker.service.update_db(Update(1, "g"))
    answer = tracker.service.add_file_owner(Own(1, A, (OwnedFile("f", HASH),), withdraw=True))
    assert answer == {"status": "File owner removed", "files": 1}
    assert (tracker.owners("f"), tracker.owners("g")) == ([], [(1, 1)])
    again = tracker.service.add_file_owner(Own(1, A, (OwnedFile("f", HASH),), withdraw=True))
    assert again["files"] == 1
    with pytest.raises(NodeConflict):
        tracker.service.add_file_owner(Own(1, B, (OwnedFile("g"),), withdraw=True))
    assert tracker.service.add_file_owner(Own(9, B, (OwnedFile("g"),), withdraw=True))["files"] == 0
    tracker.restart()
    assert (tracker.owners("f"), tracker.owners("g")) == ([], [(1, 1)])
