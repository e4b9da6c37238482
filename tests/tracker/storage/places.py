"""Where the storages that are tested live. A place can be opened again and again; each time, it is a new
storage on what the ones before left, as after a restart of the tracker.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from faults import redis_server
from faults.redis_server import RedisServer
from tests.tracker.storage.notebook import Notebook
from tracker.model import Rules
from tracker.storage.base import Storage
from tracker.storage.folder import FolderKeeper
from tracker.storage.memory import InProcess
from tracker.storage.redis_store import RedisStore

SILENCE = 22.0
RULES = Rules(SILENCE, 11.0, half_life=100.0)
KINDS = ("memory", "json", "redis")


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


class Place:
    """A storage of one kind. ``crash`` leaves it as it is, ``close`` ends it well; ``open`` begins anew."""

    def __init__(self, kind: str, folder: Path, rules: Rules = RULES) -> None:
        self.clock = Clock()
        self._make = _MAKERS[kind](folder, rules, self.clock)
        self._left: list[Storage] = []  # crashed ones: a process that is killed closes nothing
        self.storage = self.open()

    def pass_time(self, seconds: float) -> None:
        """As the sweeping thread lets it: no deadline is slept through."""
        end = self.clock.now + seconds
        while self.clock.now + (wait := self.storage.sweep().wait) <= end:
            self.clock.now += wait
        self.clock.now = end

    def open(self) -> Storage:
        """A new storage."""
        self.storage = self._make()
        assert list(self.storage.open()) == []
        return self.storage

    def restart(self) -> Storage:
        """End it well, and begin anew."""
        self.storage.close()
        return self.open()

    def crash(self) -> Storage:
        """Begin anew on what is kept at this moment."""
        let_go(self.storage)
        return self.open()


def let_go(storage: Storage) -> None:
    """Take from a storage what the system takes from a process that is killed: its lock on a folder.

    What it is that is killed is not the taking of a snapshot: test_crashes.py has that, to every step.
    """
    keeper = getattr(storage, "_keeper", None)
    if isinstance(keeper, FolderKeeper):
        keeper._closing.set()
        keeper._thread.join()
        keeper._source = None  # no last snapshot
        keeper.close()


def _memory(folder: Path, rules: Rules, clock: Clock) -> Callable[[], Storage]:
    keeper = Notebook()
    return lambda: InProcess(rules, keeper, clock, random.Random(1))


def _json(folder: Path, rules: Rules, clock: Clock) -> Callable[[], Storage]:
    return lambda: InProcess(rules, FolderKeeper(folder, 0.01, durable=False), clock, random.Random(1))


def _redis(folder: Path, rules: Rules, clock: Clock) -> Callable[[], Storage]:
    url, tag = a_redis().url, f"{{{next(_tags)}}}"
    return lambda: RedisStore(rules, url, tag, clock)


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
_MAKERS: dict[str, Callable[[Path, Rules, Clock], Callable[[], Storage]]] = {
    "memory": _memory,
    "json": _json,
    "redis": _redis,
}
