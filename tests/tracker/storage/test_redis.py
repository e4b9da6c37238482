"""Cases of the storage in Redis only: a server that is killed, stands still, fills up, forgets its scripts or
serves other trackers as well. The contract of all storages is in test_contract*.py.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from common.errors import SettingError, StorageFault, StorageFull, StorageReadOnly, StorageUnreachable
from common.messages import OwnedFile
from faults.redis_server import RedisServer
from tests.tracker.storage.requests import StorageTracker
from tests.waiting import until
from tracker.model import Caller, Counts, Receipt, Registered, Rules
from tracker.storage import redis_client
from tracker.storage.redis import RedisStorage

HASH = "ab" * 20
PROOF = "12" * 32
numbers = itertools.count()
Make = Callable[..., StorageTracker]


def caller(node_id: int, proof: str | None = None) -> Caller:
    return Caller(node_id, ("127.0.0.1", 4000 + node_id), proof)


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes trackers' storages that share their keys; all are closed after the test."""
    made: list[StorageTracker] = []
    tag = f"{{test{next(numbers)}}}"

    def make_one(
        server: RedisServer, rules: Rules | None = None, **more: Callable[[], float]
    ) -> StorageTracker:
        made.append(StorageTracker(RedisStorage(rules or Rules(), server.url, tag, **more)))
        return made[-1]

    yield make_one
    for store in made:
        store.close()


def test_what_was_answered_survives_kill_9_of_redis_that_appends_always(own_redis, make) -> None:
    store = make(own_redis)
    assert store.open() == []
    store.register(caller(1), claim=PROOF)
    store.own(caller(1, PROOF), [OwnedFile("f", HASH, 9)])
    own_redis.kill()
    own_redis.start()
    until(lambda: store.health() == "")
    assert store.counts() == Counts(1, 1, 1, 1)
    assert store.register(caller(1, PROOF)) == Registered(True, 1, True)


def test_while_redis_is_away_each_request_is_refused_soon_and_then_goes_on(own_redis, make) -> None:
    store = make(own_redis)
    store.open()
    own_redis.kill()
    begin = time.monotonic()
    with pytest.raises(StorageUnreachable, match="Redis does not answer"):
        store.register(caller(1))
    assert time.monotonic() - begin < 10
    assert "Redis does not answer" in store.health()
    assert store.expire().gone == ()
    own_redis.start()
    until(lambda: store.health() == "")
    assert store.register(caller(1)) == Registered(False, 0, False)


def test_a_redis_that_stands_still_holds_one_request_for_a_stated_time_and_the_others_not_at_all(
    own_redis, make, monkeypatch
) -> None:
    monkeypatch.setattr(redis_client, "ANSWER_SECONDS", 0.3)
    store = make(own_redis)
    store.open()
    own_redis.freeze()
    begin = time.monotonic()
    with pytest.raises(StorageUnreachable):
        store.register(caller(1))
    assert 0.3 <= time.monotonic() - begin < 10
    begin = time.monotonic()
    for node_id in range(100):
        with pytest.raises(StorageUnreachable):
            store.register(caller(node_id))
    assert time.monotonic() - begin < 10  # if each waited, they would take 30 s
    own_redis.thaw()
    until(lambda: store.health() == "")
    store.register(caller(2))


def test_after_redis_was_away_everybody_has_a_whole_deadline(own_redis, make) -> None:
    clock = [0.0]
    store = make(own_redis, clock=lambda: clock[0])
    store.open()
    store.register(caller(1))
    clock[0] = 100.0  # Redis was gone for so long, and back only now
    swept = store.expire()
    assert swept.gone == () and swept.suspended_for == 78
    assert swept.wait == 22
    clock[0] = 100.0 + 22.5
    assert [gone.node_id for gone in store.expire().gone] == [1]


def test_full_memory_refuses_what_is_new_and_nothing_else_and_drops_nobody(own_redis, make) -> None:
    clock = [0.0]
    store = make(own_redis, clock=lambda: clock[0])
    store.open()
    store.register(caller(1))
    store.own(caller(1), [OwnedFile("f", HASH, 9)])
    own_redis.client.config_set("maxmemory", 1)
    with pytest.raises(StorageFull, match="Redis does not take records: .*maxmemory"):
        store.register(caller(2))
    with pytest.raises(StorageFull):
        store.own(caller(1), [OwnedFile("g")])
    assert "maxmemory" in store.health()
    clock[0] = 22.5  # no node could reach the tracker, so no node is removed
    assert store.register(caller(1)) == Registered(True, 1, False)
    assert store.need(caller(3), "f", None, 5).total == 1
    own_redis.client.config_set("maxmemory", 0)
    clock[0] = 30.0
    assert store.expire().gone == ()
    assert store.health() == ""
    store.register(caller(2))


