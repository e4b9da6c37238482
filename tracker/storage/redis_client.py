"""The connection to Redis: commands in one round trip, and a named error in bounded time when it fails.

A round trip takes at most ANSWER_SECONDS, after at most CONNECT_SECONDS to connect. While Redis is away, one
request at a time asks it again, at most every RETRY_SECONDS. All other requests are refused at once, so
that waiting for Redis never holds all threads.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionBroken
from redis.exceptions import OutOfMemoryError, RedisError
from redis.exceptions import TimeoutError as AnswerTimeout
from redis.retry import Retry

from common.errors import SettingError, StorageFull, StorageReadOnly, StorageUnreachable

CONNECT_SECONDS = 1.0  # seconds to connect
ANSWER_SECONDS = 2.0  # seconds to wait for an answer
RETRY_SECONDS = 0.25  # seconds between two tries after Redis did not answer

Command = Sequence[str | int | float]


class Session:
    """One connection of the pool, for a few round trips in a row. Not thread-safe."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def run(self, *commands: Command) -> list[Any]:
        """The replies to all commands. StorageFull or StorageReadOnly if Redis refuses one."""
        return checked(self.try_run(*commands))

    def try_run(self, *commands: Command) -> list[Any]:
        """The replies to all commands, some of which may be errors."""
        connection = self._connection
        connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        return [self._reply() for _ in commands]

    def commit(self, *commands: Command) -> bool:
        """Carry out all commands as one transaction. False if a watched key has changed: nothing is done."""
        return self.run(("MULTI",), *commands, ("EXEC",))[-1] is not None

    def _reply(self) -> Any:
        try:
            return self._connection.read_response()
        except (ConnectionBroken, AnswerTimeout):
            raise
        except RedisError as error:
            return error


class RedisClient:
    """Sessions on pooled connections. Thread-safe."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        """SettingError if ``url`` is not one. Connects to nothing yet."""
        try:
            self._pool = redis.ConnectionPool.from_url(
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
        self.client = redis.Redis(connection_pool=self._pool)
        self._clock = clock
        self._away_until: float | None = None  # None: it answered last time
        self._reason = ""
        self._probing = threading.Lock()  # held by the thread that asks a Redis that was away

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A connection for some round trips; StorageUnreachable if Redis does not answer."""
        if self._away_until is None:
            with self._session() as session:
                yield session
            return
        if self._clock() < self._away_until or not self._probing.acquire(blocking=False):
            raise StorageUnreachable(self._reason)
        try:
            with self._session() as session:
                yield session
        finally:
            self._probing.release()

    @contextmanager
    def _session(self) -> Iterator[Session]:
        connection: Any = None
        try:
            connection = self._pool.get_connection()
            self._away_until = None  # it is there; a request that it refuses does not change that
            yield Session(connection)
        except (ConnectionBroken, AnswerTimeout) as error:
            if connection is not None:
                connection.disconnect()  # answers may still come
            self._reason = f"Redis does not answer: {error}"
            self._away_until = self._clock() + RETRY_SECONDS
            raise StorageUnreachable(self._reason) from None
        finally:
            if connection is not None:
                self._pool.release(connection)

    def close(self) -> None:
        """Close all connections."""
        self.client.close()
        self._pool.disconnect()


def checked(replies: list[Any]) -> list[Any]:
    """The replies; StorageFull or StorageReadOnly if one is an error."""
    for reply in replies:
        if isinstance(reply, RedisError):
            raise _refusal(reply)
    return replies


def _refusal(error: RedisError) -> StorageFull | StorageReadOnly:
    """In Redis' own words: out of memory, out of disk, a replica, too few replicas, no permission."""
    full = isinstance(error, OutOfMemoryError) or "No space left" in str(error)
    return (StorageFull if full else StorageReadOnly)(f"Redis does not take records: {error}")
