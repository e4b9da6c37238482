"""The contract of storages, for each kind: registered nodes, and their expiry."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from common.errors import Forbidden, NodeConflict
from common.messages import OwnedFile, OwnerEntry
from tests.tracker.storage.contract import HASH, OTHER_HASH, A, B, C, F, G, S, field_of, owners, receipt
from tests.tracker.storage.places import SILENCE, StoragePlace
from tests.tracker.storage.requests import StorageTracker
from tracker.model import Announced, Caller, Counts, Found, Receipt, Registered

# ---- registered nodes


def test_a_node_comes_and_is_known_until_it_leaves(storage: StorageTracker) -> None:
    me = Caller(1, A)
    assert storage.register(me) == Registered(known=False, files=0, claimed=False)
    assert storage.register(me) == Registered(known=True, files=0, claimed=False)
    assert storage.own(me, [F, G]) == Announced(known=True, files=2, news=(F, G))
    assert storage.register(me).files == 2
    assert storage.counts() == Counts(nodes=1, claimed=0, files=2, owned=2)
    assert (storage.exit(Caller(1)), storage.exit(Caller(1))) == (True, False)
    assert storage.counts() == Counts() and owners(storage) == {}
    assert storage.register(me).known is False


def test_own_brings_a_node_in_and_says_what_is_news(storage: StorageTracker) -> None:
    assert storage.own(Caller(1, A), [F]) == Announced(False, 1, (F,))
    assert storage.own(Caller(1, A), [F]) == Announced(True, 1, ())
    part, whole = OwnedFile("p", OTHER_HASH, 9, complete=False), OwnedFile("p", OTHER_HASH, 9)
    assert storage.own(Caller(1, A), [part, G]).news == (part, G)
    assert storage.own(Caller(1, A), [whole]) == Announced(True, 3, (whole,))
    assert storage.need(Caller(9), None, OTHER_HASH, 5).owners == (OwnerEntry(1, A, 0, OTHER_HASH, True, 9),)
    renamed = OwnedFile("q", OTHER_HASH, 9)
    assert storage.own(Caller(1, A), [renamed]).files == 3
    assert owners(storage, "p") == {} and owners(storage, "q") == owners(storage, None, OTHER_HASH) == {1: 0}


def test_two_files_of_one_name_are_told_apart_by_info_hash(storage: StorageTracker) -> None:
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


def test_what_need_says_keeps_up_with_whatever_changes(storage: StorageTracker) -> None:
    part, whole = OwnedFile("f", HASH, 9, complete=False), OwnedFile("f", HASH, 9)

    def told() -> list[tuple[tuple[OwnerEntry, ...], int]]:
        """By hash and by name, twice: the second may be a repetition of the first."""
        found = [storage.need(Caller(9), name, key, 50) for name, key in ((None, HASH), ("f", None)) * 2]
        for first, second in zip(found[:2], found[2:], strict=True):
            assert first == second
        return [(entry.owners, entry.total) for entry in found[:2]]

    def both(*entries: OwnerEntry) -> list[tuple[tuple[OwnerEntry, ...], int]]:
        return [(entries, len(entries))] * 2

    storage.own(Caller(1, A, S), [whole])
    assert told() == both(OwnerEntry(1, A, 0, HASH, True, 9))
    storage.register(Caller(1, C, S))  # at another address
    assert told() == both(OwnerEntry(1, C, 0, HASH, True, 9))
    storage.own(Caller(2, B), [part])
    assert told() == both(OwnerEntry(1, C, 0, HASH, True, 9), OwnerEntry(2, B, 0, HASH, False, 9))
    storage.own(Caller(2, B), [whole])
    storage.update(Caller(2), Receipt("f"))
    assert told() == both(OwnerEntry(2, B, 1, HASH, True, 9), OwnerEntry(1, C, 0, HASH, True, 9))
    assert storage.need(Caller(9), None, HASH, 1).owners == (OwnerEntry(2, B, 1, HASH, True, 9),)
    storage.register(Caller(2, B), "e" * 64)  # a new claim begins
    assert sorted(told()[0][0]) == [OwnerEntry(1, C, 0, HASH, True, 9), OwnerEntry(2, B, 0, HASH, True, 9)]
    storage.exit(Caller(1, None, S))
    assert told() == both(OwnerEntry(2, B, 0, HASH, True, 9))


def test_a_node_id_that_lives_elsewhere_is_refused(storage: StorageTracker) -> None:
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


# ---- time


def test_a_silent_node_is_gone_at_its_deadline_and_not_before(place: StoragePlace) -> None:
    storage = place.storage
    storage.own(Caller(1, A), [F])
    place.clock.now += SILENCE - 0.1
    assert owners(storage) == {1: 0} and storage.expire().gone == ()
    place.clock.now += 0.2
    assert owners(storage) == {} and storage.counts() == Counts()
    assert [(node.node_id, node.addr) for node in storage.expire().gone] == [(1, A)]
    assert place.restart().counts() == Counts()


def test_a_sweep_says_when_the_next_one_is_due(place: StoragePlace) -> None:
    storage = place.storage
    assert storage.expire().wait == SILENCE
    storage.register(Caller(1, A))
    place.clock.now += 5
    storage.register(Caller(2, B))
    assert storage.expire().wait == pytest.approx(SILENCE - 5)
    place.clock.now += SILENCE - 5
    swept = storage.expire()
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
    place: StoragePlace, proof: str | None, sign: Callable[[StorageTracker], object], heard: bool
) -> None:
    place.storage.own(Caller(1, A, proof), [F])
    place.pass_time(20)
    sign(place.storage)
    place.pass_time(20)
    assert place.storage.counts().nodes == heard


def test_a_longer_silence_counts_from_the_next_sign_of_life_and_no_deadline_comes_earlier(
    place: StoragePlace,
) -> None:
    storage = place.storage
    storage.register(Caller(1, A))
    storage.silence = 100.0
    storage.register(Caller(2, B))
    storage.silence = SILENCE
    storage.register(Caller(3, C))
    place.pass_time(SILENCE)
    left = {node.node_id for node in storage.nodes(9)}
    assert left - {3} == {2}  # a storage with exact deadlines keeps 3 as long as 2
    place.pass_time(100.0 - SILENCE - 0.1)
    assert {node.node_id for node in storage.nodes(9)} == left
    place.pass_time(0.2)
    assert storage.counts().nodes == 0


# ---- restarts


@pytest.mark.parametrize("ended_well", [True, False])
def test_what_was_answered_is_there_again(
    place: StoragePlace, owner_and_reporter: Caller, ended_well: bool
) -> None:
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


def test_after_a_restart_each_node_has_a_whole_deadline(place: StoragePlace) -> None:
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


def test_views_say_what_there_is(storage: StorageTracker) -> None:
    for node_id, addr in ((1, A), (2, B), (3, C)):
        storage.own(Caller(node_id, addr), [OwnedFile("f", HASH, 9, complete=node_id > 1)])
    storage.own(Caller(3, C), [G])
    views = [(swarm.filename, swarm.info_hash, swarm.whole, swarm.partial) for swarm in storage.swarms(9)]
    assert views == [("f", HASH, 2, 1), ("g", None, 1, 0)]
    assert len(storage.swarms(1)) == 1 and len(storage.nodes(2)) == 2
    assert storage.health() == ""


# ---- threads


def test_thirty_two_threads_lose_no_upload(place: StoragePlace) -> None:
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


def test_to_close_twice_is_harmless(storage: StorageTracker) -> None:
    storage.close()
    storage.close()
