"""The way to Redis: scripts in, answers out, and the named error in bounded time when Redis cannot.

A request is one script, run by its hash (EVALSHA) and sent whole only when Redis does not know it yet. How
long a request may take: CONNECT_SECONDS and ANSWER_SECONDS, twice if the connection broke and trying again
does no harm. A Redis that stays away is asked by one request at a time, no sooner than REST seconds after
the last: all others are refused at once, so that waiting for Redis never holds all threads.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Broken
from redis.exceptions import OutOfMemoryError, RedisError
from redis.exceptions import TimeoutError as TooLate
from redis.retry import Retry

from common.errors import SettingError, StorageFull, StorageReadOnly, StorageUnreachable

CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 2.0
REST = 0.25  # seconds
FOLDER = Path(__file__).with_name("lua")
UNSWEPT = ("open", "rank_anew", "health")  # scripts that silent nodes do not concern


def script_text(name: str) -> str:
    """What all scripts share, then the one: numbered files come first, in their order."""
    shared = sorted(path for path in FOLDER.glob("[0-9]_*.lua"))
    if name in UNSWEPT:
        shared = shared[:-1]
    return "\n".join(path.read_text(encoding="utf-8") for path in [*shared, FOLDER / f"{name}.lua"])


class RedisLine:
    """Runs the scripts of one tracker's keys. Thread-safe."""

    def __init__(self, url: str, key: str, clock: Callable[[], float] = time.monotonic) -> None:
        """``key``: what a cluster is to find the server by; SettingError if the URL is none."""
        try:
            pool = redis.ConnectionPool.from_url(
                url,
                decode_responses=True,
                protocol=2,
                socket_connect_timeout=CONNECT_SECONDS,
                socket_timeout=ANSWER_SECONDS,
                retry=Retry(NoBackoff(), 0),
                client_name=f"tracker-{os.getpid()}",  # as CLIENT LIST shows it
            )
        except ValueError as error:
            raise SettingError(f"setting REDIS_URL: {error}") from None
        self.client = redis.Redis(connection_pool=pool)
        self._key = key
        self._clock = clock
        names = [path.stem for path in FOLDER.glob("[a-z]*.lua")]
        self._scripts = {name: self.client.register_script(script_text(name)) for name in names}
        self._away_until: float | None = None  # None: it answered last time
        self._reason = ""
        self._probing = threading.Lock()  # held by who asks a Redis that was away

    def run(self, name: str, rules: str, request: Mapping[str, Any], again: bool) -> Any:
        """A script's answer. ``rules``: a JSON object. ``again``: whether it may be carried out twice.

        StorageUnreachable without an answer; StorageFull, StorageReadOnly if Redis refuses to write.
        """
        if self._away_until is None:
            return self._ask(name, rules, request, again)
        if self._clock() < self._away_until or not self._probing.acquire(blocking=False):
            raise StorageUnreachable(self._reason)
        try:
            return self._ask(name, rules, request, again)
        finally:
            self._probing.release()

    def _ask(self, name: str, rules: str, request: Mapping[str, Any], again: bool) -> Any:
        arguments = [rules, json.dumps(request, ensure_ascii=False, separators=(",", ":"))]
        try:
            try:
                answer = self._scripts[name](keys=[self._key], args=arguments)
            except Broken:
                if not again:
                    raise
                answer = self._scripts[name](keys=[self._key], args=arguments)
        except (Broken, TooLate) as error:
            self._reason = f"Redis does not answer: {error}"
            self._away_until = self._clock() + REST
            raise StorageUnreachable(self._reason) from None
        except RedisError as error:
            self._away_until = None
            raise _refusal(error) from None
        self._away_until = None
        return json.loads(answer)


def _refusal(error: RedisError) -> StorageFull | StorageReadOnly:
    """In Redis' own words: out of memory, out of disk, a replica, too few replicas, no permission."""
    full = isinstance(error, OutOfMemoryError) or "No space left" in str(error)
    return (StorageFull if full else StorageReadOnly)(f"Redis does not take records: {error}")