def test_a_replica_takes_no_records_and_says_so(own_redis, make) -> None:
    store = make(own_redis)
    store.open()
    own_redis.client.execute_command("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(StorageReadOnly, match="replica"):
        store.register(caller(1))
    assert "replica" in store.health()


def test_a_redis_that_keeps_nothing_or_evicts_is_named(shared_redis, own_redis, make) -> None:
    assert any("without appendonly" in remark for remark in make(shared_redis).open())
    own_redis.client.config_set("appendfsync", "everysec")
    own_redis.client.config_set("maxmemory", 1 << 30)
    own_redis.client.config_set("maxmemory-policy", "allkeys-lru")
    remarks = "\n".join(make(own_redis).open())
    assert "appendfsync everysec" in remarks and "evicts" in remarks


def test_a_redis_that_is_not_there_or_no_url_is_one_line() -> None:
    with pytest.raises(StorageFault, match="REDIS_URL"):
        RedisStorage(Rules(), "unix:///nowhere/socket").open()
    with pytest.raises(SettingError, match="REDIS_URL"):
        RedisStorage(Rules(), "nonsense")


def test_another_ranking_puts_the_owners_that_are_there_in_its_order(shared_redis, make) -> None:
    store = make(shared_redis, Rules(ranking="uploads"))
    store.open()
    store.register(caller(9), claim=PROOF)
    for node_id, receipts, size in ((1, 3, 1), (2, 1, 9), (3, 2, 2)):
        store.own(caller(node_id), [OwnedFile("f", HASH, 9)])
        for _ in range(receipts):
            number = next(numbers) + 1
            store.update(caller(9, PROOF), Receipt("f", node_id, HASH, size, number))

    def order() -> list[int]:
        return [owner.node_id for owner in store.need(caller(9), "f", None, 9).owners]

    assert order() == [1, 3, 2]
    store = make(shared_redis, Rules(ranking="bytes"))
    store.open()
    assert order() == [2, 3, 1] or order() == [2, 1, 3]  # 9 bytes, then 4 and 3
    assert order()[1] == 3


def test_trackers_that_sweep_at_the_same_time_remove_each_node_once(shared_redis, make) -> None:
    clock = [0.0]
    stores = [make(shared_redis, clock=lambda: clock[0]) for _ in range(4)]
    for store in stores:
        store.open()
    for node_id in range(2000):
        stores[0].own(caller(node_id), [OwnedFile("f", HASH), OwnedFile(f"{node_id}")])
    clock[0] = 22.0 - 0.1
    gone: list[int] = []

    def sweep(store: StorageTracker) -> None:
        while store.counts().nodes:
            clock[0] += 0.01
            gone.extend(node.node_id for node in store.expire().gone)
        gone.extend(node.node_id for node in store.expire().gone)

    threads = [threading.Thread(target=sweep, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(gone) == list(range(2000))
    assert stores[0].counts() == Counts()
    tag = stores[0].storage._names.of("*").split(":")[0]  # type: ignore[attr-defined]
    assert shared_redis.client.keys(f"{tag}*") == [f"{tag}:meta"]  # nothing is left of them


def test_sizes_and_receipt_numbers_are_whole_to_the_last_digit(shared_redis, make) -> None:
    store = make(shared_redis)
    store.open()
    size = 2**63 - 1
    store.own(caller(1), [OwnedFile("f", HASH, size)])
    store.register(caller(2), claim=PROOF)
    assert store.need(caller(2), "f", None, 1).owners[0].size == size
    last = 2**62 + 1
    assert store.update(caller(2, PROOF), Receipt("f", 1, HASH, size, last)).counted
    assert not store.update(caller(2, PROOF), Receipt("f", 1, HASH, size, last)).counted
    assert store.update(caller(2, PROOF), Receipt("f", 1, HASH, size, last + 1)).counted
