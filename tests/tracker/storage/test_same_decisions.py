"""The rules stand twice, in Python and in Lua: whatever happens, both decide the same, and refuse in the
same words. The limits are made small, so that they are met.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import SwarmError
from common.messages import OwnedFile
from tests.tracker.storage.places import Place
from tracker import crediting, registry
from tracker.model import Caller, Found, Receipt, Rules
from tracker.storage import redis_store

LIMITS = {
    "MAX_NODES": 5,
    "MAX_UNCLAIMED": 2,
    "MAX_OWNERSHIPS": 8,
    "MAX_FILES_PER_NODE": 3,
    "MAX_RECEIPTS_PER_PAIR": 2,
    "MAX_CREDIT_PER_PAIR": 12,
    "MAX_PAIRS": 2,
}
SLICE = 2  # what one script removes: what is left over stays there for others
HASHES = ["ab" * 20, "cd" * 20]
CALLS = 400  # of one history
NODES = 7  # that want to come in, some with a claim
Call = tuple[str, tuple[Any, ...]]


@pytest.fixture(autouse=True)
def small_limits() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in (crediting, registry, redis_store):
            for name, value in LIMITS.items():
                if hasattr(module, name):
                    patch.setattr(module, name, value)
        patch.setattr(redis_store, "SLICE", SLICE)
        yield


def a_caller(rng: random.Random, anywhere: bool = False) -> Caller:
    """Mostly the node that it says it is, nodes with odd numbers mostly with their secret."""
    node_id, odd = rng.randrange(NODES), rng.random() < 0.1
    addr = ("::1" if node_id == 3 else "127.0.0.1", 4000 + node_id + odd)
    proof = str(node_id + (rng.random() < 0.05)) * 64
    shows = rng.random() < (0.9 if node_id % 2 else 0.1)
    return Caller(node_id, None if anywhere and rng.random() < 0.3 else addr, proof if shows else None)


def a_file(rng: random.Random) -> OwnedFile:
    size, complete = rng.choice([None, 9]), rng.random() < 0.5
    return OwnedFile(rng.choice(["f", "f", "é:ü"]), rng.choice([*HASHES, HASHES[0], None]), size, complete)


def a_receipt(rng: random.Random) -> Receipt:
    owner = None if rng.random() < 0.2 else rng.randrange(NODES)
    file, number = a_file(rng), None if rng.random() < 0.5 else rng.randrange(1, CALLS)
    return Receipt(file.filename, owner, file.info_hash, rng.choice([7, 7, 7, 7, 10, 0, None]), number)


def a_call(rng: random.Random) -> Call:
    name = rng.choices(["register", "own", "need", "update", "exit", "wait"], [4, 5, 2, 9, 0.7, 2])[0]
    if name == "register":
        caller = a_caller(rng)
        return name, (caller, rng.choice([None, caller.proof]))
    if name == "own":
        return name, (a_caller(rng), [a_file(rng) for _ in range(rng.randint(1, 3))])
    if name == "need":
        return name, (a_caller(rng, True), rng.choice(["f", "é:ü"]), rng.choice([None, *HASHES]), 50)
    if name == "update":
        return name, (a_caller(rng, True), a_receipt(rng))
    if name == "exit":
        return name, (a_caller(rng, True),)
    return name, (rng.choice([0.5, 0.5, 2.0, 21.9]), rng.random() < 0.5)


def outcome(place: Place, call: Call) -> object:
    """What a storage says to a call, as far as it does not depend on chance."""
    name, arguments = call
    if name == "wait":
        place.clock.now += arguments[0]
        if not arguments[1]:
            return None  # the next request finds who is silent
        return sorted((gone.node_id, gone.addr) for gone in place.storage.sweep().gone)
    try:
        said = getattr(place.storage, name)(*arguments)
    except SwarmError as error:
        return type(error), str(error), getattr(error, "field", None)
    return (said.total, {*said.owners}) if isinstance(said, Found) else said


def state(place: Place) -> tuple[object, ...]:
    storage = place.storage
    swarms = [(s.info_hash or s.filename, s.whole, s.partial) for s in storage.swarms(50)]
    return storage.counts(), sorted(storage.nodes(50), key=repr), sorted(swarms)


@pytest.mark.parametrize("ranking", ["uploads", "rate", "bytes", "random"])
@pytest.mark.parametrize("require_claim", [False, True])
def test_python_and_lua_decide_the_same(tmp_path: Path, ranking: str, require_claim: bool) -> None:
    rules = Rules(ranking=ranking, half_life=100.0, require_claim=require_claim)
    here, there = Place("memory", tmp_path, rules), Place("redis", tmp_path, rules)
    rng = random.Random(f"{ranking} {require_claim}")
    decided = []
    try:
        for _ in range(CALLS):
            call = a_call(rng)
            decided.append(outcome(there, call))
            assert decided[-1] == outcome(here, call), call
            if call[0] != "wait":
                assert state(there) == state(here), call
    finally:
        here.storage.close()
        there.storage.close()
    assert ("wants claims" if require_claim else "claim yours") in str(decided), "limits that were never met"
