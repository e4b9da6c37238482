"""The thread that removes silent nodes, awake exactly when the next one falls due."""

from __future__ import annotations

import threading
from typing import Protocol


class Sweeper(Protocol):
    """What is to be done at each deadline."""

    def sweep(self) -> float:
        """Remove who is due; seconds until the next deadline (or the shortest time to one)."""


class Liveness:
    """Sweeps at every deadline, in a thread of its own."""

    def __init__(self, sweeper: Sweeper) -> None:
        self._sweeper = sweeper
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.check_nodes_periodically, name="liveness", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, within moments."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1)

    def check_nodes_periodically(self) -> None:
        """Remove nodes as they fall due (the report's ``check_nodes_periodically``).

        Nobody needs to wake this thread early: a node that comes, or is heard, while it sleeps falls due
        no sooner than one whole deadline later, and it never sleeps longer than that.
        """
        while not self._stop.wait(self._sweeper.sweep()):
            pass
