"""The rules, where they cannot be seen from a storage: limits, and what a step costs. All else that they say
is in the contract of storages, and in the state machine that drives them.
"""

from __future__ import annotations

import random

import pytest

from common.errors import RateLimited, TrackerFull
from common.messages import OwnedFile
from tracker import catalogue as catalogue_module
from tracker import model
from tracker import registry as registry_module
from tracker.model import (
    Caller,
    Counts,
    FilesOwned,
    Found,
    NodeChanged,
    NodeJoined,
    NodeLeft,
    Pair,
    Receipt,
    Rules,
)
from tracker.registry import Registry

A, B = Caller(1, ("127.0.0.1", 4001)), Caller(2, ("127.0.0.1", 4002))
HASH = "ab" * 20
SILENCE = 22.0


@pytest.fixture
def registry() -> Registry:
    return Registry(Rules(SILENCE, half_life=100.0), rng=random.Random(1))


def test_a_sweep_looks_only_at_those_that_fell_due(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for node_id in range(1000):
        registry.register_node(Caller(node_id, ("127.0.0.1", 4001)), None, float(node_id))
    looks = []
    real = Registry.next_deadline
    monkeypatch.setattr(Registry, "next_deadline", lambda self: looks.append(1) or real(self))
    assert [node.node_id for node in registry.expire(SILENCE + 2, 100)] == [0, 1, 2]
    assert len(looks) == 4
    assert len(registry.expire(SILENCE + 100, 10)) == 10  # and no more than it is told to


def test_a_tracker_that_stood_still_gives_all_a_new_deadline_at_once(registry: Registry) -> None:
    registry.register_node(A, None, 0.0)
    registry.register_node(B, None, 5.0)
    registry.grant_deadline(100.0)
    assert registry.next_deadline() == 100.0 + SILENCE
    registry.register_node(A, None, 110.0)
    assert [node.node_id for node in registry.expire(122.0, 9)] == [2]
    assert registry.next_deadline() == 132.0


def test_forged_ids_leave_room_for_those_who_claim(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_module, "MAX_NODES", 4)
    monkeypatch.setattr(registry_module, "MAX_UNCLAIMED", 3)
    for node_id in range(10, 13):
        registry.register_node(Caller(node_id, ("10.0.0.1", node_id)), None, 0.0)
    with pytest.raises(TrackerFull, match="claim yours"):
        registry.register_node(A, None, 0.0)
    assert registry.register_node(A, "ab" * 32, 0.0)[0].claimed
    with pytest.raises(TrackerFull):
        registry.register_node(B, "ab" * 32, 0.0)
    assert registry.counts() == Counts(4, 1, 0, 0)


def test_limits_refuse_the_new_and_keep_the_old(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "MAX_NODES", 1)
    monkeypatch.setattr(registry_module, "MAX_OWNERSHIPS", 2)
    registry.add_file_owner(A, [OwnedFile("f")], 0.0)
    with pytest.raises(TrackerFull):
        registry.register_node(B, None, 0.0)
    with pytest.raises(TrackerFull):
        registry.add_file_owner(A, [OwnedFile("g"), OwnedFile("h")], 0.0)
    assert registry.counts() == Counts(1, 0, 1, 1)
    assert registry.register_node(A, None, 1.0)[0].known
    registry.add_file_owner(
        A, [OwnedFile("f", complete=False), OwnedFile("g")], 0.0
    )  # one of them is not new


def test_a_node_owns_no_more_than_its_limit(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "MAX_FILES_PER_NODE", 2)
    registry.add_file_owner(A, [OwnedFile("f"), OwnedFile("g")], 0.0)
    with pytest.raises(RateLimited) as caught:
        registry.add_file_owner(A, [OwnedFile("h")], 0.0)
    assert caught.value.retry_after == SILENCE


def test_reporters_beyond_the_limit_count_as_the_last_one(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracker.crediting.MAX_PAIRS", 2)
    monkeypatch.setattr("tracker.crediting.MAX_RECEIPTS_PER_PAIR", 3)
    registry.add_file_owner(A, [OwnedFile("f", HASH)], 0.0)
    counted = 0
    for node_id in range(10, 20):
        reporter = Caller(node_id, ("127.0.0.1", node_id), "5e" * 32)
        registry.register_node(reporter, reporter.proof, 0.0)
        counted += registry.update_db(reporter, Receipt("f", 1, HASH, 5), 0.0)[0].counted
    assert counted == 1 + 3
    (record,) = registry.records([1], 0.0)
    assert record.pairs == (Pair(10, 1, 5), Pair(11, 3, 15)) and record.receipts == 4


def test_changes_say_how_things_are_from_now_on(registry: Registry) -> None:
    file = OwnedFile("f", HASH, 9)
    reporter = Caller(2, ("127.0.0.1", 4002), "5e" * 32)
    (joined,) = registry.register_node(reporter, reporter.proof, 0.0)[1]
    assert isinstance(joined, NodeJoined) and joined.node.secret == reporter.proof
    assert registry.register_node(reporter, reporter.proof, 1.0)[1] == ()
    changes = registry.add_file_owner(A, [file], 2.0)[1]
    assert changes[1] == FilesOwned(1, (file,)) and isinstance(changes[0], NodeJoined)
    assert registry.add_file_owner(A, [file], 3.0)[1] == []
    said, proven = registry.update_db(reporter, Receipt("f", 1, HASH, 4, number=7), 4.0)[1]
    assert isinstance(said, NodeChanged) and (said.node.node_id, said.node.last_receipt) == (2, 7)
    assert isinstance(proven, NodeChanged) and proven.pair == Pair(2, 1, 4)
    assert (proven.node.node_id, proven.node.receipts, proven.node.credit) == (1, 1, 4)
    assert registry.remove_node(A)[1] == [NodeLeft(1)]


def test_many_owners_of_one_file_stay_in_order_whatever_they_do(registry: Registry) -> None:
    rng = random.Random(3)
    uploads = dict.fromkeys(range(3000), 0)
    for node_id in uploads:
        registry.add_file_owner(Caller(node_id, ("127.0.0.1", 4001)), [OwnedFile("f", HASH)], float(node_id))
    registry.silence = 10_000.0

    def asked() -> Found:
        return registry.search_file(Caller(9), None, HASH, 50, 3000.0)

    for step in range(3000):
        node_id = rng.choice(list(uploads)) if step % 10 else max(uploads, key=uploads.__getitem__)
        if step % 25:
            registry.update_db(Caller(node_id), Receipt("f"), 3000.0)
            uploads[node_id] += 1
        else:
            registry.remove_node(Caller(node_id))
            del uploads[node_id]
        if step % 3 == 0:
            asked()  # an answer that was kept for others must not outlive what it says
    found = asked()
    assert [owner.uploads for owner in found.owners] == sorted(uploads.values(), reverse=True)[:50]
    assert all(uploads[owner.node_id] == owner.uploads for owner in found.owners)
    assert found.total == len(uploads)


def test_what_is_told_of_few_files_is_kept_and_of_all_others_made_anew(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue_module, "MAX_TOLD", 2)
    registry.add_file_owner(A, [OwnedFile(name) for name in "fgh"], 0.0)
    told = {name: registry.search_file(Caller(9), name, None, 50, 1.0) for name in "fgh"}
    assert registry.search_file(Caller(9), "h", None, 50, 2.0) is told["h"]
    assert registry.search_file(Caller(9), "g", None, 50, 2.0) is told["g"]
    assert registry.search_file(Caller(9), "f", None, 50, 2.0) is not told["f"]
    assert registry.search_file(Caller(9), "f", None, 50, 2.0) == told["f"]


def test_the_stated_bounds_are_the_ones_in_use() -> None:
    for name in ("MAX_NODES", "MAX_OWNERSHIPS", "MAX_FILES_PER_NODE"):
        assert getattr(registry_module, name) == getattr(model, name)
