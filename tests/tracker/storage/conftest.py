"""A real Redis for the storage that is in one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from faults import redis_server as server
from faults.redis_server import RedisServer


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
