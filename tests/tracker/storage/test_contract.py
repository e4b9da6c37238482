"""What every storage owes the tracker, tried on each kind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.errors import Forbidden, MessageError, NodeConflict, TrackerFull
from common.messages import OwnedFile, OwnerEntry
from tests.tracker.storage.places import KINDS, RULES, SILENCE, Place
from tracker import registry
from tracker.decisions import (
    MAX_CREDIT_PER_PAIR,
    MAX_RECEIPTS_PER_PAIR,
    Announced,
    Caller,
    Counts,
    Credited,
    Found,
    Receipt,
    Registered,
    Rules,
)
from tracker.storage import redis_store
from tracker.storage.base import Storage

A, B, C = (("127.0.0.1", port) for port in (4001, 4002, 4003))
HASH, OTHER_HASH = "ab" * 20, "cd" * 20
S, T = "5e" * 32, "7e" * 32  # hashes of secrets
F, G = OwnedFile("f", HASH, 9), OwnedFile("g")


@pytest.fixture(params=KINDS)
def make_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Place]]:
    made: list[Place] = []

    def make(rules: Rules = RULES) -> Place:
        made.append(Place(request.param, tmp_path / str(len(made)), rules))
        return made[-1]

    yield make
    for place in made:
        place.storage.close()


@pytest.fixture
def place(make_place: Callable[..., Place]) -> Place:
    return make_place()


@pytest.fixture
def storage(place: Place) -> Storage:
    return place.storage


def owners(storage: Storage, filename: str | None = "f", info_hash: str | None = None) -> dict[int, int]:
    """Node ids with the uploads that are shown."""
    found = storage.need(Caller(99), filename, info_hash, 50)
    assert found.total == len(found.owners)
    return {owner.node_id: owner.uploads for owner in found.owners}


def field_of(attempt: Callable[[], object], kind: type[MessageError | Forbidden]) -> str:
    with pytest.raises(kind) as caught:
        attempt()
    return str(caught.value.field)


@pytest.fixture
def room_for_two_and_one_with_a_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (registry, redis_store):
        monkeypatch.setattr(module, "MAX_NODES", 3)
        monkeypatch.setattr(module, "MAX_UNCLAIMED", 2)


# ---- who is in


def test_a_node_comes_and_is_known_until_it_leaves(storage: Storage) -> None:
    me = Caller(1, A)
    assert storage.register(me) == Registered(known=False, files=0, claimed=False)
    assert storage.register(me) == Registered(known=True, files=0, claimed=False)
    assert storage.own(me, [F, G]) == Announced(known=True, files=2, news=(F, G))
    assert storage.register(me).files == 2
    assert storage.counts() == Counts(nodes=1, claimed=0, files=2, owned=2)
    assert (storage.exit(Caller(1)), storage.exit(Caller(1))) == (True, False)
    assert storage.counts() == Counts() and owners(storage) == {}
    assert storage.register(me).known is False


def test_own_brings_a_node_in_and_says_what_is_news(storage: Storage) -> None:
    assert storage.own(Caller(1, A), [F]) == Announced(False, 1, (F,))
    assert storage.own(Caller(1, A), [F]) == Announced(True, 1, ())
    part, whole = OwnedFile("p", OTHER_HASH, 9, complete=False), OwnedFile("p", OTHER_HASH, 9)
    assert storage.own(Caller(1, A), [part, G]).news == (part, G)
    assert storage.own(Caller(1, A), [whole]) == Announced(True, 3, (whole,))
    assert storage.need(Caller(9), None, OTHER_HASH, 5).owners == (OwnerEntry(1, A, 0, OTHER_HASH, True, 9),)
    renamed = OwnedFile("q", OTHER_HASH, 9)
    assert storage.own(Caller(1, A), [renamed]).files == 3
    assert owners(storage, "p") == {} and owners(storage, "q") == owners(storage, None, OTHER_HASH) == {1: 0}


def test_two_files_of_one_name_are_told_apart_by_info_hash(storage: Storage) -> None:
    storage.own(Caller(1, A), [F])
    storage.own(Caller(2, B), [OwnedFile("f", OTHER_HASH), OwnedFile("f")])
    assert owners(storage, "f", HASH) == owners(storage, "another", HASH) == {1: 0}
    assert owners(storage, None, OTHER_HASH) == {2: 0}
    found = storage.need(Caller(9), "f", None, 50)
    assert sorted((owner.node_id, owner.info_hash or "") for owner in found.owners) == [
        (1, HASH), (2, ""), (2, OTHER_HASH),
    ]  # fmt: skip
    assert (found.total, found.filename) == (3, "f")
    assert storage.need(Caller(9), "nobody's", None, 50) == Found()


def test_a_node_id_that_lives_elsewhere_is_refused(storage: Storage) -> None:
    storage.own(Caller(1, A), [F])
    for attempt in (
        lambda: storage.register(Caller(1, B)),
        lambda: storage.register(Caller(1, B, S), S),
        lambda: storage.own(Caller(1, B), [G]),
        lambda: storage.update(Caller(1, B), Receipt("f")),
        lambda: storage.exit(Caller(1, B)),
    ):
        with pytest.raises(NodeConflict, match=r"node 1 is in use at 127\.0\.0\.1:4001"):
            attempt()
    assert storage.counts() == Counts(1, 0, 1, 1)


# ---- secrets


def test_a_claim_is_granted_once_and_proof_is_needed_from_then_on(storage: Storage) -> None:
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


def test_with_its_proof_a_node_moves(place: Place) -> None:
    place.storage.register(Caller(1, A, S), S)
    place.storage.own(Caller(1, B, S), [F])
    assert place.storage.need(Caller(9), "f", None, 5).owners[0].addr == B
    place.storage.register(Caller(1, C, S))
    assert place.crash().need(Caller(9), "f", None, 5).owners[0].addr == C


def test_who_is_in_may_claim_from_its_own_address_and_begins_anew(storage: Storage) -> None:
    storage.own(Caller(1, A), [F])
    storage.update(Caller(1, A), Receipt("f"))
    assert owners(storage) == {1: 1}
    assert storage.register(Caller(1, A, S), S) == Registered(True, 1, claimed=True, granted=True)
    assert owners(storage) == {1: 0}


def test_who_owns_with_proof_is_claimed_by_it(storage: Storage) -> None:
    assert storage.own(Caller(1, A, S), [F]).claimed
    assert field_of(lambda: storage.register(Caller(1, A)), Forbidden) == "secret"


@pytest.mark.usefixtures("room_for_two_and_one_with_a_claim")
def test_who_has_no_claim_cannot_take_the_last_places(storage: Storage) -> None:
    storage.register(Caller(1, A))
    storage.own(Caller(2, B), [F])
    for refused in (lambda: storage.register(Caller(3, C)), lambda: storage.own(Caller(3, C), [F])):
        with pytest.raises(TrackerFull, match="claim yours"):
            refused()
    assert storage.register(Caller(1, A)).known  # who is in stays, and goes on
    assert storage.own(Caller(3, C, S), [F]).claimed
    with pytest.raises(TrackerFull, match="knows 3 nodes, its limit"):
        storage.register(Caller(4, C, T), T)
    assert storage.counts() == Counts(3, 1, 1, 2)


@pytest.mark.usefixtures("room_for_two_and_one_with_a_claim")
def test_a_place_without_a_claim_is_free_again_when_one_claims_or_leaves(place: Place) -> None:
    for node_id, addr in ((1, A), (2, B)):
        place.storage.register(Caller(node_id, addr))
    place.storage.register(Caller(1, A, S), S)  # takes one of the places that are kept
    assert not place.storage.register(Caller(3, C)).known
    with pytest.raises(TrackerFull):
        place.storage.register(Caller(4, C))
    place.crash()  # what is counted is there again
    place.storage.exit(Caller(1, A, S))
    with pytest.raises(TrackerFull, match="claim yours"):
        place.storage.register(Caller(4, C))
    place.storage.exit(Caller(2, B))
    assert not place.storage.register(Caller(4, C)).known
    assert place.storage.counts() == Counts(2, 0, 0, 0)


def test_where_claims_are_required_nobody_else_may_share(make_place: Callable[..., Place]) -> None:
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


# ---- credit


def receipt(number: int | None = None, owner: int | None = 1, **more: object) -> Receipt:
    said = {"filename": "f", "owner": owner, "info_hash": HASH, "bytes": 9, "number": number, **more}
    return Receipt(**said)  # type: ignore[arg-type]


@pytest.fixture
def owner_and_reporter(storage: Storage) -> Caller:
    """The reporter, node 2; the owner is node 1, and both are claimed."""
    storage.register(Caller(1, A, S), S)
    storage.own(Caller(1, A, S), [F])
    storage.register(Caller(2, B, T), T)
    return Caller(2, B, T)


def test_plain_uploads_count_in_their_own_column_for_the_unclaimed(storage: Storage) -> None:
    storage.own(Caller(1, A), [F])
    assert storage.update(Caller(1), Receipt("f")) == Credited(1, 1, True)
    assert storage.update(Caller(7), Receipt("f", owner=1)) == Credited(1, 2, True)
    storage.own(Caller(3, C, S), [F])
    assert storage.update(Caller(7), Receipt("f", owner=3)) == Credited(3, 0, False)
    assert owners(storage) == {1: 2, 3: 0}
    assert field_of(lambda: storage.update(Caller(7), Receipt("f")), MessageError) == "node_id"
    assert field_of(lambda: storage.update(Caller(1), Receipt("f", owner=7)), MessageError) == "owner"


def test_a_receipt_counts_once_though_it_is_said_twice(place: Place, owner_and_reporter: Caller) -> None:
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
    storage: Storage, owner_and_reporter: Caller, wrong: dict[str, object], field: str
) -> None:
    assert field_of(lambda: storage.update(owner_and_reporter, receipt(1, **wrong)), MessageError) == field
    assert storage.update(owner_and_reporter, receipt(1)).counted


def test_of_one_pair_only_so_much_counts_for_as_long_as_the_owner_is_in(
    place: Place, owner_and_reporter: Caller
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


def test_bytes_of_one_pair_are_bounded_too(make_place: Callable[..., Place]) -> None:
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


def test_proven_uploads_rank_before_those_that_are_said(storage: Storage, owner_and_reporter: Caller) -> None:
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
    make_place: Callable[..., Place], ranking: str
) -> None:
    storage = make_place(Rules(SILENCE, ranking=ranking)).storage
    for node_id in range(8):
        whole = node_id >= 5
        storage.own(Caller(node_id, A), [OwnedFile("f", HASH, 9, whole)])
    for node_id in range(5):
        storage.update(Caller(node_id), Receipt("f"))
    found = [owner.node_id for owner in storage.need(Caller(9), "f", None, 5).owners]
    assert set(found[:3]) == {5, 6, 7} and set(found[3:]) < {0, 1, 2, 3, 4} and len(set(found)) == 5


def test_rate_prefers_the_recently_generous(make_place: Callable[..., Place]) -> None:
    place = make_place(Rules(10_000.0, ranking="rate", half_life=100.0))
    storage = place.storage
    for node_id, addr in ((1, A), (2, B)):
        storage.own(Caller(node_id, addr), [F])
    for _ in range(2):
        storage.update(Caller(1, A), Receipt("f"))
    place.clock.now += 220.0
    storage.update(Caller(2, B), Receipt("f"))
    assert [owner.node_id for owner in storage.need(Caller(9), "f", None, 5).owners] == [2, 1]


# ---- time


def test_a_silent_node_is_gone_at_its_deadline_and_not_before(place: Place) -> None:
    storage = place.storage
    storage.own(Caller(1, A), [F])
    place.clock.now += SILENCE - 0.1
    assert owners(storage) == {1: 0} and storage.sweep().gone == ()
    place.clock.now += 0.2
    assert owners(storage) == {} and storage.counts() == Counts()
    assert [(node.node_id, node.addr) for node in storage.sweep().gone] == [(1, A)]
    assert place.restart().counts() == Counts()


def test_a_sweep_says_when_the_next_one_is_due(place: Place) -> None:
    storage = place.storage
    assert storage.sweep().wait == SILENCE
    storage.register(Caller(1, A))
    place.clock.now += 5
    storage.register(Caller(2, B))
    assert storage.sweep().wait == pytest.approx(SILENCE - 5)
    place.clock.now += SILENCE - 5
    swept = storage.sweep()
    assert [node.node_id for node in swept.gone] == [1] and swept.wait == pytest.approx(5)


@pytest.mark.parametrize(
    ("proof", "sign", "heard"),
    [
        (None, lambda s: s.register(Caller(1, A)), True),
        (None, lambda s: s.own(Caller(1, A), [F]), True),
        (None, lambda s: s.need(Caller(1, A), "f", None, 5), True),
        (None, lambda s: s.need(Caller(1, B), "f", None, 5), False),
        (None, lambda s: s.need(Caller(1), "f", None, 5), False),
        (None, lambda s: s.update(Caller(1, A), Receipt("f")), True),
        (None, lambda s: s.update(Caller(2), Receipt("f", 1)), False),
        (S, lambda s: s.register(Caller(1, A, S)), True),
        (S, lambda s: s.need(Caller(1, None, S), "f", None, 5), True),
        (S, lambda s: s.need(Caller(1, A), "f", None, 5), False),
    ],
)
def test_what_is_a_sign_of_life(
    place: Place, proof: str | None, sign: Callable[[Storage], object], heard: bool
) -> None:
    place.storage.own(Caller(1, A, proof), [F])
    place.pass_time(20)
    sign(place.storage)
    place.pass_time(20)
    assert place.storage.counts().nodes == heard


def test_a_longer_silence_counts_from_the_next_sign_of_life_and_no_deadline_comes_earlier(
    place: Place,
) -> None:
    storage = place.storage
    storage.register(Caller(1, A))
    storage.silence = 100.0
    storage.register(Caller(2, B))
    storage.silence = SILENCE
    storage.register(Caller(3, C))
    place.pass_time(SILENCE)
    left = {node.node_id for node in storage.nodes(9)}
    assert left - {3} == {2}  # who gives deadlines in order keeps 3 as long as 2
    place.pass_time(100.0 - SILENCE - 0.1)
    assert {node.node_id for node in storage.nodes(9)} == left
    place.pass_time(0.2)
    assert storage.counts().nodes == 0


# ---- restarts


@pytest.mark.parametrize("ended_well", [True, False])
def test_what_was_answered_is_there_again(place: Place, owner_and_reporter: Caller, ended_well: bool) -> None:
    storage = place.storage
    odd = [OwnedFile("ein Name.mp4", OTHER_HASH, 9, False), OwnedFile('quotes " \\ and é 漢 🎈')]
    storage.own(Caller(3, C), odd)
    storage.update(Caller(3, C), Receipt("f"))
    storage.update(owner_and_reporter, receipt(1))
    storage.register(Caller(4, A))
    storage.exit(Caller(4))
    before = storage.counts(), sorted(storage.nodes(9), key=repr)
    storage = place.restart() if ended_well else place.crash()
    assert (storage.counts(), sorted(storage.nodes(9), key=repr)) == before
    for file in odd:
        (entry,) = storage.need(Caller(9), file.filename, None, 5).owners
        assert entry == OwnerEntry(3, C, 1, file.info_hash, file.complete, file.size)
    assert field_of(lambda: storage.register(Caller(1, A)), Forbidden) == "secret"
    assert storage.register(Caller(1, A, S)) == Registered(True, 1, True)


def test_after_a_restart_each_node_has_a_whole_deadline(place: Place) -> None:
    for node_id, addr in ((1, A), (2, B)):
        place.storage.own(Caller(node_id, addr), [F])
    place.clock.now += 20
    storage = place.restart()
    place.clock.now += 20
    assert storage.register(Caller(2, B)).known
    assert owners(storage) == {1: 0, 2: 0}
    place.clock.now += 2.5
    assert owners(storage) == {2: 0}


# ---- looking


def test_views_say_what_there_is(storage: Storage) -> None:
    for node_id, addr in ((1, A), (2, B), (3, C)):
        storage.own(Caller(node_id, addr), [OwnedFile("f", HASH, 9, complete=node_id > 1)])
    storage.own(Caller(3, C), [G])
    views = [(swarm.filename, swarm.info_hash, swarm.whole, swarm.partial) for swarm in storage.swarms(9)]
    assert views == [("f", HASH, 2, 1), ("g", None, 1, 0)]
    assert len(storage.swarms(1)) == 1 and len(storage.nodes(2)) == 2
    assert storage.health() == ""


# ---- threads


def test_thirty_two_threads_lose_no_upload(place: Place) -> None:
    storage = place.storage
    storage.own(Caller(1, A), [F])
    start = threading.Barrier(32)

    def hammer() -> None:
        start.wait()
        for _ in range(20):
            storage.update(Caller(1), Receipt("f"))

    threads = [threading.Thread(target=hammer) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert owners(storage) == owners(place.crash()) == {1: 640}


def test_to_close_twice_is_harmless(storage: Storage) -> None:
    storage.close()
    storage.close()
