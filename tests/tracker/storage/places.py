"""Where the storages that are tested live. A place can be opened again and again; each time, it is a new
storage on what the ones before left, as after a restart of the tracker.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from faults import redis_server
from faults.redis_server import RedisServer
from tests.tracker.storage.notebook import Notebook
from tests.tracker.storage.requests import StorageTracker
from tracker.model import Rules
from tracker.storage.base import Storage
from tracker.storage.group_commit import GroupCommit
from tracker.storage.memory import MemoryStorage
from tracker.storage.redis import RedisStorage

SILENCE = 22.0
RULES = Rules(SILENCE, 11.0, half_life=100.0)
KINDS = ("memory", "sqlite", "redis")


class VirtualClock:
    """Virtual time."""

    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


class StoragePlace:
    """A storage of one kind. ``crash`` leaves it as it is, ``close`` ends it well; ``open`` opens it
    again."""

    def __init__(self, kind: str, folder: Path, rules: Rules = RULES) -> None:
        self.clock = VirtualClock()
        self._kind = kind
        self._folder = folder
        self._crashes = 0
        self._make = _MAKERS[kind](rules, self.clock)
        self._left: list[StorageTracker] = []  # crashed ones
        self.storage = self.open()

    def pass_time(self, seconds: float) -> None:
        """As the liveness thread lets it: no deadline is slept through."""
        end = self.clock.now + seconds
        while self.clock.now + (wait := self.storage.expire().wait) <= end:
            self.clock.now += wait
        self.clock.now = end

    def open(self) -> StorageTracker:
        """A new storage."""
        self.storage = StorageTracker(self._make(self._folder))
        assert list(self.storage.open()) == []
        return self.storage

    def restart(self) -> StorageTracker:
        """End it well, and open it again."""
        self.storage.close()
        return self.open()

    def crash(self) -> StorageTracker:
        """Open a copy of the database as it is at this moment."""
        if self._kind == "sqlite":
            _sync(self.storage)
            self._crashes += 1
            copy = self._folder.with_name(f"{self._folder.name}-{self._crashes}")
            copy.mkdir()
            for path in self._folder.glob("tracker.db*"):
                shutil.copy(path, copy)
            self._folder = copy
        self._left.append(self.storage)
        return self.open()

    def close(self) -> None:
        """Release all of it."""
        for tracker in [*self._left, self.storage]:
            tracker.close()


def _sync(tracker: StorageTracker) -> None:
    """Wait for the removals of silent nodes as well, for which no request has waited."""
    durability = getattr(tracker.storage, "_durability", None)
    assert isinstance(durability, GroupCommit)
    durability.sync(durability.append([]))


def _memory(rules: Rules, clock: VirtualClock) -> Callable[[Path], Storage]:
    kept = Notebook()
    return lambda folder: MemoryStorage(rules, kept, clock, random.Random(1))


def _sqlite(rules: Rules, clock: VirtualClock) -> Callable[[Path], Storage]:
    return lambda folder: MemoryStorage(rules, GroupCommit(folder, 3600.0, False), clock, random.Random(1))


def _redis(rules: Rules, clock: VirtualClock) -> Callable[[Path], Storage]:
    url, tag = a_redis().url, f"{{{next(_tags)}}}"
    return lambda folder: RedisStorage(rules, url, tag, clock)


@functools.cache
def a_redis() -> RedisServer:
    """One for all tests, that has all it answered on disk; skips the test where none is installed."""
    if redis_server.program() is None:
        pytest.skip("neither redis-server nor valkey-server is installed")
    server = RedisServer("--appendonly", "yes", "--appendfsync", "always")
    server.start()
    atexit.register(server.close)
    return server


_tags = itertools.count()
_MAKERS: dict[str, Callable[[Rules, VirtualClock], Callable[[Path], Storage]]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "redis": _redis,
}
