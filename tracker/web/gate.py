"""Admission for threads: the pure rules with a lock and a clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tracker.rate_limits import Admission


class Gate:
    """The same questions as ``Admission``'s; each may raise RateLimited."""

    def __init__(self, admission: Admission, clock: Callable[[], float] = time.monotonic) -> None:
        self._admission = admission
        self._clock = clock
        self._lock = threading.Lock()

    def ask(self, address: str) -> None:
        """A request comes from ``address``."""
        with self._lock:
            self._admission.ask(address, self._clock())

    def call(self, address: str, node_id: int, secret: str | None, stays: bool) -> None:
        """It is made in the name of a node, which comes in or stays in by it, or not."""
        with self._lock:
            now = self._clock()
            self._admission.call(address, node_id, secret, now)
            if stays:
                self._admission.come(address, node_id, now)

    def came(self, address: str, node_id: int) -> None:
        """The node is in."""
        if self._admission.is_home(address, node_id):  # nearly always, and no lock to wait for
            return
        with self._lock:
            self._admission.came(address, node_id, self._clock())

    def left(self, node_id: int) -> None:
        """The node is out."""
        with self._lock:
            self._admission.left(node_id)
