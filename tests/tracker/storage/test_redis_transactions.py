"""Optimistic transactions: how many round trips they take, what happens on a conflict, and that a node with
many files leaves in transactions that are all short.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from common.errors import StorageFull
from common.messages import OwnedFile
from faults.redis_server import RedisServer
from tests.tracker.storage.contract import HASH, A, B, owners
from tests.tracker.storage.places import SILENCE, VirtualClock, a_redis
from tests.tracker.storage.requests import StorageTracker
from tracker.model import MAX_FILES_PER_NODE, Caller, Counts, Receipt, Rules
from tracker.storage import redis_writes
from tracker.storage.redis import RedisStorage
from tracker.storage.redis_client import Session

EACH = 8  # commands for a file that is removed
FOR_A_NODE = 12  # commands for a node that is removed
BESIDES = 40  # commands that do not depend on how much is removed
MANY = [OwnedFile(f"file {number}", f"{number:040x}", 9) for number in range(MAX_FILES_PER_NODE)]


class RedisWatch:
    """Counts the commands of each round trip of this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trips: list[list[str]] = []
        self.before_commit: Callable[[], object] = lambda: None
        real = Session.try_run

        def counted(session: Session, *commands: Any) -> list[Any]:
            names = [str(command[0]) for command in commands]
            if "EXEC" in names:
                happens, self.before_commit = self.before_commit, lambda: None
                happens()
            self.trips.append(names)
            return real(session, *commands)

        monkeypatch.setattr(Session, "try_run", counted)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> RedisWatch:
    return RedisWatch(monkeypatch)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def make(clock: VirtualClock) -> Iterator[Callable[[], StorageTracker]]:
    made: list[StorageTracker] = []
    tag = f"{{transactions{random.randrange(10**9)}}}"

    def make_one() -> StorageTracker:
        made.append(StorageTracker(RedisStorage(Rules(SILENCE), a_redis().url, tag, clock)))
        made[-1].open()
        return made[-1]

    yield make_one
    for tracker in made:
        tracker.close()


def test_a_heartbeat_is_one_round_trip_and_a_change_two(
    make: Callable[[], StorageTracker], watch: RedisWatch
) -> None:
    tracker = make()
    me = Caller(1, A)
    tracker.register(me)
    watch.trips = []
    for _ in range(3):
        assert tracker.register(me).known
    assert len(watch.trips) == 3 and all(trip[-1] == "ZADD" for trip in watch.trips)
    watch.trips = []
    tracker.own(me, [OwnedFile("f")])
    assert len(watch.trips) == 2


def test_a_heartbeat_keeps_a_node_and_a_strangers_does_not(
    make: Callable[[], StorageTracker], clock: VirtualClock
) -> None:
    tracker = make()
    for node_id, addr in ((1, A), (2, B)):
        tracker.register(Caller(node_id, addr))
    clock.now += SILENCE - 1
    tracker.register(Caller(1, A))
    with pytest.raises(Exception, match="node 2 is in use"):
        tracker.register(Caller(2, A))
    clock.now += 1.5
    assert [node.node_id for node in tracker.nodes(9)] == [1]


def test_a_heartbeat_to_one_process_after_a_move_at_another(make: Callable[[], StorageTracker]) -> None:
    one, other = make(), make()
    proof = "5e" * 32
    one.register(Caller(1, A, proof), proof)
    one.register(Caller(1, A, proof))
    other.register(Caller(1, B, proof))
    assert one.register(Caller(1, A, proof)).known  # it moves back
    assert [node.addr for node in other.nodes(9)] == [A]


def test_a_conflict_is_decided_anew(make: Callable[[], StorageTracker], watch: RedisWatch) -> None:
    one, other = make(), make()
    one.own(Caller(1, A), [OwnedFile("f", HASH, 9)])
    watch.before_commit = lambda: other.update(Caller(1, A), Receipt("f"))
    assert one.update(Caller(1, A), Receipt("f")).uploads == 2
    watch.before_commit = lambda: other.exit(Caller(1, A))
    assert one.own(Caller(1, A), [OwnedFile("g")]).known is False
    assert one.counts() == Counts(1, 0, 1, 1)


def test_two_processes_lose_no_upload(make: Callable[[], StorageTracker], watch: RedisWatch) -> None:
    one, other = make(), make()
    one.own(Caller(1, A), [OwnedFile("f")])
    for _ in range(20):
        watch.before_commit = lambda: other.update(Caller(1), Receipt("f"))
        one.update(Caller(1), Receipt("f"))
    assert owners(other) == {1: 40}


@pytest.mark.parametrize("silent", [False, True])
def test_ten_thousand_files_go_in_many_short_transactions(
    make: Callable[[], StorageTracker], clock: VirtualClock, watch: RedisWatch, silent: bool
) -> None:
    tracker = make()
    for node_id in (1, 2):
        for at in range(0, len(MANY), 1000):
            tracker.own(Caller(node_id, A), MANY[at : at + 1000])
    clock.now += SILENCE - 1
    tracker.register(Caller(2, A))
    watch.trips = []
    if silent:
        clock.now += 1.5
        assert [gone.node_id for gone in tracker.expire().gone] == [1]
    else:
        assert tracker.exit(Caller(1, A))
    assert tracker.counts() == Counts(1, 0, MAX_FILES_PER_NODE, MAX_FILES_PER_NODE)
    transactions = [trip for trip in watch.trips if "EXEC" in trip]
    assert len(transactions) >= MAX_FILES_PER_NODE // redis_writes.REMOVE_FILES
    assert max(map(len, transactions)) <= redis_writes.REMOVE_FILES * EACH + BESIDES
    assert tracker.need(Caller(9), None, MANY[-1].info_hash, 5).owners[0].node_id == 2


def test_many_small_nodes_that_fall_silent_at_once_go_in_short_transactions_too(
    make: Callable[[], StorageTracker], clock: VirtualClock, watch: RedisWatch
) -> None:
    tracker = make()
    for node_id in range(300):
        tracker.own(Caller(node_id, A, home="10.0.0.1"), MANY[node_id : node_id + 3])
    watch.trips = []
    clock.now += SILENCE + 0.5
    assert len(tracker.expire().gone) == 300
    bound = redis_writes.EXPIRE_NODES * (FOR_A_NODE + 3 * EACH) + BESIDES
    assert max(map(len, watch.trips)) <= bound
    assert tracker.counts() == Counts()
    names = tracker.storage._names  # type: ignore[attr-defined]
    assert a_redis().client.keys(names.of("*")) == [names.meta]  # nothing is left of them


def test_with_full_memory_nodes_stay_and_can_leave_later(own_redis: RedisServer) -> None:
    tracker = StorageTracker(RedisStorage(Rules(), own_redis.url))
    tracker.open()
    tracker.own(Caller(1, A), MANY[:10])
    own_redis.client.config_set("maxmemory", 1)
    with pytest.raises(StorageFull):
        tracker.exit(Caller(1, A))
    assert tracker.counts() == Counts(1, 0, 10, 10)
    own_redis.client.config_set("maxmemory", 0)
    assert tracker.exit(Caller(1, A)) and tracker.counts() == Counts()
    tracker.close()
