"""The threads of one busy connection, which take turns at its socket.

To write and hash what arrived takes longer than to receive it. One thread for both would leave a processor
idle. A hashing thread of its own would fetch each byte from the cache of the receiving thread's processor,
which costs a third more time for the hash. So the work stays with its bytes, and the connection moves: one
thread leads, which means that it receives and requests. Once a run of bytes is full, another thread leads,
and the first one writes and hashes the run while its processor's cache holds it.

The connection's own thread leads until the first work. Then followers start. A follower that had no work for
FOLLOW_SECONDS ends, so an idle connection has one thread, and so has one of many that hash at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeAlias

FOLLOWERS = 2  # threads beside the connection's own: one leads, two work
FOLLOW_SECONDS = 1.0  # without work, after which a follower ends

Work: TypeAlias = Callable[[], None]  # must not raise


class Turns:
    """Calls ``step(longest wait in seconds)`` again and again, on one thread at a time.

    A step returns work, or None. The thread does the work while other threads call ``step``.
    """

    def __init__(self, step: Callable[[float], Work | None], longest_wait: float, name: str) -> None:
        self._step = step
        self._longest_wait = longest_wait
        self._name = name
        self._turn = threading.Lock()  # the thread that holds it leads
        self._end: BaseException | None = None  # that a step raised
        self._lock = threading.Lock()  # guards the number of followers
        self._followers = 0

    def run(self) -> None:
        """Lead and work until a step raises, on whatever thread; raises the same. For the own thread."""
        while True:
            with self._turn:
                if self._end is not None:
                    raise self._end
                work = self._lead(self._longest_wait, None)
            assert work is not None
            self._start_followers()
            work()

    def _lead(self, longest_wait: float, until: float | None) -> Work | None:
        """Steps until one returns work, or until the time ``until``."""
        try:
            while True:
                work = self._step(longest_wait)
                if work is not None or (until is not None and time.monotonic() > until):
                    return work
        except BaseException as error:
            self._end = error
            raise

    def _start_followers(self) -> None:
        with self._lock:
            missing, self._followers = FOLLOWERS - self._followers, FOLLOWERS
        for _ in range(missing):
            threading.Thread(target=self._follow, name=self._name, daemon=True).start()

    def _follow(self) -> None:
        try:
            while self._turn.acquire(timeout=FOLLOW_SECONDS):
                try:
                    if self._end is not None:
                        return
                    work = self._lead(FOLLOW_SECONDS, time.monotonic() + FOLLOW_SECONDS)
                except BaseException:  # the connection's own thread raises it
                    return
                finally:
                    self._turn.release()
                if work is None:
                    return
                work()
        finally:
            with self._lock:
                self._followers -= 1
