"""The thread that removes silent nodes. It wakes when the next deadline comes.

``rules.is_expired`` is the condition for removing a node.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from common.errors import SwarmError

RETRY_SECONDS = 1.0  # after a sweep that the storage could not do


class Sweeper(Protocol):
    """Removes the nodes that are past their deadline."""

    def sweep(self) -> float:
        """Remove the expired nodes; seconds until the next deadline, or until the earliest possible one."""


class Liveness:
    """Calls ``sweep`` at every deadline, in its own thread."""

    def __init__(self, sweeper: Sweeper, failed: Callable[[Exception], None] = lambda error: None) -> None:
        """``failed`` is called once, from the thread, if it ends because of an unexpected error."""
        self._sweeper = sweeper
        self._failed = failed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="liveness", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a sweep in progress has a second to finish."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1)

    def check_nodes_periodically(self) -> None:
        """Remove nodes as they fall due (the report's ``check_nodes_periodically``).

        This thread need not be woken early. A heartbeat that comes while it sleeps sets a deadline one whole
        ``silence`` later, and it never sleeps longer than that.
        """
        while not self._stop.wait(self._sweep()):
            pass

    def _sweep(self) -> float:
        try:
            return self._sweeper.sweep()
        except SwarmError:  # the requests get the reason as their answer
            return RETRY_SECONDS

    def _run(self) -> None:
        try:
            self.check_nodes_periodically()
        except Exception as error:
            self._failed(error)
