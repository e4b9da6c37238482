"""The contract of storages for nodes that claim their ids with a secret, for each kind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from common.errors import Forbidden, NodeConflict, TrackerFull
from tests.tracker.storage.contract import A, B, C, F, S, T, field_of, owners
from tests.tracker.storage.places import SILENCE, StoragePlace
from tests.tracker.storage.requests import StorageTracker
from tracker import rules
from tracker.model import Caller, Counts, Receipt, Registered, Rules


@pytest.fixture
def room_for_two_and_one_with_a_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MAX_NODES", 3)
    monkeypatch.setattr(rules, "MAX_UNCLAIMED", 2)


def test_a_claim_is_granted_once_and_proof_is_needed_from_then_on(storage: StorageTracker) -> None:
    mine = Caller(1, A, S)
    assert storage.register(mine, S) == Registered(False, 0, claimed=True, granted=True)
    assert storage.register(mine, S) == Registered(True, 0, claimed=True)
    assert storage.counts().claimed == 1
    for proof in (None, T):
        other = Caller(1, A, proof)
        for attempt in (
            lambda: storage.register(other),  # noqa: B023
            lambda: storage.register(other, T),  # noqa: B023
            lambda: storage.own(other, [F]),  # noqa: B023
            lambda: storage.update(other, Receipt("f")),  # noqa: B023
            lambda: storage.exit(other),  # noqa: B023
            lambda: storage.exit(Caller(1, None, proof)),  # noqa: B023
        ):
            assert field_of(attempt, Forbidden) == "secret"
    for attempt in (lambda: storage.register(Caller(1, B, T), T), lambda: storage.own(Caller(1, B), [F])):
        with pytest.raises(NodeConflict):
            attempt()
    assert storage.own(mine, [F]).claimed and owners(storage) == {1: 0}
    assert storage.exit(Caller(1, None, S))
    assert storage.register(Caller(1, B, T), T).granted


def test_with_its_proof_a_node_moves(place: StoragePlace) -> None:
    place.storage.register(Caller(1, A, S), S)
    place.storage.own(Caller(1, B, S), [F])
    assert place.storage.need(Caller(9), "f", None, 5).owners[0].addr == B
    place.storage.register(Caller(1, C, S))
    assert place.crash().need(Caller(9), "f", None, 5).owners[0].addr == C


def test_who_is_in_may_claim_from_its_own_address_and_begins_anew(storage: StorageTracker) -> None:
    storage.own(Caller(1, A), [F])
    storage.update(Caller(1, A), Receipt("f"))
    assert owners(storage) == {1: 1}
    assert storage.register(Caller(1, A, S), S) == Registered(True, 1, claimed=True, granted=True)
    assert owners(storage) == {1: 0}


def test_who_owns_with_proof_is_claimed_by_it(storage: StorageTracker) -> None:
    assert storage.own(Caller(1, A, S), [F]).claimed
    assert field_of(lambda: storage.register(Caller(1, A)), Forbidden) == "secret"


@pytest.mark.usefixtures("room_for_two_and_one_with_a_claim")
def test_who_has_no_claim_cannot_take_the_last_places(storage: StorageTracker) -> None:
    storage.register(Caller(1, A))
    storage.own(Caller(2, B), [F])
    for refused in (lambda: storage.register(Caller(3, C)), lambda: storage.own(Caller(3, C), [F])):
        with pytest.raises(TrackerFull, match="claim yours"):
            refused()
    assert storage.register(Caller(1, A)).known  # a registered node stays
    assert storage.own(Caller(3, C, S), [F]).claimed
    with pytest.raises(TrackerFull, match="knows 3 nodes, its limit"):
        storage.register(Caller(4, C, T), T)
    assert storage.counts() == Counts(3, 1, 1, 2)


@pytest.mark.usefixtures("room_for_two_and_one_with_a_claim")
def test_a_place_without_a_claim_is_free_again_when_one_claims_or_leaves(place: StoragePlace) -> None:
    for node_id, addr in ((1, A), (2, B)):
        place.storage.register(Caller(node_id, addr))
    place.storage.register(Caller(1, A, S), S)  # takes one of the places that are kept
    assert not place.storage.register(Caller(3, C)).known
    with pytest.raises(TrackerFull):
        place.storage.register(Caller(4, C))
    place.crash()  # counted uploads survive
    place.storage.exit(Caller(1, A, S))
    with pytest.raises(TrackerFull, match="claim yours"):
        place.storage.register(Caller(4, C))
    place.storage.exit(Caller(2, B))
    assert not place.storage.register(Caller(4, C)).known
    assert place.storage.counts() == Counts(2, 0, 0, 0)


@pytest.mark.usefixtures("room_for_two_and_one_with_a_claim")
def test_a_request_that_finds_somebody_silent_counts_places_without_it(place: StoragePlace) -> None:
    place.storage.register(Caller(1, A, S), S)
    place.pass_time(10.0)
    for node_id, addr in ((2, B), (3, C)):
        place.storage.register(Caller(node_id, addr))
    place.clock.now += SILENCE - 9.8  # nothing sweeps before the request does
    with pytest.raises(TrackerFull, match="claim yours"):
        place.storage.register(Caller(4, ("127.0.0.1", 4004)))
    assert [gone.node_id for gone in place.storage.expire().gone] == [1]


def test_where_claims_are_required_nobody_else_may_share(make_place: Callable[..., StoragePlace]) -> None:
    storage = make_place(Rules(SILENCE, require_claim=True)).storage
    for attempt in (
        lambda: storage.register(Caller(1, A)),
        lambda: storage.own(Caller(1, A), [F]),
        lambda: storage.update(Caller(1, A), Receipt("f", 2)),
    ):
        assert field_of(attempt, Forbidden) == "secret"
    assert storage.counts() == Counts()
    storage.register(Caller(1, A, S), S)
    storage.own(Caller(1, A, S), [F])
    assert owners(storage) == {1: 0}
