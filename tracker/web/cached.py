"""A rendered answer that is made anew at most once in a while, whoever asks and however often."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable


class Cached:
    """Thread-safe. While one thread renders, the others get the last answer; only the first ever waits."""

    def __init__(
        self, render: Callable[[], bytes], seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._render = render
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._answer: tuple[bytes, str] | None = None
        self._until = 0.0

    def get(self) -> tuple[bytes, str]:
        """The answer, and its entity tag."""
        answer = self._answer
        if answer is not None and (self._clock() < self._until or not self._lock.acquire(blocking=False)):
            return answer
        if answer is None:
            self._lock.acquire()
        try:
            if self._answer is None or self._clock() >= self._until:
                body = self._render()
                self._answer = body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'
                self._until = self._clock() + self._seconds
            return self._answer
        finally:
            self._lock.release()
