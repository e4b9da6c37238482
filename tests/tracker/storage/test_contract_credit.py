"""The contract of storages for uploads and receipts, and for the order of owners; for each kind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from common.errors import MessageError
from common.messages import OwnedFile
from tests.tracker.storage.contract import HASH, OTHER_HASH, A, B, C, F, S, T, field_of, owners, receipt
from tests.tracker.storage.places import SILENCE, StoragePlace
from tests.tracker.storage.requests import StorageTracker
from tracker.model import MAX_CREDIT_PER_PAIR, MAX_RECEIPTS_PER_PAIR, Caller, Credited, Receipt, Rules


def test_plain_uploads_count_in_their_own_column_for_the_unclaimed(storage: StorageTracker) -> None:
    storage.own(Caller(1, A), [F])
    assert storage.update(Caller(1), Receipt("f")) == Credited(1, 1, True)
    assert storage.update(Caller(7), Receipt("f", owner=1)) == Credited(1, 2, True)
    storage.own(Caller(3, C, S), [F])
    assert storage.update(Caller(7), Receipt("f", owner=3)) == Credited(3, 0, False)
    assert owners(storage) == {1: 2, 3: 0}
    assert field_of(lambda: storage.update(Caller(7), Receipt("f")), MessageError) == "node_id"
    assert field_of(lambda: storage.update(Caller(1), Receipt("f", owner=7)), MessageError) == "owner"


def test_a_receipt_counts_once_though_it_is_said_twice(
    place: StoragePlace, owner_and_reporter: Caller
) -> None:
    assert place.storage.update(owner_and_reporter, receipt(5)) == Credited(1, 1, True)
    assert place.storage.update(owner_and_reporter, receipt(5)) == Credited(1, 1, False)
    storage = place.crash()
    assert storage.update(owner_and_reporter, receipt(5)) == Credited(1, 1, False)
    assert storage.update(owner_and_reporter, receipt(4)) == Credited(1, 1, False)
    assert storage.update(owner_and_reporter, receipt(6)) == Credited(1, 2, True)
    assert owners(storage) == {1: 2}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"owner": None}, "owner"),
        ({"owner": 2}, "owner"),
        ({"owner": 7}, "owner"),
        ({"info_hash": OTHER_HASH}, "info_hash"),
        ({"info_hash": None}, "info_hash"),
        ({"bytes": None}, "bytes"),
        ({"bytes": 0}, "bytes"),
        ({"bytes": 10}, "bytes"),
    ],
)
def test_a_receipt_that_cannot_be_true_counts_nothing(
    storage: StorageTracker, owner_and_reporter: Caller, wrong: dict[str, object], field: str
) -> None:
    assert field_of(lambda: storage.update(owner_and_reporter, receipt(1, **wrong)), MessageError) == field
    assert storage.update(owner_and_reporter, receipt(1)).counted


def test_of_one_pair_only_so_much_counts_for_as_long_as_the_owner_is_in(
    place: StoragePlace, owner_and_reporter: Caller
) -> None:
    storage = place.storage
    for number in range(1, MAX_RECEIPTS_PER_PAIR + 1):
        if number == MAX_RECEIPTS_PER_PAIR:
            storage = place.crash()
        assert storage.update(owner_and_reporter, receipt(number)).counted
    assert storage.update(owner_and_reporter, receipt(100)) == Credited(1, MAX_RECEIPTS_PER_PAIR, False)
    storage.exit(owner_and_reporter)
    storage.register(owner_and_reporter, T)
    assert not storage.update(owner_and_reporter, receipt(200)).counted
    third = Caller(3, C, "3c" * 32)
    storage.register(third, third.proof)
    assert storage.update(third, receipt(1)) == Credited(1, MAX_RECEIPTS_PER_PAIR + 1, True)


def test_bytes_of_one_pair_are_bounded_too(make_place: Callable[..., StoragePlace]) -> None:
    storage = make_place(Rules(SILENCE, ranking="bytes")).storage
    big = OwnedFile("f", HASH)
    for node_id, addr in ((1, A), (2, B), (3, C)):
        storage.own(Caller(node_id, addr, S), [big])
    for number in (1, 2, 3):  # far more than counts, of one reporter
        storage.update(Caller(1, A, S), receipt(number, owner=2, bytes=MAX_CREDIT_PER_PAIR))
    for reporter in (1, 2):
        storage.update(
            Caller(reporter, (A, B)[reporter - 1], S), receipt(9, owner=3, bytes=MAX_CREDIT_PER_PAIR * 2 // 3)
        )
    found = storage.need(Caller(9), "f", None, 3)
    assert [owner.node_id for owner in found.owners] == [3, 2, 1]


def test_proven_uploads_rank_before_those_that_are_said(
    storage: StorageTracker, owner_and_reporter: Caller
) -> None:
    storage.own(Caller(3, C), [F])
    for _ in range(5):
        storage.update(Caller(3, C), Receipt("f"))
    storage.update(owner_and_reporter, receipt(1))
    found = storage.need(Caller(9), None, HASH, 50)
    assert [(owner.node_id, owner.uploads) for owner in found.owners] == [(1, 1), (3, 5)]
    assert [owner.node_id for owner in storage.need(Caller(9), None, HASH, 1).owners] == [1]
    assert storage.need(Caller(9), None, HASH, 1).total == 2


@pytest.mark.parametrize("ranking", ["uploads", "rate", "bytes", "random"])
def test_who_has_a_part_stands_behind_who_has_the_whole(
    make_place: Callable[..., StoragePlace], ranking: str
) -> None:
    storage = make_place(Rules(SILENCE, ranking=ranking)).storage
    for node_id in range(8):
        whole = node_id >= 5
        storage.own(Caller(node_id, A), [OwnedFile("f", HASH, 9, whole)])
    for node_id in range(5):
        storage.update(Caller(node_id), Receipt("f"))
    found = [owner.node_id for owner in storage.need(Caller(9), "f", None, 5).owners]
    assert set(found[:3]) == {5, 6, 7} and set(found[3:]) < {0, 1, 2, 3, 4} and len(set(found)) == 5


def test_rate_prefers_the_recently_generous(make_place: Callable[..., StoragePlace]) -> None:
    place = make_place(Rules(10_000.0, ranking="rate", half_life=100.0))
    storage = place.storage
    for node_id, addr in ((1, A), (2, B)):
        storage.own(Caller(node_id, addr), [F])
    for _ in range(2):
        storage.update(Caller(1, A), Receipt("f"))
    place.clock.now += 220.0
    storage.update(Caller(2, B), Receipt("f"))
    assert [owner.node_id for owner in storage.need(Caller(9), "f", None, 5).owners] == [2, 1]
