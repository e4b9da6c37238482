"""Each kind of storage, and a real Redis for the one that is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faults import redis_server as server
from faults.redis_server import RedisServer
from tests.tracker.storage.contract import A, B, F, S, T
from tests.tracker.storage.places import KINDS, RULES, StoragePlace
from tests.tracker.storage.requests import StorageTracker
from tracker.model import Caller, Rules


@pytest.fixture(params=KINDS)
def make_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., StoragePlace]]:
    made: list[StoragePlace] = []

    def make(rules: Rules = RULES) -> StoragePlace:
        made.append(StoragePlace(request.param, tmp_path / str(len(made)), rules))
        return made[-1]

    yield make
    for place in made:
        place.close()


@pytest.fixture
def place(make_place: Callable[..., StoragePlace]) -> StoragePlace:
    return make_place()


@pytest.fixture
def storage(place: StoragePlace) -> StorageTracker:
    return place.storage


@pytest.fixture
def owner_and_reporter(storage: StorageTracker) -> Caller:
    """The reporter, node 2; the owner is node 1, and both are claimed."""
    storage.register(Caller(1, A, S), S)
    storage.own(Caller(1, A, S), [F])
    storage.register(Caller(2, B, T), T)
    return Caller(2, B, T)


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """One server for all tests that leave it alone; each has keys of its own."""
    yield from _running()


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server that the test may do to as it likes. It has all it answered on disk."""
    yield from _running("--appendonly", "yes", "--appendfsync", "always")


def _running(*options: str) -> Iterator[RedisServer]:
    if server.program() is None:
        pytest.skip("neither redis-server nor valkey-server is installed")
    running = RedisServer(*options)
    running.start()
    yield running
    running.close()
