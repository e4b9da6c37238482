"""The rules, where a storage does not show them: limits, and the writes of a decision. All other rules are
tested by the contract of storages and by the state machine that drives them.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from common.errors import RateLimited, TrackerFull
from common.messages import OwnedFile
from tests.tracker.storage.notebook import Notebook
from tests.tracker.storage.places import VirtualClock
from tests.tracker.storage.requests import StorageTracker
from tracker import rules
from tracker.model import (
    Caller,
    Counts,
    FilesOwned,
    NodeLeft,
    NodeRecord,
    Receipt,
    ReporterTotal,
    Rules,
    Write,
)
from tracker.storage.memory import MemoryStorage

A, B = Caller(1, ("127.0.0.1", 4001)), Caller(2, ("127.0.0.1", 4002))
HASH = "ab" * 20
SILENCE = 22.0


class RecordingNotebook(Notebook):
    """Remembers the writes of each transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.transactions: list[list[Write]] = []

    def append(self, writes: object) -> int:
        self.transactions.append([*writes])  # type: ignore[misc]
        return super().append(self.transactions[-1])


@pytest.fixture
def recorder() -> RecordingNotebook:
    return RecordingNotebook()


@pytest.fixture
def make(recorder: RecordingNotebook) -> Callable[..., StorageTracker]:
    def make_one(**settings: object) -> StorageTracker:
        chosen = Rules(SILENCE, **{"half_life": 100.0, **settings})  # type: ignore[arg-type]
        return StorageTracker(MemoryStorage(chosen, recorder, VirtualClock(), random.Random(1)))

    return make_one


@pytest.fixture
def tracker(make: Callable[..., StorageTracker]) -> StorageTracker:
    return make()


def test_a_node_is_expired_at_its_deadline_and_not_before() -> None:
    assert [rules.is_expired(100.0, now) for now in (99.9, 100.0, 100.1)] == [False, True, True]
    assert [rules.was_suspended(100.0, now, SILENCE) for now in (100.9, 101.1)] == [False, True]
    assert rules.was_suspended(100.0, 100.3, silence=1.0)


def test_forged_ids_leave_room_for_those_who_claim(
    tracker: StorageTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MAX_NODES", 4)
    monkeypatch.setattr(rules, "MAX_UNCLAIMED", 3)
    for node_id in range(10, 13):
        tracker.register(Caller(node_id, ("10.0.0.1", node_id)))
    with pytest.raises(TrackerFull, match="claim yours"):
        tracker.register(A)
    assert tracker.register(A, "ab" * 32).claimed
    with pytest.raises(TrackerFull):
        tracker.register(B, "ab" * 32)
    assert tracker.counts() == Counts(4, 1, 0, 0)


def test_limits_refuse_the_new_and_keep_the_old(
    tracker: StorageTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MAX_NODES", 1)
    monkeypatch.setattr(rules, "MAX_OWNERSHIPS", 2)
    tracker.own(A, [OwnedFile("f")])
    with pytest.raises(TrackerFull):
        tracker.register(B)
    with pytest.raises(TrackerFull):
        tracker.own(A, [OwnedFile("g"), OwnedFile("h")])
    assert tracker.counts() == Counts(1, 0, 1, 1)
    assert tracker.register(A).known
    tracker.own(A, [OwnedFile("f", complete=False), OwnedFile("g")])  # one of them is not new


def test_a_node_owns_no_more_than_its_limit(tracker: StorageTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MAX_FILES_PER_NODE", 2)
    tracker.own(A, [OwnedFile("f"), OwnedFile("g")])
    with pytest.raises(RateLimited) as caught:
        tracker.own(A, [OwnedFile("h")])
    assert caught.value.retry_after == SILENCE


def test_reporters_beyond_the_limit_share_one_total(
    tracker: StorageTracker, recorder: RecordingNotebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracker.credit.MAX_REPORTERS", 2)
    monkeypatch.setattr("tracker.credit.MAX_RECEIPTS_PER_PAIR", 3)
    tracker.own(A, [OwnedFile("f", HASH)])
    counted = 0
    for node_id in range(10, 20):
        reporter = Caller(node_id, ("127.0.0.1", node_id), "5e" * 32)
        tracker.register(reporter, reporter.proof)
        counted += tracker.update(reporter, Receipt("f", 1, HASH, 5)).counted
    assert counted == 1 + 1 + 3
    kept = {total.reporter: (total.receipts, total.credit) for total in recorder.totals.values()}
    assert kept == {10: (1, 5), 11: (1, 5), -1: (3, 15)}
    assert recorder.nodes[1].receipts == 5 and recorder.nodes[1].credit == 25


def test_writes_say_how_things_are_from_now_on(tracker: StorageTracker, recorder: RecordingNotebook) -> None:
    file = OwnedFile("f", HASH, 9)
    reporter = Caller(2, ("127.0.0.1", 4002), "5e" * 32, home="10.0.0.7")
    tracker.register(reporter, reporter.proof)
    assert recorder.transactions == [[NodeRecord(2, ("127.0.0.1", 4002), "5e" * 32, "10.0.0.7")]]
    tracker.register(reporter, reporter.proof)
    tracker.own(A, [file])
    tracker.own(A, [file])
    assert recorder.transactions[1:] == [[NodeRecord(1, ("127.0.0.1", 4001)), FilesOwned(1, (file,))]]
    tracker.update(reporter, Receipt("f", 1, HASH, 4, number=7))
    owner, total, said = recorder.transactions[2]
    assert isinstance(owner, NodeRecord) and (owner.node_id, owner.receipts, owner.credit) == (1, 1, 4)
    assert total == ReporterTotal(1, 2, 1, 4)
    assert isinstance(said, NodeRecord) and (said.node_id, said.last_receipt) == (2, 7)
    tracker.exit(A)
    assert recorder.transactions[3] == [NodeLeft(1)]


def test_an_address_has_its_fill_of_nodes_until_some_leave(make: Callable[..., StorageTracker]) -> None:
    tracker = make(nodes_per_address=3)

    def node(node_id: int, home: str = "10.0.0.7") -> Caller:
        return Caller(node_id, ("127.0.0.1", 4000 + node_id), home=home)

    for node_id in range(3):
        tracker.register(node(node_id))
    for refused in (lambda: tracker.register(node(3)), lambda: tracker.own(node(3), [OwnedFile("f")])):
        with pytest.raises(RateLimited, match="your address has 3 nodes already") as caught:
            refused()
    assert caught.value.retry_after == SILENCE
    assert tracker.register(node(0)).known  # a node that is in stays in
    assert not tracker.register(node(3, "10.0.0.8")).known
    tracker.exit(Caller(1))
    assert not tracker.register(node(4)).known
    with pytest.raises(RateLimited):
        tracker.register(node(5))


def test_how_many_nodes_an_address_has_survives_a_restart(
    make: Callable[..., StorageTracker], recorder: RecordingNotebook
) -> None:
    make(nodes_per_address=1).register(Caller(1, A.addr, home="10.0.0.7"))
    again = make(nodes_per_address=1)
    again.open()
    with pytest.raises(RateLimited):
        again.register(Caller(2, B.addr, home="10.0.0.7"))
