"""A node that leaves the storage in Redis is gone at once and cleared away in shares. No script does much,
and whatever happens in between, nobody sees what is left over.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.messages import OwnedFile
from faults.redis_server import RedisServer
from tests.tracker.storage.contract import A, B
from tests.tracker.storage.places import SILENCE, Place, a_redis
from tracker.model import MAX_FILES_PER_NODE, Caller, Counts, Found, Rules
from tracker.storage import redis_store
from tracker.storage.redis_store import RedisStore

EACH = 6  # commands for a file that goes, at most
FOR_A_NODE = 12  # commands for a node that goes
BESIDES = 40  # commands of a script that do not depend on how much goes
MANY = [OwnedFile(f"file {number}", f"{number:040x}", 9) for number in range(MAX_FILES_PER_NODE)]
AT_ONCE = 1000  # files in one OWN
UNBOUNDED = {"hgetall", "hkeys", "hvals", "smembers"}


class Watched:
    """A storage on a Redis of its own that tells how many commands each script ran."""

    def __init__(self, server: RedisServer) -> None:
        self.now = 0.0
        self.store = RedisStore(Rules(SILENCE), server.url, clock=lambda: self.now)
        self.work: list[int] = []  # commands, of each script
        self.names: set[str] = set()  # of these commands
        self._client = server.client
        self._run = self.store._line.run
        self.store._line.run = self._watch  # type: ignore[method-assign]
        self.store.open()

    def _watch(self, *arguments: object) -> object:
        self._client.config_resetstat()
        answer = self._run(*arguments)  # type: ignore[arg-type]
        stats = self._client.info("commandstats")
        calls = {name.removeprefix("cmdstat_"): told["calls"] for name, told in stats.items()}
        inside = {name: n for name, n in calls.items() if name not in ("evalsha", "eval", "config|resetstat")}
        self.work.append(sum(inside.values()))
        self.names |= inside.keys()
        return answer

    def fill(self, *node_ids: int) -> None:
        """These nodes have as many files as a node may have."""
        for node_id in node_ids:
            for at in range(0, len(MANY), AT_ONCE):
                self.store.own(Caller(node_id, A), MANY[at : at + AT_ONCE])
        self.work, self.names = [], set()


@pytest.fixture
def watched(own_redis: RedisServer) -> Iterator[Watched]:
    own_redis.client.config_set("appendfsync", "no")
    made = Watched(own_redis)
    yield made
    made.store.close()


@pytest.mark.parametrize("silent", [False, True])
def test_ten_thousand_files_go_in_many_short_scripts(watched: Watched, silent: bool) -> None:
    watched.fill(1, 2)
    if silent:
        watched.store.register(Caller(2, A))
        watched.now = SILENCE - 1.0
        watched.store.register(Caller(2, A))
        watched.now = SILENCE + 0.5
        assert [gone.node_id for gone in watched.store.sweep().gone] == [1]
    else:
        assert watched.store.exit(Caller(1, A))
        assert len(watched.work) == 1  # gone at once, whatever is left to do
    assert watched.store.counts() == Counts(1, 0, MAX_FILES_PER_NODE, MAX_FILES_PER_NODE)
    assert max(watched.work) <= redis_store.SLICE * EACH + BESIDES
    assert len(watched.work) >= MAX_FILES_PER_NODE // redis_store.SLICE
    assert not watched.names & UNBOUNDED
    assert watched.store.need(Caller(9), None, MANY[-1].info_hash, 5).owners[0].node_id == 2


def test_many_small_nodes_that_fall_silent_at_once_go_in_short_scripts_too(watched: Watched) -> None:
    for node_id in range(500):
        watched.store.own(Caller(node_id, A), MANY[node_id : node_id + 3])
    watched.work, watched.now = [], SILENCE + 0.5
    assert len(watched.store.sweep().gone) == 500
    assert max(watched.work) <= redis_store.SLICE * FOR_A_NODE + BESIDES
    assert watched.store.counts() == Counts()


def test_only_who_looks_at_lists_waits_until_all_is_cleared_away(watched: Watched) -> None:
    watched.fill(1)
    watched.store.exit(Caller(1, A))
    watched.work = []
    assert not watched.store.register(Caller(1, B)).known
    assert watched.store.own(Caller(1, B), MANY[:2]).files == 2
    assert watched.store.nodes(9)[0].files == 2
    assert len(watched.work) == 3  # a script each
    assert max(watched.work) <= redis_store.SLICE * EACH + BESIDES
    assert watched.store.need(Caller(9), None, MANY[0].info_hash, 5).total == 1
    assert watched.store.need(Caller(9), None, MANY[-1].info_hash, 5).total == 0
    assert watched.store.counts() == Counts(1, 0, 2, 2)


def test_while_redis_refuses_to_write_nobody_is_named_who_is_gone(
    watched: Watched, own_redis: RedisServer
) -> None:
    watched.fill(1)
    watched.store.own(Caller(2, B), MANY[-1:])
    watched.store.exit(Caller(1, A))
    own_redis.client.execute_command("REPLICAOF", "127.0.0.1", "1")
    for file in (MANY[0], MANY[-1], MANY[5000]):
        found = watched.store.need(Caller(9), None, file.info_hash, 5)
        assert [owner.node_id for owner in found.owners] == ([2] if file is MANY[-1] else [])
    assert [view.filename for view in watched.store.swarms(MAX_FILES_PER_NODE)] == [MANY[-1].filename]
    own_redis.client.execute_command("REPLICAOF", "NO", "ONE")
    assert watched.store.counts() == Counts(1, 0, 1, 1)


def test_in_full_memory_one_can_leave_and_is_cleared_away(watched: Watched, own_redis: RedisServer) -> None:
    watched.fill(1)
    own_redis.client.config_set("maxmemory", 1)
    assert watched.store.exit(Caller(1, A))
    assert watched.store.counts() == Counts()
    assert own_redis.client.keys("*") == ["{tracker}:meta"]


def a_file(rng: random.Random) -> OwnedFile:
    number = rng.randrange(8)
    return OwnedFile(rng.choice("fg"), f"{number:040x}" if number else None, None, rng.random() < 0.7)


def test_who_comes_back_before_all_is_cleared_away_is_found_with_what_it_has_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_store, "SLICE", 1)
    here, there = Place("memory", tmp_path), Place("redis", tmp_path)
    rng = random.Random(5)
    for _ in range(60):
        for _ in range(rng.randrange(6)):  # of requests that do not wait until all is cleared away
            node_id, owned = rng.randrange(2), [a_file(rng) for _ in range(rng.randrange(8))]
            for place in (here, there):
                if owned:
                    place.storage.own(Caller(node_id, A), owned)
                else:
                    place.storage.exit(Caller(node_id, A))
        for name, number in ((name, number) for name in "fg" for number in range(8)):
            asked = (Caller(9), name, f"{number:040x}" if number else None, 50)
            assert of(there.storage.need(*asked)) == of(here.storage.need(*asked))
        assert there.storage.counts() == here.storage.counts()
    for place in (here, there):
        for node_id in range(2):
            place.storage.exit(Caller(node_id, A))
        assert place.storage.counts() == Counts()
        place.storage.close()
    tag = there.storage._line._key.split(":")[0]  # type: ignore[attr-defined]
    assert a_redis().client.keys(f"{tag}*") == [f"{tag}:meta"]


def of(found: Found) -> tuple[int, set[object]]:
    return found.total, {*found.owners}
